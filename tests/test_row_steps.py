"""The same bytes whether computed at once, in steps, in another order or after damage."""

import shutil

import pytest

from facestats.clip.embed import STAGE, embed_faces, recipe_hash, row_columns, write_embeddings
from facestats.clip.encoder import ImageEncoder
from facestats.clip.tables import embeddings_schema
from facestats.core import tables
from facestats.faces.crop import PreprocessConfig
from facestats.faces.keys import recipe_hash as photo_recipe
from facestats.faces.preprocess import ROW_COLUMNS, preprocess_folder, write_faces
from facestats.faces.tables import FACES
from facestats.rows.store import FILES, RowStore
from facestats.sample import write_sample
from resources import landmarker_dir

CONFIG = PreprocessConfig(size=96)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_sample(folder, n=22, size=96, seed=3, progress=False)
    shutil.copyfile(folder / "images/face_0001.jpg", folder / "images/twin.jpg")
    (folder / "images/bad.jpg").write_bytes(b"bad")
    return sorted(path for path in (folder / "images").glob("*.*") if path.is_file())


@pytest.fixture(scope="module")
def encoder(clip_models):
    return ImageEncoder(clip_models["tiny"], batch_size=8)


@pytest.fixture
def build(tmp_path, encoder):
    """Runs both stages on a folder as it is now.

    Returns the bytes of what they write, and what was computed.
    """
    warnings = []

    def run(images, store="store", workers=0):
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        with RowStore(
            tmp_path / store,
            "preprocess",
            photo_recipe(CONFIG, landmarker_dir()),
            ROW_COLUMNS,
            warn=warnings.append,
        ) as rows:
            faces = preprocess_folder(
                images, out / "faces", CONFIG, landmarker_dir(), workers, rows
            )
        tables.write(faces, out / "faces.parquet", FACES)
        with RowStore(
            tmp_path / store,
            STAGE,
            recipe_hash(encoder),
            row_columns(encoder.dimension),
            warn=warnings.append,
        ) as rows:
            table = embed_faces(out / "faces", encoder, rows)
        tables.write(table, out / "embeddings.parquet", embeddings_schema(encoder.dimension))
        written = {
            path.relative_to(out).as_posix(): path.read_bytes()
            for path in out.rglob("*")
            if path.is_file()
        }
        return written, (faces.attrs["computed"], table.attrs["computed"])

    run.warnings = warnings
    return run


@pytest.fixture
def at_once(build, photos, tmp_path):
    folder = tmp_path / "all"
    folder.mkdir()
    for path in photos:
        shutil.copyfile(path, folder / path.name)
    return build(folder, "another store", workers=2)


@pytest.mark.thorough
@pytest.mark.long
def test_five_increments_in_another_order_give_the_same_bytes(build, photos, at_once, tmp_path):
    folder = tmp_path / "growing"
    folder.mkdir()
    backwards, costs = photos[::-1], []
    for step in range(5):
        for path in backwards[step::5]:
            shutil.copyfile(path, folder / path.name)
        written, computed = build(folder)
        costs.append(computed)
    assert written == at_once[0]
    assert sum(cost[0] for cost in costs) in (
        len(photos),
        len(photos) - 1,
    )  # the twins came in two steps, or in one
    assert len(written) == len(photos) - 1 + 2


@pytest.mark.long
def test_rows_on_disk_and_tables_block_by_block_give_the_same_bytes(
    build, at_once, tmp_path, encoder, monkeypatch
):
    monkeypatch.setattr("facestats.rows.held.MOST", 1)
    monkeypatch.setattr("facestats.rows.fill._TOGETHER", 3)
    monkeypatch.setattr("facestats.faces.preprocess._TOGETHER", 5)
    monkeypatch.setattr("facestats.clip.embed.BLOCK", 7)
    for _ in range(2):  # all rows are computed, then all are stored ones
        out = tmp_path / "blocks"
        shutil.rmtree(out, ignore_errors=True)
        recipe = photo_recipe(CONFIG, landmarker_dir())
        with RowStore(tmp_path / "rows", "preprocess", recipe, ROW_COLUMNS) as rows:
            photos = write_faces(
                out / "faces.parquet",
                tmp_path / "all",
                out / "faces",
                CONFIG,
                landmarker_dir(),
                rows,
            )
        columns = row_columns(encoder.dimension)
        with RowStore(tmp_path / "rows", STAGE, recipe_hash(encoder), columns) as rows:
            write_embeddings(out / "embeddings.parquet", out / "faces", encoder, rows)
        written, _ = at_once
        assert (out / "faces.parquet").read_bytes() == written["faces.parquet"]
        assert len(photos) == 24
        assert tables.read(out / "embeddings.parquet", embeddings_schema(encoder.dimension)).equals(
            tables.read(tmp_path / "out/embeddings.parquet", embeddings_schema(encoder.dimension))
        )
        assert not list((tmp_path / "rows").rglob("tmp*"))


@pytest.mark.thorough
@pytest.mark.long
def test_removing_and_renaming_computes_nothing(build, at_once, tmp_path):
    folder = tmp_path / "all"
    build(folder)
    (folder / "face_0002.jpg").rename(folder / "another name.jpg")
    (folder / "face_0003.jpg").rename(tmp_path / "face_0003.jpg")
    assert build(folder)[1] == (0, 0)
    (folder / "another name.jpg").rename(folder / "face_0002.jpg")
    (tmp_path / "face_0003.jpg").rename(folder / "face_0003.jpg")
    assert build(folder) == (at_once[0], (0, 0))


@pytest.mark.long
def test_a_damaged_store_gives_the_same_bytes(build, at_once, tmp_path):
    folder = tmp_path / "all"
    build(folder)
    for path in (tmp_path / "store").glob("*/*/*.parquet"):
        path.write_bytes(path.read_bytes()[:100])
    written, computed = build(folder)
    assert written == at_once[0]
    assert min(computed) > 20
    assert len(build.warnings) == 2


@pytest.mark.thorough
@pytest.mark.long
def test_a_crop_that_the_store_lost_is_cut_again(build, at_once, tmp_path):
    folder = tmp_path / "all"
    build(folder)
    crops = sorted((tmp_path / "store").glob(f"preprocess/*/{FILES}/*"))
    crops[0].unlink()
    crops[1].write_bytes(b"drawn on")
    assert build(folder)[1] in ((2, 0), (3, 0))  # one of them may be the twins'
    assert build(folder) == (at_once[0], (0, 0))
    [segments] = {path.parent for path in (tmp_path / "store").glob("preprocess/*/*.parquet")}
    assert list(segments.glob("*.parquet"))
