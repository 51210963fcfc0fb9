"""`python -m facestats doctor` names what is wrong with photos, labels and models, then says five
lines.
"""

import errno
import hashlib
import json
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from facestats.__main__ import main
from facestats.checkpoints.variants import FACTS
from facestats.cli import doctor as doctor_command
from facestats.cli import doctor_photos, doctor_stale
from facestats.cli.doctor_photos import Look, find_copies, spread
from facestats.core.layout import FACES_TABLE
from facestats.faces.tables import FACES
from facestats.sample import write_sample
from hubs import Hub, serving
from resources import ROOT, backdrop, encode, landmarker_dir


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_sample(folder, n=6, size=96, seed=5, progress=False)
    return folder / "images"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with empty folders, whose landmark models are not there yet."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("data/labels", "data/raw"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data/manual_ratings.csv").write_text("rater,image,rating\n")
    (tmp_path / "data/manual_labels.csv").write_text(
        "filename,gender,ethnicity,age,rating,person\n"
    )
    shutil.copyfile(ROOT / "dvc.yaml", tmp_path / "dvc.yaml")
    set_params(tmp_path, data={"images": "data/raw", "labels": "data/labels"})
    return tmp_path


def set_params(root, **sections) -> None:
    source = root / "params.yaml" if (root / "params.yaml").exists() else ROOT / "params.yaml"
    params = yaml.load(source.read_text(encoding="utf-8"), yaml.CSafeLoader)
    for section, values in sections.items():
        params[section] |= values
    (root / "params.yaml").write_text(yaml.dump(params, Dumper=yaml.CSafeDumper), encoding="utf-8")


@pytest.fixture
def doctor(root, capsys):
    """Runs the command: what it finds and counts, by `--json`, or the lines that it prints."""

    def run(*arguments: str, code: int | None = None, text: bool = False):
        capsys.readouterr()
        exit_code = main(["doctor", "--root", str(root), *arguments, *([] if text else ["--json"])])
        output = capsys.readouterr().out
        content = output.splitlines() if text else json.loads(output)
        stops = not text and any(
            problem["kind"] != "photo" for problem in content["problems"]
        )  # a run leaves such photos out
        assert exit_code == (int(stops) if code is None else code), output
        return content

    return run


@pytest.fixture
def in_one_process(monkeypatch):
    """Photos are examined without worker processes, whose start takes 2 s."""
    monkeypatch.setattr(doctor_photos, "count_workers", lambda photos: 0)


def kinds(findings: list[dict]) -> set[tuple[str, str]]:
    return {(finding["kind"], finding["path"]) for finding in findings}


def noise(seed: int) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 255, (90, 90, 3), dtype=np.uint8)
    )


