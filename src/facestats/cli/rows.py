"""Show the size of the row store, prune unused rows, verify rows by computing them
again, or fill in those that are missing.

Stages that work image by image (`preprocess`, `embed`) keep their rows in a
folder beside DVC's cache, so that one more photo costs one row. Rows of removed
photos, other parameters and older code stay there until `prune`. A removed row is
computed again when a stage needs it. `prune` keeps what the current outs of this
project use: in a shared store, it removes the rows of others too. DVC's own cache
is not touched (`dvc gc` cleans that).

Anybody who can write into a store can write false rows into it. `verify` computes
the rows of the current photos and faces again, with the current parameters,
models and code, and compares; `--sample N` takes N of each kind, at random.

`fill` computes rows before `dvc repro`, which then only puts them together. Any
number of machines that share the store do so at once, each with a `--shard` of its
own, or all of a Ray cluster with `--engine ray`. Without a stage, it fills
`preprocess` and, for the same photos, `embed`. `--photos` names a parquet or CSV
file with the column `uri` (path, relative to the project's folder, or s3:// address)
and, to spare a hash of each photo's bytes, `sha256`.

examples:
  python -m facestats rows
  python -m facestats rows prune
  python -m facestats rows verify --sample 200
  python -m facestats rows fill --shard 0/4
  python -m facestats rows fill --engine ray --address auto

exit code: 0 done, 1 some rows were left because a run uses them, or differ, or
end the process that reads them (`verify`), 2 no store, or nothing to compare with
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from facestats.cli.indexes import prune_indexes
from facestats.errors import InputError, number_of
from facestats.machine.output import print_json, print_line, shell_words
from facestats.rows.dvc_cache import DvcCache, find_dvc_cache
from facestats.rows.interface import StorePath
from facestats.rows.place import PLACE, find_store
from facestats.rows.recipes import release_all
from facestats.rows.shard import Shard, parse_shard
from facestats.rows.store import NO_REUSE
from facestats.rows.usage import Usage, measure, prune

if TYPE_CHECKING:
    from facestats.cli.rows_verify import Comparison

HELP = (
    "show the size of the row store; `rows prune` removes unused rows, `rows verify` computes "
    "rows again, `rows fill` those that are missing"
)
STAGES = ("preprocess", "embed")  # that work row by row
SHOWN = 20  # rows that differ, named one by one


def number(text: str) -> int:
    """Parse a number of rows for argparse."""
    if (n := int(text)) < 1:
        raise ValueError
    return n


def shard(text: str) -> Shard:
    """Parse a shard for argparse."""
    try:
        return parse_shard(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        nargs="?",
        choices=("prune", "verify", "fill"),
        help="prune: remove the rows that the current outs do not use; verify: compute rows again "
        "and compare; fill: compute those that are missing",
    )
    parser.add_argument(
        "stage", nargs="?", choices=STAGES, help="with fill: whose rows (default: both)"
    )
    parser.add_argument(
        "--shard",
        type=shard,
        metavar="I/N",
        help="with fill: the I-th of N parts of the rows, counted from 0 (default: all)",
    )
    parser.add_argument(
        "--engine",
        choices=("processes", "ray"),
        help="with fill: `processes` of this machine (the default), or `ray`: all machines of a "
        "cluster",
    )
    parser.add_argument(
        "--address",
        help="with --engine ray: `auto` (the default), the cluster that this machine is in; "
        "`local`, this machine alone; or HOST:PORT of a cluster's head",
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="FILE",
        help="with fill: a list of photos instead of the folder data.images",
    )
    parser.add_argument(
        "--sample",
        type=number,
        metavar="N",
        help="with verify: of each kind so many rows, at random (default: all)",
    )
    parser.add_argument(
        "--json", action="store_true", help="with verify: print one JSON object instead of text"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), help="project folder (default: the working directory)"
    )


def run(options: argparse.Namespace) -> int:
    cache = find_dvc_cache(options.root)
    store = find_store(cache)
    if store is None:
        raise InputError(
            f"{options.root.resolve()} lies in no DVC project, so it has no row store; --root or "
            f"{PLACE} names one"
        )
    given = (options.stage, options.shard, options.engine, options.address, options.photos)
    if options.action != "fill" and any(given):
        raise InputError("a stage, --shard, --engine, --address and --photos go with `rows fill`")
    if options.action == "verify":
        return _verify(options, store, cache)
    if options.sample is not None or options.json:
        raise InputError("--sample and --json go with `rows verify`")
    if options.action == "fill":
        for line in _fill(options, cache):
            print_line(line)
        return 0
    print(f"row store: {store}")
    if cache:
        release_all(store, cache)
    before = measure(store, cache)
    _print(before)
    if options.action != "prune":
        return 0
    left = prune(store, cache)
    after = measure(store, cache)
    rows, size = (
        sum(getattr(u, what) for u in before.values())
        - sum(getattr(u, what) for u in after.values())
        for what in ("rows", "size")
    )
    print(f"removed: rows={rows} {_megabytes(size)}")
    for recipe, why in left.items():
        print(f"left: {recipe} {why}")
    prune_indexes(options.root)
    return 1 if left else 0


def _fill(options: argparse.Namespace, cache: DvcCache | None) -> Iterator[str]:
    root, stage, photos = options.root, options.stage, options.photos
    if photos and stage == "embed":
        raise InputError("--photos are to be cut first: leave `embed` away, or --photos")
    if options.engine == "ray":
        from facestats.cli.rows_engine import fill_on_cluster

        if options.shard:
            raise InputError("--shard goes without Ray, which shares out the rows itself")
        return fill_on_cluster(root, cache, stage, options.address or "auto", photos)
    if options.address:
        raise InputError("--address goes with --engine ray")
    if photos:
        from facestats.cli.rows_engine import fill_listed

        return fill_listed(root, cache, stage, options.shard or Shard(), photos)
    from facestats.cli.rows_fill import fill_rows

    return fill_rows(root, cache, stage, options.shard or Shard())


def _verify(options: argparse.Namespace, store: StorePath, cache: DvcCache | None) -> int:
    from facestats.cli.rows_verify import deadly_segments, verify_faces, verify_photos
    from facestats.params.project import load_params

    params = load_params(options.root / "params.yaml")
    if deadly := deadly_segments(store):
        if options.json:
            print_json({"store": str(store), "deadly": list(map(str, deadly))}, indent=2)
        else:
            print_line(f"row store: {store}")
            for path in deadly:
                print_line(f"ends every process that reads it: {path}")
            command = shell_words(["rm", *map(str, deadly)])
            print_line(f"nothing is compared; remove what ends a process, and run again: {command}")
        return 1
    usage = measure(store, cache)
    comparisons = {
        "preprocess": verify_photos(options.root, params, store, cache, options.sample),
        "embed": verify_faces(options.root, params, store, options.sample),
    }
    for stage, comparison in comparisons.items():
        comparison.not_compared = usage.get(stage, Usage()).rows - comparison.compared
        if comparison.not_compared and not comparison.compared and not comparison.why:
            comparison.why = "no row is of the photos, parameters, weights and code that are here"
    if all(comparison.why for comparison in comparisons.values()):
        raise InputError("; ".join(comparison.why for comparison in comparisons.values()))
    if options.json:
        print_json(
            {
                "store": str(store),
                **{stage: asdict(comparison) for stage, comparison in comparisons.items()},
            },
            indent=2,
        )
    else:
        _print_comparisons(store, comparisons)
    return 1 if any(comparison.different for comparison in comparisons.values()) else 0


def _print_comparisons(store: StorePath, comparisons: dict[str, Comparison]) -> None:
    print(f"row store: {store}")
    for stage, comparison in comparisons.items():
        print(
            f"  {stage:<10} compared={comparison.compared} equal={comparison.equal} "
            f"rounding={comparison.rounding} different={len(comparison.different)} "
            f"not_compared={comparison.not_compared}"
            + (f" ({comparison.why})" if comparison.why else "")
        )
    for stage, comparison in comparisons.items():
        for name, what in comparison.different[:SHOWN]:
            print(f"different: {name} ({stage}: {what})")
        if len(comparison.different) > SHOWN:
            print(f"and {len(comparison.different) - SHOWN} more of {stage}; --json names all")
    if any(comparison.different for comparison in comparisons.values()):
        print(
            "these rows are false, or were computed by a processor that rounds differently; "
            f"compute all anew: {NO_REUSE}=1 dvc repro -sf preprocess embed"
        )


def _print(usage: dict[str, Usage]) -> None:
    total = (
        Usage(
            *(
                sum(values)
                for values in zip(*(vars(u).values() for u in usage.values()), strict=True)
            )
        )
        if usage
        else Usage()
    )
    for name, facts in {**usage, "all": total}.items():
        print(
            f"  {name:<10} rows={facts.rows} used={facts.used} size={_megabytes(facts.size)} "
            f"used_size={_megabytes(facts.used_size)} recipes={facts.recipes}"
        )
    if total.unread:
        print(
            f"warning: without {number_of(total.unread, 'file')} or folders of the store, which "
            "other users keep to themselves"
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f}MB"
