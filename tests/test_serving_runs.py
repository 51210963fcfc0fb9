"""While a run replaces models, every answer is one of one run: all parts of it, or those of the run
before.
"""

import dataclasses
import errno
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from facestats.age.tables import AGE_CHECK
from facestats.core import tables
from facestats.core.fingerprint import sha256_file
from facestats.core.layout import LANDMARKER
from facestats.errors import FaceStatsError, FaultError, ModelError, TableError
from facestats.faces.dedup import perceptual_hash
from facestats.faces.irises import Irises
from facestats.faces.models import IRIS_FILE
from facestats.faces.tables import FACES
from facestats.serving import loading as serving
from facestats.serving import manifest
from facestats.serving.parts import READERS
from models_of_runs import write_models
from programs import start_program
from resources import encode, landmarker_dir
from seeds import SEED

PHOTO = np.asarray(
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize(
        (256, 256)
    )
)
PARTS = (
    "models/attractiveness_regressor.pt",
    "models/geometry_regressor.safetensors",
    "models/blend.json",
    "models/attributes.json",
    "models/attributes/age_clf.safetensors",
    "models/zeroshot.npz",
    "models/clip/facestats.json",
    "models/landmarker/face_landmark.tflite",
    "data/processed/embeddings/embeddings_clip.parquet",
    "data/processed/embeddings/embeddings_clip.f16.npy",
    "data/processed/metadata/faces.parquet",
    "models/age_check.json",
)
# Replaces the files of a project by those of one run and the other in turn, one by one, as DVC
# does: removed first, or by a rename, with pauses.
ROUNDS = 8 if SEED in os.environ else 2  # `make soak` has more
REPLACE = """
import os, random, shutil, sys, time
from pathlib import Path
root, *runs, rounds, signs, seed = sys.argv[1:]
rng = random.Random(int(seed))
for i in range(int(rounds)):
    source = Path(runs[i % 2])
    names = sorted(
        p.relative_to(source)
        for p in source.rglob("*")
        if p.is_file() and not {"clip", "landmarker"} & set(p.parts)
    )
    rng.shuffle(names)
    for name in names if i % 3 else sorted(names, key=lambda n: n.name == "serving.json"):
        target = Path(root) / name
        if rng.random() < 0.5:
            target.unlink()
            time.sleep(rng.random() * 0.02)
        shutil.copyfile(source / name, target.with_name(f".{target.name}"))
        os.replace(target.with_name(f".{target.name}"), target)
        time.sleep(rng.random() * 0.01)
    Path(signs, f"replaced {i}").touch()
    while not Path(signs, f"seen {i}").exists():
        time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory, clip_models):
    """Two project folders with all models of a run each."""
    folders = [tmp_path_factory.mktemp(f"run_{run}") for run in (1, 2)]
    before = Path.cwd()
    for run, folder in enumerate(folders, 1):
        os.chdir(folder)
        write_models(folder, run, clip_models["tiny"], landmarker_dir())
    os.chdir(before)
    return folders


@pytest.fixture
def root(runs, tmp_path):
    """A copy of the first."""
    return shutil.copytree(runs[0], tmp_path / "project")


def answers(models):
    """What each function says."""
    return models.score(PHOTO), models.attributes(PHOTO), models.similar(PHOTO, 3)["image"].tolist()


def runs_in(text):
    """The runs that an answer is of."""
    return {
        run
        for run in (1, 2)
        if any(
            mark in text
            for mark in (f"run {run}", f"male {run}", f"'{run}_0.jpg'", f"'raw': {run + 3}.0")
        )
    }


def wait_for(condition, seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def change_manifest(root, change):
    content = json.loads((root / "models/serving.json").read_text())
    change(content)
    (root / "models/serving.json").write_text(json.dumps(content))


def replace(root, source):
    """Put the files of a run there, as DVC does: not into those that are open."""
    for path in source.rglob("*"):
        if path.is_file():
            target = root / path.relative_to(source)
            target.unlink(missing_ok=True)
            shutil.copyfile(path, target)


@pytest.mark.long
@pytest.mark.soak
def test_answers_while_a_run_replaces_models_are_of_one_run(runs, root, seed):
    expected = {str(answers(serving.load(folder))) for folder in runs}
    assert sorted(sorted(runs_in(answer)) for answer in expected) == [[1], [2]]
    first, seen, wrong, done = serving.load(root), [], [], threading.Event()

    def ask():
        while not done.is_set():
            try:
                answer = str(answers(serving.load(root)))
            except Exception as error:
                answer = repr(error)
            (seen if answer in expected else wrong).append(answer)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    signs = root.parent / "signs"
    signs.mkdir()
    process = start_program(
        [sys.executable, "-c", REPLACE, root, runs[1], runs[0], str(ROUNDS), signs, str(seed)]
    )
    for i in range(ROUNDS):
        wait_for(lambda sign=signs / f"replaced {i}": sign.exists())
        wait_for(
            lambda run=2 - i % 2: runs_in(str(answers(serving.load(root)))) == {run}
        )  # another thread is reading the new ones
        (signs / f"seen {i}").touch()
    assert process.wait(60) == 0
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert set(seen) == expected
    assert runs_in(str(answers(first))) == {1}  # kept, it stays as it was


@pytest.mark.long
def test_kept_models_never_change(runs, root):
    kept = serving.load(root)  # nothing was asked of it yet
    replace(root, runs[1])
    new = serving.load(root)
    assert [runs_in(str(answers(models))) for models in (kept, new)] == [{1}, {2}]
    assert new.encoder is kept.encoder  # both runs name it
    shutil.rmtree(root / "models")
    shutil.rmtree(root / "data")
    assert [runs_in(str(answers(models))) for models in (kept, new)] == [{1}, {2}]
    with pytest.raises(dataclasses.FrozenInstanceError):
        kept.serving = {}
    with pytest.raises(TypeError):
        kept.serving["crop"] = {}


def test_the_iris_model_is_that_of_the_landmarker(root):
    models = serving.load(root)
    iris = root / LANDMARKER / IRIS_FILE
    content = iris.read_bytes()
    iris.unlink()  # as DVC does where the stage runs again
    assert isinstance(models.irises, Irises)
    change_manifest(
        root, lambda facts: facts["parts"]["landmarker"].pop(f"{LANDMARKER}/{IRIS_FILE}")
    )
    without = serving.load(root)
    iris.write_bytes(content)
    assert without.irises is None


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("name", [PARTS[0], PARTS[2], PARTS[6], PARTS[8]])
@pytest.mark.long
def test_a_part_of_another_run_is_refused_and_the_old_ones_are_kept(runs, root, name):
    kept = serving.load(root)
    with open(root / name, "ab") as file:
        file.write(b" ")
    assert serving.load(root) is kept  # a run is under way
    (root / "models/serving.json").unlink()
    assert serving.load(root) is kept  # its last stage has begun
    shutil.copyfile(runs[1] / "models/serving.json", root / "models/serving.json")
    assert serving.load(root) is kept  # and has ended, but files are still on their way
    replace(root, runs[1])
    assert serving.load(root) is not kept
    fresh = shutil.copytree(runs[0], root.with_name("fresh"))
    shutil.copyfile(root / name, fresh / name) if (root / name).read_bytes() != (
        fresh / name
    ).read_bytes() else (fresh / name).write_bytes(b"other")
    with pytest.raises(
        ModelError,
        match=rf"{name} is not the one that .*models/serving\.json names; a run is under way",
    ):
        serving.load(fresh)
    shutil.copyfile(runs[0] / name, fresh / name)
    assert runs_in(str(answers(serving.load(fresh)))) == {1}


@pytest.mark.first_cases(3)
@pytest.mark.long
@pytest.mark.parametrize("name", PARTS)
def test_what_was_not_pulled_fails_those_alone_who_need_it(runs, root, name):
    (root / name).unlink()
    models = serving.load(root)
    assert serving.load(root) is models
    fails, texts = [], []
    for ask in (models.landmarks, models.crop, models.score, models.attributes, models.similar):
        try:
            ask(PHOTO)
        except (ModelError, TableError) as error:
            fails.append(ask.__name__)
            texts.append(str(error))
    photo = ["landmarks", "crop", "score", "attributes", "similar"]
    needed = {
        "attractiveness_regressor.pt": ["score"],
        "geometry_regressor.safetensors": ["score"],
        "blend.json": ["score"],
        "attributes.json": ["attributes"],
        "age_clf.safetensors": ["attributes"],
        "zeroshot.npz": ["attributes"],
        "age_check.json": ["score"],
        "facestats.json": photo[2:],
        "face_landmark.tflite": photo,
        "embeddings_clip.parquet": ["similar"],
        "embeddings_clip.f16.npy": ["similar"],
        "faces.parquet": ["similar"],
    }
    assert fails == needed[Path(name).name]
    assert all(
        Path(name).name in text and "If a run is under way, wait for its end" in text
        for text in texts
    )
    shutil.copyfile(runs[0] / name, root / name)  # pulled now
    assert runs_in(str(answers(serving.load(root)))) == {1}


def label_as_child(root, withheld="labelled as under 18"):
    """Say in the tables that the person of `PHOTO` is under 18, or without `withheld` an adult."""
    crop = serving.load(root).crop(PHOTO)
    (root / "data/processed/preproc").mkdir()
    (root / "data/processed/preproc/1_0.jpg").write_bytes(crop.jpeg(95))
    faces, ages = (
        root / "data/processed/metadata/faces.parquet",
        root / "data/processed/metadata/age_check.parquet",
    )
    tables.write(
        tables.read(faces, FACES).assign(
            perceptual_hash=[perceptual_hash(crop.grey).hex(), None, None]
        ),
        faces,
        FACES,
    )
    tables.write(
        tables.read(ages, AGE_CHECK).assign(
            score_withheld=[withheld, None, None], age_checked=["label", None, None]
        ),
        ages,
        AGE_CHECK,
    )
    content = json.loads((root / "models/serving.json").read_text())
    for name, path in (("faces", faces), ("ages", ages)):
        content["parts"][name] = {path.relative_to(root).as_posix(): sha256_file(path)}
    (root / "models/serving.json").write_text(json.dumps(content))


@pytest.mark.long
def test_a_child_stays_one_while_a_run_replaces_the_crops(root):
    label_as_child(root)
    models = serving.load(root)
    shutil.rmtree(root / "data/processed/preproc")
    assert models.score(PHOTO)["withheld"] == "labelled as under 18"


@pytest.mark.parametrize("name", ["faces", "age_check"])
@pytest.mark.long
def test_no_child_is_unknown_to_a_fresh_process_while_a_run_replaces_tables(root, tmp_path, name):
    """It got a score while `preprocess` or `age_check` ran."""
    label_as_child(root)
    fresh = shutil.copytree(root, tmp_path / "fresh")
    path = fresh / f"data/processed/metadata/{name}.parquet"
    path.unlink()
    models = serving.load(fresh)
    with pytest.raises(TableError, match=rf"{name}\.parquet: no such table.*If a run is under way"):
        models.score(PHOTO)
    models.crop(PHOTO)
    shutil.copyfile(root / path.relative_to(fresh), path)
    assert serving.load(fresh).score(PHOTO)["withheld"] == "labelled as under 18"


@pytest.mark.long
def test_a_labelled_adult_stays_one_or_is_an_error_while_a_run_replaces_the_crops(root):
    label_as_child(root, withheld=None)
    models = serving.load(root)
    assert models.score(PHOTO)["age_checked"] == "label"
    (root / "data/processed/preproc/1_0.jpg").unlink()
    with pytest.raises(ModelError, match=r"1_0\.jpg is not there any more; a run is under way"):
        models.score(PHOTO)


@pytest.mark.long
def test_another_picture_in_the_place_of_a_labelled_adults_crop_is_an_error(root):
    """The answer of models that one has became that of the age model."""
    label_as_child(root, withheld=None)
    models, crop = serving.load(root), root / "data/processed/preproc/1_0.jpg"
    before = models.score(PHOTO)
    crop.write_bytes(crop.read_bytes())  # as `dvc checkout` does
    assert models.score(PHOTO)["age_checked"] == before["age_checked"] == "label"
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save(crop)
    with pytest.raises(ModelError, match=r"1_0\.jpg is not the picture that was measured"):
        models.score(PHOTO)


@pytest.mark.long
@pytest.mark.first_cases(2)
@pytest.mark.parametrize("withheld", ["labelled as under 18", None])
@pytest.mark.parametrize("content", [b"", b"no picture", "another"])
def test_a_fresh_process_takes_no_crops_of_another_run(root, content, withheld):
    """`dvc checkout` of the crops alone, or one that was stopped, leaves them."""
    label_as_child(root, withheld)
    crop = root / "data/processed/preproc/1_0.jpg"
    if content == "another":
        noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
        content = encode(Image.fromarray(noise), "JPEG")
    crop.write_bytes(content)
    models = serving.load(root)
    if withheld:
        assert models.score(PHOTO)["withheld"] == withheld
    else:
        with pytest.raises(ModelError, match=r"1_0\.jpg is not the picture that was measured"):
            models.score(PHOTO)


def test_a_disk_that_fails_is_not_a_table_that_was_not_pulled(root, monkeypatch):
    def fail(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(manifest.os, "stat", fail)
        with pytest.raises(FaultError, match="can't be read: Input/output error"):
            manifest.identity(root / "data/processed/metadata/faces.parquet")


@pytest.mark.long
@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
def test_a_fault_while_models_are_loaded_is_forgotten_when_it_is_over(root, monkeypatch, number):
    """The error was kept until the next run."""

    def fail(path):
        raise OSError(number, os.strerror(number), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "sha256_file", fail)
        with pytest.raises(FaultError, match="no fault of the file"):
            serving.load(root)
    assert serving.load(root).score(PHOTO)["withheld"] is None


@pytest.mark.long
def test_a_child_is_known_by_its_hash_where_the_crop_was_removed(root, tmp_path):
    label_as_child(root)
    crops = "data/processed/preproc"
    elsewhere = shutil.copytree(
        root,
        tmp_path / "no crops",
        ignore=lambda folder, _: ["preproc"] if folder.endswith("processed") else [],
    )
    assert not (elsewhere / crops).exists()
    models = serving.load(elsewhere)
    picture = Image.fromarray(PHOTO)
    for image in (
        PHOTO,
        ImageOps.mirror(picture),
        picture.resize((400, 400)),
        picture.convert("L"),
    ):
        assert models.score(image)["withheld"] == "labelled as under 18"
    assert models.score(np.ascontiguousarray(PHOTO[::-1]))["withheld"] is None  # another picture


def test_a_file_more_in_a_folder_of_models_is_refused(root):
    (root / "models/clip/adapter_config.json").write_text("{}")
    with pytest.raises(
        ModelError, match=r"adapter_config\.json is not among the files that .*serving\.json names"
    ):
        serving.load(root)


def test_a_run_that_writes_the_same_leaves_the_models_alone(root):
    kept = serving.load(root)
    for name in ("models/serving.json", "models/blend.json"):
        os.replace(shutil.copyfile(root / name, root / f"{name}.new"), root / name)
    assert serving.load(root) is kept


def test_without_a_manifest_a_fresh_process_is_told_of_the_run(root, monkeypatch):
    (root / "models/serving.json").unlink()
    (root / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(root / "data")
    with pytest.raises(
        ModelError,
        match=r"no models/serving\.json in .*project: a run is under way, wait for its end; "
        "otherwise run `dvc repro`",
    ):
        serving.load()


@pytest.mark.parametrize("change", [lambda file: b"", lambda file: file[:-9] + b"\x01" * 9])
def test_a_matrix_that_is_written_over_is_an_error_until_it_is_right_again(root, change):
    models = serving.load(root)
    before = models.similar(PHOTO, 3)
    half = root / "data/processed/embeddings/embeddings_clip.f16.npy"
    content = half.read_bytes()
    time.sleep(0.02)  # the clock of files has steps
    half.write_bytes(change(content))  # as `cp` does: the open file is the same
    for _ in range(2):
        models = serving.load(root)
        assert models.score(PHOTO)
        with pytest.raises(TableError, match=r"f16\.npy (is cut off|was written over)"):
            models.similar(PHOTO, 3)
    half.write_bytes(content)
    assert serving.load(root).similar(PHOTO, 3).equals(before)


def test_a_file_that_is_replaced_while_it_is_read_is_noticed(runs, root, monkeypatch):
    def hash_and_replace(path):
        sha256 = sha256_file(path)
        if path.name == "blend.json":
            os.replace(
                shutil.copyfile(runs[1] / "models/blend.json", root / "new.json"),
                root / "models/blend.json",
            )
        return sha256

    monkeypatch.setattr(manifest, "sha256_file", hash_and_replace)
    with pytest.raises(ModelError, match=r"blend\.json was replaced while it was read"):
        serving.load(root)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda m: m["parts"].pop("blend"), "does not name the parts landmarker, clip"),
        (lambda m: m.pop("parts"), "has no parts; an earlier version"),
        (
            lambda m: m["parts"]["blend"].update({"/etc/passwd": "0"}),
            "names /etc/passwd, which may lie outside the project folder",
        ),
        (
            lambda m: m["parts"]["blend"].update({"models/../../x": "0"}),
            r"names models/\.\./\.\./x, which may lie outside",
        ),
    ],
)
def test_a_manifest_that_cannot_be_used_is_named(root, change, expected):
    change_manifest(root, change)
    with pytest.raises(FaceStatsError, match=rf"models/serving\.json {expected}"):
        serving.load(root)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda m: m["parts"].update(blend={}), " names no file of the part blend"),
        (lambda m: m["parts"]["blend"].update({"models/\0": "0"}), r" names models/\\x00, which"),
        (
            lambda m: m["parts"]["blend"].update({"models/\ud800": "0"}),
            r" names models/\\ud800, which",
        ),
        (lambda m: m.update(clip=[1]), "clip"),
        (lambda m: m["clip"].update(precision=7), r"clip\.precision"),
        (lambda m: m["clip"].pop("variant"), r"clip\.variant"),
        (lambda m: m["crop"].update(size=10**30), r"crop\.size"),
        (lambda m: m["crop"].update(margin="wide"), r"crop\.margin"),
        (lambda m: m["crop"].update(strange=1), "strange"),
        (lambda m: m.update(crop=None), "crop"),
        (lambda m: m.update(images={"a": 1}), "images"),
        (lambda m: m.pop("why"), "why"),
        (lambda m: m.update(trained="no"), "trained"),
    ],
)
def test_a_doctored_manifest_is_an_error_that_names_the_key(root, change, expected):
    change_manifest(root, change)
    with pytest.raises(ModelError, match=rf"models/serving\.json.*{expected}"):
        serving.load(root)


@pytest.mark.parametrize("name", [*PARTS, "models/serving.json"])
def test_a_part_that_is_a_named_pipe_is_never_waited_for(root, name):
    (root / name).unlink()
    os.mkfifo(root / name)
    with pytest.raises(ModelError, match=f"{Path(name).name} is no file"):
        serving.load(root)


def test_json_that_is_nested_too_deep_is_damaged(root):
    (root / "models/serving.json").write_text("[" * 200_000)
    with pytest.raises(ModelError, match="is damaged"):
        serving.load(root)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"targets": None}, "targets"),
        ({"targets": ["age", 1.5]}, "targets"),
        ({"drawn": "all"}, "drawn"),
        ({"mostly_drawn": 3}, "mostly_drawn"),
        ({"on_photographs": "x"}, "on_photographs"),
        ({"on_photographs": {"beard": "x"}}, "on_photographs"),
        ({"doubts": [1]}, "doubts"),
    ],
)
def test_attributes_of_other_kinds_are_an_error_that_names_the_key(tmp_path, change, expected):
    file = tmp_path / "attributes.json"
    file.write_text(json.dumps({"targets": ["age"], "drawn": 1.0} | change))
    with pytest.raises(
        ModelError, match=f"attributes.json does not say which models are in use .*{expected}"
    ):
        READERS["attributes"](tmp_path, [file], None, {})


def test_a_classifier_that_no_hash_stands_for_is_not_loaded(tmp_path):
    with pytest.raises(ModelError, match=r"does not name the model of '\.\./x'"):
        READERS["classifiers"](
            tmp_path,
            [tmp_path / "models/age_clf.safetensors"],
            None,
            {"attributes": {"targets": ["../x"]}},
        )


def test_a_blend_that_is_nested_too_deep_is_an_error(tmp_path):
    (tmp_path / "blend.json").write_text("[" * 200_000)
    with pytest.raises(ModelError, match="does not hold the weights"):
        READERS["blend"](tmp_path, [tmp_path / "blend.json"], None, {})
