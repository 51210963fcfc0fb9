"""Who is in which split: by person, stable when images are added, nothing twice."""

import numpy as np
import pandas as pd
import pytest

from facestats.core.stats.identity import count_once, same_faces, several_faces
from facestats.labels.splits import split_faces


def faces(n, prefix="f"):
    return pd.DataFrame(
        {
            "filename": [f"{prefix}{i:04}.jpg" for i in range(n)],
            "sha256": [f"{prefix}{i:064}" for i in range(n)],
            "copy_group": [f"{prefix}{i:04}.jpg" for i in range(n)],
            "copy_rank": 1,
        }
    )


def copies_of(table, prefix="t"):
    """Another copy of every face, a worse one."""
    copies = faces(len(table), prefix)
    return copies.assign(
        copy_group=table["copy_group"].to_numpy(), copy_rank=table["copy_rank"].to_numpy() + 1
    )


def split(table, persons=None, labelled=None):
    persons = pd.Series(persons or {}, dtype="str")
    labelled = pd.Series(True, index=labelled if labelled is not None else table["filename"])
    return split_faces(table, persons, labelled, val=0.15, test=0.2, seed=0).set_index("filename")[
        "split"
    ]


def test_shares_are_about_what_was_asked():
    shares = split(faces(4000)).value_counts(normalize=True)
    assert np.allclose(shares[["train", "val", "test"]], [0.65, 0.15, 0.2], atol=0.02)


def test_adding_images_moves_no_one():
    few = split(faces(200))
    more = split(pd.concat([faces(300, "a"), faces(200)]))
    assert more[few.index].equals(few)


def test_a_person_stays_in_one_split():
    table = faces(300)
    persons = {name: f"p{i // 10}" for i, name in enumerate(table["filename"])}
    assert split(table, persons).groupby(persons).nunique().max() == 1


def test_exact_duplicates_stay_together_even_if_one_is_named():
    table = faces(400)
    table.loc[200:, "sha256"] = table.loc[:199, "sha256"].to_numpy()
    table.loc[200:, "copy_group"] = table.loc[:199, "copy_group"].to_numpy()
    persons = {name: f"person {name}" for name in table["filename"][:200]}
    result = split(table, persons).to_numpy()
    assert (result[:200] == result[200:]).all()


@pytest.mark.parametrize("better", [False, True])
def test_copies_that_are_added_move_nobody_who_is_labelled(better):
    rated = faces(24)
    alone = split(rated)
    table = pd.concat([rated, copies_of(rated), copies_of(copies_of(rated), "a")])
    if better:
        table["copy_rank"] = 4 - table["copy_rank"]
    both = split(table, labelled=rated["filename"])
    assert both[rated["filename"]].equals(alone)
    assert set(alone) == {"train", "val", "test"}
    assert (both[copies_of(rated)["filename"]].to_numpy() == alone.to_numpy()).all()


def test_better_labelled_copies_move_nobody_whose_person_is_known():
    rated = faces(100)
    table = pd.concat([rated, copies_of(rated)])
    table["copy_rank"] = 3 - table["copy_rank"]
    persons = {name: f"p{i}" for i, name in enumerate(rated["filename"])}
    assert split(table, persons)[rated["filename"]].equals(split(rated, persons))
    assert not split(table)[rated["filename"]].equals(split(rated))  # what the person is for


def test_worse_copies_move_nobody_where_nobody_is_labelled():
    table = faces(300)
    both = split(pd.concat([table, copies_of(table)]), labelled=[])
    assert both[table["filename"]].equals(split(table, labelled=[]))


def test_of_500_faces_with_three_copies_each_test_holds_its_share():
    table = faces(500)
    table = pd.concat(
        [
            table,
            copies_of(table),
            copies_of(copies_of(table), "a"),
            copies_of(copies_of(copies_of(table), "b"), "c"),
        ]
    )
    result = split(table)
    assert result.groupby(table.set_index("filename")["copy_group"]).nunique().max() == 1
    shares = result[faces(500)["filename"]].value_counts(normalize=True)
    assert np.allclose(shares[["train", "val", "test"]], [0.65, 0.15, 0.2], atol=0.05)


def test_a_copy_goes_where_its_person_is():
    table = pd.concat([faces(200), copies_of(faces(200))])
    persons = {f"f{i:04}.jpg": f"p{i // 4}" for i in range(200)}
    result = split(table, persons).to_numpy()
    assert (result[:200] == result[200:]).all()
    assert result[:200].tolist() == split(faces(200), persons).tolist()


def test_copies_of_two_persons_in_two_splits_are_kept_out_of_val_and_test():
    table = pd.concat([faces(200), copies_of(faces(200))]).reset_index(drop=True)
    persons = {name: f"person {name}" for name in table["filename"]}
    result = split(table, persons).to_numpy()
    pairs = set(zip(result[:200], result[200:], strict=True))
    assert pairs <= {
        ("train", "train"),
        ("val", "val"),
        ("test", "test"),
        ("train", "excluded"),
        ("excluded", "train"),
        ("excluded", "excluded"),
    }
    assert (result == "excluded").sum() > 50


def test_a_picture_counts_once_with_its_best_label():
    table = pd.concat([faces(3), copies_of(faces(3))]).reset_index(drop=True)
    labels = pd.DataFrame(
        {
            "rating": [1.0, np.nan, 3.0, 4.0, 5.0, np.nan],
            "gender": [None, "a", None, "b", "b", "b"],
        },
        index=table["filename"],
    )
    once = count_once(labels, table)
    assert once["rating"].fillna(0).tolist() == [1, 0, 3, 0, 5, 0]
    assert once["gender"].fillna("").tolist() == ["", "a", "", "b", "", "b"]


def test_copies_of_named_people_are_one_group_of_an_interval():
    table = pd.concat([faces(4), copies_of(faces(2))]).reset_index(drop=True)
    groups = several_faces(same_faces(table, pd.Series({"f0001.jpg": "ann", "f0002.jpg": "ann"})))
    assert groups.isna().tolist() == [False, False, False, True, False, False]
    assert (
        groups["f0000.jpg"]
        == groups["t0000.jpg"]
        != groups["f0001.jpg"]
        == groups["f0002.jpg"]
        == groups["t0001.jpg"]
    )
