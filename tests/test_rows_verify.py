"""`rows verify` finds invented rows, and accepts the rounding of another processor."""

import faulthandler
import io
import json
import os
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

from facestats.__main__ import main
from facestats.cli import rows_verify
from facestats.cli.rows_verify import _looks_different
from facestats.clip.embed import STAGE, embed_faces, recipe_hash, row_columns
from facestats.clip.encoder import ImageEncoder
from facestats.faces.crop import PreprocessConfig
from facestats.faces.keys import recipe_hash as photo_recipe
from facestats.faces.preprocess import ROW_COLUMNS, preprocess_folder
from facestats.params.project import load_params
from facestats.rows.recipes import read_rows
from facestats.rows.store import RowStore
from facestats.sample import write_sample
from resources import ROOT, encode, landmarker_dir

N = 6


@pytest.fixture(scope="module")
def stored(tmp_path_factory, clip_models):
    """A project whose rows are stored, as two stages leave it."""
    root = tmp_path_factory.mktemp("stored") / "project"
    write_sample(root / "drawn", n=N, size=96, seed=3, progress=False)
    (root / "data").mkdir()
    (root / "drawn/images").rename(root / "data/raw")
    for other in [
        path for path in (root / "data/raw").rglob("*") if not path.name.startswith("face_")
    ]:
        shutil.rmtree(other) if other.is_dir() else other.unlink(missing_ok=True)
    (root / "data/raw/no photo.jpg").write_bytes(b"none")
    (root / ".dvc").mkdir()
    (root / "models").mkdir()
    shutil.copytree(landmarker_dir(), root / "models/landmarker")
    shutil.copytree(clip_models["tiny"], root / "models/clip")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {"images": "data/raw", "labels": "data/labels"}
    params["preprocess"]["size"], params["clip"]["batch_size"] = 96, 8
    (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    faces, recipes = root / "data/processed/preproc", recipes_of(root)
    config = PreprocessConfig(**load_params(root / "params.yaml").preprocess.cutting())
    with RowStore(
        root / ".dvc/facestats-rows", "preprocess", recipes["preprocess"], ROW_COLUMNS
    ) as rows:
        preprocess_folder(root / "data/raw", faces, config, root / "models/landmarker", 1, rows)
    encoder = ImageEncoder(root / "models/clip", batch_size=8)
    with RowStore(
        root / ".dvc/facestats-rows", STAGE, recipes["embed"], row_columns(encoder.dimension)
    ) as rows:
        embed_faces(faces, encoder, rows)
    return root


def recipes_of(root) -> dict[str, str]:
    config = PreprocessConfig(**load_params(root / "params.yaml").preprocess.cutting())
    return {
        "preprocess": photo_recipe(config, root / "models/landmarker"),
        "embed": recipe_hash(ImageEncoder(root / "models/clip", batch_size=8)),
    }


@pytest.fixture
def project(stored, tmp_path):
    root = tmp_path / "project"
    shutil.copytree(stored, root)
    return root


@pytest.fixture
def verify(project, capsys):
    def run(*arguments: str, code: int = 0) -> str:
        exit_code = main(["rows", "verify", "--root", str(project), *arguments])
        output = capsys.readouterr()
        assert exit_code == code, output
        return output.out + output.err

    return run


@pytest.fixture
def in_one_process(monkeypatch):
    """Rows are computed without worker processes, whose start takes 2 s."""
    monkeypatch.setattr(rows_verify, "count_workers", lambda photos: 0)


def forge(root, stage: str, change) -> None:
    """Put rows as `change` makes them into the place of the stored ones."""
    recipe = recipes_of(root)[stage]
    columns = (
        ROW_COLUMNS
        if stage == "preprocess"
        else row_columns(ImageEncoder(root / "models/clip", batch_size=8).dimension)
    )
    rows = read_rows(root / ".dvc/facestats-rows", stage, recipe, columns).to_pylist()
    for segment in (root / ".dvc/facestats-rows" / stage / recipe[:32]).glob("*.parquet"):
        segment.unlink()
    with RowStore(root / ".dvc/facestats-rows", stage, recipe, columns) as store:
        for row in rows:
            store.add(row | change(row, store))


@pytest.mark.long
def test_true_rows_are_equal_and_others_are_counted(project, verify):
    output = verify()
    assert (
        f"preprocess compared={N + 1} equal={N + 1} rounding=0 different=0 not_compared=0" in output
    )
    assert f"embed      compared={N} equal={N} rounding=0 different=0 not_compared=0" in output
    (project / "data/raw/face_0001.jpg").unlink()
    report = json.loads(verify("--sample", "2", "--json"))
    assert (
        report["preprocess"]["compared"],
        report["preprocess"]["not_compared"],
        report["embed"]["compared"],
    ) == (2, N - 1, 2)


def test_where_no_row_is_of_what_is_here_nothing_passes_for_checked(
    project, verify, in_one_process
):
    params = project / "params.yaml"
    params.write_text(
        params.read_text(encoding="utf-8").replace("size: 96", "size: 128"), encoding="utf-8"
    )
    report = json.loads(verify("--json"))
    assert (report["preprocess"]["compared"], report["preprocess"]["not_compared"]) == (0, N + 1)
    assert "no row is of the photos" in report["preprocess"]["why"]


def first(row) -> bool:
    return row["status"] == "ok" and row["sha256"] < "8"


@pytest.mark.first_cases(2)
@pytest.mark.long
@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("sharpness", lambda row, _: {"sharpness": row["sharpness"] + 0.1}),
        ("landmarks", lambda row, _: {"landmarks": [value + 0.01 for value in row["landmarks"]]}),
        ("status", lambda row, _: {"status": "rejected", "reason": "no face found", "crop": None}),
        ("perceptual_hash", lambda row, _: {"perceptual_hash": "0" * 64}),
        (
            "crop",
            lambda row, store: {
                "crop": store.files.save(
                    encode(Image.new("RGB", (96, 96), "white"), "JPEG"),
                    store.files.recipe.parent / "white.jpg",
                )
            },
        ),
    ],
)
def test_a_false_row_of_a_photo_is_named(project, verify, in_one_process, column, change):
    forge(project, "preprocess", lambda row, store: change(row, store) if first(row) else {})
    output = verify(code=1)
    assert f"{column}" in output
    assert "different: face_000" in output
    assert "FACESTATS_NO_REUSE=1 dvc repro" in output
    report = json.loads(verify("--json", code=1))["preprocess"]
    assert 0 < len(report["different"]) < N
    assert report["equal"] + len(report["different"]) == N + 1


