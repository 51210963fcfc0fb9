"""The model card says what the metrics say: no figure of its own, none without its interval, and
why where there is none.
"""

import copy
import re
from dataclasses import replace
from pathlib import Path

import pytest

from cards import trained_run, untrained_run
from facestats.evaluation.attractiveness import NOTHING
from facestats.report.blocks import Section, table
from facestats.report.document import model_card, render_markdown
from facestats.report.material import Run
from facestats.report.text import counted, listed, measured, number

PICTURE = "../metrics/plots/error_by_group.png"


@pytest.fixture(scope="module")
def trained() -> Run:
    return trained_run()


@pytest.fixture(scope="module")
def untrained() -> Run:
    return untrained_run()


def cells(card: str) -> list[str]:
    return [
        cell.strip()
        for line in card.splitlines()
        if line.startswith("|")
        for cell in line.strip("|").split("|")
    ]


@pytest.mark.long
def test_the_card_names_the_figures_of_the_metrics(trained):
    card = cells(model_card(trained))
    assert measured(trained.attractiveness["test"]["mlp"]["pearson"]) in card
    assert measured(trained.attractiveness["test"]["ridge"]["mae"], 1) in card
    for group in ("female", "male"):
        assert measured(trained.fairness["attractiveness"]["gender"][group]["bias"], 1) in card
        assert (
            measured(trained.fairness["classifiers"]["gender"]["gender"][group]["accuracy"]) in card
        )
    gap = trained.fairness["largest_gaps"]["mae"]
    assert f"gender: {gap['groups'][0]} above {gap['groups'][1]}" in card
    assert measured(gap, 1) in card


@pytest.mark.long
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("attractiveness", "test", "mlp", "pearson"), "0.12 (−0.30 to 0.47)"),
        (("attributes", "gender", "accuracy"), "0.12 (−0.30 to 0.47)"),
        (("fairness", "overall", "bias"), "0.1 (−0.3 to 0.5)"),
        (("fairness", "attractiveness", "gender", "male", "mae"), "0.1 (−0.3 to 0.5)"),
        (
            ("fairness", "classifiers", "gender", "gender", "male", "abstention"),
            "0.12 (−0.30 to 0.47)",
        ),
    ],
)
def test_another_metric_is_another_card(trained, path, expected):
    changed = copy.deepcopy(trained)
    place = getattr(changed, path[0])
    for key in path[1:]:
        place = place[key]
    place.update(value=0.123, low=-0.3, high=0.467)
    assert expected not in model_card(trained)
    assert expected in model_card(changed)


def test_no_figure_stands_without_its_interval(trained):
    numbers = [cell for cell in cells(model_card(trained)) if re.match(r"−?\d+\.\d", cell)]
    assert len(numbers) > 30
    assert all(re.fullmatch(r"−?[\d.]+ \(−?[\d.]+ to −?[\d.]+\)", cell) for cell in numbers)


@pytest.mark.long
def test_the_card_says_where_prompts_answer(untrained):
    asked = copy.deepcopy(untrained)
    assert "Prompts answer" not in model_card(asked)
    asked.attributes["gender"]["zeroshot"]["classes"] = ["female", "male"]
    assert (
        "`gender` was not trained: 0 labelled train faces. Prompts answer in its place (zero-shot)."
        in model_card(asked)
    )


def test_a_card_without_any_model_says_why(untrained):
    card = model_card(untrained)
    why = "0 rated faces in train and 0 in val; 20 and 5 are needed"
    assert card.count(why) == 3  # in short, beside the model, and in the place of its figures
    assert "`gender` was not trained: 0 labelled train faces." in card
    assert "Nobody labelled any of 30 faces." in card
    assert "Not measured: no regressor was trained" in card
    assert "What it is not for" in card
    assert not re.search(r"\bnan\b|None|null", card)
    assert PICTURE not in card


@pytest.mark.long
def test_a_geometric_score_is_described_although_no_weights_could_be_learned(trained):
    changed = copy.deepcopy(trained)
    changed.attractiveness["weights"]["combined"] |= {
        "geometric": None,
        "holistic": None,
        "why": "9 rated val faces have both scores",
    }
    changed.attractiveness["test"]["combined"] = NOTHING
    rows = cells(model_card(changed).split("## Data")[0])
    assert rows[rows.index("combined score") + 1] == "none: 9 rated val faces have both scores"
    assert "geometric score" in rows
    changed.attractiveness["test"]["geometric"] = NOTHING
    assert "geometric score" not in cells(model_card(changed).split("## Data")[0])


@pytest.mark.long
def test_groups_of_skin_colour_come_with_a_caution(trained):
    text = "the colour in the picture, which light decides as much as the skin"
    fairness = trained.fairness | {"notes": {"skin_ita_class": text}}
    page = model_card(replace(trained, fairness=fairness))
    assert f"No ethnicity is labelled: `skin_ita_class` is {text}." in " ".join(page.split())
    assert "No ethnicity is labelled" not in model_card(trained)


