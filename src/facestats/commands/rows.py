"""Say how big the row store is, and remove what the current outs do not use.

Stages that work image by image (`preprocess`, `embed`) keep their rows in a
folder beside DVC's cache, so that one more photo costs one row. Rows of removed
photos, of other parameters and of older code stay there until `prune`; what is
removed is computed again when it is wanted again. `prune` knows the outs of
this project as they are now: where projects or people share a store, it removes
the others' rows too. DVC's own cache is not touched (`dvc gc` cleans that).

examples:
  python -m facestats rows
  python -m facestats rows prune

exit code: 0 done, 1 a run is using some of the rows (they were left), 2 there
is no store
"""

from __future__ import annotations

import argparse
from pathlib import Path

from facestats.errors import InputError
from facestats.rows.dvc_cache import find_dvc_cache
from facestats.rows.store import PLACE, find_store, release_all
from facestats.rows.usage import Usage, measure, prune

HELP = "say how big the row store is; `rows prune` removes what is not in use"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=("prune",), help="remove the rows that the current outs do not use")
    parser.add_argument("--root", type=Path, default=Path(), help="project folder (default: the working directory)")


def run(options: argparse.Namespace) -> int:
    cache = find_dvc_cache(options.root)
    store = find_store(cache)
    if store is None:
        raise InputError(f"{options.root.resolve()} lies in no DVC project, so it has no row store; --root or {PLACE} names one")
    print(f"row store: {store}")
    if cache:
        release_all(store, cache)
    before = measure(store, cache)
    _print(before)
    if options.action != "prune":
        return 0
    left = prune(store, cache)
    after = measure(store, cache)
    rows, size = (sum(getattr(u, what) for u in before.values()) - sum(getattr(u, what) for u in after.values()) for what in ("rows", "size"))
    print(f"removed: rows={rows} {_megabytes(size)}")
    for recipe, why in left.items():
        print(f"left: {recipe} {why}")
    return 1 if left else 0


def _print(usage: dict[str, Usage]) -> None:
    total = Usage(*(sum(values) for values in zip(*(vars(u).values() for u in usage.values()), strict=True))) if usage else Usage()
    for name, facts in {**usage, "all": total}.items():
        print(f"  {name:<10} rows={facts.rows} used={facts.used} size={_megabytes(facts.size)} "
              f"used_size={_megabytes(facts.used_size)} recipes={facts.recipes}")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f}MB"
