"""An import beside others: a second import, people who save the same files, and merges."""

import os
import shutil
import tempfile
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import yaml

from datasets import put, write
from facestats.__main__ import main
from facestats.cli import importing
from facestats.errors import InputError
from facestats.importers import placing, run
from facestats.importers.content import Choices
from facestats.importers.registry import DATASETS, KNOWN
from facestats.importers.run import import_dataset
from facestats.labels.manual import alone
from resources import ROOT
from test_import_datasets import state, table


@pytest.fixture
def into(tmp_path):
    """An import of one rated photo; folders of people and of classes lie beside it."""
    put(tmp_path / "one", "anna/a.jpg", "bob/b.jpg")
    put(tmp_path / "two", "c.jpg")
    put(tmp_path / "three", "w/d.jpg")
    write(tmp_path, "two/t.csv", "image,rating\nc.jpg,4\n")
    import_dataset(DATASETS["csv"], KNOWN, tmp_path / "two", tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs `import folder --append`, without DVC."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importing, "_put_under_dvc", lambda *folders: None)
    words = ["import", "folder", f"{tmp_path}/one", "--append", "--as", "person"]
    return lambda *more: main([*words, "--into", f"{tmp_path}/data", *more])


def meanwhile(monkeypatch, act):
    """Act after an import has read what is there, before it puts its own in place."""
    place = run.place_photos

    def and_act(*arguments):
        monkeypatch.setattr(run, "place_photos", place)
        place(*arguments)
        act()

    monkeypatch.setattr(run, "place_photos", and_act)


def stop_at_rename(into, command, monkeypatch, at):
    """Kill an import before a rename, or before it removes folders: the first, second or so on."""
    replace, remove, left = type(into).replace, placing.remove, [None] * at

    def counted(act):
        def and_stop(*arguments):
            left.pop()
            if not left:
                os._exit(9)
            return act(*arguments)

        return and_stop

    if os.fork() == 0:
        monkeypatch.setattr(type(into), "replace", counted(replace))
        monkeypatch.setattr(placing, "remove", counted(remove))
        command()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 9


def contents(into):
    return {path: values[2] for path, values in state(into).items()}


def test_a_second_import_into_a_place_is_refused_and_the_first_is_whole(
    into, command, monkeypatch, capsys, tmp_path
):
    second = ["import", "folder", f"{tmp_path}/three", "--append", "--into", str(into)]
    done = []
    meanwhile(monkeypatch, lambda: done.append(main([*second, "--as", "gender"])))
    assert (command(), done) == (0, [2])
    assert f"another import or `forget` is at work on {into}/labels" in capsys.readouterr().err
    assert [*table(into).index] == ["c.jpg", "folder/anna/a.jpg", "folder/bob/b.jpg"]
    assert {path.name for path in into.iterdir()} == {"raw", "labels"}


@pytest.fixture
def forget(tmp_path, into):
    """Words of `forget c.jpg`, in a project with the imported photos."""
    shutil.copyfile(ROOT / "dvc.yaml", tmp_path / "dvc.yaml")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {"images": "data/raw", "labels": "data/labels"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    return ["forget", "c.jpg", "--root", str(tmp_path)]


def test_forget_and_an_import_wait_for_each_other(into, command, forget, monkeypatch, capsys):
    done = []
    meanwhile(monkeypatch, lambda: done.append(main(forget)))
    assert (command(), done) == (0, [2])
    assert f"another import or `forget` is at work on {into}/labels" in capsys.readouterr().err
    assert "c.jpg" in table(into).index
    assert main(forget) in (0, 1)
    assert "c.jpg" not in table(into).index
    assert {path.name for path in into.iterdir()} == {"raw", "labels"}


@pytest.mark.parametrize("at", range(4, 13))
def test_forget_undoes_or_ends_an_import_that_was_stopped(
    into, command, forget, monkeypatch, capsys, at
):
    """Before each rename of a file or folder, and before what is cleared away at the end."""
    stop_at_rename(into, command, monkeypatch, at)
    before, half_way = contents(into), any(into.glob(".before-*"))
    assert main([*forget, "--dry-run"]) in ([2] if half_way else [0, 1])
    assert contents(into) == before
    said = capsys.readouterr()
    assert ("an import was stopped half way" in said.err) == half_way
    assert ".importing-raw" not in said.out  # it would be gone
    assert main(forget) in (0, 1)  # the dataset has the photo, too
    assert ("ended or undone first" in capsys.readouterr().out) == half_way
    assert {path.name for path in into.iterdir()} <= {"raw", "labels"}
    assert "c.jpg" not in table(into).index
    assert command() in (0, 2)  # it may be there already
    assert {*table(into).index} == {"folder/anna/a.jpg", "folder/bob/b.jpg"}
    assert not (into / "raw/c.jpg").exists()


def test_forget_changes_nothing_where_a_stopped_import_cannot_be_undone(
    into, command, forget, monkeypatch, capsys
):
    stop_at_rename(into, command, monkeypatch, 10)
    put(into, "raw/new.jpg")
    (into / ".importing-labels.lock").unlink()
    before = contents(into)
    assert main(forget) == 2
    assert "was made anew since" in capsys.readouterr().err
    assert contents(into) == before


def test_labels_that_are_saved_right_after_an_exchange_stay(into, command, monkeypatch):
    """What takes long, a look at all photos, comes before it."""
    looked, facts = [], placing._facts

    def looking(folder):
        looked.append(folder.name)
        return facts(folder)

    monkeypatch.setattr(placing, "_facts", looking)
    assert command() == 0
    assert looked == ["labels", "raw", "labels", "raw", ".before-labels", ".before-raw"]


def test_photos_that_come_go_or_change_in_the_last_moment_do_so(into, command, monkeypatch):
    put(into, "raw/deep/gone.jpg")
    write_journal = placing.write_json

    def and_act(*arguments):
        write_journal(*arguments)
        put(into, "raw/new/mine.jpg")
        (into / "raw/deep/gone.jpg").unlink()
        (into / "other.jpg").write_bytes(b"another")
        (into / "other.jpg").replace(into / "raw/c.jpg")

    monkeypatch.setattr(placing, "write_json", and_act)
    assert command() == 0
    assert (into / "raw/new/mine.jpg").is_file()
    assert not (into / "raw/deep/gone.jpg").exists()
    assert (into / "raw/c.jpg").read_bytes() == b"another"
    assert (into / "raw/folder/anna/a.jpg").is_file()


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("ends", ["a kill", "Ctrl-C"])
def test_photos_of_the_last_moment_come_after_a_stop_then(into, command, monkeypatch, at, ends):
    """The next import brings what the stopped one had not, and takes nothing back."""
    odd = os.fsdecode(b"\xff odd.jpg")
    put(into, "raw/deep/gone.jpg")
    write_journal, copy, copied = placing.write_json, placing._link_or_copy, []

    def stop(*arguments):
        copied.append(arguments)
        if len(copied) > at:
            if ends == "a kill":
                os._exit(9)
            raise KeyboardInterrupt
        copy(*arguments)

    def and_act(*arguments):
        write_journal(*arguments)
        for name in ("mine.jpg", odd):
            (into / "raw/new").mkdir(exist_ok=True)
            (into / "raw/new" / name).write_bytes(b"mine")
        (into / "raw/deep/gone.jpg").unlink()
        (into / "other.jpg").write_bytes(b"another")
        (into / "other.jpg").replace(into / "raw/c.jpg")
        monkeypatch.setattr(placing, "_link_or_copy", stop)

    if os.fork() == 0:
        monkeypatch.setattr(placing, "write_json", and_act)
        with suppress(KeyboardInterrupt):
            command()
        os._exit(0)
    os.wait()
    assert (into / "raw/folder/anna/a.jpg").is_file()
    (into / "raw/c.jpg").write_bytes(b"later") if at > 2 else None
    placing.clear_stopped(into / "labels")
    assert (into / "raw/new/mine.jpg").read_bytes() == b"mine"
    assert (into / "raw/new" / odd).read_bytes() == b"mine"
    assert (into / "raw/c.jpg").read_bytes() == (b"later" if at > 2 else b"another")
    assert not (into / "raw/deep/gone.jpg").exists()
    assert {path.name for path in into.iterdir()} - {".importing-labels.lock"} == {"labels", "raw"}


def test_photos_put_there_after_a_kill_between_the_exchanges_cost_no_others(
    into, command, monkeypatch, capsys
):
    put(into, "raw/mine.jpg")
    replace = type(into).replace

    def replacing(path, target):
        if path.name == ".importing-raw":
            os._exit(9)
        return replace(path, target)

    if os.fork() == 0:
        monkeypatch.setattr(type(into), "replace", replacing)
        command()
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 9
    put(into, "raw/new.jpg")
    assert command() == 2
    assert "was made anew since" in capsys.readouterr().err
    (into / "raw").rename(into / "aside")
    assert command() == 0
    assert (into / "raw/mine.jpg").is_file()
    assert (into / "raw/folder/anna/a.jpg").is_file()


def test_imports_into_two_places_run_at_once(into, command, monkeypatch, tmp_path):
    other = ["import", "folder", f"{tmp_path}/three", "--as", "gender", "--into", "other/place"]
    done = []
    meanwhile(monkeypatch, lambda: done.append(main(other)))
    assert (command(), done) == (0, [0])
    assert [*table(tmp_path / "other/place").index] == ["w/d.jpg"]


def test_an_import_that_fails_leaves_no_folder(tmp_path, command):
    put(tmp_path / "one", "anna/a.jpg")
    words = ["import", "omi", str(tmp_path / "one"), "--into", str(tmp_path / "new/place")]
    assert main(words) == 2
    assert not (tmp_path / "new").exists()


def test_a_file_system_without_locks_takes_imports(into, command, monkeypatch):
    def no_locks(*_):
        raise OSError(os.strerror(95))

    monkeypatch.setattr(placing.fcntl, "flock", no_locks)
    with placing.importing_alone(into / "labels"):
        pass
    assert {path.name for path in into.iterdir()} == {"raw", "labels"}


@pytest.mark.parametrize("file", ["labels/labels.csv", "labels/notes.txt", "raw/c.jpg", "raw/e"])
def test_what_is_saved_meanwhile_is_not_lost(into, command, monkeypatch, capsys, file):
    meanwhile(monkeypatch, lambda: (into / file).write_text("image,rating\nc.jpg,2\n"))
    assert command() == 2
    assert f"{into / file} was changed during the import" in capsys.readouterr().err
    assert (into / file).read_text() == "image,rating\nc.jpg,2\n"
    assert not (into / "raw/folder").exists()
    assert {path.name for path in into.iterdir()} == {"raw", "labels"}


def test_a_photo_that_is_removed_meanwhile_does_not_come_back(into, command, monkeypatch):
    meanwhile(monkeypatch, (into / "raw/c.jpg").unlink)
    assert command() == 2
    assert not (into / "raw/c.jpg").exists()
    assert not (into / "raw/folder").exists()


def test_ratings_by_hand_that_come_meanwhile_stay_on_their_scale(tmp_path, into, monkeypatch):
    own, hand = tmp_path / "own", tmp_path / "manual_ratings.csv"
    choices = Choices(subfolders="person")
    import_dataset(DATASETS["folder"], KNOWN, tmp_path / "one", own, choices)
    facts = own / "labels/dataset.json"
    facts.write_text(facts.read_text().replace('"rating_scale": null', '"rating_scale": [1, 5]'))
    meanwhile(monkeypatch, lambda: hand.write_text("image,rating\nanna/a.jpg,5\n"))
    before, rated = contents(own), Choices(scale=(1.0, 7.0))
    with pytest.raises(InputError, match=r"manual_ratings\.csv holds 1 rating by hand"):
        import_dataset(
            DATASETS["csv"], KNOWN, tmp_path / "two", own, rated, append=True, by_hand=[hand]
        )
    assert contents(own) == before


def test_a_lock_is_of_the_folder_that_has_the_name_by_now(tmp_path):
    """Two would have it at once: one the folder that was moved away, one the new folder."""
    folder, seen = tmp_path / "labels", []

    def second():
        with alone(folder):
            seen.append((folder / "done").exists())

    waiting = threading.Thread(target=second)
    with ExitStack() as first:
        first.enter_context(alone(folder))
        waiting.start()
        waiting.join(0.5)
        folder.rename(tmp_path / ".before-labels")
        with alone(folder):
            first.close()
            waiting.join(0.5)
            (folder / "done").touch()
    waiting.join(30)
    assert seen == [True]


def test_two_users_of_one_group_keep_each_other_away():
    """The lock's file is the first one's, and with a usual umask nobody else may write it."""
    if os.geteuid():
        pytest.skip("only root can become two users")
    with tempfile.TemporaryDirectory(prefix="facestats-two-") as folder:
        os.chmod(folder, 0o777)
        labels = Path(folder, "labels")
        with placing.importing_alone(labels):
            os.chmod(Path(folder, ".importing-labels.lock"), 0o644)
            if (child := os.fork()) == 0:
                os.setresuid(61002, 61002, 61002)
                try:
                    with placing.importing_alone(labels):
                        os._exit(0)
                except InputError:
                    os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