def test_what_is_beyond_chance_is_told_from_what_is_not(trained):
    changed = copy.deepcopy(trained)
    gap = changed.fairness["largest_gaps"]["mae"]
    gap.update(value=9.0, low=2.0, high=16.0)
    card = model_card(changed)
    assert (
        f"mean absolute error, points, gender: {gap['groups'][0]} above {gap['groups'][1]} "
        "by 9.0 (2.0 to 16.0)" in card
    )
    assert cells(card)[cells(card).index("9.0 (2.0 to 16.0)") :][:3] == [
        "9.0 (2.0 to 16.0)",
        "1",
        "yes",
    ]
    for gap in changed.fairness["largest_gaps"].values():
        gap.update(low=-1.0)
    card = model_card(changed)
    assert "No gap between groups in bias, error or accuracy is beyond chance" in card
    assert "yes" not in cells(card)


def test_agreement_of_raters_and_calibration_are_told_where_they_are_measured(trained):
    changed = copy.deepcopy(trained)
    assert "Agreement of the raters: not measured: there is no ratings.csv" in model_card(changed)
    changed.attractiveness["reliability"] |= {
        "why": None,
        "n_faces": 77,
        "n_raters": 12,
        "ratings_per_face": 9.04,
        "split_half": {"value": 0.81, "low": 0.75, "high": 0.86},
        "icc": {"kind": "ICC(2,k)", "value": 0.8, "low": 0.7, "high": 0.9},
    }
    changed.attractiveness["test"]["mlp"] |= {
        "share_of_ceiling": {"value": 0.9, "low": 0.8, "high": 1.0},
        "calibration_error": {"value": 3.2, "low": 2.1, "high": 5.5, "by_chance": 1.9},
    }
    changed.labels["raters"] = {
        "n": 12,
        "dropped": {"bot": "answers at random"},
        "suspicious": {"bot": {}, "sleepy": {}},
    }
    card = model_card(changed)
    assert (
        "0.81 (0.75 to 0.86) and ICC(2,k) = 0.80 (0.70 to 0.90), measured on 77 faces with "
        "9.0 ratings each. Raters left out: bot." in card
    )
    assert "the other way round: sleepy." in card
    assert "r reaches 0.90 (0.80 to 1.00)" in card
    assert "differs from the mean score by 3.2 (2.1 to 5.5) points" in card
    assert "a perfect model would differ by 1.9" in card


def test_scores_that_are_worth_nothing_are_called_so(trained):
    assert "**" not in model_card(trained).split("## How well")[1].split("## Scores by")[0]
    assert trained.attractiveness["verdicts"]["holistic"]["word"] == "says something"
    changed = copy.deepcopy(trained)
    changed.attractiveness["verdicts"]["holistic"] |= {
        "word": "says nothing",
        "text": "the holistic score says nothing: on 9 test faces …",
    }
    card = model_card(changed)
    doubt = "**The holistic score says nothing: on 9 test faces ….**"
    assert card.count(doubt) == 2  # before anything else, and beside its figures
    assert card.index(doubt) < card.index("## Models")


@pytest.mark.long
def test_the_age_check_is_told_with_what_it_costs_and_misses(trained):
    card = model_card(trained)
    assert (
        "**The age of 30 of 30 faces was not checked, so scores may be those of children: "
        "no age model was trained" in card
    )
    assert "what it misses, is not measured" in card
    changed, share = copy.deepcopy(trained), {"value": 0.1, "low": 0.05, "high": 0.2, "n": 80}
    changed.attractiveness["test"]["n_withheld"] = 2
    changed.age_check.update(
        checked={"manual": 1, "label": 20, "copy": 0, "model": 9, "nothing": 0},
        withheld={"manual": 0, "label": 2, "copy": 0, "model": 1},
        model={
            "used": True,
            "why": None,
            "bound": 4.25,
            "n": 100,
            "sure": 0.95,
            "most_adults": 0.2,
        },
        left_out={"adults": share, "minors": {"value": 0.02, "low": 0.0, "high": 0.1, "n": 50}},
    )
    card = model_card(changed)
    assert "**3 of 30 faces get no score, as they may be under 18.**" in card
    assert (
        "1 by hand (0 without a score), 20 by label (2 without a score) and 9 by the age "
        "model (1 without a score)" in card
    )
    assert "2 rated test faces that get no score are in no figure of scores" in card
    assert "from 22.2 predicted years on" in card
    assert (
        "| train and val, out of fold; the bound comes from them | 0.10 (0.05 to 0.20), n = 80 | "
        "0.02 (0.00 to 0.10), n = 50 |" in card
    )
    assert (
        "| test | not measured: nobody is labelled so | not measured: nobody is labelled so |"
        in card
    )
    changed.age_check["min_age"] = None
    assert (
        "**Nobody's age was checked, for score.min_age is null: children get scores, too.**"
        in model_card(changed)
    )


def test_drawn_faces_are_called_drawn(trained):
    drawn = Run(**{**vars(trained), "drawn": True})
    assert "**drawn**" in model_card(drawn)
    assert "drawn**" not in model_card(trained)


def test_numbers_and_tables_are_written_so_that_markdown_shows_them():
    assert (number(-0.04, 1), number(-1.25, 1), number(0.999, 2)) == ("0.0", "−1.2", "1.00")
    assert measured({"value": 0.5, "low": None, "high": None}) == measured(None) == "not measured"
    text = render_markdown([Section("k", "t", [table("c", ["a"], [["x|y"]])])], Path())
    assert text.splitlines()[-3:] == ["| a |", "| --- |", "| x\\|y |"]
    assert (listed(["a"]), listed(["a", "b", "c"]), counted({"a": 1, "b": 2})) == (
        "a",
        "a, b and c",
        "a 1, b 2",
    )
