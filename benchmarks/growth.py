"""How time and memory of the stages after `embed` grow with the number of faces or members.

    python -m benchmarks.growth [--faces 10000,100000,1000000] [--members 25,250,2500]
        [--epochs 3] [--out FILE]

Every stage runs as its own process, by its command line in dvc.yaml, on made-up inputs
(`benchmarks.made_up`) in a temporary folder. Seconds are wall time, memory is the peak resident set
of that process (`os.wait4`). The exponent is that of the power of n by which the seconds of
processor time grew from the size before, those of 500 faces (imports, mostly) taken off from both:
1 is linear, n log n gives 1.10 from 10 to 100 thousand; a dash: less than half a second, too short
to tell. Below 50 thousand faces the better of two runs counts.

`crossvalidate` and `evaluate` are left out: they look at labelled faces alone.

Labels stand on at most 100 thousand faces, and nothing is trained on more: beyond, the models of
the largest size up to 100 thousand are used (but `geometry`, which trains what it uses, trains
anew). `mlp.epochs` is --epochs here, and none is left out by early stopping, so that sizes compare;
what one more costs is measured at the smallest size. `geometry.appearance` is false: there are no
crops. Above a million faces, 100,000 have landmarks of their own, and the others those of 64 in
turn, which compress well: those of ten million would be 54 GB on disk.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import yaml

# Nothing large is imported here: a child's peak memory begins with its parent's.
ROOT = Path(__file__).resolve().parents[1]
MOST_TRAINED = 100_000
TWICE_BELOW = 50_000  # a small stage's time wavers by more than a large one's
COMPOSITE = "women"
STAGES = [
    ("labels", None),
    ("split", None),
    ("zeroshot", None),
    ("train_attribute", "gender"),
    ("train_attribute", "ethnicity"),
    ("train_attribute", "age"),
    ("attributes", None),
    ("age_check", None),
    ("geometry", None),
    ("train_attractiveness", None),
    ("score", None),
    ("traits", None),
    ("clusters", None),
    ("finalize", None),
    ("select", COMPOSITE),
]
TRAINING = ("train_attribute", "train_attractiveness")
MODELS = (
    "models/attributes",
    "data/interim/out_of_fold",
    "data/processed/metadata/out_of_fold.parquet",
    "models/attractiveness_regressor.pt",
    "metrics/train_attractiveness",
)
MORE_EPOCHS = 10  # that tell what one costs
START = 500  # faces, whose time is all start-up
SHORT = 0.5  # seconds beyond the start-up below which an exponent says nothing


@dataclass
class Cost:
    """Wall time and processor time in seconds, peak memory in MB of one process."""

    seconds: float
    processor: float
    memory: float


def measure(command: list[str], folder: Path) -> Cost:
    """Run a command in a folder; its output is shown only where it fails."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{shlex.join(command)} failed:\n{output.read().decode()}")
    return Cost(
        seconds,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / (1e3 if platform.system() == "Linux" else 1e6),
    )


def command_of(stage: str, key: str | None, params: dict) -> list[str]:
    """The stage's command line in dvc.yaml, with this Python."""
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    known = (
        params
        | {"key": key}
        | {name: value for entry in pipeline["vars"] for name, value in entry.items()}
    )

    def look_up(match: re.Match) -> str:
        value = known
        for part in match[1].split("."):
            value = value[part]
        return str(value)

    section = pipeline["stages"][stage]
    words = shlex.split(re.sub(r"\$\{([^}]+)\}", look_up, section.get("do", section)["cmd"]))
    return [sys.executable, *words[1:], *(["--name", key] if key else [])]


