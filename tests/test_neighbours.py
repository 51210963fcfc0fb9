"""Neighbours: those of float32 embeddings, found in a matrix of half their size."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facestats.clip.tables import embeddings_schema
from facestats.core import tables
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.core.tables.matrix import EmbeddingMatrix, matrix_of, write_matrix
from facestats.errors import InputError, TableError
from facestats.neighbours import exact
from facestats.neighbours.search import Neighbours

N, D, K = 3000, 64, 10


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Embeddings in groups, and many so near to each other that float16 mixes them up."""
    rng = np.random.default_rng(0)
    near = unit(np.ones((N // 3, D)) + 1e-4 * rng.standard_normal((N // 3, D)))
    return unit(np.concatenate([near, rng.standard_normal((N - len(near), D))])).astype(np.float32)


@pytest.fixture(scope="module")
def files(vectors, tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("matrix")
    paths = folder / "e.f16.npy", folder / "e.rest.npy"
    write_matrix(vectors, *paths)
    return paths


@pytest.fixture
def own_files(vectors, tmp_path) -> tuple[Path, Path]:
    """A matrix that a test may write over."""
    paths = tmp_path / "e.f16.npy", tmp_path / "e.rest.npy"
    write_matrix(vectors, *paths)
    for path in paths:
        os.utime(path, (0, 0))  # written long ago
    return paths


@pytest.fixture(scope="module")
def faces(files) -> Neighbours:
    return Neighbours(pd.Index([f"{i:04}.jpg" for i in range(N)]), EmbeddingMatrix(*files))


def best(vectors, vector, k=K, allowed=None):
    """The rows that are most similar, by float32."""
    products = vectors @ vector
    if allowed is not None:
        products[~allowed] = -np.inf
    rows = np.argsort(-products, kind="stable")[:k]
    return rows, products[rows]


# The matrix


def test_the_matrix_is_half_the_size_and_gives_float32_back(files, vectors):
    matrix = EmbeddingMatrix(*files)
    assert np.array_equal(np.load(files[0]), vectors.astype(np.float16))
    assert matrix.rounded(np.arange(N)).nbytes == vectors.nbytes / 2
    given = matrix.vectors(np.arange(N))
    assert given.dtype == np.float32
    assert np.abs(given - vectors).max() < 1e-6
    assert np.abs(given @ vectors[7] - vectors @ vectors[7]).max() < 1e-6
    assert np.array_equal(np.concatenate([*matrix.blocks()]), matrix.rounded(np.arange(N)))
    some = np.array([3, 4, 5, N - 1, 0, 7])
    assert np.array_equal(matrix.vectors(some), given[some])
    assert matrix.vectors(some[:0]).shape == (0, D)


def test_rows_are_those_of_the_files_that_were_opened(tmp_path, vectors):
    paths = tmp_path / "e.f16.npy", tmp_path / "e.rest.npy"
    write_matrix(vectors[:9], *paths)
    matrix = EmbeddingMatrix(*paths)
    write_matrix(vectors[9:18], *paths)  # a run replaces them
    assert np.abs(matrix.vectors(np.arange(9)) - vectors[:9]).max() < 1e-6
    assert np.array_equal(np.concatenate([*matrix.blocks()]), vectors[:9].astype(np.float16))


def test_a_matrix_that_becomes_shorter_is_an_error(tmp_path, vectors):
    paths = tmp_path / "e.f16.npy", tmp_path / "e.rest.npy"
    write_matrix(vectors[:9], *paths)
    matrix = EmbeddingMatrix(*paths)
    os.truncate(paths[1], 200)
    with pytest.raises(TableError, match=r"e\.rest\.npy is cut off"):
        matrix.vectors(np.array([0, 8]))


def cut_off(path: Path) -> None:
    os.truncate(path, 5000)


def put_other_rows(path: Path) -> None:
    """As `cp` does: same file, same size."""
    rows = np.load(path)
    with open(path, "r+b") as file:
        file.seek(-rows.nbytes, os.SEEK_END)
        file.write(rows[::-1].tobytes())


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("change", [cut_off, put_other_rows])
@pytest.mark.parametrize("share", [1, 0.5, 0.01])
def test_a_matrix_that_is_written_over_is_an_error(own_files, vectors, number, change, share):
    """Not the end of the process by SIGBUS, nor other faces under the names of these."""
    search = exact.ExactSearch(EmbeddingMatrix(*own_files))
    allowed = np.arange(N) % round(1 / share) == 0
    rows, _ = search.nearest(vectors[-100], 1, allowed)
    assert rows.tolist() == [N - 100]
    change(own_files[number])
    with pytest.raises(
        TableError, match=rf"{own_files[number].name} (is cut off|was written over)"
    ):
        search.nearest(vectors[-100], 1, allowed)


def test_a_matrix_that_is_cut_off_during_a_search_is_an_error(own_files, vectors, monkeypatch):
    search, rough = exact.ExactSearch(EmbeddingMatrix(*own_files)), exact._rough
    monkeypatch.setattr(exact, "BLOCK", 1000)

    def rough_while_it_is_cut(*given):
        cut_off(own_files[0])
        return rough(*given)

    monkeypatch.setattr(exact, "_rough", rough_while_it_is_cut)
    with pytest.raises(TableError, match=r"e\.f16\.npy is cut off"):
        search.nearest(vectors[0], K)


@pytest.mark.parametrize("numbers", [[0.0, 1.0], [1e-9, 1.0], [-6e-8, 3e-5], [0.5 - 2**-13, 1]])
def test_numbers_at_the_ends_of_float16_come_back(tmp_path, numbers):
    paths = tmp_path / "e.f16.npy", tmp_path / "e.rest.npy"
    write_matrix(np.array([numbers], np.float32), *paths)
    given = EmbeddingMatrix(*paths).vectors(np.array([0]))
    assert given == pytest.approx(np.array([numbers]), abs=1e-6)


def test_the_bytes_are_the_same_each_time_and_from_a_table(files, vectors, tmp_path, monkeypatch):
    monkeypatch.setattr("facestats.core.tables.embeddings.BATCH", 64)
    again = tmp_path / "e.f16.npy", tmp_path / "e.rest.npy"
    write_matrix(vectors, *again)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in files]


def of_shape(shape: str) -> bytes:
    """A file of an array with this shape, whatever it is."""
    header = f"{{'descr': '<f2', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda half, rest: half.unlink(), "no such file; `dvc repro embed` makes it"),
        (lambda half, rest: half.write_bytes(half.read_bytes()[:-1]), "damaged"),
        (lambda half, rest: half.write_bytes(b""), "damaged"),
        (lambda half, rest: half.write_bytes(rest.read_bytes()), "no matrix of float16"),
        (lambda half, rest: rest.write_bytes(half.read_bytes()), "no matrix of int8"),
        (lambda half, rest: np.save(half, np.array([None]), allow_pickle=True), "no matrix"),
        (lambda half, rest: half.write_bytes(b"\x93NUMPY\x02" + bytes(99)), "damaged .version"),
        (lambda half, rest: np.save(half, np.ones((2, 3), np.float16)), r"shape \(2, 3\), but"),
        (lambda half, rest: np.save(half, np.ones((0, 3), np.float16)), "f16.npy is"),
        (lambda half, rest: np.save(half, np.ones((2, 3), np.float16).T.copy().T), "row by row"),
        (lambda half, rest: (half.unlink(), half.mkdir()), "damaged"),
        (lambda half, rest: half.write_bytes(of_shape(f"({10**400}, 3)")), "damaged"),
    ],
)
def test_a_damaged_matrix_is_named_with_the_way_out(tmp_path, vectors, damage, said):
    half, rest = tmp_path / "e.f16.npy", tmp_path / "e.rest.npy"
    write_matrix(vectors[:5], half, rest)
    damage(half, rest)
    with pytest.raises(TableError, match=said) as error:
        EmbeddingMatrix(half, rest)
    assert str(tmp_path) in str(error.value)
    assert "dvc repro" in str(error.value)


def test_a_matrix_of_another_table_is_refused(tmp_path, vectors, files):
    path = tmp_path / "embeddings_clip.parquet"
    rows = pd.DataFrame({"filename": list("ab"), "key": "k"})
    tables.write(rows, path, embeddings_schema(D), vectors={"embedding": vectors[:2]})
    table = EmbeddingTable(path)
    with pytest.raises(TableError, match=r"e\.f16\.npy has the shape .*embeddings_clip\.parquet"):
        matrix_of(table, *files)


def test_a_path_that_is_no_matrix_is_refused_before_it_is_written(tmp_path, vectors):
    half, rest = tmp_path / "e.f16.npy", tmp_path / "e.rest.npy"
    with pytest.raises(TableError, match=r"expected a file \*\.f16\.npy"):
        write_matrix(vectors, rest, half)
    assert not list(tmp_path.iterdir())


# Exact search


@pytest.mark.parametrize("fast", [True, False])
def test_neighbours_and_similarities_are_those_of_float32(faces, vectors, monkeypatch, fast):
    monkeypatch.setattr(exact, "half_is_fast", lambda dimension: fast)
    for at in (0, 5, N - 1):
        rows, products = best(vectors, vectors[at])
        names, similarity = faces.nearest(vectors[at], K)
        assert similarity == pytest.approx(products, abs=1e-6)
        found = faces.names.get_indexer(names)
        assert (vectors @ vectors[at])[found] == pytest.approx(products, abs=1e-6)
        if at == N - 1:  # far enough from each other to have one order
            assert found.tolist() == rows.tolist()


@pytest.mark.parametrize("share", [0.5, 0.01, 0.0])
def test_faces_that_are_left_out_take_no_place(faces, vectors, share):
    allowed = np.random.default_rng(1).random(N) < share
    rows, products = best(vectors, vectors[-1], K, allowed)
    names, similarity = faces.nearest(vectors[-1], K, allowed)
    assert len(names) == min(K, np.count_nonzero(allowed))
    assert faces.names.get_indexer(names).tolist() == rows[: len(names)].tolist()
    assert similarity == pytest.approx(products[: len(names)], abs=1e-6)


def test_one_face_may_be_left_out(faces, vectors):
    names, _ = faces.nearest(faces.vector("2999.jpg"), K, but="2999.jpg")
    rows, _ = best(vectors, vectors[-1], K + 1)
    assert faces.names.get_indexer(names).tolist() == rows[1:].tolist()
    with pytest.raises(KeyError):
        faces.vector("3000.jpg")


def test_equal_faces_keep_the_order_of_the_table(tmp_path):
    paths = tmp_path / "e.f16.npy", tmp_path / "e.rest.npy"
    write_matrix(np.repeat(np.eye(2, 8, dtype=np.float32), 6, axis=0), *paths)
    few = Neighbours(pd.Index(list("abcdefghijkl")), EmbeddingMatrix(*paths))
    names, similarity = few.nearest(np.eye(2, 8, dtype=np.float32)[1], 99)
    assert "".join(names) == "ghijklabcdef"
    assert similarity.tolist() == [1.0] * 6 + [0.0] * 6


@pytest.mark.parametrize(
    ("seconds", "fast"), [((0.001, 0.01), True), ((0.021, 0.02), True), ((0.03, 0.01), False)]
)
def test_float16_is_left_where_it_is_clearly_slower(monkeypatch, seconds, fast):
    """Equal times are those of starting threads on a busy machine, and say nothing."""
    times = iter(seconds)
    monkeypatch.setattr(exact, "_seconds", lambda work: next(times))
    assert exact.half_is_fast.__wrapped__(D) is fast


def test_float16_is_left_where_its_products_are_wrong(monkeypatch):
    monkeypatch.setattr(exact.torch, "mv", lambda rows, vector: rows[:, 0])
    assert exact.half_is_fast.__wrapped__(D) is False


def test_the_rough_products_keep_to_their_bound(vectors, files):
    search = exact.ExactSearch(EmbeddingMatrix(*files))
    for at in (0, N - 1):
        assert np.abs(search._products(vectors[at]) - vectors @ vectors[at]).max() < exact.ERROR


def test_faces_are_searched_among_those_of_a_table(faces, vectors):
    allowed = np.random.default_rng(3).random(N) < 0.1
    among = faces.rows_of(faces.names[allowed])
    assert among.tolist() == allowed.tolist()
    assert faces.rows_of([]).sum() == 0
    with pytest.raises(InputError, match=r"among: \['0003\.jpg'\] is no face"):
        faces.rows_of([["0003.jpg"]])
    with pytest.raises(InputError, match=r"among: '0003\.jpeg' is no face.*0003\.jpg"):
        faces.rows_of(["0002.jpg", "0003.jpeg"])
    for wrong in ("0002.jpg", 7):
        with pytest.raises(InputError, match="expected a list of filenames"):
            faces.rows_of(wrong)