@pytest.mark.long
def test_each_photo_that_cannot_be_used_is_named(root, doctor):
    raw = root / "data/raw"
    whole = encode(noise(0), "JPEG")
    (raw / "good.jpg").write_bytes(whole)
    (raw / "again.jpg").write_bytes(whole)
    (raw / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (raw / "cut.png").write_bytes(encode(noise(1), "PNG")[:2000])
    (raw / "empty.jpg").touch()
    (raw / "words.JPG").write_text("no picture")
    (raw / "tiny.png").write_bytes(encode(Image.new("RGB", (8, 8)), "PNG"))
    (raw / "notes.txt").write_text("no picture, and does not claim to be")
    report = doctor()
    names = ("cut.jpg", "cut.png", "empty.jpg", "words.JPG", "tiny.png")
    assert kinds(report["problems"]) == {("photo", f"data/raw/{name}") for name in names}
    assert all(
        "data/raw/" in problem["message"] and ": " in problem["message"]
        for problem in report["problems"]
    )
    assert {warning["kind"] for warning in report["warnings"]} == {"no_picture", "copy"}
    assert report["photos"] == {
        "files": 8,
        "looked_at": 8,
        "faces": None,
        "unusable": 5,
        "no_pictures": 1,
        "without_face": 0,
        "copies": 1,
    }
    lines = doctor(text=True)
    assert [line.startswith("problem: data/raw/") for line in lines] == [True] * 5 + [False] * 7
    assert (
        "8 photos, faces not counted (the landmark models are not there yet), 0 labelled, 0 raters"
        in lines
    )


@pytest.mark.long
def test_faces_labels_and_raters_are_counted(root, doctor, drawn, monkeypatch):
    set_params(root, landmarker={"source": str(landmarker_dir())})
    raw = root / "data/raw"
    images = sorted(path.name for path in drawn.glob("face_*"))[:6]
    for name in images:
        shutil.copyfile(drawn / name, raw / name)
    with Image.open(raw / images[0]) as image:
        image.resize((160, 160)).save(raw / "larger.png")
    scene = Image.fromarray(
        backdrop(480, 340)
    )  # a small face on its head counts, as the pipeline finds it
    with Image.open(raw / images[5]) as image:
        scene.paste(image.resize((85, 85)), (300, 200))
    scene.transpose(Image.Transpose.ROTATE_180).save(raw / images[5])
    (raw / "wall.png").write_bytes(encode(Image.new("RGB", (90, 90), "grey"), "PNG"))
    (root / "data/labels/labels.csv").write_text(
        f"image,age\n{images[0]},30\n{images[1]},40\ngone.jpg,50\n"
    )
    ratings = [f"{name},{rater},{i}" for i, name in enumerate(images[:3]) for rater in ("r1", "r2")]
    (root / "data/labels/ratings.csv").write_text("\n".join(["image,rater,rating", *ratings, ""]))
    lines = doctor(text=True)
    assert "inputs: nothing wrong found in data/raw and data/labels" in lines
    assert (
        len(lines) - sum(line.startswith("warning: ") for line in lines) == 6
    )  # that and the summary
    assert "8 photos, 7 faces likely, 3 labelled, 2 raters" in lines
    assert any("gone.jpg" in line for line in lines)
    assert (
        "warning: 1 file in data/raw to look at, without a face that was found: wall.png" in lines
    )
    assert any("copies of others" in line and "larger.png" in line for line in lines)
    report = doctor()
    assert report["labels"] == {
        "labelled": 3,
        "by_column": report["labels"]["by_column"],
        "raters": 2,
        "ratings": 6,
        "without_photo": 1,
        "notes": [],
    }

    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in raw.iterdir()]
    n = len(hashes)
    run = {
        "sha256": hashes,
        "status": ["ok"] * n,
        "reason": [None] * n,
        "face_count": [1] * n,
        "perceptual_hash": [None] * n,
        "filename": [None] * n,
    }
    columns = {name: pa.array(values, FACES.columns[name]) for name, values in run.items()}
    (root / FACES_TABLE).parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), root / FACES_TABLE)
    monkeypatch.setattr(
        doctor_photos, "process_photo", None
    )  # what the last run found is not computed again
    assert "8 photos, 8 faces likely, 3 labelled, 2 raters" in doctor(text=True)


@pytest.mark.long
def test_of_many_photos_some_are_looked_into(root, doctor, in_one_process, monkeypatch):
    for i in range(12):
        (root / f"data/raw/{i:02}.png").write_bytes(encode(noise(i), "PNG") if i != 5 else b"")
    monkeypatch.setattr(doctor_photos, "MOST", 4)
    assert doctor()["photos"]["looked_at"] == 4
    assert any(
        "looked into 4, evenly spread (--all: every one)" in line for line in doctor(text=True)
    )
    assert kinds(doctor("--all")["problems"]) == {("photo", "data/raw/05.png")}
    assert spread([*"abcdefgh"], 4) == ["a", "c", "e", "g"]


@pytest.mark.first_cases(3)
@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("data/labels/Lables.csv", "move or rename it"),
        ("data/labels/my labels.csv", "move or rename it"),
        ("data/labels/old labels.ods", "save it as labels.xlsx"),
        ("data/labels/raitings.csv", "move or rename it"),
        ("data/labels/old/labels.csv", "move or rename it"),
        ("data/labels/scores.csv", "move or rename it"),
        ("data/raw/faces.csv", "move or rename it"),
        ("data/labels.csv", "move or rename it"),
        ("labels.csv", "move or rename it"),
    ],
)
def test_a_label_file_that_nothing_reads_is_named(root, doctor, in_one_process, name, way):
    (root / "data/raw/a.png").write_bytes(encode(noise(0), "PNG"))
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("image,age\na.png,30\n")
    (problem,) = doctor()["problems"]
    assert (problem["kind"], problem["path"]) == ("unread_labels", name)
    assert way in problem["message"]
    assert name in doctor("--inputs", code=1, text=True)[0]
    (root / "data/labels/labels.csv").write_text("image,age\na.png,30\n")
    for other in (
        "to_label.csv",
        "label_notes.txt",
        "data/relabelled.csv",
    ):  # templates, and what is called otherwise
        (root / other).write_text(
            "image,proposed_age\n" if other == "to_label.csv" else "image,age\na.png,30\n"
        )
    (root / "data/labels/dataset.croissant.json").write_text("{}")  # an import's
    report = doctor()
    assert report["problems"] == []  # there are labels, this may be something else
    assert {path for kind, path in kinds(report["warnings"]) if kind == "unread_labels"} == {name}
    assert ("unread_labels", name) in kinds(report["warnings"])


