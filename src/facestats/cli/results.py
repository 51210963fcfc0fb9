"""Show where the results of the last run are: report, composites, tables and
metrics; then all warnings of its stages.

examples:
  python -m facestats results

exit code: 0 shown, 2 wrong usage, no run, or files that no run wrote
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import yaml

from facestats.core.files import read_json
from facestats.core.layout import (
    ATTRACTIVENESS,
    COMPOSITES,
    FAIRNESS,
    METRICS,
    REPORT,
    SERVING,
    WARNINGS,
)
from facestats.core.stats.intervals import interval_text
from facestats.core.stats.verdict import doubts_of_scores
from facestats.errors import FaceStatsError, InputError, number_of, without_numbers
from facestats.machine.output import one_line, print_line
from facestats.params.project import Params, load_params
from facestats.report.section_models import age_notices
from facestats.report.section_scores import anything_measured
from facestats.serving.run_manifest import why_of_another_run

HELP = "show where to look after a run"
MODELS = {
    "mlp": "holistic score",
    "geometric": "geometric score",
    "combined": "combined score",
    "ridge": "ridge regression",
    "geometry_zscore": "mean of z-scores",
}
MEASURES = {"balanced_accuracy": "balanced accuracy", "mae": "mean absolute error"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root", type=Path, default=Path(), help="project folder (default: the working directory)"
    )


def run(options: argparse.Namespace) -> int:
    root = options.root
    if not (root / ATTRACTIVENESS).is_file():
        raise InputError(f"nothing to show in {root.resolve()}: run `dvc repro` first")
    params = load_params(root / "params.yaml")
    try:
        _show(root, params)
    except FaceStatsError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{root / METRICS} holds what no run writes ({type(error).__name__}: {error}); run "
            "`dvc repro`"
        ) from None
    return 0


def _show(root: Path, params: Params) -> None:
    """Print all of it."""
    reasons = _reasons(root, params)
    print("\nWhere to look")
    if (root / REPORT).is_file():
        print(
            f"  report      {REPORT}  (all of it on one page: open it in a browser, or send it to "
            "those who may see the faces)"
        )
    for line in _pictures(root / COMPOSITES, params, reasons):
        print(line)
    print(
        "  tables      data/processed/metadata/attributes_final.parquet  (one row a face: all you "
        "can filter by)\n              data/processed/metadata/faces.parquet             (one row "
        "an image: what was left out and why)"
    )
    print(
        "  metrics     metrics/crossvalidated.json  (all labelled faces)\n              "
        "metrics/attractiveness.json, metrics/attributes.json  (test faces; `dvc metrics show` has "
        "the headlines)"
    )
    # Without the models' manifest, nobody uses them.
    if (root / SERVING).exists() and (why := why_of_another_run(root)):
        print_line(f"              WARNING: these figures are not of models/: {why}")
    for line in _headlines(root / METRICS):
        print_line(f"              {line}")
    print(
        "  fairness    metrics/fairness.json  (errors by group of people), docs/model_card.md  "
        "(all of it in words)"
    )
    for line in _gaps(root / FAIRNESS):
        print_line(f"              {line}")
    print("  plots       `dvc plots show`, metrics/plots/")
    print(
        "Scores are what raters said of faces, not the worth of a person. The built-in sample is "
        "drawn, not photographed."
    )
    if not (root / params.data.images).exists():
        print(
            f"The photos of {params.data.images} are not here: nothing that reads them can run, "
            "whatever DVC calls up to date; `python -m facestats doctor` says more."
        )
    for line in _warnings(root, params, reasons):
        print(line)


def _reasons(root: Path, params: Params) -> dict[str, list[str]]:
    """Reasons that many texts repeat, and that are therefore given in one place.

    Returns
    -------
    dict of str to list of str
        `composite`: why composites were not built, which continua and differences of them repeat;
        `doubt`: what is doubtful about scores and prompts, which composites by them repeat.
    """
    doubts = doubts_of_scores(read_json(root / ATTRACTIVENESS))
    prompts = [
        facts["zeroshot"] for facts in read_json(root / METRICS / "attributes.json").values()
    ]
    composites = (root / COMPOSITES / name / "composite.json" for name in params.composites)
    whys = [read_json(path)["why"] for path in composites if path.is_file()]
    return {
        "composite": [why for why in whys if why],
        "doubt": [doubt.partition(": ")[2] for doubt in doubts if ": " in doubt]
        + [facts["doubt"] for facts in prompts if facts.get("doubt")],
    }


def _without(reasons: list[str], text: str) -> str:
    """A text without the reasons that stand elsewhere."""
    for reason in reasons:
        text = text.replace(f": {reason}", "")
    return text


def _pictures(folder: Path, params: Params, reasons: dict[str, list[str]]) -> list[str]:
    """List the pictures by kind.

    Pictures taken out of `params.yaml` are left out, since DVC leaves their folders behind.
    """
    lines = []
    for kind, names, heading, describe in (
        (
            "composite",
            params.composites,
            "composites  average faces of filtered groups, each with its members beside it",
            lambda facts: number_of(facts["n"], "face"),
        ),
        (
            "continuum",
            params.continua,
            "continua    from one composite to another",
            lambda facts: (
                f"{facts['steps']} pictures, {facts['from']['name']} to {facts['to']['name']}"
            ),
        ),
        (
            "difference",
            params.differences,
            "differences where two composites differ",
            lambda facts: f"{facts['of']['name']} minus {facts['minus']['name']}",
        ),
    ):
        paths = [path for name in names if (path := folder / name / f"{kind}.json").is_file()]
        lines += [f"  {heading}"] if paths else []
        elsewhere = (reasons["composite"] if kind != "composite" else []) + reasons["doubt"]
        for path in paths:
            facts = read_json(path)
            why = facts["why"] or "no reason was given"
            shown = describe(facts) if facts["built"] else f"not built: {_without(elsewhere, why)}"
            lines.append(
                f"              {path.with_suffix('.jpg') if facts['built'] else path}  ({shown})"
            )
    return lines


def _headlines(folder: Path) -> list[str]:
    rated = read_json(folder / "attractiveness.json")
    models, lines = MODELS, [f"WARNING: {doubt}" for doubt in doubts_of_scores(rated)]
    lines += [f"ages: {notice}" for notice in age_notices(read_json(folder / "age_check.json"))]
    lines += _crossvalidated(folder / "crossvalidated.json")
    if rated["why"]:
        why = read_json(folder / "train_attractiveness/metrics.json")["why"] or rated["why"]
        models = (
            {name: label for name, label in MODELS.items() if name != "mlp"}
            if anything_measured(rated)
            else {}
        )
        lines.append(f"{MODELS['mlp'] if models else 'attractiveness'}: {why}")
    lines += [
        f"{label}: r = {_interval(rated['test'][name]['pearson'])}{_r2(rated['test'][name]['r2'])} "
        f"on {rated['test']['n']} test faces"
        for name, label in models.items()
    ]
    for target, facts in read_json(folder / "attributes.json").items():
        metric = "balanced_accuracy" if "balanced_accuracy" in facts else "mae"
        lines.append(
            f"{target}: {facts['why']}"
            if facts["why"]
            else f"{target}: {MEASURES[metric]} = {_interval(facts[metric])} on {facts['n']} test "
            "faces"
        )
        prompts = facts["zeroshot"]
        if prompts.get("doubt") and not facts["trained"]:
            lines.append(f"{target}: {prompts['doubt']}")
        if not prompts["why"]:
            lines.append(
                f"{target}, zero-shot: {MEASURES[metric]} = {_interval(prompts[metric])} on "
                f"{prompts['n']} test faces"
            )
    return lines


def _crossvalidated(path: Path) -> list[str]:
    """Figures on all labelled faces; none where an earlier version has run."""
    lines = []
    for target, facts in (read_json(path) if path.is_file() else {}).items():
        if facts["why"]:
            lines.append(f"{target}: not cross-validated: {facts['why']}")
            continue
        faces = f"cross-validated on {number_of(facts['n'], 'face')} of " + number_of(
            facts["n_persons"], "person"
        )
        start = "" if target == "rating" else f"{target}, "
        lines += [
            f"{start}{label}: r = {_interval(facts[name]['pearson'])}{_r2(facts[name]['r2'])}"
            f"{_p(facts[name].get('by_chance'))}, {faces}"
            for name, label in MODELS.items()
            if name in facts and facts[name]["pearson"]["value"] is not None
        ]
        lines += [
            f"{target}: {words} = {_interval(facts['trained'][metric])}, {faces}"
            for metric, words in MEASURES.items()
            if metric in facts.get("trained", {})
        ]
    return lines


def _gaps(path: Path) -> list[str]:
    """The largest gaps between groups in the error of a score."""
    gaps = read_json(path)["largest_gaps"]
    shown = {
        measure: gaps[name]
        for name, measure in (("bias", "bias"), ("mae", "mean absolute error"))
        if name in gaps
    }
    return [
        f"largest gap in {measure}: {gap['why']}"
        if gap["attribute"] is None
        else f"largest gap in {measure}, points of 0-100: {gap['attribute']}, "
        f"{gap['groups'][0]} above "
        f"{gap['groups'][1]} by {_interval(gap)}"
        for measure, gap in shown.items()
    ]


def _r2(metric: dict) -> str:
    return "" if metric["value"] is None else f", R² = {_interval(metric)}"


def _p(by_chance: dict | None) -> str:
    """By which a score may say something although the interval of its R² holds 0."""
    if not by_chance or by_chance["p"] is None:
        return ""
    number = by_chance["permutations"]
    least = 1 / (number + 1)
    sign = "≤" if by_chance["p"] <= least else "="
    return f", p {sign} {max(by_chance['p'], least):.3g} by {number} permutations"


def _warnings(root: Path, params: Params, reasons: dict[str, list[str]]) -> list[str]:
    """Warnings of all stages in pipeline order; similar ones are counted and shown once."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    items = {
        "train_attribute": params.attributes.targets,
        "select": params.composites,
        "composite": params.composites,
        "continuum": params.continua,
        "difference": params.differences,
        "stimuli": params.stimuli,
        "trait": params.score.traits,
    }
    elsewhere = reasons["composite"] + reasons["doubt"]
    lines, total, absent = [], 0, 0
    for stage, facts in stages.items():
        if "--interim" not in facts.get("do", facts)["cmd"]:
            continue
        # What was taken out of params.yaml is left out: DVC leaves its file behind.
        paths = {
            item: root / WARNINGS / (f"{item}/{stage}.stage.json" if item else f"{stage}.json")
            for item in items.get(stage, [""])
        }
        messages = [
            (item, _without(elsewhere, message))
            for item, path in paths.items()
            if path.is_file()
            for message in read_json(path, list)
        ]
        total += len(messages)
        absent += sum(not path.is_file() for path in paths.values())
        lines += [f"  {stage}: {one_line(text)}" for text in _once(messages)]
    missing = (
        [
            f"  those of {number_of(absent, 'stage')} are not here: `dvc repro` or `dvc pull` "
            "brings them"
        ]
        if absent
        else []
    )
    return [f"\n{number_of(total, 'warning')}" if total else "\nno warnings", *lines, *missing]


def _once(messages: list[tuple[str, str]]) -> list[str]:
    """One of the messages that differ only in numbers and the item's name, with the others' names.

    Those of which there are most come first.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for item, message in messages:
        nameless = re.sub(rf"\.{re.escape(item)}\b", "", message, count=1) if item else message
        groups.setdefault(without_numbers(nameless), []).append((item, message))
    lines = []
    for (item, message), *others in sorted(groups.values(), key=len, reverse=True):
        names = ", ".join(dict.fromkeys(name for name, _ in others if name != item))
        further = f" ({len(others)} more like it{names and f': {names}'})" if others else ""
        lines.append(f"{message}{further}")
    return lines


def _interval(metric: dict) -> str:
    if metric["value"] is None:
        return "none"
    return interval_text(metric, ".3g", named=True)
