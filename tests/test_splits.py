"""Who is in which split: by person, stable when images are added, nothing twice."""

import numpy as np
import pandas as pd
import pytest

from facestats.core.stats.identity import count_once, same_faces, several_faces
from facestats.errors import LabelError
from facestats.labels.splits import split_faces, strata_of


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
    more = split(pd.concat([faces(300, "a"), faces(200)]), labelled=few.index)
    assert more[few.index].equals(few)


def rated(n, rng):
    """Labels of n faces: gender, and a rating from 1 to 7 where somebody rated."""
    return pd.DataFrame(
        {
            "gender": rng.choice(["female", "male", None], n, p=[0.5, 0.45, 0.05]),
            "rating": np.where(rng.random(n) < 0.9, rng.normal(4, 1, n).clip(1, 7), np.nan),
        },
        index=faces(n)["filename"],
    )


def stratified(labels, seed=0, val=0.15, test=0.2):
    """Split of faces whose labels these are."""
    table, scale = faces(len(labels)), (1.0, 7.0)
    strata = strata_of(labels, ["gender", "rating"], scale)
    everybody = pd.Series(True, index=labels.index)
    persons = pd.Series(dtype="str")
    split = split_faces(table, persons, everybody, val, test, seed, strata=strata)
    return split.set_index("filename")["split"]


@pytest.mark.long
@pytest.mark.first_cases(6)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [60, 61, 67, 600])
def test_shares_hold_within_a_face_in_each_stratum(n, seed):
    labels = rated(n, np.random.default_rng(seed))
    result = stratified(labels, seed)
    known = labels["rating"].notna()
    fifth = ((labels["rating"] - 1) / 6 * 5 // 1).clip(upper=4)
    strata = [known, [known, labels["gender"]], [known, labels["gender"], fifth]]
    for keys, slack in zip(strata, (0.5, 1, 1), strict=True):
        by = result.groupby(keys, dropna=False)
        size, held = by.size(), by.value_counts().unstack(fill_value=0)
        for name, share, times in (("test", 0.2, 1), ("val", 0.15, 1), ("train", 0.65, 2)):
            assert (held[name] - share * size).abs().max() <= slack * times + 1e-9, name


def test_of_60_faces_39_are_for_training():
    counts = stratified(rated(60, np.random.default_rng(0)).fillna({"rating": 4})).value_counts()
    assert counts.to_dict() == {"train": 39, "test": 12, "val": 9}


@pytest.mark.long
def test_one_labelled_face_more_moves_one_percent_at_most():
    def moved(n, seed):
        labels = rated(n + 1, np.random.default_rng(seed))
        return (stratified(labels[:-1]) != stratified(labels)[:-1]).sum()

    assert np.mean([moved(200, seed) for seed in range(12)]) <= 2
    assert max(moved(600, seed) for seed in range(6)) <= 6


def test_a_label_that_changes_moves_few():
    labels = rated(400, np.random.default_rng(0))
    other = labels.copy()
    other.loc["f0007.jpg", "rating"] = 7.0
    assert (stratified(labels) != stratified(other)).sum() <= 8


def test_persons_of_many_faces_keep_the_shares_as_far_as_they_allow():
    table = faces(600)
    rng = np.random.default_rng(0)
    persons = {name: f"p{i}" for name, i in zip(table["filename"], rng.zipf(1.6, 600), strict=True)}
    result = split(table, persons)
    largest = pd.Series(persons).value_counts().iloc[1:].max()
    assert abs((result == "test").sum() - 120) <= largest
    assert result.groupby(persons).nunique().max() == 1


def test_columns_that_make_no_strata_are_errors():
    labels = rated(5, np.random.default_rng(0)).assign(age=30.0)
    with pytest.raises(LabelError, match=r"no column gendre\. Did you mean gender\?"):
        strata_of(labels, ["gendre"], None)
    with pytest.raises(LabelError, match="age holds numbers; name classes or rating"):
        strata_of(labels, ["age"], None)


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
