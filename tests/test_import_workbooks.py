"""Merged cells and formulas of the workbooks that `facestats import csv` reads."""

from contextlib import nullcontext

import openpyxl
import pytest

from datasets import put
from facestats.errors import InputError
from facestats.labels.workbook import Workbook
from test_import_pitfalls import imported


def merged_book(path, *areas, formula=None):
    """A workbook of six photos, of whom each three have their person and gender merged."""
    book = openpyxl.Workbook()
    book.active.append(["image", "person", "gender", "age"])
    for i in range(6):
        person, gender = ("anna", "female") if i < 3 else ("ben", "male")
        book.active.append([f"{i}.jpg", person, gender, 20 + i])
    for area in areas:
        book.active.merge_cells(area)
    if formula:
        book.active[formula] = "=AVERAGE(D2:D3)"
    book.save(path)


@pytest.fixture
def six(tmp_path):
    put(tmp_path / "s", *(f"{i}.jpg" for i in range(6)))
    return tmp_path


def test_merged_cells_of_a_workbook_count_for_each_row_and_are_noted(six):
    merged_book(six / "s/t.xlsx", "B2:B4", "B5:B7", "C2:C4", "C5:C7")
    done, labels, left_out = imported(six, "csv")
    assert labels["person"].tolist() == ["anna"] * 3 + ["ben"] * 3
    assert labels["gender"].tolist() == ["female"] * 3 + ["male"] * 3
    note = "t.xlsx: the value of merged cells counts for each cell that they cover: B2:B4, B5:B7, "
    assert [text for text in done.dataset["notes"] if text.startswith(note)]
    assert left_out == {}


@pytest.mark.parametrize("areas", [(), ("B2:B4",)])
def test_a_formula_of_a_workbook_without_a_stored_value_is_refused(six, areas):
    merged_book(six / "s/t.xlsx", *areas, formula="D7")
    with pytest.raises(
        InputError,
        match=r"t\.xlsx, row 7: 1 formula has no stored value, the first in cell D7; open the",
    ):
        imported(six, "csv")


@pytest.mark.parametrize("formula", [None, "F9"])
def test_only_a_workbook_with_merged_cells_is_loaded_whole(six, monkeypatch, formula):
    """Cells of openpyxl take fifty times the memory of their text."""
    loaded, load = [], openpyxl.load_workbook

    def note(*args, read_only, **options):
        loaded.append(read_only)
        return load(*args, read_only=read_only, **options)

    monkeypatch.setattr(openpyxl, "load_workbook", note)
    merged_book(path := six / "s/t.xlsx", formula=formula)
    book = Workbook(path.read_bytes(), path)
    with pytest.raises(InputError) if formula else nullcontext():
        book.refuse_empty_formulas(book.sheets)
    assert loaded == [True] * (2 if formula else 1)
