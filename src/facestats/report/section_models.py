"""Sections on what was trained, on whom, for what, and what the figures do not show."""

from __future__ import annotations

from facestats.errors import number_of
from facestats.report.blocks import Gallery, Section, Table, plot, table
from facestats.report.material import Run
from facestats.report.prose import prose
from facestats.report.section_fairness import classifiers_by_group, clear_gaps
from facestats.report.section_scores import anything_measured, weights_text
from facestats.report.text import NOT_MEASURED, counted, listed, measured, number

OF_CLASSIFIERS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "ece": "calibration error (ECE)",
    "coverage": "share with an answer",
    "accuracy_answered": "accuracy of the answers",
}
GEOMETRIC = (
    "ridge regression on the shape of 468 landmarks (principal components after Procrustes "
    "alignment; with `geometry.appearance` also of the pixels, warped to the mean shape), trained "
    "on the rated train faces"
)
JOINED = [0, 100]  # the scale on which an import joins ratings of different scales
FEW = 100  # test faces: below, a correlation of 0.6 has an interval wider than 0.25
CHECKED_BY = {
    "manual": "by hand",
    "label": "by label",
    "copy": "by the label of a copy of the picture",
    "model": "by the age model",
}
PERFECT = "1.00 (1.00 to 1.00)"


def models(run: Run) -> Section:
    """What was trained, and what a score is."""
    clip = run.serving["clip"]
    rows = [
        [
            "embedding",
            f"CLIP, `{clip['variant']}`, {clip['dimension']} numbers a face, {clip['precision']}, "
            f"weights {clip['weights_sha256'][:12]}…",
        ],
        ["holistic score", _regressor(run)],
        *_geometric(run),
        *(
            [name, _classifier(metrics)]
            for name, metrics in run.attributes.items()
            if metrics["trained"]
        ),
    ]
    untrained = [
        (name, metrics["why"], {"doubt": None} | metrics["zeroshot"])
        for name, metrics in run.attributes.items()
        if not metrics["trained"]
    ]
    blocks = prose(
        "models", models=table("Models", ["model", "what it is"], rows), untrained=untrained
    )
    return Section("models", "Models", blocks, folded=True)


def _classifier(metrics: dict) -> str:
    what = f"classes {', '.join(metrics['classes'])}" if metrics["classes"] else "a number"
    if "pretrained_sha256" in metrics:
        return f"{what}, trained elsewhere, sha256 {metrics['pretrained_sha256'][:12]}…"
    return what


def _regressor(run: Run) -> str:
    training = run.training
    if not run.attractiveness["trained"]:
        why = training.get("why") or run.serving.get("why") or run.attractiveness["why"]
        return f"not trained: {why}"
    if sha := training.get("pretrained_sha256"):
        return f"a regressor that was trained elsewhere, sha256 {sha[:12]}…"
    size = training["correction"]
    correction = (
        f"with a correction by small neural networks, of which {number(100 * size, 0)} % is used"
        if size
        else "to which neural networks had nothing to add"
    )
    return (
        f"ridge regression, {correction}, trained on {number_of(training['n_train'], 'rated face')}"
        f"; {training['n_val']} others decided when to stop; calibration: {training['calibration']}"
    )


def _geometric(run: Run) -> list[list[str]]:
    """Rows on the geometric and the combined score."""
    weights = run.attractiveness["weights"]["combined"]
    if weights is None:
        return []
    if weights["why"]:
        combined = f"none: {weights['why']}"
    else:
        origin = (
            f"learned from {number_of(weights['n_val'], 'val face')}"
            if weights["learned"]
            else "given (`score.weights`)"
        )
        combined = f"{weights_text(weights)}; the weights are {origin}"
    exists = not weights["why"] or run.attractiveness["test"]["geometric"]["mae"]["value"]
    return [
        *([["geometric score", GEOMETRIC]] if exists else []),
        ["combined score", combined],
    ]