def test_what_is_no_hash_and_no_number_is_no_rounding():
    assert rows_verify._bits_between("zz", "0f") > rows_verify.BITS
    found = rows_verify._vector_differences("yaw", float("nan"), 1.0, lambda a, b: abs(a - b), 9.0)
    assert [*found] == [("yaw", True)]


@pytest.mark.long
def test_a_false_embedding_is_named(project, verify, in_one_process):
    forge(project, "embed", lambda row, _: {"embedding": list(reversed(row["embedding"]))})
    assert f"embed      compared={N} equal=0 rounding=0 different={N}" in verify(code=1)


@pytest.mark.long
def test_what_another_processor_rounds_is_no_false_row(project, verify, in_one_process):
    noise = np.random.default_rng(0)
    forge(
        project,
        "embed",
        lambda row, _: {
            "embedding": (
                np.float32(row["embedding"]) + noise.normal(0, 1e-6, len(row["embedding"]))
            ).tolist()
        },
    )
    forge(
        project,
        "preprocess",
        lambda row, _: (
            {"yaw": row["yaw"] + 1e-3, "landmarks": [v + 1e-5 for v in row["landmarks"]]}
            if row["yaw"]
            else {}
        ),
    )
    report = json.loads(verify("--json"))
    assert (report["embed"]["rounding"], report["preprocess"]["rounding"]) == (N, N)


def test_segments_that_end_the_process_are_named_with_the_way_out(
    project, verify, in_one_process, monkeypatch
):
    segments = sorted((project / ".dvc/facestats-rows").glob("*/*/*.parquet"))
    assert len(segments) >= 2  # more where filling one took long
    good = segments[0].with_name(f"{'0' * 64}.parquet")
    good.write_bytes(b"damaged")  # no reason to end
    read = rows_verify.read_any_segment

    def crash(folder, name):
        if folder.path / name in segments:
            faulthandler.disable()  # the log of a run has no crash then
            os.abort()
        return read(folder, name)

    with monkeypatch.context() as patch:
        patch.setattr(rows_verify, "read_any_segment", crash)
        output = verify(code=1)
        for path in segments:
            assert f"ends every process that reads it: {path}" in output
        assert f"run again: rm {' '.join(map(str, segments))}" in output
        assert json.loads(verify("--json", code=1))["deadly"] == list(map(str, segments))
    assert "different=0" in verify("--sample", "1")


def test_crops_are_alike_where_only_their_last_bits_differ():
    pixels = np.random.default_rng(0).integers(40, 200, (96, 96, 3), dtype=np.uint8)
    near, far = pixels + np.uint8(1), pixels.copy()
    far[40:60, 40:60] += 20
    one, other, third = (
        encode(Image.fromarray(image), "JPEG", quality=95) for image in (pixels, near, far)
    )
    assert not _looks_different(one, other)
    assert _looks_different(one, third)
    assert _looks_different(one, b"none")
    assert Image.open(io.BytesIO(one)).size == (96, 96)


def test_wrong_usage_is_named(project, verify, capsys):
    for arguments in (["--sample", "3"], ["prune", "--json"]):
        assert main(["rows", *arguments, "--root", str(project)]) == 2
        assert "go with `rows verify`" in capsys.readouterr().err
    for path in (
        project / "models/clip/model.safetensors",
        *(project / "models/landmarker").iterdir(),
    ):
        path.unlink()
    assert "fetch_landmarker" in verify(code=2)
