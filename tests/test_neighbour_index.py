"""An index of neighbours: how many it finds, where it is kept, and what is not believed of it."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from facestats.__main__ import main
from facestats.core.layout import HALF_EMBEDDINGS
from facestats.core.tables.matrix import EmbeddingMatrix, write_matrix
from facestats.errors import ModelError
from facestats.neighbours import cache, ivf, search
from facestats.neighbours.cache import Facts, open_index
from facestats.neighbours.exact import ExactSearch
from facestats.neighbours.place import (
    FOLDER,
    find_place,
    is_forgotten,
    list_indexes,
    mark_forgotten,
)
from facestats.neighbours.search import Neighbours
from facestats.rows.place import PLACE
from facestats.serving.manifest import Manifest

N, D, K = 8000, 32, 10
pytest.importorskip("faiss", reason="faiss-cpu is in tests/requirements-servers.txt")


@pytest.fixture(scope="module")
def matrix(tmp_path_factory) -> EmbeddingMatrix:
    """Faces in 200 groups of about 40."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, D))[rng.integers(0, 200, N)]
    rows += 0.6 * rng.standard_normal((N, D))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    folder = tmp_path_factory.mktemp("matrix")
    paths = folder / "e.f16.npy", folder / "e.rest.npy"
    write_matrix(rows.astype(np.float32), *paths)
    return EmbeddingMatrix(*paths)


@pytest.fixture(scope="module")
def kept(matrix, tmp_path_factory) -> Path:
    """A folder with the index of the matrix."""
    place = tmp_path_factory.mktemp("kept")
    open_index(matrix, "a" * 64, place)
    return place


@pytest.fixture
def place(kept, tmp_path) -> Path:
    """A copy of it."""
    for path in kept.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture
def many(monkeypatch):
    """Lists are searched from 100 faces on."""
    monkeypatch.setattr(ivf, "EXACT_ROWS", 100)


@pytest.fixture
def builds(monkeypatch) -> list:
    """The matrices that an index is built for."""
    built = []

    def build(matrix):
        built.append(matrix)
        return ivf.build(matrix)

    monkeypatch.setattr(cache, "build", build)
    return built


def recall(some, matrix, rows, allowed=None) -> float:
    """The share of the 10 nearest faces that a search finds."""
    whole, found = ExactSearch(matrix), 0
    for vector in matrix.vectors(rows):
        wanted, _ = whole.nearest(vector, K, allowed)
        given, products = some.nearest(vector, K, allowed)
        assert allowed is None or allowed[given].all()
        assert products == pytest.approx(matrix.vectors(given) @ vector, abs=1e-6)
        found += len(np.intersect1d(wanted, given))
    return found / (K * len(rows))


@pytest.mark.long
def test_an_index_finds_what_it_says(matrix, kept, many):
    index = open_index(matrix, "a" * 64, kept)
    assert index.recall >= 0.99
    assert index.probes < index.index.nlist / 4  # it reads a part of the faces
    assert recall(index, matrix, np.arange(0, N, 100)) >= 0.97
    facts = json.loads(next(kept.glob("*.json")).read_text())
    assert facts["recall_at_10"] == index.recall
    assert facts["probes"] == index.probes


@pytest.mark.long
@pytest.mark.parametrize("share", [0.3, 0.02])
def test_an_index_searches_among_the_faces_that_count(matrix, kept, many, share):
    allowed = np.random.default_rng(1).random(N) < share
    index = open_index(matrix, "a" * 64, kept)
    assert recall(index, matrix, np.arange(0, N, 200), allowed) >= 0.9
    assert not len(index.nearest(matrix.vectors(np.array([0]))[0], K, np.zeros(N, bool))[0])


@pytest.mark.long
def test_faces_are_found_by_words_and_among_others_than_those_nearby(matrix, kept, many):
    """Where the lists that hold the nearest of all faces hold none of those that count."""
    index = open_index(matrix, "a" * 64, kept)
    asked = matrix.vectors(np.arange(0, N, 300))
    for vector in asked:
        products = np.concatenate(list(matrix.blocks())).astype(np.float32) @ vector
        allowed = products < np.median(products)
        wanted, _ = ExactSearch(matrix).nearest(vector, K, allowed)
        assert np.isin(wanted, index.nearest(vector, K, allowed)[0]).mean() >= 0.9
    words = np.random.default_rng(3).standard_normal((5, matrix.dimension), dtype=np.float32)
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    assert (index.nearness(words) < index.least).all()
    assert (index.nearness(asked) >= index.least).mean() > 0.9
    for vector in words:
        wanted, _ = ExactSearch(matrix).nearest(vector, K)
        assert np.isin(wanted, index.nearest(vector, K)[0]).mean() >= 0.9


