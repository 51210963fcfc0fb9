"""Labels that `dvc exp apply` or `git checkout` took away are told of, and come back."""

from dataclasses import asdict, replace
from hashlib import sha256
from json import dumps

import pandas as pd
import pytest

from facestats.__main__ import main
from facestats.app.journal import JOURNAL, Entry
from facestats.app.uncommitted import warnings_by_hand
from facestats.core import tables
from facestats.core.layout import FACES_TABLE
from facestats.faces.tables import FACES
from facestats.params.project import load_params
from programs import run_program
from resources import ROOT

HEADER = "filename,gender,ethnicity,age,rating,person\n"
LABELS, RATINGS = "data/manual_labels.csv", "data/manual_ratings.csv"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project whose files by hand are committed."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    faces = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "filename": ["a.jpg", "b.jpg"]})
    tables.write(faces.reindex(columns=list(FACES.columns)), tmp_path / FACES_TABLE, FACES)
    (tmp_path / LABELS).write_text(HEADER)
    (tmp_path / RATINGS).write_text("rater,image,trait,rating,order,seconds,repeat\n")
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    git("add", LABELS, RATINGS)
    git("commit", "-qm", "files")
    return tmp_path


def git(*words):
    names = ("-c", "user.name=a", "-c", "user.email=a@b")
    run_program(["git", *names, *words], check=True, seconds=60)


def note(root, *entries: Entry) -> None:
    path = root / JOURNAL
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(dumps(asdict(entry)) + "\n" for entry in entries))


def entry(number: str, name: str, column: str, new: str, old: str = "", undoes: str = "") -> Entry:
    return Entry(number, name, column, old, new, "ann", "2099-11-28T08:00:00Z", "one", undoes)


def test_files_by_hand_that_are_not_committed_are_named(root):
    assert warnings_by_hand(root) == []
    (root / LABELS).write_text(HEADER + "a.jpg,female,,,,\n")
    (warning,) = warnings_by_hand(root)
    assert warning.startswith(f"{LABELS} has changes that are not committed, which `dvc exp apply`")
    with (root / RATINGS).open("a") as file:
        file.write("ann,a.jpg,,3,1,2,0\n")
    assert [text.split()[0] for text in warnings_by_hand(root)] == [LABELS, RATINGS]
    git("commit", "-qam", "labels")
    assert warnings_by_hand(root) == []


def test_labels_of_the_last_commit_that_an_earlier_experiment_lacks_are_told(root, capsys):
    """`dvc exp apply` brings the files that it began with: to commit them loses more."""
    (root / LABELS).write_text(HEADER + "a.jpg,female,,31,,\n")
    (root / RATINGS).write_text(
        "rater,image,trait,rating,order,seconds,repeat\nann,a.jpg,,3,1,2,\n"
    )
    git("commit", "-qam", "labels")
    (root / LABELS).write_text(HEADER)
    (root / RATINGS).write_text(
        "rater,image,trait,rating,order,seconds,repeat\nann,b.jpg,,3,1,2,\n"
    )
    labels, ratings = warnings_by_hand(root)
    assert labels.startswith(f"{LABELS} lacks 2 cells of the last commit")
    assert labels.endswith(f"`git checkout HEAD -- {LABELS}` brings them back")
    assert ratings.startswith(f"{RATINGS} lacks 1 cell of the last commit")
    assert f"`git diff HEAD -- {RATINGS}` shows them beside what came since" in ratings
    assert main(["labels", "restore"]) == 0
    assert labels in capsys.readouterr().out
    (root / LABELS).write_text(HEADER + "a.jpg,male,,31,,\n")  # corrected, not lost
    assert "has changes that are not committed" in warnings_by_hand(root)[0]


def test_what_was_forgotten_is_not_told_of_as_lost(root):
    (root / LABELS).write_text(HEADER + "a.jpg,female,,31,,\n")
    git("commit", "-qam", "labels")
    (root / LABELS).write_text(HEADER)
    (root / load_params(root / "params.yaml").data.images).mkdir(parents=True)  # without the photo
    (warning,) = warnings_by_hand(root)
    assert "has changes that are not committed" in warning