def test_in_a_project_that_may_only_be_read_the_photos_are_looked_at(
    root, doctor, in_one_process, monkeypatch
):
    def refused(root):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(root / ".dvc/tmp/lock"))

    (root / "data/raw/a.png").write_bytes(encode(noise(0), "PNG"))
    monkeypatch.setattr("facestats.cli.doctor.stale_stages", refused)
    lines = doctor(text=True)
    (line,) = [line for line in lines if "can't be told" in line]
    assert "Read-only file system" in line
    assert any("1 photo" in line for line in lines)


def test_what_dvc_cannot_read_is_named_once(root, doctor, in_one_process):
    (root / "data/raw/a.png").write_bytes(encode(noise(0), "PNG"))
    (root / "data/raw/loop.jpg").symlink_to("loop.jpg")
    assert kinds(doctor()["problems"]) == {("unreadable", "data/raw/loop.jpg")}


def test_a_pipe_among_what_stages_read_or_write_is_named_before_dvc_waits_for_it(
    root, doctor, in_one_process, monkeypatch
):
    (root / "data/raw/a.png").write_bytes(encode(noise(0), "PNG"))
    pipes = ["metrics/plots/pipe.json", "models/pipe"]
    for pipe in pipes:
        (root / pipe).parent.mkdir(parents=True)
        os.mkfifo(root / pipe)
    monkeypatch.setattr(doctor_command, "stale_stages", lambda root: pytest.fail("DVC was asked"))
    for arguments in ([], ["--inputs"]):
        problems = kinds(doctor(*arguments, code=1)["problems"])
        assert problems == {("unreadable", pipe) for pipe in pipes}


def test_a_label_file_that_cannot_be_used_is_named(root, doctor, in_one_process):
    (root / "data/raw/a.png").write_bytes(encode(noise(0), "PNG"))
    for name, text in (("labels.csv", "image,age\na.png,young\n"), ("labels.ods", "")):
        (root / "data/labels" / name).write_text(text)
        (problem,) = doctor("--inputs")["problems"]
        assert (problem["kind"], problem["path"]) == ("labels", f"data/labels/{name}")
        (root / "data/labels" / name).unlink()


@pytest.mark.long
@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("data/nowhere", "there is no folder data/nowhere"),
        ("./nowhere", "there is no folder"),
        ("./checkpoint", "config.json"),
        ("openia/clip-vit-base-patch32", "did you mean openai/clip-vit-base-patch32"),
    ],
)
def test_a_clip_variant_that_cannot_be_is_a_problem(root, doctor, variant, words, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    (root / "data/raw/a.png").write_bytes(encode(noise(0), "PNG"))
    (root / "checkpoint").mkdir()
    set_params(root, clip={"variant": variant})
    (problem,) = doctor("--inputs")["problems"]
    assert problem["kind"] == "clip"
    assert words in problem["message"]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    from huggingface_hub import constants

    hub = Hub(tmp_path / "repository")
    hub.folder.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    for name in (
        "HF_TOKEN",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    with serving(hub) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        yield hub


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ("misspelt", "no repository of this name"),
        ("gated", "is gated"),
        (None, "has no config.json"),
        ("maintenance", None),
    ],
)
def test_a_hub_that_answers_is_asked_about_the_variant(root, doctor, hub, refusal, words):
    (root / "data/raw/a.png").write_bytes(encode(noise(0), "PNG"))
    set_params(root, clip={"variant": "org/small"})
    hub.refusal = refusal
    assert [words in problem["message"] for problem in doctor()["problems"]] == [True] * (
        words is not None
    )
    assert doctor("--inputs")["problems"] == []  # the quick look asks nobody
    (root / "models/clip").mkdir(parents=True)
    (root / "models/clip" / FACTS).write_text('{"variant": "org/small"}')  # fetched already
    assert doctor()["problems"] == []


