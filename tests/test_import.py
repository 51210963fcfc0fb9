"""`facestats import`: no outside file, whole or not at all, and never pushed."""

import errno
import io
import os
import zipfile
from pathlib import Path

import pytest
import yaml

from facestats.__main__ import main
from facestats.cli import importing
from facestats.errors import FaceStatsError, InputError
from facestats.importers import placing
from facestats.importers.omi import import_omi
from programs import run_program

MEANS = "stimulus,gender,age,attractive,asian,middle-eastern,hispanic,islander,native,black,white\n"
PHOTOS = {"1.jpg": b"one", "2.jpg": b"two", "3.jpg": b"three"}


@pytest.fixture
def dataset(tmp_path):
    folder = tmp_path / "omi"
    (folder / "images").mkdir(parents=True)
    for name, data in PHOTOS.items():
        (folder / "images" / name).write_bytes(data)
    rows = "".join(f"{i},{20 * i},25,{40 + i},1,2,3,4,5,6,7\n" for i in (1, 2, 3))
    (folder / "attribute_means.csv").write_text(MEANS + rows)
    with zipfile.ZipFile(folder / "attribute_ratings.zip", "w") as archive:
        judgements = "stimulus,attribute,rating,rating_type\n1,attractive,50,original\n"
        archive.writestr("ratings.csv", judgements)
    return folder


@pytest.fixture
def into(tmp_path):
    return tmp_path / "data"


def photos(into) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (into / "raw").iterdir()}


def link_to_a_secret(path, tmp_path):
    (tmp_path / "id_rsa").write_bytes(b"private")
    path.symlink_to(tmp_path / "id_rsa")


def hard_device(path, tmp_path):
    path.symlink_to("/dev/zero")


@pytest.mark.long
@pytest.mark.parametrize(
    "make",
    [
        link_to_a_secret,
        hard_device,
        lambda path, tmp_path: os.mkfifo(path),
        lambda path, tmp_path: path.mkdir(),
        lambda path, tmp_path: path.symlink_to(path.name),
    ],
    ids=["link", "device", "pipe", "folder", "loop"],
)
@pytest.mark.parametrize("name", ["images/2.jpg", "attribute_means.csv", "attribute_ratings.zip"])
def test_what_is_no_regular_file_is_refused_by_name(dataset, into, tmp_path, make, name):
    (dataset / name).unlink()
    make(dataset / name, tmp_path)
    with pytest.raises(InputError, match=r"is not a |is missing") as refused:
        import_omi(dataset, into)
    assert name.rpartition("/")[2] in str(refused.value)
    assert not into.exists() or list(into.iterdir()) == []


def packed(content: bytes, name: str | None = "ratings.csv") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        if name is not None:
            archive.writestr(name, content)
    return buffer.getvalue()


JUDGED = b"stimulus,attribute,rating,rating_type\n1,attractive,50,original\n"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("attribute_ratings.zip", packed(b"", name=None)),
        ("attribute_ratings.zip", b"no archive"),
        ("attribute_ratings.zip", packed(JUDGED)[:-30]),
        ("attribute_ratings.zip", packed(b"a,b\n1,2\n")),
        ("attribute_ratings.zip", packed(bytes(range(256)))),
        ("attribute_means.csv", b"a\n1\n"),
        ("attribute_means.csv", b""),
    ],
)
def test_a_damaged_table_is_an_error_that_names_it(dataset, into, name, data):
    (dataset / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name} is damaged, or not that of the OMI dataset"):
        import_omi(dataset, into)


def test_an_archive_that_unpacks_to_more_than_the_limit_is_not_read(dataset, into, monkeypatch):
    monkeypatch.setattr("facestats.importers.omi.MOST_BYTES", 1 << 20)
    data = packed(JUDGED + b"1,attractive,50,original\n" * 100_000)
    assert len(data) < 10_000
    (dataset / "attribute_ratings.zip").write_bytes(data)
    with pytest.raises(InputError, match=r"ratings\.csv is larger than 1 MiB"):
        import_omi(dataset, into)


