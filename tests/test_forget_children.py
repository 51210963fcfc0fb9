"""`forget` takes no label away that alone keeps copies of a child's picture from scores."""

import pandas as pd
import pytest
import yaml

from test_forget_names import everything, forget, label, root  # noqa: F401

CHILD, COPY, OTHER = "two.png", "album/three.jpg", "IMG_1.JPG"  # three copies of one picture
REFUSED = (
    f"the label of {CHILD} as under 18 (score.min_age) keeps copies of the picture from scores, "
    "and they have none of their own: "
)


@pytest.fixture
def copies(root):  # noqa: F811
    """A last run that has found three copies of one picture."""
    table = pd.DataFrame({"image": [CHILD, COPY, OTHER, "other.jpg", "Zoë.jpg"]})
    table["filename"] = table["image"].where(table["image"] != CHILD, f"{CHILD}.jpg")
    table = table.assign(sha256="", duplicate_of=None, near_duplicate_of=None)
    table["copy_group"] = [COPY, COPY, COPY, "other.jpg", None]
    (root / "data/processed/metadata").mkdir(parents=True)
    table.to_parquet(root / "data/processed/metadata/faces.parquet")


def set_ages(root, *lines, by_hand=()):  # noqa: F811
    label(root, *lines, header="image,age")
    text = "\n".join(["filename,age", *by_hand, ""])
    (root / "data/manual_labels.csv").write_text(text)


@pytest.mark.parametrize("labels", [[f"{CHILD},11"], [f"{CHILD},30"], [f'{CHILD},"17,9"']])
def test_copies_without_a_label_stop_it_before_anything_goes(root, forget, copies, labels):  # noqa: F811
    set_ages(root, *labels, by_hand=[f"{CHILD},11"] if "30" in labels[0] else [])
    before = everything(root)
    for dry in (["--dry-run"], []):
        said = forget(CHILD, *dry, code=2)
        assert f"{REFUSED}{COPY}, {OTHER}. Name them, too, or label their age first" in said
        assert "nothing was removed" in said
        assert f"{REFUSED}{OTHER}. Name" in forget(CHILD, COPY, *dry, code=2)
    assert everything(root) == before
    forget(CHILD, COPY, OTHER)


@pytest.mark.parametrize(
    ("labels", "by_hand"),
    [
        ([f"{CHILD},18"], []),
        ([f"{CHILD},11"], [f"{CHILD},30"]),
        ([f"{CHILD},11", f"{COPY},12"], []),
        ([f"{CHILD},11"], [f"{OTHER},12"]),
        ([f"{CHILD},11", f"{COPY},30", f"{OTHER},31"], []),
        ([f"{COPY},11"], []),
        (["other.jpg,11"], []),
        ([], []),
    ],
)
def test_it_goes_on_where_no_copy_loses_the_only_label(root, forget, copies, labels, by_hand):  # noqa: F811
    set_ages(root, *labels, by_hand=by_hand)
    forget(CHILD, "--dry-run")
    forget(CHILD)


def test_without_an_age_check_it_goes_on(root, forget, copies):  # noqa: F811
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["score"] |= {"min_age": None}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    set_ages(root, f"{CHILD},11")
    forget(CHILD)


def test_a_command_that_was_stopped_goes_on(root, forget, copies, monkeypatch):  # noqa: F811
    """The labels of a copy may be gone before those of the child."""
    from facestats.cli import forget as command

    set_ages(root, f"{CHILD},11", f"{COPY},12", f"{OTHER},13")

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(command, "remove_leftovers", stop)
        forget(CHILD, code=130)
    set_ages(root, f"{CHILD},11")
    forget(CHILD)
