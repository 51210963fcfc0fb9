"""Confusion matrices as pictures: the right numbers in the right cells, ages in their order, and why there is nothing to see."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from facestats.attributes.fairface import label_structure
from facestats.report.confusion import confusion_picture


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved."""
    seen = []
    savefig = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **options: seen.append(figure) or savefig(figure, *args, **options))
    return seen


def test_rows_are_what_people_said(tmp_path, figures):
    pairs = pd.DataFrame({"actual": ["3-9", "20-29", "20-29", "20-29"], "predicted": ["3-9", "20-29", "3-9", "30-39"]})
    confusion_picture(pairs, ["3-9", "20-29", "30-39"], "age", None, tmp_path / "a.png")
    axes = figures[0].axes[0]
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "100%\n1", (1, 1): "33%\n1", (0, 1): "33%\n1", (2, 1): "33%\n1"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["3-9 (1)", "20-29 (3)", "30-39 (0)"]
    assert axes.get_title() == "age: what people said and what the model says\n4 test faces, 50% on the diagonal"
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("why", "said"), [("2 labelled train faces, 10 are needed", "2 labelled train faces"), (None, "no test face has a label")])
def test_without_pairs_the_picture_says_why(tmp_path, figures, why, said):
    confusion_picture(pd.DataFrame(columns=["actual", "predicted"]), [], "pet", why, tmp_path / "a.png")
    texts = [text.get_text() for text in figures[0].texts]
    assert any(said in text for text in texts)
    assert any("pet" in text for text in texts)


@pytest.mark.parametrize("n", [2, 30])
def test_few_and_many_classes_are_drawn_in_the_same_bytes(tmp_path, n):
    names = [f"a class with number {i}" for i in range(n)]
    pairs = pd.DataFrame({"actual": names * 2, "predicted": names + names[::-1]})
    for name in ("a.png", "b.png"):
        confusion_picture(pairs, names, "kind", None, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_fairfaces_labels_stand_in_fairfaces_order():
    table = label_structure()
    by_name = {name: group.sort_values("index")["label"].tolist() for name, group in table.groupby("attribute")}
    assert by_name["race7"] == ["White", "Black", "Latino_Hispanic", "East Asian", "Southeast Asian", "Indian", "Middle Eastern"]
    assert by_name["race4"] == ["White", "Black", "Asian", "Indian"]
    assert by_name["gender"] == ["Male", "Female"]
    assert (by_name["age"][0], by_name["age"][-1], len(by_name["age"])) == ("0-2", "more than 70", 9)
    assert all(group["index"].tolist() == list(range(len(group))) for _, group in table.groupby("attribute"))
