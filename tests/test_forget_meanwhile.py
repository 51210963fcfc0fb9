"""`forget` beside others: people who save the same label files, and another `forget`."""

from pathlib import Path

import pytest

from facestats.cli.forget_journal import Journal
from facestats.errors import InputError
from facestats.labels import removal
from facestats.labels.removal import read_label_file

LINES = ["a.jpg,anna,31", "b.jpg,ben,32", "c.jpg,anna,33", "d.jpg,dora,34"]


def begun(root: Path):
    return Journal(root).alone()


def write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(["image,person,age", *lines]) + "\n")


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_file_that_was_sorted_otherwise_meanwhile_loses_the_lines_that_are_meant(
    tmp_path, by_hand
):
    path = tmp_path / "labels.csv"
    write(path, LINES)
    file = read_label_file(path, by_hand)
    write(path, [*reversed(LINES), "e.jpg,ben,35", "a.jpg,anna,36"])
    assert file.remove(["a.jpg", "c.jpg"]) == 3
    assert path.read_text().splitlines()[1:] == [LINES[3], LINES[1], "e.jpg,ben,35"]


def test_a_file_that_is_saved_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    path, read, saves = tmp_path / "labels.csv", read_label_file, [LINES[:3], LINES[::-1]]
    write(path, LINES)
    file = read_label_file(path)

    def and_save(*arguments):
        table = read(*arguments)
        if saves:
            write(path, saves.pop())
        return table

    monkeypatch.setattr(removal, "read_label_file", and_save)
    assert file.remove(["a.jpg", "c.jpg"]) == 2
    assert path.read_text().splitlines()[1:] == [LINES[1]]


def test_a_file_that_is_written_without_end_is_left_as_it_is(tmp_path, monkeypatch):
    path, read = tmp_path / "labels.csv", read_label_file
    write(path, LINES)
    file = read_label_file(path)

    def and_add(*arguments):
        table = read(*arguments)
        with path.open("a") as lines:
            lines.write("x.jpg,xenia,20\n")
        return table

    monkeypatch.setattr(removal, "read_label_file", and_add)
    with pytest.raises(InputError, match=r"labels\.csv is written by somebody"):
        file.remove(["a.jpg"])
    assert path.read_text().splitlines()[1:5] == LINES


def test_a_file_that_is_gone_meanwhile_has_no_lines(tmp_path):
    write(tmp_path / "labels.csv", LINES)
    file = read_label_file(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").unlink()
    assert file.remove(["a.jpg"]) == 0
    assert not (tmp_path / "labels.csv").exists()


@pytest.mark.parametrize("place", [".dvc", ""])
def test_a_second_command_is_refused_while_one_is_at_work(tmp_path, place):
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / "params.yaml").touch()
    with (  # `flock` keeps this process away from itself, too
        begun(tmp_path),
        pytest.raises(InputError, match="another `forget` is at work"),
        begun(tmp_path),
    ):
        pass
    with begun(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} <= {".dvc", "params.yaml"}