@pytest.mark.long
def test_a_photo_with_holes_keeps_them_and_one_beyond_every_limit_is_refused(dataset, into):
    photo = next((dataset / "images").iterdir())
    with open(photo, "r+b") as file:
        file.truncate(50 << 20)
    import_omi(dataset, into)
    (copy,) = into.rglob(photo.name)
    assert copy.read_bytes() == photo.read_bytes()
    assert copy.stat().st_blocks * 512 < 2 << 20
    os.truncate(photo, 10**10)
    with pytest.raises(InputError, match=rf"{photo.name} has 10 GB, .* larger than 4096 MB"):
        import_omi(dataset, into.with_name("other"))


def test_a_link_in_place_of_the_photos_is_refused(dataset, into, tmp_path):
    (dataset / "images").rename(tmp_path / "private")
    (dataset / "images").symlink_to(tmp_path / "private")
    with pytest.raises(InputError, match="images is not a folder, or a link to one"):
        import_omi(dataset, into)
    assert not into.exists()


def test_the_dataset_itself_may_be_a_link(dataset, into, tmp_path):
    (tmp_path / "link").symlink_to(dataset)
    assert import_omi(tmp_path / "link", into)["images"] == 3
    assert photos(into) == PHOTOS


def test_a_failing_import_leaves_nothing_and_a_stopped_one_is_done_anew(dataset, into, monkeypatch):
    into.mkdir()
    (into / "raw").mkdir()
    copy = placing.copy_photo

    def full(folder, name, target, shown):
        if target.endswith("2.jpg"):
            Path(target).write_bytes(b"t")
            raise OSError(errno.ENOSPC, "no space")
        copy(folder, name, target, shown)

    monkeypatch.setattr(placing, "copy_photo", full)
    with pytest.raises(OSError, match="no space"):
        import_omi(dataset, into)
    assert [path.name for path in into.rglob("*")] == ["raw"]
    monkeypatch.undo()

    def killed(*_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(placing, "copy_photo", killed)
        patch.setattr(placing, "remove", lambda made: None)
        with pytest.raises(SystemExit):
            import_omi(dataset, into)
    assert {path.name for path in into.iterdir()} == {"raw", ".importing-raw", ".importing-labels"}
    assert photos(into) == {}
    import_omi(dataset, into)
    assert {path.name for path in into.iterdir()} == {"raw", "labels"}
    assert photos(into) == PHOTOS


def test_own_files_at_the_target_are_never_taken_for_an_import(dataset, into):
    import_omi(dataset, into)
    with pytest.raises(InputError, match="is not empty"):
        import_omi(dataset, into)
    import_omi(dataset, into, again=True)
    (into / "raw/1.jpg").write_bytes(b"mine")
    with pytest.raises(InputError, match="raw is not empty"):
        import_omi(dataset, into, again=True)
    assert photos(into)["1.jpg"] == b"mine"


class TestDvc:
    """With a stand-in for `dvc add`, which keeps the keys of a `.dvc` file that is there."""

    @pytest.fixture
    def project(self, tmp_path, monkeypatch):
        folder = tmp_path / "project"
        folder.mkdir()
        monkeypatch.chdir(folder)
        run_program(["git", "init", "-q"], folder, check=True)
        return folder

    @pytest.fixture
    def dvc(self, monkeypatch):
        """Runs `import omi`; the pointer to the photos at the time of `dvc add`."""
        seen = []
        call = importing._call

        def add(command):
            if command[:1] == ["git"]:
                return call(command)
            raw, labels = (path + ".dvc" for path in command[-2:])
            with open(raw, encoding="utf-8") as file:
                text = file.read()
            seen.append(text)
            if len(seen) <= add.failures:
                raise FaceStatsError("`dvc add` failed")
            for path, more in ((raw, text), (labels, "outs:\n- path: labels\n")):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(more + ("" if "md5" in more else "  md5: 0.dir\n"))

        add.failures = 0
        monkeypatch.setattr(importing, "_call", add)
        return add, seen

    def test_the_photos_are_kept_back_before_dvc_knows_them(self, dataset, project, dvc):
        assert main(["import", "omi", str(dataset)]) == 0
        assert dvc[1] == ['outs:\n- path: "raw"\n  push: false\n']
        assert "push: false" in (project / "data/raw.dvc").read_text()

    def test_a_failure_of_dvc_leaves_no_pointer_and_the_command_goes_on(
        self, dataset, project, dvc
    ):
        dvc[0].failures = 1
        assert main(["import", "omi", str(dataset)]) == 2
        assert not (project / "data/raw.dvc").exists()
        assert photos(project / "data") == PHOTOS
        assert main(["import", "omi", str(dataset)]) == 0
        assert "push: false" in (project / "data/raw.dvc").read_text()

    def test_a_pointer_without_the_line_is_mended_by_the_same_command(self, dataset, project, dvc):
        assert main(["import", "omi", str(dataset)]) == 0
        pointer = project / "data/raw.dvc"
        pointer.write_text("outs:\n- md5: 0.dir\n  path: raw\n")
        assert main(["import", "omi", str(dataset)]) == 0
        assert pointer.read_text() == "outs:\n- md5: 0.dir\n  path: raw\n  push: false\n"

    @pytest.mark.parametrize(
        "more",
        [
            "meta:\n  name: Jo\n",
            "# push: see README\n",
            "desc: own photos\n",
            "  push: true\n",
            "wdir: .\n",
        ],
    )
    def test_what_else_a_pointer_says_keeps_no_photo_on_its_way(self, dataset, project, dvc, more):
        """At the file's end, `push: false` was a key of something else."""
        (project / "data").mkdir(exist_ok=True)
        pointer = project / "data/raw.dvc"
        pointer.write_text(f"outs:\n- md5: 0.dir\n  path: raw\n{more}")
        assert main(["import", "omi", str(dataset)]) == 0
        said = yaml.safe_load(pointer.read_text())
        assert said["outs"][0]["push"] is False
        assert said.get("meta", {"name": "Jo"}) == {"name": "Jo"}
        assert "#" not in more or more in pointer.read_text()

    @pytest.mark.parametrize(
        "outs", ["\n- md5: 0.dir\n  path: photos\n  push: false", " []", "\n- path: Raw"]
    )
    def test_a_pointer_of_another_folder_keeps_no_photo_on_its_way(
        self, dataset, project, dvc, monkeypatch, outs
    ):
        """DVC writes it anew then."""
        pointer = project / "data/raw.dvc"
        pointer.parent.mkdir(exist_ok=True)
        pointer.write_text(f"outs:{outs}\n")
        call = importing._call

        def add(command):
            call(command)
            if "dvc" in command:
                pointer.write_text("outs:\n- md5: 1.dir\n  path: raw\n")

        monkeypatch.setattr(importing, "_call", add)
        assert main(["import", "omi", str(dataset)]) == 0
        assert yaml.safe_load(pointer.read_text())["outs"][0]["push"] is False

    def test_a_pointer_that_is_none_is_named(self, dataset, project, dvc, capsys):
        (project / "data").mkdir(exist_ok=True)
        (project / "data/raw.dvc").write_text("- [")
        assert main(["import", "omi", str(dataset)]) == 2
        assert "raw.dvc is no .dvc file of a folder; the files are" in capsys.readouterr().err

    def test_an_import_that_is_done_is_not_done_again(self, dataset, project, dvc, capsys):
        assert main(["import", "omi", str(dataset)]) == 0
        assert main(["import", "omi", str(dataset)]) == 2
        assert "is not empty" in capsys.readouterr().err
