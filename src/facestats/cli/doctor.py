"""Check the photos, the label files and the set-up, and list what the next run
will compute and why, with a summary of five lines.

Photos are opened and searched for faces as in a run: all of them up to 2,000, or
2,000 spread evenly over the folder (--all: every one). Results of the last run
are reused. Some files stop DVC itself: a link to itself or a file without read
permission among the photos, and DVC's own lock files if it was killed while
writing them. They are named here first.

examples:
  python -m facestats doctor
  python -m facestats doctor --images data/raw --labels data/labels   before params.yaml names them
  python -m facestats doctor --verbose          with label files, packages and the model hub
  python -m facestats doctor --json             for programs; keys: docs/methods/photos.md
  python -m facestats doctor --inputs           what would stop a run; `make repro` begins with it
  python -m facestats doctor --cache            before `dvc checkout` of what `dvc fetch` brought
  python -m facestats doctor --remote storage   before `dvc fetch`: are all files there, sound
  python -m facestats doctor --remote storage --mend   remove damaged files, for `dvc push` to renew

exit code: 0 a run can start (it leaves unusable photos out), 1 problems, 2 wrong usage
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from facestats.cli.doctor_filters import unknown_columns
from facestats.cli.doctor_inputs import SHOWN, Finding, Inputs, examine_inputs, folders_left_out
from facestats.cli.doctor_remote import examine
from facestats.cli.doctor_stale import (
    describe_lost_outs,
    describe_recipes,
    describe_stages,
    describe_unsaved,
    lost_outs,
    stale_stages,
)
from facestats.cli.doctor_surroundings import (
    check_clip,
    describe_hub,
    describe_rows,
    examine_models,
    package_versions,
)
from facestats.dvc_files.cache import examine_cache
from facestats.errors import InputError, number_of
from facestats.labels.params import Data
from facestats.machine.output import one_line, print_json
from facestats.params.errors import checked_options
from facestats.params.project import Params, load_params
from facestats.rows.dvc_cache import find_dvc_cache

# DVC would follow what is wrong in its cache, and remove or overwrite files.
_NOT_ASKED = (None, ["dvc repro: what it will run is not told until these problems are mended"], [])

HELP = "check the photos, the labels and the set-up"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--inputs", action="store_true", help="only look for what would stop a run")
    parser.add_argument(
        "--images",
        metavar="DIR",
        help="look at the photos there (default: data.images of params.yaml)",
    )
    parser.add_argument(
        "--labels",
        metavar="DIR",
        help="look at the label files there (default: data.labels of params.yaml)",
    )
    parser.add_argument(
        "--all", action="store_true", help="look into every photo, however many there are"
    )
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="with how label files were read, packages and their versions, and the model hub",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument(
        "--cache",
        action="store_true",
        help="only look through DVC's cache, for what leads out of it",
    )
    parser.add_argument("--remote", metavar="NAME", help="look through a DVC remote instead")
    parser.add_argument(
        "--mend",
        action="store_true",
        help="with --remote: remove damaged objects that this clone can push again",
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), help="project folder (default: the working directory)"
    )


def run(options: argparse.Namespace) -> int:
    if options.mend and not options.remote:
        raise InputError("--mend goes with --remote NAME: it removes what is damaged there")
    if (options.remote or options.cache) and find_dvc_cache(options.root) is None:
        raise InputError(
            f"{options.root.resolve()}: there is no `.dvc` here or above, so there is no cache and "
            "no remote to check; run this in the project, or name it with --root"
        )
    cache = examine_cache(options.root)
    if options.remote:
        problems = cache.problems or _examine_remote(options)
        _print(problems, cache.warnings, [], {}, options.json)
        return 1 if problems else 0
    if options.cache:
        facts = {"cache": {"run_cache_entries": cache.entries, "listings": cache.listings}}
        line = (
            f"cache: entries={cache.entries} listings={cache.listings} "
            f"problems={len(cache.problems)}"
        )
        _print(cache.problems, cache.warnings, [line], facts, options.json)
        return 1 if cache.problems else 0
    params = load_params(options.root / "params.yaml")
    named = {
        key: value
        for key, value in (("images", options.images), ("labels", options.labels))
        if value
    }
    params = params.model_copy(
        update={"data": checked_options(Data, params.data.model_dump() | named)}
    )
    inputs = examine_inputs(options.root, params)
    inputs.problems += cache.problems
    inputs.warnings += cache.warnings
    inputs.problems += check_clip(options.root, params, ask=not options.inputs)
    if options.inputs:  # otherwise `examine_photos` names them
        inputs.warnings += folders_left_out(options.root, params, inputs)
    inputs.warnings += unknown_columns(options.root, params)
    lines: list[str] = []
    facts: dict[str, Any] = {}
    if not options.inputs:
        # DVC would wait for a pipe.
        sound = not cache.problems and all(one.kind != "unreadable" for one in inputs.problems)
        facts, lines = _examine_all(options, params, inputs, sound)
        if not inputs.problems and not options.json:
            print(f"inputs: nothing wrong found in {params.data.images} and {params.data.labels}")
    _print(inputs.problems, inputs.warnings, lines, facts, options.json)
    # A run leaves unusable photos out, and goes on.
    return 1 if any(problem.kind != "photo" for problem in inputs.problems) else 0


def _examine_remote(options: argparse.Namespace) -> list[Finding]:
    # Its progress is no JSON.
    with redirect_stdout(sys.stderr if options.json else sys.stdout):
        problems = examine(options.root, options.remote, options.mend)
    return [Finding("remote", problem) for problem in problems]


def _examine_all(
    options: argparse.Namespace, params: Params, inputs: Inputs, sound: bool
) -> tuple[dict[str, Any], list[str]]:
    """Examine photos, models and rows; add to the problems and warnings.

    Returns the facts for programs, and the lines of the summary. Stages are looked at where the
    cache is sound.
    """
    from facestats.app.uncommitted import warnings_by_hand
    from facestats.cli.doctor_photos import examine_photos

    root = options.root
    models = examine_models(root, params)
    photos = examine_photos(root, params, inputs, options.all)
    labels = _count_labels(inputs)
    rows = list(describe_rows(root))
    facts = {
        "photos": photos,
        "labels": labels,
        "models": models,
        "rows": rows[0].removeprefix("row store: "),
    }
    inputs.warnings += [Finding("rows", line.strip()) for line in rows[1:]]
    facts["stale"], work, lost = _examine_stages(root, params) if sound else _NOT_ASKED
    at_risk = [*describe_unsaved(facts["stale"] or {}), *describe_lost_outs(lost)]
    inputs.warnings += [Finding("dvc", line) for line in at_risk]
    inputs.warnings += [Finding("labels", line) for line in warnings_by_hand(root)]
    there = (
        "there"
        if models["landmarks_fetched"]
        else "not there; `dvc repro fetch_landmarker` or `dvc pull` brings them"
    )
    clip = (
        "there"
        if models["clip_fetched"]
        else "not there; `dvc repro fetch_clip` or `dvc pull` brings it"
    )
    lines = [
        *work,
        _count(photos, labels),
        _describe_looks(photos),
        f"clip.variant: {params.clip.variant}; models/clip: {clip}",
        f"landmark models: {there}; device: {models['device']}, precision {models['precision']}",
        rows[0],
    ]
    if options.verbose or options.json:
        facts["hub"] = describe_hub().removeprefix("model hub: ")
        facts["packages"] = package_versions(root)
        lines += [
            *labels["notes"],
            f"model hub: {facts['hub']}",
            *(
                f"  {name} {package['installed'] or 'not installed'}"
                + ("" if package["fits"] else f"  (requirements.txt pins {package['pinned']})")
                for name, package in facts["packages"].items()
            ),
        ]
    return facts, lines


def _examine_stages(
    root: Path, params: Params
) -> tuple[dict[str, list[str]] | None, list[str], list[str]]:
    """List the stages that a run will compute, with reasons, as facts and as lines.

    The facts are None where DVC can't tell. The last list has the outs that can't be brought back.
    """
    from dvc.exceptions import DvcException

    try:
        stale, lost = stale_stages(root), lost_outs(root)
    except (DvcException, OSError) as error:  # also a project that may only be read
        return None, [f"dvc repro: what it will run can't be told ({one_line(str(error))})"], []
    if not stale and not (root / ".dvc").is_dir():
        return stale, [], []
    return stale, [*describe_stages(stale), *describe_recipes(root, params, stale)], lost


def _count(photos: dict[str, Any], labels: dict[str, Any]) -> str:
    """`60 photos, 57 faces likely, 58 labelled, 8 raters`."""
    if photos["faces"] is not None:
        faces = f"{number_of(photos['faces'], 'face')} likely"
    else:
        faces = "faces not counted" + (
            " (the landmark models are not there yet)" if photos["looked_at"] else ""
        )
    return (
        f"{number_of(photos['files'], 'photo')}, {faces}, {labels['labelled']} labelled, "
        f"{number_of(labels['raters'], 'rater')}"
    )


def _describe_looks(photos: dict[str, Any]) -> str:
    if not photos["looked_at"]:
        return "looked into no photo: there is none here (the sample's are drawn by the first run)"
    scope = (
        "all"
        if photos["looked_at"] == photos["files"]
        else f"{photos['looked_at']}, evenly spread (--all: every one), so that all figures are "
        "estimates"
    )
    kinds = [
        f"{photos[kind]} {words}"
        for kind, words in (
            ("unusable", "can't be used"),
            ("no_pictures", "no pictures"),
            ("without_face", "without a face"),
            ("copies", "copies"),
        )
        if photos[kind]
    ]
    return f"looked into {scope}: " + (", ".join(kinds) or "nothing to remark")


def _count_labels(inputs: Inputs) -> dict[str, Any]:
    """Count labelled faces, raters and ratings."""
    labels = inputs.labels
    if labels is None:
        return {
            "labelled": 0,
            "by_column": {},
            "raters": 0,
            "ratings": 0,
            "without_photo": 0,
            "notes": [],
        }
    by_column = {name: int(n) for name, n in labels.summary["labelled"].items()}
    columns = [name for name in by_column if name in labels.table]
    judgements = labels.judgements
    raters = set() if judgements is None else {*judgements["rater"].dropna()} - {""}
    return {
        "labelled": int(labels.table[columns].notna().any(axis=1).sum()),
        "by_column": by_column,
        "raters": len(raters),
        "ratings": 0 if judgements is None else len(judgements),
        "without_photo": int(labels.summary["images_not_there"]),
        "notes": labels.notes,
    }


def _print(
    problems: list[Finding],
    warnings: list[Finding],
    lines: list[str],
    facts: dict[str, Any],
    as_json: bool,
) -> None:
    if as_json:
        report = {
            "problems": [asdict(finding) for finding in problems],
            "warnings": [asdict(finding) for finding in warnings],
        }
        print_json(report | facts, indent=2)
        return
    for word, findings in (("problem", problems), ("warning", warnings)):
        for line in _shortened(findings):
            print(f"{word}: {line}")
    for line in lines:
        print(line)


def _shortened(findings: list[Finding]) -> list[str]:
    """Messages, at most ten of a kind."""
    shown: Counter[str] = Counter()
    lines = []
    for finding in findings:
        shown[finding.kind] += 1
        if shown[finding.kind] <= SHOWN:
            lines.append(
                finding.message if finding.kind == "labels" else one_line(finding.message)
            )  # label files have a line a mistake
    words = {"unreadable": "files that can't be read", "photo": "photos that can't be used"}
    return lines + [
        f"and {n - SHOWN} more {words.get(kind, 'of that kind')}; --json names all"
        for kind, n in shown.items()
        if n > SHOWN
    ]
