"""The model card: what was trained, on whom, how well it does and for whom, from the metrics of one run."""

from __future__ import annotations

from dataclasses import dataclass

from facestats.report.ages import ages_said
from facestats.report.card_figures import (
    NOT_MEASURED,
    as_plain,
    counted,
    figure,
    listed,
    number,
    table,
    written_as_markdown,
)
from facestats.report.card_groups import (
    classifiers_by_group,
    clear_gaps,
    largest_gaps,
    scores_by_group,
)
from facestats.report.card_scores import (
    agreement_with_raters,
    anything_measured,
    capital,
    verdicts_said,
    weights_said,
)

OF_CLASSIFIERS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "ece": "calibration error (ECE)",
    "coverage": "share with an answer",
    "accuracy_answered": "accuracy of the answers",
}
GEOMETRIC = (
    "ridge regression on the shape of 468 landmarks (principal components after Procrustes alignment; with `geometry.appearance` also of "
    "the pixels, warped to the mean shape), trained on the rated train faces"
)
FEW = 100  # test faces: below, a correlation of 0.6 has an interval wider than 0.25


@dataclass(frozen=True)
class Run:
    """What the card is written from: the contents of the metric files and of `serving.json`.

    `images` is the folder of photos as `params.yaml` says it, `drawn` whether it is the built-in sample.
    """

    attractiveness: dict
    attributes: dict
    fairness: dict
    labels: dict
    training: dict
    serving: dict
    age_check: dict
    images: str
    drawn: bool


def plain_run(run: Run) -> Run:
    """A run whose texts are free of Markdown, see `as_plain`."""
    return Run(**{name: as_plain(content) for name, content in vars(run).items()})


def model_card(run: Run, picture: str) -> str:
    """The card as Markdown.

    Parameters
    ----------
    picture : link from the card to `error_by_group.png`.
    """
    run = plain_run(run)
    sections = {
        "": _opening(run),
        "Models": models(run),
        "Data": photos_and_labels(run),
        "Who gets no score": ages_checked(run),
        "What it is for": _uses(),
        "What it is not for": misuses(run),
        "How well scores agree with raters": _scores(run),
        "Scores by group": scores_by_group(run.fairness, picture),
        "Attributes": [*attributes_measured(run), *classifiers_by_group(run.fairness)],
        "Largest gaps between groups": largest_gaps(run.fairness),
        "Limits": ["\n".join(f"- {limit}" for limit in limits_of(run))],
    }
    parts = [
        part
        for title, paragraphs in sections.items()
        for part in ([f"## {title}"] if title else []) + paragraphs
    ]
    return written_as_markdown("\n\n".join(parts) + "\n")


def _opening(run: Run) -> list[str]:
    return [
        "# Model card: scores and attributes of faces",
        "The stage `model_card` writes this page from the files in `metrics/`; every `dvc repro` that changes them changes it. How well "
        "models do is measured on test faces, which no model was trained or chosen on. In brackets: 95 % intervals by bootstrap over these faces; in "
        "tables by group, over the persons on them.",
        *verdicts_said(run.attractiveness),
    ]


def models(run: Run) -> list[str]:
    """Paragraphs on what was trained, and what a score is."""
    clip = run.serving["clip"]
    classes = {name: facts for name, facts in run.attributes.items() if facts["trained"]}
    rows = [
        [
            "embedding",
            f"CLIP, `{clip['variant']}`, {clip['dimension']} numbers a face, {clip['precision']}, weights {clip['weights_sha256'][:12]}…",
        ],
        ["holistic score", _regressor(run)],
        *_geometric(run),
        *(
            [
                name,
                (f"classes {', '.join(facts['classes'])}" if facts["classes"] else "a number")
                + _elsewhere(facts),
            ]
            for name, facts in classes.items()
        ),
    ]
    said = [table(["model", "what it is"], rows)]
    for name, facts in run.attributes.items():
        if not facts["trained"]:
            doubt = facts["zeroshot"].get("doubt")
            prompts = (
                f" In its place: {doubt}."
                if doubt
                else " Prompts answer in its place (zero-shot)."
                if facts["zeroshot"]["classes"]
                else ""
            )
            said.append(f"`{name}` was not trained: {facts['why']}.{prompts}")
    said.append(
        "A *score* is what a model expects raters to say of a picture, put on a scale from 0 to 100. The holistic score, which percentiles and "
        "deciles belong to, sees the embedding; the geometric score sees the shape of the face and, with `geometry.appearance`, its pixels; the combined score is a mean of both, and is what "
        "`facestats.calculate_attractiveness_score` gives. An attribute is `unknown` where its classifier is not sure enough."
    )
    return said