@pytest.mark.long
def test_a_colleague_without_the_photos_is_told_what_works(root, doctor):
    (root / "data/raw").rmdir()
    (root / "data/raw.dvc").write_text(
        f"outs:\n- md5: {'0' * 32}.dir\n  nfiles: 60\n  path: raw\n  push: false\n"
    )
    for make in (lambda: None, (root / "data/raw").mkdir):
        make()
        (problem,) = doctor()["problems"]
        assert problem["kind"] == "kept_back"
        assert "`dvc pull --allow-missing`" in problem["message"]
        assert "`dvc exp run --allow-missing`" in problem["message"]
    (root / "data/raw.dvc").write_text(f"outs:\n- md5: {'0' * 32}.dir\n  nfiles: 60\n  path: raw\n")
    (root / "data/raw/a.png").write_bytes(encode(noise(0), "PNG"))
    assert any(
        "data/raw holds 1 files, data/raw.dvc knows 60" in warning["message"]
        for warning in doctor()["warnings"]
    )


def test_an_import_that_was_stopped_half_way_is_told(root, doctor):
    """`dvc pull` would bring the labels as they were committed, without later ones."""
    (root / "data/labels").rename(root / "data/.before-labels")
    (root / "data/labels.dvc").write_text(f"outs:\n- md5: {'0' * 32}.dir\n  path: labels\n")
    (problem,) = [one for one in doctor()["problems"] if "labels" in one["message"]]
    assert "data.labels = data/labels: there is no such folder" in problem["message"]
    assert "an import was stopped half way, and" in problem["message"]
    assert "data/.before-labels has what was there" in problem["message"]


def test_new_photos_that_an_applied_experiment_would_take_away_are_told():
    stale = {"data/my raw.dvc": ["data/my raw modified"], "embed": [doctor_stale.CODE]}
    (warning,) = doctor_stale.describe_unsaved(stale)
    assert "data/my raw has changes that DVC has not stored" in warning
    assert "`dvc add 'data/my raw'` first" in warning


def test_what_a_remote_lacks_is_json_as_well(root, doctor, monkeypatch):
    def examine(*_):
        print("remote storage: 3 objects of the current outs, 1 damaged or missing")
        return ["data/raw/a.png is missing on storage"]

    (root / ".dvc").mkdir()
    monkeypatch.setattr(doctor_command, "examine", examine)
    assert doctor("--remote", "storage") == {
        "problems": [
            {"kind": "remote", "message": "data/raw/a.png is missing on storage", "path": None}
        ],
        "warnings": [],
    }


@pytest.mark.long
def test_packages_are_named_on_request_alone(root, doctor, in_one_process):
    (root / "data/raw/a.png").write_bytes(encode(noise(0), "PNG"))
    (root / "requirements.txt").write_text("pytest==0.1\n")
    assert len(doctor(text=True)) == 6
    assert f"  pytest {pytest.__version__}  (requirements.txt pins 0.1)" in doctor(
        "--verbose", text=True
    )


def test_copies_are_found_by_bytes_and_by_faces():
    noise = np.random.default_rng(0).uniform(20, 230, (2, 64, 64)).astype(np.float32)
    looks = {
        "a": Look(None, "1", 1, "00" * 32, noise[0]),
        "b": Look(None, "1", 1, "00" * 32, noise[0]),
        "c": Look(None, "2", 1, "00" * 31 + "01", noise[0]),
        "d": Look(None, "3", 1, "00" * 32, noise[1]),
        "e": Look(None, "4", 0),
        "f": Look("empty file"),
    }
    assert find_copies(looks, 512) == {"b": "a", "c": "a"}


def test_a_damaged_table_of_the_last_run_spares_no_look(built, tmp_path):
    """`doctor` is what one asks when a table is damaged: it ended in a traceback."""
    path = tmp_path / FACES_TABLE
    path.parent.mkdir(parents=True)
    whole = pq.read_table(built.folder / FACES_TABLE)
    pq.write_table(whole, path)
    assert len(doctor_photos._last_run(tmp_path)) > 100
    for column, value in {
        "perceptual_hash": "zz",
        "sha256": {"a": 1},
        "face_count": "many",
        "filename": 5,
    }.items():
        damaged = whole.set_column(
            whole.column_names.index(column), column, pa.array([value] * len(whole))
        )
        pq.write_table(damaged, path)
        assert doctor_photos._last_run(tmp_path) == {}, column
    name = whole.set_column(
        whole.column_names.index("filename"), "filename", pa.array(["x" * 5000] * len(whole))
    )
    pq.write_table(name, path)
    assert {look.face for look in doctor_photos._last_run(tmp_path).values()} <= {None}
