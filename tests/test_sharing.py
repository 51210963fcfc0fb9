"""Sharing through a directory, as docs/sharing.md says it: nothing is computed twice, and damage is
named and mended.
"""

import hashlib
import sys
import time

import pandas as pd
import pytest
from PIL import Image

from facestats.__main__ import main
from processes import row_counts
from programs import start_program
from project import Project, executed
from sharing import CLEAN, STAGES, colleague, document, hub, open_office

pytestmark = pytest.mark.slow

FACE = "data/processed/preproc/face_0003.jpg"
JPEG = b"\xff\xd8\xff"


@pytest.fixture(scope="module")
def office(built, tmp_path_factory) -> Project:
    """A project that has been pushed, photos and all, to a directory: change nothing in it but the
    remote, and mend that.
    """
    folder = tmp_path_factory.mktemp("sharing")
    office = open_office(built, folder, *STAGES)
    document(office, "directory", storage=storage(office))
    return office


def storage(office: Project):
    return office.folder.parent / "remote"


def stored(office: Project, name: str):
    """Where the remote keeps a file of the office."""
    md5 = hashlib.md5(office.read(name)).hexdigest()
    return storage(office) / "files/md5" / md5[:2] / md5[2:]


@pytest.mark.thorough
def test_an_experiment_that_is_older_than_the_remote_arrives_whole(built, tmp_path):
    office = open_office(built, tmp_path, *STAGES)
    office.dvc("exp", "run", "-n", "early", "-S", "mlp.epochs=7", "train_attractiveness")
    office.git("checkout", "-q", ".")
    office.dvc("checkout", "-q")
    document(office, "directory", storage=storage(office))

    def take(name: str) -> Project:
        other = colleague(office, tmp_path / name)
        other.dvc("exp", "pull", "origin", "early")
        return other

    office.dvc("exp", "push", "origin", "early")
    empty = take("empty")
    document(office, "share early experiment")
    model = stored(office, "models/attractiveness_regressor.pt")
    office.git("checkout", "-q", ".")
    office.dvc("checkout", "-q")
    cached = [
        (other.folder / ".dvc/cache/files/md5" / model.parent.name / model.name).is_file()
        for other in (empty, take("whole"))
    ]
    assert cached == [False, True]


def test_a_colleague_computes_nothing_then_one_row_and_runs_no_experiment_again(office, tmp_path):
    printed = document(office, "share experiment")
    assert executed(printed) == {"train_attractiveness"}
    other = Project.at(tmp_path)
    other.folder.mkdir()
    printed = document(other, "colleague", hub=hub(office))
    assert CLEAN in printed
    assert executed(printed) == set()
    other = Project.at(tmp_path)
    other.folder = tmp_path / "repo/facestats"
    printed = document(other, "take experiment")
    assert executed(printed) == set()
    assert "epochs: 6" in other.read("params.yaml").decode()
    assert other.read("metrics/train_attractiveness/metrics.json") == office.read(
        "metrics/train_attractiveness/metrics.json"
    )

    photos = len(pd.read_parquet(other.folder / "data/processed/metadata/faces.parquet"))
    with Image.open(other.folder / "data/raw/face_0001.jpg") as photo:
        photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other.folder / "data/raw/zz_new.jpg")
    output = other.dvc("repro", "embed").stdout
    assert [row_counts(output, script)["computed"] for script in ("preprocess", "embed")] == [1, 1]
    assert row_counts(output, "preprocess")["rows"] == photos + 1


@pytest.mark.thorough
def test_photos_stay_at_home(built, tmp_path):
    office = open_office(built, tmp_path, *STAGES)
    office.dvc("remote", "add", "-d", "storage", str(storage(office)))
    office.dvc("remote", "modify", "storage", "verify", "true")
    office.commit("remote")
    document(office, "photos stay")
    office.git("push", "-q")
    assert stored(office, FACE).is_file()
    assert not stored(office, "data/raw/face_0003.jpg").exists()
    office.dvc("add", "-q", "data/raw")
    assert "push: false" in office.read("data/raw.dvc").decode()
    other = colleague(office, tmp_path / "other")
    assert "data/raw" in other.dvc("pull", check=False).stderr
    printed = document(other, "without photos")
    assert executed(printed) == {"train_attractiveness"}
    assert not (other.folder / "data/raw").exists()


@pytest.mark.thorough
def test_numbers_without_pictures_are_enough_to_train_and_score(built, tmp_path):
    office = open_office(built, tmp_path)
    remote = tmp_path / "numbers"
    document(office, "numbers", numbers=remote)
    office.git("push", "-q")
    objects = [path.read_bytes() for path in remote.rglob("*") if path.is_file()]
    assert len(objects) > 20
    assert not any(data.startswith(JPEG) for data in objects)
    other = colleague(office, tmp_path / "other")
    printed = document(other, "from numbers")
    assert executed(printed) == {"train_attractiveness", "crossvalidate", "score"}


@pytest.fixture
def doctor(monkeypatch, capfd):
    """Looks through a project's remote, in this process; returns exit code and output."""

    def run(project: Project, remote: str, *arguments: str) -> tuple[int, str]:
        for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
            monkeypatch.setenv(name, project.environment[name])
        capfd.readouterr()
        code = main(["doctor", "--remote", remote, *arguments, "--root", str(project.folder)])
        return code, "".join(capfd.readouterr())

    return run


@pytest.mark.parametrize("harm", [pytest.param("damaged", marks=pytest.mark.thorough), "missing"])
def test_what_the_remote_lost_is_named_and_mended(office, doctor, tmp_path, harm):
    path = stored(office, FACE)
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(b"bad" + good[3:]) if harm == "damaged" else path.unlink()
    other = colleague(office, tmp_path / "other")
    failed = other.dvc("pull", check=False)
    assert failed.returncode
    assert ("Checkout failed" if harm == "damaged" else "failed to transfer") in failed.stderr
    assert not (other.folder / FACE).exists()
    code, printed = doctor(other, "storage")
    assert code == 1
    assert f"{FACE} is {harm} on storage" in printed
    assert "from a clone that has" in printed
    assert doctor(other, "storage", "--mend")[0] == 1
    assert "--mend" in doctor(office, "storage")[1]
    assert doctor(office, "storage", "--mend")[0] == 0
    office.dvc("push", "-q")
    assert path.read_bytes() == good
    assert doctor(office, "storage")[0] == 0
    other.dvc("pull", "-q")
    assert CLEAN in other.dvc("status").stdout
    assert office.damaged_objects() == []


@pytest.mark.thorough
def test_a_push_that_was_cut_off_goes_on(office, doctor, tmp_path):
    remote = tmp_path / "remote"
    office.dvc("remote", "add", "second", str(remote))
    office.dvc("remote", "modify", "second", "verify", "true")
    push = start_program(
        [sys.executable, "-m", "dvc", "push", "-r", "second", "-j", "1"],
        office.folder,
        office.environment,
    )
    while push.poll() is None and not any(path.is_file() for path in remote.rglob("*")):
        time.sleep(0.001)
    push.kill()
    push.wait()
    assert doctor(office, "second")[0] == 1
    assert office.damaged_objects() == []
    office.dvc("push", "-q", "-r", "second")
    code, printed = doctor(office, "second")
    assert code == 0
    assert " 0 damaged or missing" in printed
    assert CLEAN in office.dvc("status").stdout
    office.dvc("remote", "remove", "second")
    code, printed = doctor(office, "second")
    assert code == 2
    assert "doesn't exist" in printed