def _elsewhere(facts: dict) -> str:
    return (
        f", trained elsewhere, sha256 {facts['pretrained_sha256'][:12]}…"
        if "pretrained_sha256" in facts
        else ""
    )


def _regressor(run: Run) -> str:
    if not run.attractiveness["trained"]:
        return f"not trained: {run.training.get('why') or run.serving.get('why') or run.attractiveness['why']}"
    if sha := run.training.get("pretrained_sha256"):
        return f"a regressor that was trained elsewhere, sha256 {sha[:12]}…"
    size = run.training["correction"]
    added = (
        f"to which small neural networks add a correction (of which {number(100 * size, 0)} % is used)"
        if size
        else "to which neural networks had nothing to add"
    )
    return (
        f"ridge regression, {added}, trained on {run.training['n_train']} rated faces; {run.training['n_val']} others said when to stop; "
        f"calibration: {run.training['calibration']}"
    )


def _geometric(run: Run) -> list[list[str]]:
    """Lines on the geometric and the combined score."""
    weights = run.attractiveness["weights"]["combined"]
    if weights is None:
        return []
    learned = (
        f"learned from {weights['n_val']} val faces"
        if weights["learned"]
        else "given (`score.weights`)"
    )
    combined = (
        f"none: {weights['why']}"
        if weights["why"]
        else f"{weights_said(weights)}; the weights are {learned}"
    )
    there = (
        not weights["why"] or run.attractiveness["test"]["geometric"]["mae"]["value"] is not None
    )
    return [*([["geometric score", GEOMETRIC]] if there else []), ["combined score", combined]]


def photos_and_labels(run: Run) -> list[str]:
    """Paragraphs on whose photos and labels these are."""
    labels, rating = run.labels, run.labels["rating"]
    whose = (
        f"The faces (`{run.images}`) are **drawn** by this package. They show no people, and their ratings and labels are simulated: "
        "what follows shows that the pipeline measures, and says nothing about people."
        if run.drawn
        else f"The faces are those in `{run.images}`. Where the photos come from and what the people in them agreed to is not "
        "in the files; say it wherever you pass this on."
    )
    known = {name: n for name, n in labels["labelled"].items() if n and name != "person"}
    said = [
        whose,
        f"Of {labels['faces']} faces, people labelled: {counted(known)}."
        if known
        else f"Nobody labelled any of {labels['faces']} faces.",
    ]
    classes = [f"{name}: {counted(counts)}" for name, counts in labels["classes"].items() if counts]
    if classes:
        said.append(f"Classes are the labellers' words. {'; '.join(classes)}.")
    if rating["scale"]:
        low, high = rating["scale"]
        spread = (
            f", standard deviation {number(rating['sd'], 1)}" if rating["sd"] is not None else ""
        )
        said.append(
            f"The scale of the ratings is {low:g} to {high:g}; there are {rating['judgements']} judgements by "
            f"{labels['raters']['n'] or 'unnamed'} raters, and the mean of {labels['labelled']['rating']} rated faces is {number(rating['mean'], 1)}{spread}."
        )
        said.append(_raters(run))
    if run.attractiveness["trained"] and "pretrained_sha256" not in run.training:
        said.append(
            f"Rated faces were dealt out by person: {run.training['n_train']} to train on, {run.training['n_val']} to stop and calibrate by (val), "
            f"{run.attractiveness['test']['n']} to test on. Who is on a photo is known for {labels['labelled']['person']} faces; any other counts as a "
            "person of its own. Duplicates stay together."
        )
    return said