def test_labels_that_a_checkout_took_away_come_back_and_no_other_changes(root, capsys):
    (root / LABELS).write_text(HEADER + "a.jpg,female,,31,,\nb.jpg,male,,,,\n")
    note(
        root,
        entry("1", "a.jpg", "gender", "male"),
        entry("2", "a.jpg", "gender", "female", "male"),
        entry("3", "a.jpg", "age", "31"),
        entry("4", "b.jpg", "gender", "male"),
        entry("5", "b.jpg", "age", "7"),
        entry("6", "b.jpg", "age", "", "7", undoes="5"),
        entry("7", "gone.jpg", "age", "9"),
        entry("8", "b.jpg", "rating", ""),
    )
    assert len(warnings_by_hand(root)) == 1  # not committed, and none is lost
    git("checkout", "-q", ".")
    (warning,) = warnings_by_hand(root)
    assert warning.startswith(f"{LABELS} lacks 3 labels of the page Label; `python -m facestats")
    (root / LABELS).write_text(HEADER + "b.jpg,female,,,,\n")  # and somebody has labelled on
    assert main(["labels", "restore", "--dry-run"]) == 0
    assert (root / LABELS).read_text() == HEADER + "b.jpg,female,,,,\n"
    assert "a.jpg: age 31 (new)" in capsys.readouterr().out
    assert main(["labels", "restore"]) == 0
    assert (root / LABELS).read_text() == HEADER + "b.jpg,female,,,,\na.jpg,female,,31,,\n"
    assert main(["labels", "restore"]) == 0
    assert "has all labels of the page Label" in capsys.readouterr().out


def test_doctor_names_what_is_not_committed(root, capsys):
    (root / LABELS).write_text(HEADER + "a.jpg,female,,,,\n")
    main(["doctor"])
    printed = capsys.readouterr()
    assert f"{LABELS} has changes that are not committed" in printed.out + printed.err


def test_what_lies_in_gits_stash_is_told(root):
    """An experiment lays it there for moments, and a kill leaves it."""
    (root / LABELS).write_text(HEADER + "a.jpg,female,,,,\n")
    git("stash", "-q")
    (root / "x.txt").touch()
    git("add", "x.txt")
    git("stash", "-q")  # of something else
    (warning,) = warnings_by_hand(root)
    assert f"git's stash@{{1}} has changes of {LABELS}" in warning
    git("stash", "pop", "-q", "1")
    assert (root / LABELS).read_text() == HEADER + "a.jpg,female,,,,\n"
    assert "are not committed" in warnings_by_hand(root)[0]


def test_what_a_commit_or_another_file_may_say_otherwise_is_not_brought_back(root, capsys):
    """Corrected or removed since the page wrote it, or never lost: the file is another one."""
    long_ago = [
        replace(each, when="2020-11-28T08:00:00Z")
        for each in (
            entry("1", "a.jpg", "gender", "male"),
            entry("2", "a.jpg", "age", "40"),
            entry("3", "b.jpg", "age", "31"),  # taken away before any commit
        )
    ]
    note(root, *long_ago, replace(entry("4", "b.jpg", "gender", "male"), file="data/other.csv"))
    (root / LABELS).write_text(HEADER + "a.jpg,female,,40,,\n")
    git("commit", "-qam", "corrected")
    (root / LABELS).write_text(HEADER + "a.jpg,female,,,,\n")
    git("commit", "-qam", "removed")
    git("checkout", "-q", "HEAD~2", "--", LABELS)
    lines = warnings_by_hand(root)
    assert lines[1].startswith(f"{LABELS} lacks 1 label of the page Label")
    assert main(["labels", "restore"]) == 0
    assert (root / LABELS).read_text() == HEADER + "b.jpg,,,31,,\n"
    git("commit", "-qam", "brought back")
    (root / LABELS).write_text(HEADER)
    assert main(["labels", "restore"]) == 0
    assert "or a commit of it has all labels of the page Label" in capsys.readouterr().out


@pytest.mark.parametrize("again", [False, True])
def test_labels_of_an_earlier_photo_of_the_name_do_not_come_back(root, capsys, again):
    """A child got the age of the adult whose photo had its name."""
    photos = root / load_params(root / "params.yaml").data.images
    photos.mkdir(parents=True)
    for name in ("a.jpg", "b.jpg"):
        (photos / name).write_bytes(b"photo of " + name.encode())
    hashes = {name: sha256((photos / name).read_bytes()).hexdigest() for name in ("a.jpg", "b.jpg")}
    labelled = [entry("1", "a.jpg", "age", "35"), entry("2", "b.jpg", "age", "30")]
    note(root, *(replace(one, photo=hashes[one.filename]) for one in labelled))
    faces = pd.DataFrame({"image": [*hashes], "filename": [*hashes]})

    def run():
        table = faces.assign(sha256=[sha256((photos / n).read_bytes()).hexdigest() for n in hashes])
        tables.write(table.reindex(columns=list(FACES.columns)), root / FACES_TABLE, FACES)

    run()
    (photos / "a.jpg").write_bytes(b"a child")
    if again:
        run()
    assert "lacks 1 label of the page" in warnings_by_hand(root)[0]
    assert main(["labels", "restore"]) == 0
    assert (root / LABELS).read_text() == HEADER + "b.jpg,,,30,,\n"
