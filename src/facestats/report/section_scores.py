"""The report's sections on how well scores and attributes do, for all and for groups."""

from __future__ import annotations

from facestats.report.album import Album
from facestats.report.blocks import Block, Gallery, Heading, Rows, Section, Text, from_card
from facestats.report.card_figures import NOT_MEASURED, figure
from facestats.report.card_groups import classifiers_by_group, largest_gaps, scores_by_group
from facestats.report.card_scores import agreement_with_raters, anything_measured
from facestats.report.material import Material
from facestats.report.model_card import attributes_measured

PLOTS = {
    "predicted_vs_actual": "Scatter plot of test faces: predicted rating against the mean of the human ratings",
    "reliability_curve": "Mean human rating of test faces against predicted score, in bins, with 95 % intervals",
    "learning_curve": "Error on train and val faces after each epoch of training",
}


def scores(material: Material, album: Album) -> Section:
    rated = material.run.attractiveness
    if not anything_measured(rated):
        why = material.run.training.get("why") or rated["why"]
        return Section(
            "scores",
            "How well scores agree with raters",
            [Text(f"{NOT_MEASURED.capitalize()}: {why}.")],
        )
    blocks = from_card(
        agreement_with_raters(rated, material.run.labels["rating"]["scale"]),
        "Agreement with the mean rating on test faces",
    )
    table = next(i for i, block in enumerate(blocks) if isinstance(block, Rows))
    blocks[table].head[0] = "score"
    ceiling = rated["reliability"]["ceiling"]
    blocks.insert(
        table + 1,
        Text(
            f"The ceiling, the highest r that any model can expect against these ratings, is {figure(ceiling)}."
            if ceiling["value"] is not None
            else f"The ceiling, the highest r that any model can expect, is {NOT_MEASURED}: {rated['reliability']['why']}."
        ),
    )
    panels, *plots = [
        album.plot(material.metrics / f"plots/{name}.png", said) for name, said in PLOTS.items()
    ]
    return Section(
        "scores", "How well scores agree with raters", [*blocks, panels, Gallery(plots, of="plots")]
    )


def attributes(material: Material, album: Album) -> Section:
    blocks = from_card(attributes_measured(material.run), "Classifiers on test faces")
    rows = [_beside_prompts(name, facts) for name, facts in material.run.attributes.items()]
    if rows:
        blocks += [
            Heading("Prompts alone (zero-shot)"),
            Text(
                "What CLIP's text side says without any label, on those test faces whose label is one of the prompts' classes; the difference is "
                "measured on these: below 0, prompts do worse, or where it is one of the mean absolute error (MAE), better."
            ),
            Rows(
                "Trained models and prompts on test faces",
                ["attribute", "measure", "trained model", "n", "prompts alone", "n", "difference"],
                rows,
            ),
        ]
    pictures = [
        album.plot(
            material.metrics / f"attributes/{name}_confusion.png",
            f"Confusion of {name} on test faces: what people said against what the model says",
        )
        for name in material.params.attributes.targets
    ]
    return Section(
        "attributes",
        "Attributes",
        [*blocks, *([Gallery(pictures, of="plots")] if pictures else [])],
    )


def groups(material: Material, album: Album) -> Section:
    fairness = material.run.fairness
    blocks: list[Block] = from_card(scores_by_group(fairness, ""), "Scores of test faces by group")
    if not fairness["why"]["attractiveness"]:
        blocks.append(
            album.plot(
                material.metrics / "plots/error_by_group.png",
                "Bias and mean absolute error of each group, with 95 % intervals",
            )
        )
    blocks += [
        Heading("Classifiers by group"),
        *from_card(classifiers_by_group(fairness), "Classifiers by group of test faces"),
        Heading("Largest gaps"),
        *from_card(largest_gaps(fairness), "The two groups furthest apart, by measure"),
    ]
    return Section("groups", "Differences between groups", blocks)


def _beside_prompts(name: str, facts: dict) -> list[str]:
    """One line: trained model and prompts by the same measure on the same faces."""
    prompts, classes = facts["zeroshot"], "accuracy" in facts or "accuracy" in facts["zeroshot"]
    key, said, digits = ("accuracy", "accuracy", 2) if classes else ("mae", "MAE", 1)
    both = [
        cell
        for side in (facts, prompts)
        for cell in (
            figure(side.get(key), digits) if not side["why"] else f"{NOT_MEASURED}: {side['why']}",
            str(side["n"]),
        )
    ]
    return [name, said, *both, figure(prompts["minus_model"].get(key), digits)]