def ages_checked(run: Run) -> list[str]:
    """Paragraphs on who gets no score for being too young, what that costs adults, and what it misses."""
    ages = run.age_check
    said = [f"**{capital(text)}.**" for text in ages_said(ages)]
    if ages["min_age"] is None:
        return said
    by = {
        "manual": "by hand",
        "label": "by label",
        "copy": "by the label of a copy of the picture",
        "model": "by the age model",
    }
    checked = listed(
        [
            f"{ages['checked'][key]} {words} ({ages['withheld'][key]} without a score)"
            for key, words in by.items()
            if ages["checked"][key]
        ]
        or ["nobody"]
    )
    model, young = ages["model"], ages["min_age"]
    said.append(
        f"A face that may be under {young} (`score.min_age`) gets no score; the reason stands in its place. Checked were: {checked}. A label beats the "
        "model, prompts count for nothing, and ratings of faces that are too young by their label teach no model and measure none."
    )
    rated = run.attractiveness["test"].get("n_withheld", 0)
    if rated:
        said.append(
            f"{rated} rated test {'face' if rated == 1 else 'faces'} that {'gets' if rated == 1 else 'get'} no score {'is' if rated == 1 else 'are'} in no figure of scores below."
        )
    if model["bound"] is None:
        return [
            *said,
            f"What the check withholds from adults, and what it misses, is {NOT_MEASURED}: {model['why']}.",
        ]
    said.append(
        f"The age model {'takes' if model['used'] else 'would take'} a face for adult from {number(young + model['bound'], 1)} predicted years on: {young} and the one-sided "
        f"{100 * model['sure']:.0f} % bound of its error, {number(model['bound'], 1)} years, from the {model['n']} labelled faces nearest to there that it was not trained on "
        f"(train faces out of fold, and val faces).{'' if model['used'] else ' It is not used.'}"
    )
    rows = [
        [
            words,
            *(
                f"{figure(ages[part][who])}, n = {ages[part][who]['n']}"
                if ages[part][who]["n"]
                else f"{NOT_MEASURED}: nobody is labelled so"
                for who in ("adults", "minors")
            ),
        ]
        for part, words in (
            ("left_out", "train and val, left out; the bound is theirs"),
            ("test", "test"),
        )
    ]
    return [
        *said,
        table(
            [
                "labelled faces, if the model alone were asked",
                f"{young} or older: without a score",
                f"under {young}: with a score (missed)",
            ],
            rows,
        ),
        "Intervals are exact (Clopper-Pearson). A child whose age nobody labelled and who looks adult to the model gets a score.",
    ]


def _raters(run: Run) -> str:
    """How far raters agree, and who was left out."""
    reliability, raters = run.attractiveness["reliability"], run.labels["raters"]
    if reliability["why"]:
        agreed = f"Agreement of the raters: not measured: {reliability['why']}."
    else:
        agreed = (
            f"Agreement of the raters: the mean rating has a split-half reliability of {figure(reliability['split_half'])} and "
            f"{reliability['icc']['kind']} = {figure(reliability['icc'])}, measured on {reliability['n_faces']} faces with "
            f"{number(reliability['ratings_per_face'], 1)} ratings each."
        )
    kept = [name for name in raters["suspicious"] if name not in raters["dropped"]]
    for named, said in (
        (list(raters["dropped"]), "left out"),
        (kept, "kept, though they rate like chance, always the same or the other way round"),
    ):
        if named:
            agreed += f" Raters {said}: {', '.join(named)}."
    return agreed


def _uses() -> list[str]:
    return [
        "- Research on what raters prefer in pictures of faces, and on how models repeat it.\n"
        "- Average faces of groups, sorting and exploring one's own collection of photos.\n"
        "- Teaching: how such models are built, and how they are measured."
    ]


def misuses(run: Run) -> list[str]:
    """One list of what it is not for."""
    said = run.labels["classes"]
    names = [name for name in said if said[name]] or ["gender", "ethnicity"]
    words = f"{listed([f'`{name}`' for name in names])} {'is' if len(names) == 1 else 'are'}"
    return [
        "- **Judging a person.** A score is a guess at some raters' taste, on one picture, in one light. It is no measure of anybody's worth, "
        "health, character or ability.\n"
        "- **Deciding about people:** hiring, dating and matching, admission, lending, insurance, medicine, policing, border control. "
        "It was not tested for any of these, and its errors may fall on some groups more than on others.\n"
        f"- **Telling who somebody is.** {words} what labellers wrote when they looked at a face, or what a model finds alike. "
        "That is not a person's identity; ask the person. Inferring ethnicity from faces is banned or high-risk in some places.\n"
        "- **Photos of people who have not agreed,** or of children."
    ]


