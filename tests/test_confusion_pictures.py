"""Confusion matrices and errors by group as pictures: the right numbers in the right cells, any
names, and why there is nothing to see.
"""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from facestats.attributes.confusion import confusion_picture
from facestats.attributes.fairface import label_structure
from facestats.attributes.heldout import measure_held_out
from facestats.attributes.training import train_regression
from facestats.evaluation.fairness_figures import error_by_group

METRIC = {"value": 5.0, "low": 4.0, "high": 6.0}
MEASURED = {"n": 20, "bias": METRIC, "mae": METRIC}


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved."""
    seen = []
    savefig = Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda figure, *args, **options: seen.append(figure) or savefig(figure, *args, **options),
    )
    return seen


def test_rows_are_what_people_said(tmp_path, figures):
    pairs = pd.DataFrame(
        {
            "actual": ["3-9", "20-29", "20-29", "20-29"],
            "predicted": ["3-9", "20-29", "3-9", "30-39"],
        }
    )
    confusion_picture(pairs, ["3-9", "20-29", "30-39"], "age", None, tmp_path / "a.png")
    axes = figures[0].axes[0]
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "100%\n1",
        (1, 1): "33%\n1",
        (0, 1): "33%\n1",
        (2, 1): "33%\n1",
    }
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "3-9 (1)",
        "20-29 (3)",
        "30-39 (0)",
    ]
    assert (
        axes.get_title()
        == "age: what people said and what the model says\n4 test faces, 50% on the diagonal"
    )
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("2 labelled train faces, 10 are needed", "2 labelled train faces"),
        (None, "no test face has a label"),
    ],
)
def test_without_pairs_the_picture_says_why(tmp_path, figures, why, said):
    confusion_picture(
        pd.DataFrame(columns=["actual", "predicted"]), [], "pet", why, tmp_path / "a.png"
    )
    texts = [text.get_text() for text in figures[0].texts]
    assert any(said in text for text in texts)
    assert any("pet" in text for text in texts)


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize("n", [2, 30])
def test_few_and_many_classes_are_drawn_in_the_same_bytes(tmp_path, n):
    names = [f"a class with number {i}" for i in range(n)]
    pairs = pd.DataFrame({"actual": names * 2, "predicted": names + names[::-1]})
    for name in ("a.png", "b.png"):
        confusion_picture(pairs, names, "kind", None, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.long
def test_dollar_signs_in_names_are_no_formulas(tmp_path, figures):
    names = [r"$\pounds{$", "$_^$"]
    confusion_picture(
        pd.DataFrame({"actual": names, "predicted": names}),
        names,
        "income",
        None,
        tmp_path / "a.png",
    )
    confusion_picture(
        pd.DataFrame(columns=["actual", "predicted"]),
        [],
        "income",
        "found $_^$: 3",
        tmp_path / "b.png",
    )
    report = {
        "why": {"attractiveness": None},
        "min_group": 2,
        "overall": MEASURED,
        "attractiveness": {"income": {"$_^$": MEASURED}},
    }
    error_by_group(report, tmp_path / "c.png")
    assert len(figures) == 3


@pytest.mark.long
def test_long_names_of_groups_leave_room_for_the_figures(tmp_path, figures):
    for name in ("short", "a group with a name that is long " * 3):
        error_by_group(
            {
                "why": {"attractiveness": None},
                "min_group": 2,
                "overall": MEASURED,
                "attractiveness": {"kind": {name: MEASURED}},
            },
            tmp_path / "a.png",
        )
    for figure in figures:
        widths = [axes.get_window_extent().width / figure.dpi for axes in figure.axes]
        assert min(widths) > 3
        labels = [axes.xaxis.label.get_window_extent() for axes in figure.axes]
        assert labels[0].x1 < labels[1].x0
        assert labels[1].x1 <= figure.bbox.x1


def test_ranges_of_a_number_are_named_in_their_order():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    labels = pd.Series(170 + 10 * x[:, 0], index=[f"f{i}" for i in range(200)]).round()
    model = train_regression("height", x[:100], labels[:100], 5).model
    split = pd.Series(["train"] * 100 + ["test"] * 100, index=labels.index)
    held_out = measure_held_out(model, x, labels, split)
    low, high = labels[100:].quantile([0.2, 0.8])
    assert held_out.order == sorted(held_out.order)
    assert [held_out.order[0], held_out.order[-1]] == [f"1: up to {low:g}", f"5: above {high:g}"]
    assert (held_out.pairs["actual"] == held_out.order[0]).sum() == (labels[100:] <= low).sum()
    assert (held_out.pairs["actual"] == held_out.order[-1]).sum() == (labels[100:] > high).sum()
    alike = measure_held_out(model, x, labels.mask(split == "test", 170.0), split)
    assert set(alike.pairs["actual"]) == {"1: up to 170"}


def test_fairfaces_labels_stand_in_fairfaces_order():
    table = label_structure()
    by_name = {
        name: group.sort_values("index")["label"].tolist()
        for name, group in table.groupby("attribute")
    }
    assert by_name["race7"] == [
        "White",
        "Black",
        "Latino_Hispanic",
        "East Asian",
        "Southeast Asian",
        "Indian",
        "Middle Eastern",
    ]
    assert by_name["race4"] == ["White", "Black", "Asian", "Indian"]
    assert by_name["gender"] == ["Male", "Female"]
    assert (by_name["age"][0], by_name["age"][-1], len(by_name["age"])) == (
        "0-2",
        "more than 70",
        9,
    )
    assert all(
        group["index"].tolist() == list(range(len(group)))
        for _, group in table.groupby("attribute")
    )
