"""Crops in tar shards (`preprocess.store: shards`): the same rows, keys and bytes as in files."""

import hashlib
import json
import shutil
import tarfile

import numpy as np
import pandas as pd
import pytest

from facestats.clip.embed import embed_faces
from facestats.clip.encoder import ImageEncoder
from facestats.core.crops import INDEX, SHARDS, Crops, read_list, shard_name
from facestats.core.layout import CROPS
from facestats.errors import InputError
from facestats.faces.crop import PreprocessConfig
from facestats.faces.keys import recipe_hash
from facestats.faces.preprocess import ROW_COLUMNS, STAGE, preprocess_folder
from facestats.geometry.columns import measure_faces
from facestats.geometry.skin import NO_CROP
from facestats.rows.crops import committed_crops
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import RowFiles
from facestats.rows.store import RowStore
from resources import landmarker_dir, omi_images, read_yaml

CONFIG = PreprocessConfig(size=96)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number, path in enumerate(omi_images(4)):
        shutil.copy(path, folder / f"{number} ü.jpg")
    return folder


@pytest.fixture(scope="module")
def both(photos, tmp_path_factory):
    """Table and crops of the same photos, by `preprocess.store`."""
    folder = tmp_path_factory.mktemp("crops")
    return {
        store: (
            preprocess_folder(
                photos, folder / store, CONFIG, landmarker_dir(), workers=0, store=store
            ),
            Crops.of(folder / store),
        )
        for store in ("files", "shards")
    }


@pytest.mark.long
def test_a_crop_is_the_same_in_a_file_and_in_a_shard(both):
    (of_files, files), (of_shards, shards) = both["files"], both["shards"]
    for column in of_files:
        assert [*map(str, of_files[column])] == [*map(str, of_shards[column])]
    assert shards.packed
    assert not files.packed
    assert files.names() == shards.names() == sorted(of_files["filename"])
    for name in files.names():
        assert files.read(name) == shards.read(name) == files.source(name).read_bytes()
        assert shards.has(name)
    assert {path.name for path in shards.folder.iterdir()} == {
        INDEX,
        *map(shard_name, shards.names()),
    }


def test_the_shards_are_the_same_bytes_each_time(both, photos, tmp_path):
    preprocess_folder(photos, tmp_path, CONFIG, landmarker_dir(), workers=0, store="shards")
    shards = both["shards"][1]
    for shard in shards.shards():
        assert (tmp_path / shard.name).read_bytes() == shard.read_bytes()
        with tarfile.open(shard) as tar:
            assert {(one.mtime, one.uid, one.uname, one.mode) for one in tar} == {(0, 0, "", 0o644)}


def test_a_shard_is_one_of_a_power_of_two_by_the_hash_of_the_name():
    assert SHARDS == 1024
    assert shard_name("a.jpg") == "142.tar"  # of the SHA-256, 50b1…, the first ten bits
    names = {shard_name(f"{number}.jpg") for number in range(20_000)}
    assert (min(names), max(names), len(names)) == ("000.tar", "3ff.tar", SHARDS)


def test_a_crop_that_is_not_there_is_said_with_its_path(both):
    shards = both["shards"][1]
    assert not shards.has("none.jpg")
    with pytest.raises(FileNotFoundError):
        shards.read("none.jpg")
    assert shards.source("none.jpg") == shards.folder / shard_name("none.jpg") / "none.jpg"


@pytest.fixture
def project(both, photos, tmp_path):
    """A committed run in shards: its cache, and the folder of its crops."""
    cache = DvcCache(tmp_path, tmp_path / ".dvc" / "cache")
    out = tmp_path / "data/processed/preproc"
    shutil.copytree(both["shards"][1].folder, out)
    commit(cache, out)
    return cache, out


def commit(cache: DvcCache, out) -> None:
    """What `dvc commit` does with the folder of the crops, which is then removed."""
    listing = []
    for path in sorted(out.iterdir()):
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        cache.object(md5).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, cache.object(md5))
        listing.append({"md5": md5, "relpath": path.name})
    data = json.dumps(listing).encode()
    md5 = f"{hashlib.md5(data).hexdigest()}.dir"
    cache.object(md5).parent.mkdir(parents=True, exist_ok=True)
    cache.object(md5).write_bytes(data)
    path = out.relative_to(cache.root).as_posix()
    (cache.root / "dvc.lock").write_text(
        f"stages:\n  preprocess:\n    outs:\n    - path: {path}\n      md5: {md5}\n"
    )
    shutil.rmtree(out)


def test_crops_are_found_in_the_shards_of_the_last_run(project, both):
    cache, out = project
    crops = both["shards"][1]
    listed = committed_crops(cache, out)
    assert listed == {
        name: md5 for shard in crops.shards() for name, md5 in read_list(shard).items()
    }
    files = RowFiles(None, cache)
    for name, md5 in listed.items():
        assert files.read(md5) == crops.read(name)
    assert files.read("0" * 32) is None