def _scores(run: Run) -> list[str]:
    if not anything_measured(run.attractiveness):
        return [
            *verdicts_said(run.attractiveness),
            f"{NOT_MEASURED.capitalize()}: {run.training.get('why') or run.attractiveness['why']}.",
        ]
    return agreement_with_raters(run.attractiveness, run.labels["rating"]["scale"])


def attributes_measured(run: Run) -> list[str]:
    """Paragraphs on how well each classifier does on test faces."""
    rows, numbers = [], []
    for name, facts in run.attributes.items():
        if "accuracy" in facts:
            why = f"{NOT_MEASURED}: {facts['why']}"
            rows.append(
                [
                    name,
                    str(facts["n"]),
                    *(
                        [why, *[""] * len(OF_CLASSIFIERS)]
                        if facts["why"]
                        else [*(figure(facts.get(key)) for key in OF_CLASSIFIERS), _wanted(facts)]
                    ),
                ]
            )
        elif facts["why"]:
            numbers.append(f"`{name}`: {NOT_MEASURED}: {facts['why']}.")
        else:
            unit = " years" if name == "age" else ""
            bucket = (
                f", in the right age group of FairFace for a share of {figure(facts['bucket_accuracy'])}"
                if "bucket_accuracy" in facts
                else ""
            )
            numbers.append(
                f"`{name}` is off by {figure(facts['mae'], 1)}{unit} on average, r = {figure(facts['pearson'])}{bucket} (n = {facts['n']})."
            )
    said = (
        [table(["classifier", "n", *OF_CLASSIFIERS.values(), "wanted of them"], rows)]
        if rows
        else []
    )
    if rows:
        said.append(
            "Accuracy counts what the model would answer, also where it gives no answer because it is not sure enough. Whether it is was decided "
            "on other faces, for the wanted share of right answers. `metrics/attributes.json` has the same of prompts alone (zero-shot)."
        )
    if any("1.00 (1.00 to 1.00)" in cell for row in rows for cell in row[2:]):
        said.append(
            "Where a bootstrap says 1.00 to 1.00, nothing went wrong with any of the n faces; with others it still may, for a share of up to 3/n "
            "(rule of three)."
        )
    return [*said, *numbers] or ["No attribute was learned, and none has both prompts and labels."]


def _wanted(facts: dict) -> str:
    return "none" if facts["wanted_precision"] is None else number(facts["wanted_precision"], 2)


def limits_of(run: Run) -> list[str]:
    """What the figures can't say, one sentence or two each."""
    limits = [
        "Scores repeat the raters' taste, prejudices included. Other raters, another time or place would give other scores."
    ]
    n = run.attractiveness["test"]["n"]
    if anything_measured(run.attractiveness) and n < FEW:
        limits.append(
            f"Only {n} rated test faces: every figure here could be quite another with other faces, as the intervals say."
        )
    unmeasured = [
        name
        for name, groups in run.fairness["attractiveness"].items()
        if all(f.get("why") for f in groups.values())
    ]
    if unmeasured:
        limits.append(
            f"By {listed(unmeasured)} nothing could be measured: no group is large enough."
        )
    if clear := clear_gaps(run.fairness):
        limits.append(clear)
    limits.append(
        "What prompts alone say (`zeroshot` in `params.yaml`; the source of such a value is `zeroshot`) is measured only where people labelled "
        "the same attribute. Nothing here speaks for the rest."
    )
    if run.drawn:
        limits.append(
            "Drawn faces are far simpler than photographs; expect lower figures on photographs, and other gaps."
        )
    if run.serving["clip"]["variant"] == "tiny":
        limits.append(
            "The CLIP variant `tiny` was trained on drawn faces only and keeps little of what tells photographs apart "
            "([its own card](../pretrain/MODEL_CARD.md))."
        )
    limits.append(
        "Faces unlike those it was trained on (turned away, covered, badly lit, older) get a score all the same. "
        "`facestats.score_image` warns of some of this, not of all."
    )
    return limits