def data(run: Run) -> Section:
    """Whose photos and labels these are."""
    labels, rating, raters = run.labels, run.labels["rating"], run.labels["raters"]
    low, high = rating["scale"] or (0, 0)
    trained_here = run.attractiveness["trained"] and "pretrained_sha256" not in run.training
    blocks = prose(
        "data",
        images=run.images,
        drawn=run.drawn,
        faces=labels["faces"],
        known={name: n for name, n in labels["labelled"].items() if n and name != "person"},
        classes="; ".join(
            f"{name}: {counted(counts)}" for name, counts in labels["classes"].items() if counts
        ),
        rating=rating,
        scale=f"{low:g} to {high:g}",
        raters=number_of(raters["n"], "rater") if raters["n"] else "Unnamed raters",
        # Of means in labels.csv nobody knows how many ratings are behind each.
        means=not raters["n"] and rating["judgements"] == labels["labelled"].get("rating", 0),
        unnamed=rating.get("unnamed", 0),
        rescaled=_rescaled(labels),
        levelled=_levelled(labels),
        n_rated=labels["labelled"].get("rating", 0),
        reliability=run.attractiveness["reliability"],
        dropped=list(raters["dropped"]),
        kept=[name for name in raters["suspicious"] if name not in raters["dropped"]],
        training=run.training if trained_here else None,
        n_test=run.attractiveness["test"]["n"],
        n_person=labels["labelled"]["person"],
        datasets=labels.get("datasets", []),
        traits=_traits(labels.get("traits", {})),
    )
    return Section("data", "Data", blocks, folded=True)


def _rescaled(labels: dict) -> list[str]:
    """Datasets whose ratings had another scale before they were joined, with its ends."""
    datasets = labels.get("datasets", [])
    if len(datasets) < 2 or labels["rating"]["scale"] != JOINED:
        return []
    return [
        "{}, from {:g} to {:g}".format(one["title"], *one["rating_scale"])
        for one in datasets
        if one.get("rating_scale") and one["rating_scale"] != labels["rating"]["scale"]
    ]


def _levelled(labels: dict) -> list[str]:
    """Datasets whose ratings were shifted to the mean of the largest, with the points."""
    titles = {one["name"]: one["title"] for one in labels.get("datasets", [])}
    shifts = labels["rating"].get("levelled", {}).get("rating", {})
    return [f"{titles.get(name, name)} {shift:+.1f}" for name, shift in shifts.items()]


def _traits(traits: dict) -> Table | None:
    """How well raters agree about each trait, and how far one rater can be predicted."""
    rows = [
        [
            f"`{name}`",
            number(facts["reliability"]["n_faces"], 0),
            measured(facts["reliability"]["split_half"]),
            measured(facts["reliability"]["icc"]),
            measured(facts["personal"]["r"]),
        ]
        for name, facts in traits.items()
    ]
    head = ["trait", "faces", "split-half reliability", "ICC", "one rater and the others (r)"]
    return table("Rated traits", head, rows) if rows else None


def age_notices(ages: dict) -> list[str]:
    """Say whose age was not checked, and who gets no score.

    Parameters
    ----------
    ages : dict
        `metrics/age_check.json`.

    Returns
    -------
    list of str
        Sentences without a capital and a full stop.
    """
    if ages["min_age"] is None:
        return ["nobody's age was checked, for score.min_age is null: children get scores, too"]
    faces, why = number_of(ages["faces"], "face"), ages["model"]["why"]
    unchecked, withheld = ages["checked"]["nothing"], sum(ages["withheld"].values())
    notices = []
    if unchecked:
        because = f": {why}" if why else ""
        notices.append(
            f"the age of {unchecked} of {faces} was not checked, so scores may be those of "
            f"children{because}"
        )
    elif why:
        notices.append(
            "the age of other photos is not checked, so scores of them may be those of children: "
            f"{why}"
        )
    if withheld:
        notices.append(
            f"{withheld} of {faces} {'gets' if withheld == 1 else 'get'} no score, as "
            f"{'it' if withheld == 1 else 'they'} may be under {ages['min_age']}"
        )
    return notices


def ages(run: Run) -> Section:
    """Who gets no score for being too young, what that costs adults, and what it misses."""
    check = run.age_check
    young = check["min_age"]
    checked = [
        f"{check['checked'][key]} {words} ({check['withheld'][key]} without a score)"
        for key, words in CHECKED_BY.items()
        if check["checked"][key]
    ]
    blocks = prose(
        "ages",
        notices=age_notices(check),
        young=young,
        checked=checked or ["nobody"],
        n_withheld=run.attractiveness["test"].get("n_withheld", 0),
        model=check["model"],
        table=_age_table(check) if young is not None else None,
    )
    return Section("ages", "Who gets no score", blocks, folded=True)