def test_one_more_photo_changes_one_shard_and_computes_one_row(project, photos, tmp_path):
    cache, out = project
    more = shutil.copytree(photos, tmp_path / "more")
    recipe = recipe_hash(CONFIG, landmarker_dir())

    def run():
        with RowStore(tmp_path / "rows", STAGE, recipe, ROW_COLUMNS, cache=cache) as rows:
            return preprocess_folder(
                more, out, CONFIG, landmarker_dir(), workers=0, rows=rows, store="shards"
            )

    run()
    before = {shard.name: shard.read_bytes() for shard in Crops.of(out).shards()}
    commit(cache, out)
    kept = tmp_path / "rows" / STAGE / recipe[:32] / "files"
    assert len([*kept.iterdir()]) == 4
    shutil.copy(omi_images(5)[4], more / "new.jpg")
    frame = run()
    assert (frame.attrs["reused"], frame.attrs["computed"]) == (4, 1)
    after = {shard.name: shard.read_bytes() for shard in Crops.of(out).shards()}
    assert after.keys() - before.keys() == {shard_name("new.jpg")}
    assert {name: after[name] for name in before} == before
    # Of the others, DVC's cache has the shards: the row store need not keep them, too.
    assert len([*kept.iterdir()]) == 1


def test_embeddings_and_their_keys_are_those_of_crops_in_files(both, clip_models):
    encoder = ImageEncoder(clip_models["tiny"], batch_size=2)
    of_files, of_shards = (embed_faces(both[store][1].folder, encoder) for store in both)
    assert [*of_files["key"]] == [*of_shards["key"]]
    assert np.array_equal(np.stack(of_files["embedding"]), np.stack(of_shards["embedding"]))


def test_shapes_and_colours_are_those_of_crops_in_files(both):
    table = both["files"][0]
    landmarks = np.stack(table["landmarks"]).reshape(len(table), -1, 3)
    turned = [table[name].to_numpy(float) for name in ("yaw", "pitch", "occlusion")]
    measured = [
        measure_faces(landmarks, crops.sources(table["filename"]), *turned)
        for _, crops in both.values()
    ]
    assert measured[0]["skin_l"].notna().any()
    pd.testing.assert_frame_equal(*measured)
    gone = measure_faces(landmarks, both["shards"][1].sources(["no.jpg"] * len(table)), *turned)
    assert set(gone["skin_missing"]) == {NO_CROP}


def test_members_of_a_composite_are_files(both, tmp_path):
    crops = both["shards"][1]
    name = crops.names()[0]
    assert crops.unpacked(name, tmp_path / "0.jpg").read_bytes() == crops.read(name)
    assert both["files"][1].unpacked(name, tmp_path / "1.jpg") == both["files"][1].file(name)


@pytest.mark.parametrize("damage", ["cut off", "another member", "index"])
def test_a_damaged_shard_is_an_error_that_names_it(both, tmp_path, damage):
    folder = shutil.copytree(both["shards"][1].folder, tmp_path / "crops")
    shard = Crops.of(folder).shards()[0]
    if damage == "cut off":
        shard.write_bytes(shard.read_bytes()[:2000])
    elif damage == "another member":
        with tarfile.open(shard, "a") as tar:
            tar.addfile(tarfile.TarInfo("../x.jpg"))
    else:
        (folder / INDEX).write_text('{"shards": 16}')
    place = folder / INDEX if damage == "index" else shard
    with pytest.raises(InputError, match=rf"{place}.*dvc repro -f preprocess"):
        Crops.of(folder).names()


def test_a_damaged_shard_in_the_cache_is_not_copied(project, photos, both, tmp_path):
    """What it held is cut anew."""
    cache, out = project
    for md5 in cache.committed_files(out).values():
        path = cache.object(md5)
        path.write_bytes(path.read_bytes().replace(b"\xff\xd8\xff", b"\0\0\0"))
    recipe = recipe_hash(CONFIG, landmarker_dir())
    with RowStore(tmp_path / "rows", STAGE, recipe, ROW_COLUMNS, cache=cache) as rows:
        frame = preprocess_folder(
            photos, out, CONFIG, landmarker_dir(), workers=0, rows=rows, store="shards"
        )
    assert frame.attrs["computed"] == 4
    for shard in both["shards"][1].shards():
        assert (out / shard.name).read_bytes() == shard.read_bytes()


@pytest.mark.slow
@pytest.mark.thorough
def test_a_whole_run_in_shards_writes_what_one_in_files_writes(built, tmp_path):
    """By DVC: all tables, models, metrics and figures; the report differs by the parameter."""
    project = built.copy(tmp_path / "copy")

    def outs() -> dict[str, str]:
        stages = read_yaml(project.read("dvc.lock"))["stages"].values()
        return {out["path"]: out["md5"] for stage in stages for out in stage["outs"]}

    in_files = outs()
    project.set_params({"preprocess.store": "shards"})
    ran = project.repro()
    assert {"preprocess", "embed", "geometry"} <= ran
    in_shards = outs()
    assert Crops.of(project.folder / CROPS).packed
    report = "data/processed/report.html"
    changed = {path for path in in_files if in_files[path] != in_shards[path]}
    assert changed == {CROPS.as_posix(), report}
    assert project.read(report).replace(b"<td>shards<", b"<td>files<") == built.read(report)
