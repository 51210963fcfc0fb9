"""Many more photos on paper: hours, bytes, files and requests, and where each part would break."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from facestats.rows.segments import FULL

SIZES = (10**7, 10**9)

# Measured here: docs/methods/scaling.md, on two cores of an AMD EPYC, photos of 1024 px.
CUT_CORE_SECONDS = 2 * 0.0055  # a face is found and cut out in 5.5 ms on two cores
EMBED_CORE_SECONDS = 2 * 0.026  # ViT-B/32 in float32
LANDMARK_BYTES = 5_400  # of a face in faces.parquet and in segments
EMBEDDING_BYTES = 512 * 4
COPY_SECONDS_100K = 43.0  # finding copies among 100,000 faces, quadratic
DVC_SECONDS_PER_FILE = 0.00077  # one more photo among 10,000 files: 8.1 s, among 1,000: 1.2 s
HASH_SECONDS = 0.00012  # to read and hash one of OMI's 745 photos, which lie in memory
MANIFEST_LOOKUP_SECONDS = 1.7  # 256 keys among a million, all manifests read
KNOWN_LOOKUP_SECONDS = 0.011  # the same, once they are known

# Photos of the size of OMI's; their middle at 512 px, as JPEG of quality 95 (mean of 50).
PHOTO_BYTES = 63_000
CROP_BYTES = 93_000

# clip-retrieval, docs/distributed_clip_inference.md: one A100, and a node of eight with shards of
# pictures that are cut already.
A100_PER_SECOND = {"ViT-B/32": 2500, "ViT-L/14": 312}
NODE_PER_SECOND = {"ViT-B/32": 7000, "ViT-L/14": 2500}
# The code's own: photos a batch of `rows fill --engine ray`, bytes of a key in a manifest, of a
# photo in a list in memory, and of a row that a process knows.
BATCH = 256
MANIFEST_BYTES = 102
LIST_BYTES = 140
KNOWN_BYTES = 8

DAY = 86_400


class Line(NamedTuple):
    """One quantity: its name, and how it follows from the number of photos."""

    name: str
    of: Callable[[int], str]


def core_hours(n: int) -> float:
    """Hours of one core to find and cut n faces."""
    return n * CUT_CORE_SECONDS / 3600


def gpu_hours(n: int, model: str) -> float:
    """Hours of one A100 to embed n faces."""
    return n / A100_PER_SECOND[model] / 3600


def cores_a_gpu(model: str) -> float:
    """Cores that cut as many faces a second as one A100 embeds."""
    return A100_PER_SECOND[model] * CUT_CORE_SECONDS


def segments(n: int) -> int:
    """Full segments of n rows of one stage."""
    return math.ceil(n / FULL)


def puts(n: int) -> int:
    """PUT requests of n rows of one stage: a segment and its manifest a batch, then merged."""
    return 2 * math.ceil(n / BATCH) + 2 * segments(n)


def copy_seconds(n: int) -> float:
    """Processor seconds to find copies among n faces."""
    return COPY_SECONDS_100K * (n / 1e5) ** 2


LINES = (
    Line("cores for `preprocess`", lambda n: f"{_number(core_hours(n))} core h"),
    *(
        Line(
            f"A100s for `embed`, {model}",
            lambda n, model=model: f"{_number(gpu_hours(n, model))} GPU h",
        )
        for model in A100_PER_SECOND
    ),
    *(
        Line(
            f"the same by nodes of eight, {model}",
            lambda n, model=model: f"{_number(n / NODE_PER_SECOND[model] / 3600)} node h",
        )
        for model in NODE_PER_SECOND
    ),
    Line(
        "cores for `embed` without GPUs, ViT-B/32",
        lambda n: f"{_number(n * EMBED_CORE_SECONDS / 3600)} core h",
    ),
    Line("photos", lambda n: _bytes(n * PHOTO_BYTES)),
    Line("crops", lambda n: _bytes(n * CROP_BYTES)),
    Line("rows of photos (landmarks)", lambda n: _bytes(n * LANDMARK_BYTES)),
    Line("rows of faces (512 numbers)", lambda n: _bytes(n * EMBEDDING_BYTES)),
    Line("segments with manifests, both stages", lambda n: f"{_number(4 * segments(n))} files"),
    Line("crops as files; with `preprocess.store: shards`", lambda n: f"{_number(n)}; 1,024 files"),
    Line("GET of photos, and of crops to embed", lambda n: f"{_number(2 * n)} requests"),
    Line("PUT of crops", lambda n: f"{_number(n)} requests"),
    Line("PUT of segments, both stages", lambda n: f"{_number(2 * puts(n))} requests"),
    Line("manifests that a new process reads", lambda n: _bytes(n * MANIFEST_BYTES)),
    Line("rows that a process knows, in memory", lambda n: _bytes(n * KNOWN_BYTES)),
    Line("list of photos in memory, of Ray's head", lambda n: _bytes(n * LIST_BYTES)),
    Line(
        "hashing by 16 shards without a list",
        lambda n: f"{_number(16 * n * HASH_SECONDS / 3600)} core h",
    ),
    Line("finding copies, on one core", lambda n: _time(copy_seconds(n))),
    Line("DVC, one more photo, crops as files", lambda n: _time(n * DVC_SECONDS_PER_FILE)),
)

# Each part: what breaks it, from about how many photos on, and what was done about it.
BREAKS = (
    (
        "one process",
        f"a day on 16 cores at {DAY * 16 / CUT_CORE_SECONDS / 1e6:.0f} million",
        "`--shard I/N`, `--engine ray`",
    ),
    (
        "each shard hashes every photo",
        f"{16 * HASH_SECONDS / CUT_CORE_SECONDS:.0%} of the time of the rows with 16 shards, "
        f"more than the rows with {CUT_CORE_SECONDS / HASH_SECONDS:.0f}",
        "`--photos` with sha256: a shard reads only photos of its own whose rows are missing",
    ),
    (
        "each lookup reads all manifests",
        f"at a million rows, {MANIFEST_LOOKUP_SECONDS} s for a batch of {BATCH} that is computed "
        f"in {BATCH * CUT_CORE_SECONDS:.1f} s",
        "one of many writers reads a manifest once, and knows 8 bytes a row: "
        f"{1000 * KNOWN_LOOKUP_SECONDS:.0f} ms",
    ),
    (
        "what each process knows of a store",
        f"{1000 * KNOWN_LOOKUP_SECONDS:.0f} s a batch and 8 GB at a billion rows",
        "parts of some 10 million photos, each a project with a store of its own",
    ),
    (
        "crops in the row store, a file each until DVC has them",
        "10 million files in one folder at 10 million photos",
        "the same; `rows` frees them once DVC's cache has the crops, as files or in shards",
    ),
    ("the list of photos in Ray's head", "140 GB at a billion", "the same: a list a part"),
    (
        "crops as files in DVC",
        f"an hour for one more photo at {3600 / DVC_SECONDS_PER_FILE / 1e6:.0f} million",
        "`preprocess.store: shards`: 1,024 files",
    ),
    (
        "finding copies, which is quadratic",
        f"a day on one core at {math.sqrt(DAY / COPY_SECONDS_100K) / 10:.1f} million",
        "nothing but the parts; copies in different parts are not found",
    ),
    (
        "the rows that a stage has at its end",
        "28 GB of memory at a million photos",
        "half a gigabyte in memory, the others in a mapped file: 2.3 GB at a million",
    ),
    (
        "tables in one file",
        "the memory of a stage, from some million rows on",
        "parts of a million rows, which later stages read one after the other",
    ),
    (
        "exact search among neighbours",
        "1 kB of memory a face: 10 GB at 10 million",
        "an index above a million faces",
    ),
)


def report() -> str:
    """The tables, as docs/methods/scaling.md has them."""
    lines = [
        f"| of | {' | '.join(_number(n) for n in SIZES)} photos |",
        "| --- " * (1 + len(SIZES)) + "|",
    ]
    lines += [f"| {line.name} | {' | '.join(line.of(n) for n in SIZES)} |" for line in LINES]
    models = ", ".join(f"{cores_a_gpu(model):.0f} for {model}" for model in A100_PER_SECOND)
    lines += ["", f"Cores that keep one A100 busy: {models}.", ""]
    lines += ["| part | breaks at | what was done |", "| --- | --- | --- |"]
    lines += [f"| {' | '.join(part)} |" for part in BREAKS]
    return "\n".join(lines)


def _number(value: float) -> str:
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if value >= size:
            return f"{value / size:.3g} {word}"
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.1g}"


def _bytes(value: float) -> str:
    for size, word in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if value >= size:
            return f"{value / size:,.3g} {word}"
    return f"{value:.0f} bytes"


def _time(seconds: float) -> str:
    for size, word in ((365 * DAY, "years"), (DAY, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {word}"
    return f"{seconds:.0f} s"