def test_the_recall_is_measured_against_exact_search(matrix):
    rows = np.array([3, 77, N - 1])
    best = ivf.nearest_of(matrix, rows)
    for row, found in zip(rows, best, strict=True):
        wanted, _ = ExactSearch(matrix).nearest(matrix.vectors(rows[rows == row])[0], K + 1)
        assert set(found) == set(wanted) - {row}


@pytest.mark.long
def test_a_kept_index_is_the_same_and_is_not_built_again(matrix, place, builds, many):
    first = open_index(matrix, "a" * 64, place)
    vector = matrix.vectors(np.array([5]))[0]
    assert not builds
    again = open_index(matrix, "b" * 64, place)  # of another matrix
    assert len(builds) == 1
    assert again.nearest(vector, K)[0].tolist() == first.nearest(vector, K)[0].tolist()
    assert len(list(place.glob("*.bin"))) == 2
    assert not [path for path in place.iterdir() if path.name.startswith(".")]


def change(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(bytes(content))


def forge(place: Path, **facts) -> None:
    """Say something else of an index, with the sha256 that its bytes and facts have."""
    (path,) = place.glob("*.json")
    forged = Facts.model_validate_json(path.read_text()).model_copy(update=facts)
    path.write_text(forged.sealed().model_dump_json())


def say_otherwise(place: Path, **facts) -> None:
    """The same without the seal, as damage does."""
    (path,) = place.glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


# Each kind of harm first: to the bytes, to what lies there, to the facts.
DAMAGES = {
    "a byte of a code": lambda path: change(path, -1),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "a link": lambda path: (path.rename(f"{path}.other"), path.symlink_to(f"{path}.other")),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "no facts": lambda path: path.with_suffix(".json").unlink(),
    "facts that are none": lambda path: path.with_suffix(".json").write_text("{]"),
    "fewer probes than were measured": lambda path: say_otherwise(path.parent, probes=1, least=0.0),
    "more probes than lists": lambda path: forge(path.parent, probes=10**6),
    "a byte of a centre": lambda path: change(path, 3),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"1"),
    "empty": lambda path: path.write_bytes(b""),
    "endless facts": lambda path: path.with_suffix(".json").write_text("[" * 10**6),
    "no probes": lambda path: forge(path.parent, probes=0),
    "another number of faces": lambda path: forge(path.parent, faces=N + 1),
    "a huge dimension": lambda path: forge(path.parent, dimension=10**12),
}


@pytest.mark.long
@pytest.mark.first_cases(8)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_index_is_built_again(matrix, place, builds, damage):
    (path,) = place.glob("*.bin")
    before = path.read_bytes()
    damage(path)
    open_index(matrix, "a" * 64, place)
    assert len(builds) == 1
    assert path.read_bytes() == before  # the same again
    open_index(matrix, "a" * 64, place)
    assert len(builds) == 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("at", "value"),
    [("rows", 2**32 - 1), ("rows", 1), ("sizes", -1), ("sizes", 10**9), ("centres", np.nan)],
)
def test_numbers_that_make_no_index_are_not_given_to_faiss(matrix, at, value):
    lists, _ = ivf.build(matrix)
    assert lists.are_sound()
    getattr(lists, at).reshape(-1)[:2] = value
    assert not lists.are_sound()


def test_sizes_whose_sum_overflows_are_not_given_to_faiss(matrix):
    lists, _ = ivf.build(matrix)
    with np.errstate(over="ignore"):
        lists.sizes[:5] = [2**62] * 4 + [lists.sizes[:5].sum()]
        assert lists.sizes.sum() == len(lists.rows)
    assert not lists.are_sound()


def test_a_linked_folder_of_indexes_is_neither_read_nor_written(matrix, tmp_path, many):
    (tmp_path / "elsewhere").mkdir()
    place = tmp_path / FOLDER
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.warns(UserWarning, match="is a link, which is not followed"):
        open_index(matrix, "a" * 64, place)
    assert not [*(tmp_path / "elsewhere").iterdir()]


@pytest.mark.long
def test_who_shares_the_store_may_remove_an_index(matrix, tmp_path, many):
    """Whatever the umask of whoever built it."""
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    before = os.umask(0o022)
    try:
        for folder in (shared, alone):
            folder.mkdir()
            folder.chmod(0o2775 if folder == shared else 0o700)
            open_index(matrix, "a" * 64, folder / FOLDER)
            mark_forgotten(folder / FOLDER, "b" * 64)
    finally:
        os.umask(before)
    modes = {
        folder: {oct(path.stat().st_mode & 0o7777) for path in (folder / FOLDER).iterdir()}
        for folder in (shared, alone)
    }
    assert modes == {shared: {"0o664"}, alone: {"0o644"}}
    assert (shared / FOLDER).stat().st_mode & 0o7777 == 0o2775
    assert (alone / FOLDER).stat().st_mode & 0o777 == 0o755


