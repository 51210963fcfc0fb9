"""How fast the pages of `facestats app` answer with 100,000 made-up faces.

    python -m benchmarks.app [--root .] [--faces 100000] [--rounds 20]

Needs a project that `dvc repro` has built, and the extra `facestats[serve]`. Its faces are repeated
under new names until there are enough, with their numbers jittered; crops are links to its own, and
some faces are labelled and rated by hand. A server of that project is started and asked over a
socket: nothing is in its memory when a filter is asked for the first time. The map is drawn in
Chromium, which must be installed.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import http.client
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from benchmarks.limits import machine_facts

from facestats.app.gate import CSRF
from facestats.app.labelling import TEMPLATE
from facestats.attributes.tables import FLAGS, PREDICTIONS
from facestats.core.layout import (
    COMPOSITES_MANIFEST,
    CROPS,
    EMBEDDINGS,
    FACES_TABLE,
    FINAL_TABLE,
    METADATA,
    SERVING,
)
from facestats.core.manifests import write_run_manifest
from facestats.core.tables.parquet import group_rows
from facestats.labels.manual import HEADER
from facestats.labels.rated_by_hand import HEADER as RATED
from facestats.labels.tables import LABELS
from facestats.serving.manifest import Manifest, write_manifest

PORT = 8940
BY_HAND = 2_000  # labels, and ratings of ten raters, that are there already
PAGES = ("label", "rate")
PATIENCE = 300  # seconds until the server must be ready
LINKED = ("filename", "copy_group", "duplicate_of", "near_duplicate_of", "image")
JITTERED = ("attractiveness_score", "combined_score", "geometric_score", "age_final", "nose_width")
FILTERS = {
    "women over 50 with glasses": "gender=female&age_range=50..130&attributes.glasses=with",
    "a score decile, sorted": "attractiveness=8..10&sort=-combined_score",
    "the widest tenth of noses": "columns.nose_width=q0.9..q1&sort=-nose_width",
    "all, also doubtful, by age": "flags=keep&copies=keep&sort=age_final",
    "a part of a name": "q=face_00",
    "an area of the map": "area=-0.2_-0.2~0.2_-0.2~0.3_0.1~0_0.3~-0.3_0.1",
    "four conditions": "gender=male&age_range=20..40&cluster=0&cluster=1&columns.split=train",
}
# Milliseconds between two frames while the wheel turns.
_FRAMES = """new Promise(done => {
  const canvas = document.getElementById('points'), times = [];
  let before = 0, left = 60;
  const next = now => {
    if (before) times.push(now - before);
    before = now;
    if (!left--) return done(times);
    const deltaY = left > 30 ? -40 : 40;
    canvas.dispatchEvent(new WheelEvent('wheel', { deltaY, clientX: 600, clientY: 400 }));
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
})"""
# Milliseconds to find the points in a circle of 60 corners.
_LASSO = """(async () => {
  const { Points } = await import('/app/static/points.js');
  const bytes = await (await fetch('/app/api/map/places')).arrayBuffer();
  const points = new Points(document.createElement('canvas')), times = [];
  points.places = new Float32Array(bytes);
  points.canvas.width = points.canvas.height = 600;
  const { x, y, scale } = points.fit();
  const corners = Array.from({ length: 60 }, (_, i) => [
    x + 200 / scale * Math.cos(i * Math.PI / 30), y + 200 / scale * Math.sin(i * Math.PI / 30)]);
  for (let i = 0; i < 9; i++) {
    const started = performance.now();
    points.within(corners);
    times.push(performance.now() - started);
  }
  return times;
})()"""


def build(root: Path, n: int, work: Path) -> None:
    """A project of `n` faces below `work`, with the models of `root`."""
    built = Manifest.read(root)
    for name in built.files():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        if Path(name) not in (FACES_TABLE, EMBEDDINGS):
            (work / name).symlink_to((root / name).resolve())
    (work / built.facts["images"]).parent.mkdir(parents=True, exist_ok=True)
    (work / built.facts["images"]).symlink_to((root / built.facts["images"]).resolve())
    random = np.random.default_rng(0)
    asked = (METADATA / schema.name for schema in (LABELS, PREDICTIONS))
    for path in (FINAL_TABLE, FACES_TABLE, EMBEDDINGS, *asked):
        table = pq.read_table(root / path)
        if "status" in table.column_names:
            table = table.filter(pc.equal(table["status"], "ok"))
        repeated = _repeated(table, n, random)
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        key = "image" if path == FACES_TABLE else "filename"
        pq.write_table(
            repeated.sort_by(key),
            work / path,
            compression="zstd",
            row_group_size=group_rows(repeated.schema),
        )
        if path == FINAL_TABLE:
            _link_crops(root, table["filename"].to_pylist(), n, work)
            _label_and_rate(repeated.select(["filename", "image"]).to_pylist(), work)
    for name in (Path("params.yaml"), TEMPLATE, METADATA / FLAGS.name):
        (work / name).symlink_to((root / name).resolve())
    (work / "consent.txt").write_text("Adults judge made-up faces.")
    with contextlib.chdir(work):
        parts = {part: map(Path, files) for part, files in built.parts.items()}
        write_manifest(SERVING, built.facts, parts)
        write_run_manifest(COMPOSITES_MANIFEST, SERVING, [FINAL_TABLE])


def _label_and_rate(faces: list[dict[str, str]], work: Path) -> None:
    """Write labels and ratings of some faces, as the pages do."""
    some = faces[:: max(1, len(faces) // BY_HAND)]
    labels = [{"filename": face["filename"], "gender": "female"} for face in some]
    ratings = [
        {"rater": f"r{at % 10}", "image": face["image"], "trait": "", "rating": "4"}
        | {"order": str(1 + at // 10), "seconds": "2.5", "repeat": "0"}
        for at, face in enumerate(some)
    ]
    for name, header, rows in (("labels", HEADER, labels), ("ratings", RATED, ratings)):
        with (work / f"data/manual_{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, header, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _prefix(tile: int) -> str:
    return f"{tile:04d}/" if tile else ""


def _repeated(table: pa.Table, n: int, random: np.random.Generator) -> pa.Table:
    """Rows of a table again and again, each time in a folder of its own."""
    tiles = []
    for tile in range(-(-n // len(table))):
        part = table.slice(0, min(len(table), n - tile * len(table)))
        for at, name in enumerate(part.column_names):
            column = part[name]
            if tile and name in LINKED:
                column = pc.binary_join_element_wise(_prefix(tile), column, "")
            elif tile and name in JITTERED:
                noise = random.normal(0, 0.05, len(part)) * (pc.stddev(column).as_py() or 0)
                column = pc.add(column, pa.array(noise))
            part = part.set_column(at, table.schema.field(name), column.cast(column.type))
        tiles.append(part)
    return pa.concat_tables(tiles).combine_chunks()


def _link_crops(root: Path, names: list[str], n: int, work: Path) -> None:
    for i, name in enumerate(itertools.islice(itertools.cycle(names), n)):
        target = work / CROPS / f"{_prefix(i // len(names))}{name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to((root / CROPS / name).resolve())


class Client:
    """One connection that stays open, as that of a browser."""

    def __init__(self, port: int):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def get(self, path: str) -> tuple[int, bytes, float]:
        """Status, body and milliseconds; what takes longer than an answer may is asked again."""
        return self._ask("GET", path, None, {"Accept": "text/html"})

    def post(self, path: str, token: str, **body: str | float | bool) -> tuple[int, bytes, float]:
        """The same of what writes, with the token of a page."""
        headers = {"Content-Type": "application/json", CSRF: token}
        return self._ask("POST", path, json.dumps(body), headers)

    def _ask(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[int, bytes, float]:
        started = time.perf_counter()
        while True:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            content = answer.read()
            if answer.status != 503 or b"too_late" not in content:
                return answer.status, content, 1000 * (time.perf_counter() - started)


def row(what: str, answers: list[tuple[int, bytes, float]]) -> tuple[str, str, str]:
    """A row of the table: what, the first time, the median of further times."""
    assert {status for status, _, _ in answers} == {200}, (what, answers[0][:2])
    times = [spent for _, _, spent in answers]
    later = statistics.median(times[1:]) if len(times) > 1 else None
    line = what, f"{times[0]:.0f} ms", "" if later is None else f"{later:.0f} ms"
    print(f"| {' | '.join(line)} |", flush=True)
    return line


def measure(client: Client, rounds: int, n: int) -> list[tuple[str, str, str]]:
    """Rows of what only looks."""
    rows: list[tuple[str, str, str]] = []

    def ask(what: str, paths: list[str]) -> bytes:
        answers = [client.get(path) for path in paths]
        rows.append(row(what, answers))
        return answers[-1][1]

    ask("first page, as HTML", ["/app/faces"] * (rounds + 1))
    for what, query in FILTERS.items():
        # `n` and `seed` make another question of it, which nobody has asked before.
        paths = [f"/app/api/faces?{query}&limit=100&n={n}&seed={seed}" for seed in range(rounds)]
        ask(f"filter: {what}", paths)
    random = np.random.default_rng(1)
    offsets = random.integers(0, int(0.8 * n), rounds + 1)
    ask("scroll: 100 faces at any place", [f"/app/api/faces?offset={o}&limit=100" for o in offsets])
    page = json.loads(client.get(f"/app/api/faces?offset={n // 2}&limit={rounds + 1}")[1])
    names = [face["address"] for face in page["faces"]]
    ask("thumbnail, not in memory", [f"/app/thumbnail/{name}" for name in names])
    ask("thumbnail, again", [f"/app/thumbnail/{name}" for name in names])
    ask("page of one face", [f"/app/face/{name}" for name in names[:5]])
    ask("search by words", [f"/app/api/search?text={quote('glasses')}"] * 5)
    ask("map, as HTML", ["/app/map"] * (rounds + 1))
    places = ask("map, places", ["/app/api/map/places"] * (rounds + 1))
    colours = [f"/app/api/map/colours?column={name}" for name in ("age_final", "gender_final")]
    codes = ask("map, colours of a column", colours * rounds)
    print(f"the map is {len(places):,} bytes of places and {len(codes):,} of colours")
    ask("map, face below the pointer", [f"/app/api/map/face?row={i}" for i in range(rounds + 1)])
    ask("compose, as HTML", ["/app/compose?gender=female"] * (rounds + 1))
    counts = [f"/app/api/compose?gender=female&n={n}&seed={seed}" for seed in range(rounds)]
    ask("compose, faces after each condition", counts)
    drawn = [f"/app/api/compose/face?gender=female&n=500&seed={seed}" for seed in range(4)]
    ask("compose, an average of 500", drawn)
    ask("compose, an average again", drawn[:1] * (rounds + 1))
    pair = "n=500&pair=1&other=" + quote("gender=female&n=500&seed=0")
    ask("compose, 11 pictures between two", [f"/app/api/compose/between?{pair}"] * 2)
    return rows


def measure_writing(client: Client, rounds: int) -> list[tuple[str, str, str]]:
    """Rows of Label and Rate."""
    pages = {name: [client.get(f"/app/{name}") for _ in range(rounds + 1)] for name in PAGES}
    rows = [row(f"{name}, as HTML", pages[name]) for name in PAGES]
    token = re.findall(rb'name="csrf-token" content="([^"]+)"', pages["label"][0][1])[0].decode()
    for which in ("proposed", "doubtful", "faces"):
        path = f"/app/api/label?attribute=gender&list={which}"
        lists = [client.get(path) for _ in range(rounds + 1)]
        rows.append(row(f"label, the list of {which}", lists))
    people = {"who": "benchmark", "browser": "benchmark"}
    written, undone = [], []
    for face in json.loads(lists[-1][1])["faces"][: rounds + 1]:
        given = {"face": face["name"], "attribute": "gender", "before": face["by_hand"]}
        label = {"label": "male", "new": False}
        written.append(client.post("/app/api/label", token, **given, **label, **people))
    for _, body, _ in written:
        entry = json.loads(body)["entry"]["id"]
        undone.append(client.post("/app/api/label/undo", token, id=entry, **people))
    rows += [row("label, written", written), row("label, undone", undone)]
    who: dict = {"rater": "r3", "trait": ""}
    begun = [client.post("/app/api/rate/begin", token, agreed=True, **who) for _ in range(3)]
    rated = [begun[-1]]
    for _ in range(rounds + 1):
        now = json.loads(rated[-1][1])
        given = {"face": now["face"]["name"], "repeat": now["repeat"]}
        rated.append(client.post("/app/api/rate", token, rating=4, seconds=2, **given, **who))
    last = json.loads(rated[-1][1])
    given = {"face": last["face"]["name"]}
    skipped = [client.post("/app/api/rate/skip", token, **given, **who)]
    given = {"face": last["last"]}
    undone = [client.post("/app/api/rate/undo", token, **given, **who)]
    return [
        *rows,
        row("rate, begun", begun),
        row("rate, a judgement written", rated[1:]),
        row("rate, skipped", skipped),
        row("rate, undone", undone),
    ]


def measure_map(port: int, folder: Path) -> list[tuple[str, str, str]]:
    """Rows of the map in Chromium: until it is drawn, one drawing, a lasso."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from browser import chromium

    with chromium(folder) as tab:
        started = time.perf_counter()
        tab.visit(f"http://localhost:{port}/app/map")
        tab.wait("document.getElementById('state').textContent === ''")
        first = 1000 * (time.perf_counter() - started)
        frames = tab.evaluate(_FRAMES)
        lasso = tab.evaluate(_LASSO)
    return [
        ("map in Chromium, until it is drawn", f"{first:.0f} ms", ""),
        ("map in Chromium, a frame while zooming", "", f"{statistics.median(frames):.1f} ms"),
        (
            "map in Chromium, points in a lasso of 60 corners",
            "",
            f"{statistics.median(lasso):.0f} ms",
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    print(machine_facts(torch.device("cpu")))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        build(options.root.resolve(), options.faces, work)
        command = [sys.executable, "-m", "facestats", "app", "--no-browser", "--root", folder]
        command += ["--consent", str(work / "consent.txt"), "--repeats", "0.1"]
        with open(work / "log", "wb") as log:
            started = time.perf_counter()
            server = subprocess.Popen(
                [*command, "--port", str(PORT)], stdout=log, stderr=log, env=os.environ
            )
        try:
            wait_until_ready(server, work / "log")
            ready = time.perf_counter() - started
            rows = measure(Client(PORT), options.rounds, options.faces)
            rows += measure_writing(Client(PORT), options.rounds)
            rows += measure_map(PORT, work)
            memory = psutil.Process(server.pid).memory_info().rss / 2**20
        finally:
            server.terminate()
            server.wait(60)
    print(f"\n{options.faces:,} faces; ready after {ready:.1f} s, {memory:.0f} MB in memory\n")
    print("| what | first time | later, median |\n|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def wait_until_ready(server: subprocess.Popen, log: Path) -> None:
    """Wait until the server answers with its models."""
    end = time.monotonic() + PATIENCE
    while True:
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        with contextlib.suppress(OSError):
            if Client(PORT).get("/readyz")[0] == 200:
                return
        time.sleep(0.2)


if __name__ == "__main__":
    main()