def make(what: str, argument: object, folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "benchmarks.made_up", what, str(argument), str(folder)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def grow(sizes: list[int], work: Path, params: dict) -> tuple[dict[str, dict[int, Cost]], float]:
    """Cost of every stage by size, start-up included, and processor seconds of one more epoch.

    The epoch is measured at the smallest size.
    """
    costs: dict[str, dict[int, Cost]] = {}
    epoch = math.nan
    trained = None
    for n in (START, *sizes):
        folder = work / str(n)
        folder.mkdir()
        (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        (folder / "stages").symlink_to(ROOT / "stages")
        print(f"{n} faces are made up …", file=sys.stderr)
        make("project", n, folder)
        if n > MOST_TRAINED:
            for name in MODELS:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (trained / name).is_dir() else shutil.copyfile
                copy(trained / name, folder / name)
        else:
            trained = folder
        for stage, key in STAGES:
            if stage in TRAINING and n > MOST_TRAINED:
                continue
            name = f"{stage}@{key}" if key else stage
            command = command_of(stage, key, params)
            if stage == "select":
                make("placeholders", key, folder)
            runs = [measure(command, folder) for _ in range(2 if n < TWICE_BELOW else 1)]
            cost = costs.setdefault(name, {})[n] = min(runs, key=lambda run: run.processor)
            print(
                f"{name}: {cost.seconds:.1f} s, of a processor {cost.processor:.1f} s, "
                f"{cost.memory:.0f} MB",
                file=sys.stderr,
            )
        if n == sizes[0]:
            epoch = one_more_epoch(folder, params, costs["train_attractiveness"][n])
        if folder != trained:  # a million faces are 8 GB
            for name in ("data/processed/embeddings", "data/processed/metadata"):
                shutil.rmtree(folder / name)
    return costs, epoch


def one_more_epoch(folder: Path, params: dict, cost: Cost) -> float:
    """Processor seconds that `train_attractiveness` takes for one more epoch."""
    epochs = params["mlp"]["epochs"] + MORE_EPOCHS
    more = params | {"mlp": params["mlp"] | {"epochs": epochs, "patience": epochs}}
    (folder / "params.yaml").write_text(yaml.safe_dump(more, sort_keys=False))
    longer = measure(command_of("train_attractiveness", None, params), folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return (longer.processor - cost.processor) / MORE_EPOCHS


def composites(sizes: list[int], work: Path, params: dict) -> list[tuple[int, Cost]]:
    costs = []
    for n in sizes:
        folder = work / f"members{n}"
        (folder / "data/interim/members").mkdir(parents=True)
        (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        (folder / "stages").symlink_to(ROOT / "stages")
        make("members", n, folder / "data/interim/members" / COMPOSITE)
        costs.append((n, measure(command_of("composite", COMPOSITE, params), folder)))
    return costs


def exponent(row: dict[int, Cost], before: int, n: int) -> str:
    """Power of n by which the time beyond the start-up grew."""
    short, long = (row[size].processor - row[START].processor for size in (before, n))
    return (
        f"{math.log(long / short) / math.log(n / before):.2f}" if min(short, long) >= SHORT else "–"
    )


def growth_table(costs: dict[str, dict[int, Cost]], sizes: list[int]) -> str:
    head = [
        "stage",
        *(f"{n:,} faces" for n in (START, *sizes)),
        *(f"exponent to {n:,}" for n in sizes[1:]),
    ]
    lines = [head, ["---"] * len(head)]
    for name, row in costs.items():
        cells = [
            f"{row[n].seconds:.1f} s, {row[n].memory:,.0f} MB" if n in row else "–"
            for n in (START, *sizes)
        ]
        powers = [exponent(row, before, n) if n in row else "–" for before, n in pairwise(sizes)]
        lines.append([f"`{name}`", *cells, *powers])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def composite_table(costs: list[tuple[int, Cost]]) -> str:
    lines = ["| members | seconds | peak memory |", "|---|---|---|"]
    return "\n".join(
        lines + [f"| {n:,} | {cost.seconds:.1f} | {cost.memory:,.0f} MB |" for n, cost in costs]
    )


def numbers(text: str) -> list[int]:
    return sorted({int(number) for number in text.split(",") if number})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--faces", type=numbers, default="10000,100000,1000000", help="sizes (default: %(default)s)"
    )
    parser.add_argument(
        "--members",
        type=numbers,
        default="25,250,2500",
        help="members of a composite (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs", type=int, default=3, help="of train_attractiveness (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, help="also write the tables into this file")
    options = parser.parse_args()
    if options.faces and not START < min(options.faces) <= MOST_TRAINED:
        parser.error(
            f"the smallest size must lie above {START}, and, for the models' sake, not "
            f"above {MOST_TRAINED}"
        )
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {"labels": "data/labels", "manual_labels": "data/manual_labels.csv"}
    params["mlp"] |= {"epochs": options.epochs, "patience": options.epochs}
    params["geometry"]["appearance"] = False
    with tempfile.TemporaryDirectory() as work:
        costs, epoch = grow(options.faces, Path(work), params) if options.faces else ({}, math.nan)
        of_composites = composites(options.members, Path(work), params)
    tables = []
    if costs:
        tables = [
            growth_table(costs, options.faces),
            f"One more epoch of `train_attractiveness` at {options.faces[0]:,} faces, all its "
            f"trainings together: {epoch:.1f} s of a processor.",
        ]
    tables += [composite_table(of_composites)] * bool(of_composites)
    text = (
        "\n\n".join([f"{os.cpu_count()} processors, Python {platform.python_version()}", *tables])
        + "\n"
    )
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