def test_a_mark_leads_nowhere_else(place, tmp_path):
    mark = place / f"{'b' * 64}-forgotten"
    mark.symlink_to(tmp_path / "elsewhere")
    assert is_forgotten(place, "b" * 64)
    mark_forgotten(place, "b" * 64)
    assert mark.is_file()
    assert not mark.is_symlink()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.long
@pytest.mark.parametrize("meanwhile", [False, True])
def test_no_index_is_kept_of_a_matrix_that_holds_forgotten_faces(
    matrix, place, many, monkeypatch, meanwhile
):
    for path in list_indexes(place):
        path.unlink()
    if meanwhile:
        build = ivf.build
        monkeypatch.setattr(
            cache, "build", lambda it: (mark_forgotten(place, "a" * 64), build(it))[1]
        )
    else:
        mark_forgotten(place, "a" * 64)
    index = open_index(matrix, "a" * 64, place)
    assert recall(index, matrix, np.arange(5)) > 0.9
    assert [path.name for path in list_indexes(place)] == ["a" * 64 + "-forgotten"]
    open_index(matrix, "b" * 64, place)
    assert len([*place.glob("b*.bin")]) == 1
    assert [path.name for path in list_indexes(place, but="b" * 64)] == ["a" * 64 + "-forgotten"]


def test_only_files_are_listed_to_be_removed(place):
    (place / "folder").mkdir()
    assert {path.suffix for path in list_indexes(place)} == {".bin", ".json"}


@pytest.mark.long
def test_an_index_that_cannot_be_kept_is_used_all_the_same(matrix, tmp_path, builds, many):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match=r"index can't be written .*not kept, and built again"):
        index = open_index(matrix, "a" * 64, tmp_path / "file" / FOLDER)
    assert recall(index, matrix, np.arange(5)) > 0.9
    assert open_index(matrix, "a" * 64, None).recall == index.recall


# Which search


def faces(matrix, **options) -> Neighbours:
    return Neighbours(pd.RangeIndex(N).astype(str), matrix, **options)


@pytest.mark.long
def test_the_parameter_says_which_search(matrix, monkeypatch):
    assert isinstance(faces(matrix).search, ExactSearch)
    assert isinstance(faces(matrix, kind="ivf").search, ivf.IvfSearch)
    monkeypatch.setattr(search, "MANY", N - 1)
    assert isinstance(faces(matrix).search, ivf.IvfSearch)
    assert isinstance(faces(matrix, kind="exact").search, ExactSearch)


def test_without_faiss_the_extra_is_named(matrix, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ModelError, match=r"pip install 'facestats\[index\]'.*index.kind: exact"):
        faces(matrix, kind="ivf").nearest(np.eye(D, dtype=np.float32)[0], 1)
    monkeypatch.setattr(search, "MANY", N - 1)
    monkeypatch.setattr(search, "has_faiss", lambda: False)
    with pytest.warns(UserWarning, match=r"8,000 faces are compared one by one: .*\[index\]"):
        assert isinstance(faces(matrix).search, ExactSearch)


# Where it is kept


def test_an_index_lies_in_the_row_store_or_in_the_projects_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(PLACE, str(tmp_path / "rows"))
    assert find_place(tmp_path) == tmp_path / "rows" / FOLDER
    monkeypatch.delenv(PLACE)
    assert find_place(tmp_path) is None
    (tmp_path / ".dvc").mkdir()
    assert find_place(tmp_path).is_relative_to(tmp_path / ".dvc")


def test_indexes_are_listed_by_their_matrix(place):
    assert len(list_indexes(place)) == 2
    assert list_indexes(place, but="a" * 64) == []
    assert len(list_indexes(place, but="b" * 64)) == 2
    assert list_indexes(place / "none") == list_indexes(None) == []


def test_prune_leaves_the_index_of_the_current_embeddings(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(PLACE, str(tmp_path / "rows"))
    folder = find_place(tmp_path)
    folder.mkdir(parents=True)
    for path in place.glob("a*"):
        path.rename(folder / path.name)
    (folder / f"{'b' * 64}-0.bin").touch()
    parts = {"embeddings": {HALF_EMBEDDINGS.as_posix(): "a" * 64}}
    monkeypatch.setattr(Manifest, "read", lambda root: SimpleNamespace(parts=parts))
    monkeypatch.setattr("facestats.cli.rows.prune", lambda store, cache: {})
    assert main(["rows", "prune", "--root", str(tmp_path)]) == 0
    assert f"removed: {folder}/bbb" in capsys.readouterr().out
    assert {path.name[:2] for path in folder.iterdir()} == {"aa"}
