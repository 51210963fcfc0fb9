"""Who is in which split: by person, stable when images are added, nothing twice."""

import numpy as np
import pandas as pd

from facestats.data.splits import split_faces


def faces(n, prefix="f"):
    return pd.DataFrame({
        "filename": [f"{prefix}{i:04}.jpg" for i in range(n)], "sha256": [f"{prefix}{i:064}" for i in range(n)],
        "duplicate_of": pd.Series([None] * n, dtype="str"), "near_duplicate_of": pd.Series([None] * n, dtype="str"),
    })


def split(table, persons=None):
    persons = pd.Series(persons or {}, dtype="str")
    return split_faces(table, persons, val=0.15, test=0.2, seed=0).set_index("filename")["split"]


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
    table.loc[200:, "duplicate_of"] = table.loc[:199, "filename"].to_numpy()
    persons = {name: f"person {name}" for name in table["filename"][:200]}
    result = split(table, persons).to_numpy()
    assert (result[:200] == result[200:]).all()


def test_near_duplicates_across_splits_are_kept_out_of_val_and_test():
    table = faces(2000)
    table.loc[1000:, "near_duplicate_of"] = table.loc[:999, "filename"].to_numpy()
    result = split(table)
    pairs = pd.DataFrame({"a": result.to_numpy()[:1000], "b": result.to_numpy()[1000:]})
    allowed = {("train", "train"), ("val", "val"), ("test", "test"), ("train", "excluded"), ("excluded", "train"),
               ("excluded", "excluded")}
    assert set(pairs.itertuples(index=False, name=None)) <= allowed
    assert (result == "excluded").sum() > 100