def _age_table(check: dict) -> Table:
    young = check["min_age"]
    parts = {"left_out": "train and val, out of fold; the bound comes from them", "test": "test"}
    rows = [
        [
            words,
            *(
                f"{measured(check[part][who])}, n = {check[part][who]['n']}"
                if check[part][who]["n"]
                else f"{NOT_MEASURED}: nobody is labelled so"
                for who in ("adults", "minors")
            ),
        ]
        for part, words in parts.items()
    ]
    return table(
        "What the age check withholds and misses",
        [
            "labelled faces, if the model alone were asked",
            f"{young} or older: without a score",
            f"under {young}: with a score (missed)",
        ],
        rows,
    )


def uses(_run: Run) -> Section:
    """What scores and groups are for."""
    return Section("uses", "What it is for", prose("uses"), folded=True)


def misuses(run: Run) -> Section:
    """What they are not for."""
    classes = run.labels["classes"]
    names = [name for name in classes if classes[name]] or ["gender", "ethnicity"]
    words = f"{listed([f'`{name}`' for name in names])} {'is' if len(names) == 1 else 'are'}"
    blocks = prose("misuses", names=words)
    return Section("misuses", "What it is not for", blocks, folded=True)


def attributes(run: Run) -> Section:
    """How well each classifier does on test faces."""
    classifiers = {
        name: metrics for name, metrics in run.attributes.items() if "accuracy" in metrics
    }
    rows = [_classifier_row(name, metrics) for name, metrics in classifiers.items()]
    head = ["classifier", "n", *OF_CLASSIFIERS.values(), "required of the answers"]
    beside = [_beside_prompts(name, metrics) for name, metrics in run.attributes.items()]
    plots = [
        plot(
            run.metrics / f"attributes/{name}_confusion.png",
            f"Confusion of {name} on test faces: people's labels against the model's answers",
        )
        for name, metrics in run.attributes.items()
        if metrics["trained"] and not metrics["why"]
    ]
    blocks = prose(
        "attributes",
        table=table("Classifiers on test faces", head, rows) if rows else "",
        perfect=any(PERFECT in cell for row in rows for cell in row[2:]),
        numbers=[
            (name, {"bucket_accuracy": None} | metrics)
            for name, metrics in run.attributes.items()
            if name not in classifiers
        ],
        prompts=table(
            "Trained models and prompts on test faces",
            ["attribute", "measure", "trained model", "n", "prompts alone", "n", "difference"],
            beside,
        )
        if beside
        else None,
        by_group=classifiers_by_group(run.fairness),
        min_group=run.fairness["min_group"],
        plots=Gallery(plots, of="plots") if plots else "",
    )
    return Section("attributes", "Attributes", blocks, folded=True)


def _classifier_row(name: str, metrics: dict) -> list[str]:
    if metrics["why"]:
        why = f"{NOT_MEASURED}: {metrics['why']}"
        return [name, str(metrics["n"]), why, *[""] * len(OF_CLASSIFIERS)]
    precision = metrics["wanted_precision"]
    return [
        name,
        str(metrics["n"]),
        *(measured(metrics.get(key)) for key in OF_CLASSIFIERS),
        "none" if precision is None else number(precision, 2),
    ]


def _beside_prompts(name: str, metrics: dict) -> list[str]:
    """One row: trained model and prompts by the same measure on the same faces."""
    prompts = metrics["zeroshot"]
    classes = "accuracy" in metrics or "accuracy" in prompts
    key, measure, digits = ("accuracy", "accuracy", 2) if classes else ("mae", "MAE", 1)
    both = [
        cell
        for side in (metrics, prompts)
        for cell in (
            f"{NOT_MEASURED}: {side['why']}" if side["why"] else measured(side.get(key), digits),
            str(side["n"]),
        )
    ]
    return [name, measure, *both, measured(prompts["minus_model"].get(key), digits)]


def limits(run: Run) -> Section:
    """What the figures do not show, in one sentence or two each."""
    n = run.attractiveness["test"]["n"]
    blocks = prose(
        "limits",
        few=n if anything_measured(run.attractiveness) and n < FEW else None,
        unmeasured=[
            name
            for name, groups in run.fairness["attractiveness"].items()
            if all(figures.get("why") for figures in groups.values())
        ],
        gaps=clear_gaps(run.fairness),
        drawn=run.drawn,
        tiny=run.serving["clip"]["variant"] == "tiny",
    )
    return Section("limits", "Limits", blocks, folded=True)
