"""Several rated traits, some raters alone, one rater's predictability, official splits."""

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest

from cards import trained_run
from facestats.core import tables
from facestats.errors import LabelError
from facestats.labels import rater_groups
from facestats.labels.joining import join_labels
from facestats.labels.personal import measure_personal
from facestats.labels.rater_groups import add_groups, group_columns, group_means, measure_groups
from facestats.labels.reliability import measure_agreement
from facestats.labels.splits import official_splits, split_faces, straddling_warning
from facestats.labels.tables import LABELS, RATER_GROUPS
from facestats.report.document import model_card
from label_files import FACES, IMAGES
from test_splits import faces

RATINGS = (
    "image,rater,rating,trait,rater_gender\n"
    "00,a,7,Trust,female\n00,b,5,trust,male\n01,a,2,trust,female\n"
    "00,a,1,att,female\n00,c,2,att,male\n01,c,4,att,male\n"
)


def join(folder, drop=None, raters=None, **files):
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return join_labels(FACES, folder, folder / "manual.csv", "auto", drop, raters)


def test_each_trait_has_its_mean_and_the_first_is_the_rating(tmp_path):
    joined = join(tmp_path, ratings__csv=RATINGS)
    table = joined.table.set_index("filename")
    assert table.loc["00.jpg", ["rating", "rating_trustworthy", "rating_attractive"]].tolist() == [
        6, 6, 1.5
    ]  # fmt: skip
    assert table.loc["01.jpg", "rating_attractive"] == 4
    assert table.loc["01.jpg", "rating_n"] == 1
    assert table.loc["01.jpg", "rating_attractive_source"] == "label"
    assert table["rating_attractive"].notna().sum() == 2
    assert joined.scale == (1, 7)  # of all traits together
    assert joined.summary["labelled"]["rating_attractive"] == 2
    assert list(joined.traits) == ["trustworthy", "attractive"]
    assert "0 judgement" not in joined.report()
    tables.write(joined.table, tmp_path / "labels.parquet", LABELS, joined.metadata())
    assert tables.read_all(tmp_path / "labels.parquet", LABELS)["rating_attractive"].dtype == float


def test_a_rater_may_judge_one_face_once_for_each_trait(tmp_path):
    with pytest.raises(LabelError, match="one judgement of 00 by a, who gave another"):
        join(tmp_path, ratings__csv=RATINGS + "00,a,3,att,female\n")


def test_a_trait_of_a_label_file_is_kept_where_nobody_judged(tmp_path):
    labels = "image,rating_attractive\n00,5\n02,6.5\n"
    table = join(tmp_path, ratings__csv=RATINGS, labels__csv=labels).table.set_index("filename")
    assert table["rating_attractive"].reindex(IMAGES[:3]).tolist() == [1.5, 4, 6.5]


def test_means_of_a_trait_are_read_like_ratings(tmp_path):
    labels = "image;rating_attractive;rating_words\n00;5,5;so\n02;6,5;none\n03;\u22121,0;2,5\n"
    by_hand = "filename;Rating_Attractive\n01.jpg;1,25\n02.jpg;None\n04.jpg;NA\n"
    joined = join(
        tmp_path,
        ratings__csv=RATINGS + "05,a,-2,att,female\n",
        labels__csv=labels,
        manual__csv=by_hand,
    )
    table = joined.table.set_index("filename")
    assert table["rating_attractive"].dropna().tolist() == [1.5, 1.25, 6.5, -1, -2]
    assert table["rating_attractive_source"].dropna().tolist() == [
        "label", "manual", "label", "label", "label"
    ]  # fmt: skip
    assert table["rating_words"].dropna().tolist() == ["so", "none", "2,5"]  # nobody judged these
    assert not any("rating_attractive" in warning for warning in joined.warnings)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels__csv", "image,rating_attractive\n03,6\n02,5o\n", "found '5o'.*did you mean 5"),
        ("manual__csv", "filename,rating_attractive\n03,6\n02,x\n", "found 'x', expected a numb"),
        ("labels__csv", "image,rating_attractive\n00,99\n02,55\n", "found '55', expected a rat"),
        (
            "manual__csv",
            'filename,Rating_attractive\n03,6\n00,"55,0"\n',
            "column Rating_attractive: found '55,0', expected a rating from 1 to 7, or nothing",
        ),
    ],
)
def test_means_of_a_trait_that_can_be_none_are_named(tmp_path, name, text, message):
    files = {"labels__csv": "image,rating_attractive\n04,4\n", name: text}
    with pytest.raises(LabelError, match=f"{name.replace('__', '.')}, line 3.*{message}"):
        join(tmp_path, ratings__csv=RATINGS, **files)


def test_a_trait_that_can_be_no_column_is_an_error(tmp_path):
    with pytest.raises(LabelError, match="the trait 'n' would be the column 'rating_n'"):
        join(tmp_path, ratings__csv="image,rater,rating,trait\n00,a,7,n\n00,a,7,att\n")


@pytest.mark.long
def test_raters_to_drop_may_have_rated_one_trait_only(tmp_path):
    joined = join(tmp_path, drop=["b"], ratings__csv=RATINGS)
    assert joined.table.set_index("filename").loc["00.jpg", "rating"] == 7
    assert joined.summary["raters"]["dropped"] == {"b": "named in labels.drop_raters"}
    with pytest.raises(LabelError, match="names 'nobody', who is no rater"):
        join(tmp_path, drop=["nobody"])


@pytest.mark.long
def test_only_some_raters_count(tmp_path):
    joined = join(tmp_path, raters={"rater_gender": "Female"}, ratings__csv=RATINGS)
    table = joined.table.set_index("filename")
    assert table.loc["00.jpg", ["rating", "rating_attractive"]].tolist() == [7, 1]
    assert "ratings.csv: labels.raters takes 3 of 6 lines" in joined.notes
    both = join(tmp_path, raters={"rater_gender": ["female", "male"]})
    assert both.table.set_index("filename").loc["00.jpg", "rating"] == 6
    for condition, part in (
        (
            {"rater_sex": "female"},
            "'rater_sex', which is no column of the file; it has image, rater",
        ),
        ({"rater_gender": "none"}, "nobody has rater_gender none; the column has 'female', 'male'"),
    ):
        with pytest.raises(LabelError, match=part):
            join(tmp_path, raters=condition)
    (tmp_path / "ratings.csv").unlink()
    with pytest.raises(LabelError, match=r"there is no ratings\.csv"):
        join(tmp_path, raters={"rater_gender": "female"})


def judged(raters, noise, seed=0, n=60):
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=n)
    return pd.DataFrame(
        {
            "filename": np.tile([f"{i}.jpg" for i in range(n)], raters),
            "rater": np.repeat([f"r{i}" for i in range(raters)], n),
            "rating": np.concatenate([taste + noise * rng.normal(size=n) for _ in range(raters)]),
        }
    )


@pytest.mark.long
def test_one_rater_is_predicted_far_worse_than_the_mean():
    judgements = judged(40, 1.5, n=300)
    report = measure_agreement(judgements, {"kind": judgements})
    personal, group = report["personal"], report["reliability"]
    expected = 1 / np.sqrt(1 + 1.5**2)  # of one rater with what all share
    assert personal["r"]["value"] == pytest.approx(expected, abs=0.05)
    assert personal["r"]["high"] < group["ceiling"]["value"] - 0.2
    assert personal["n_raters"] == len(personal["raters"]) == 40
    assert personal["r"]["value"] == pytest.approx(np.mean([*personal["raters"].values()]))
    assert report["traits"]["kind"]["personal"]["raters"] == {}
    assert measure_personal(judgements.sample(frac=1, random_state=1)) == personal


def test_why_one_rater_is_not_predicted():
    one = judged(2, 1)
    assert measure_personal(None)["why"] == "there is no ratings.csv"
    assert "does not name" in measure_personal(one.assign(rater=""))["why"]
    assert (
        measure_personal(one)["why"] == "2 raters share 10 faces or more with others, 3 are needed"
    )


class TestOfficialSplits:
    def split(self, words, persons=None, n=200):
        table = faces(n)
        labels = pd.DataFrame({"split_official": pd.Series(words)}, index=table["filename"])
        persons = pd.Series(persons or {}, dtype="str")
        labelled = pd.Series(True, index=table["filename"])
        arguments = table, persons, labelled, 0.15, 0.2, 0
        usual = split_faces(*arguments).set_index("filename")["split"]
        chosen = split_faces(*arguments, official_splits(labels)).set_index("filename")["split"]
        return usual, chosen

    def test_they_count_before_the_hash(self):
        words = {"f0000.jpg": "Test", "f0001.jpg": "training", "f0002.jpg": "valid"}
        usual, chosen = self.split(words)
        assert chosen[[*words]].tolist() == ["test", "train", "val"]
        rest = chosen.index.difference([*words])
        assert chosen[rest].equals(usual[rest])

    def test_without_a_test_set_the_one_for_validation_is_it(self):
        words = {f"f{i:04}.jpg": "val" if i < 60 else "train" for i in range(200)}
        usual, chosen = self.split(words)
        assert {*chosen[:60]} == {"test"}
        assert (chosen[60:] == "val").equals(usual[60:] == "val")  # dealt out of train
        assert {*chosen[60:]} == {"train", "val"}

    def test_a_persons_other_faces_follow(self):
        persons = {f"f{i:04}.jpg": "ann" for i in range(20)}
        _, chosen = self.split({"f0000.jpg": "test", "f0050.jpg": "val"}, persons)
        assert {*chosen[:20]} == {"test"}

    def test_a_person_in_two_of_them_is_said(self):
        persons = {"f0000.jpg": "ann", "f0001.jpg": "ann"}
        _, chosen = self.split({"f0000.jpg": "test", "f0001.jpg": "train"}, persons)
        warning = straddling_warning(chosen.reset_index(), pd.Series(persons))
        assert warning.startswith("split.official: 1 person in several splits, such as ann")

    def test_other_words_and_no_column_are_errors(self):
        with pytest.raises(LabelError, match=r"'fold 3' of f0000\.jpg is no split"):
            self.split({"f0000.jpg": "fold 3"})
        with pytest.raises(LabelError, match=r"labels\.csv has no column split_official"):
            official_splits(pd.DataFrame({"age": [1.0]}))


@pytest.mark.long
def test_datasets_with_other_means_come_to_one_level(tmp_path):
    labels = "image,rating,dataset\n" + "".join(
        f"{i:02d},{50 + 10 * (i % 3)},omi\n" if i < 9 else f"{i:02d},{20 + 6 * (i % 3)},sk\n"
        for i in range(15)
    )
    joined = join(tmp_path, labels__csv=labels)
    means = joined.table.dropna(subset="rating").groupby("dataset")["rating"].mean()
    assert means.to_dict() == pytest.approx({"omi": 60, "sk": 60})
    assert joined.summary["rating"]["levelled"] == {"rating": {"sk": 34}}
    assert "labels.level: rating of sk +34.0, to the mean of the largest dataset" in joined.report()
    assert joined.table.set_index("filename").loc["00.jpg", "rating"] == 50
    kept = join_labels(FACES, tmp_path, tmp_path / "manual.csv", "auto", level=False)
    assert kept.table.set_index("filename").loc["09.jpg", "rating"] == 20
    assert "levelled" not in kept.summary["rating"]


@pytest.mark.long
def test_raters_of_two_datasets_do_not_agree_because_these_differ(tmp_path):
    labels = "image,dataset\n" + "".join(f"{i:02d},{'ab'[i % 2]}\n" for i in range(40))
    rng = np.random.default_rng(0)  # raters who agree on nothing but the dataset
    rows = [
        f"{i:02d},r{j},{20 + 50 * (i % 2) + rng.normal(0, 5):.1f}"
        for i in range(40)
        for j in range(8)
    ]
    ratings = "image,rater,rating\n" + "\n".join(rows)
    joined = join(tmp_path, labels__csv=labels, ratings__csv=ratings)
    assert measure_agreement(joined.judgements, {})["reliability"]["split_half"]["value"] < 0.5
    apart = join_labels(FACES, tmp_path, tmp_path / "manual.csv", "auto", level=False)
    assert measure_agreement(apart.judgements, {})["reliability"]["split_half"]["value"] > 0.95


@pytest.mark.long
def test_the_scale_and_the_licence_of_an_import_reach_the_run(tmp_path):
    facts = {
        "name": "set",
        "title": "A Set",
        "version": None,
        "licence": "CC BY 4.0",
        "licence_link": "https://example.org/by",
        "citation": "Doe 2020",
        "files": 60,
        "rating_scale": [1, 7],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(facts))
    joined = join(tmp_path, labels__csv="image,rating\n00,2.5\n01,3\n")
    assert joined.scale == (1, 7)  # their narrowest usual scale would end at 5
    run = trained_run()
    traits = measure_agreement(judged(5, 1), {"kind": judged(5, 1)})["traits"]
    labels = run.labels | {"datasets": joined.dataset, "traits": traits}
    card = model_card(dataclasses.replace(run, labels=labels, drawn=False))
    flat = " ".join(card.split())
    assert (
        r"A Set, 60 photos. Licence: CC BY 4.0 (https\://example.org/by). To be cited: Doe" in flat
    )
    assert "| `kind` | 60 |" in card
    assert "do not say where the photos come from" not in card
    assert "were made shares" not in card
    (tmp_path / "dataset.json").write_text('{"name": "set"}')
    with pytest.raises(LabelError, match=r"dataset\.json is not what `facestats import` writes"):
        join(tmp_path)


@pytest.mark.long
def test_the_report_says_how_ratings_of_two_datasets_were_joined(tmp_path):
    sets = [
        dict.fromkeys(("name", "title", "version", "licence", "licence_link", "citation"), name)
        | {"files": 20, "rating_scale": scale}
        for name, scale in (("big", [0, 100]), ("small", [1, 7]))
    ]
    facts = {**sets[0], "appended": sets[1:], "stored_scale": [0, 100]}
    (tmp_path / "dataset.json").write_text(json.dumps(facts))
    labels = "image,dataset\n" + "".join(
        f"{i:02d},{'big' if i < 20 else 'small'}\n" for i in range(30)
    )
    ratings = "image,rater,rating\n" + "".join(
        f"{i:02d},{'' if i < 20 else f'r{j}'},{(50 if i < 20 else 20) + i % 3}\n"
        for i in range(30)
        for j in range(2)
    )
    joined = join(tmp_path, labels__csv=labels, ratings__csv=ratings)
    assert joined.summary["rating"]["unnamed"] == 40
    run = trained_run()
    summary = joined.summary | {"datasets": joined.dataset, "traits": {}}
    card = model_card(dataclasses.replace(run, labels=run.labels | summary, drawn=False))
    flat = " ".join(card.split())
    assert "2 raters gave 20 ratings and unnamed raters 40 more; the mean of 30 rated faces" in flat
    assert "Those of small, from 1 to 7, were made shares of 0 to 100." in flat
    (points,) = re.findall(r"were added to the mean ratings: small \+([\d.]+)\.", flat)
    assert float(points) == pytest.approx(30, abs=0.2)


@pytest.mark.long
def test_means_are_no_ratings_of_unnamed_raters(tmp_path):
    """Nobody knows how many ratings are behind a mean of labels.csv."""
    labels = "image,rating\n" + "".join(f"{i:02d},{i % 7}\n" for i in range(30))
    joined = join(tmp_path, labels__csv=labels)
    run = trained_run()
    summary = joined.summary | {"datasets": joined.dataset or [], "traits": {}}
    card = model_card(dataclasses.replace(run, labels=run.labels | summary, drawn=False))
    flat = " ".join(card.split())
    assert "The label files give one for each face, without its raters; the mean of 30" in flat
    assert "nnamed raters" not in flat


# Groups of raters


def two_groups(n=60, raters=12, shift=1.0, own=0.0, noise=1.0, seed=0):
    """Judgements by women and men who share a taste; women's lie higher by `shift`."""
    rng = np.random.default_rng(seed)
    taste, parts = rng.normal(size=n), []
    for group, sign in (("female", 1), ("male", 0)):
        group_taste = taste + own * rng.normal(size=n) + shift * sign
        for k in range(raters):
            parts.append(
                pd.DataFrame(
                    {
                        "filename": [f"{i}.jpg" for i in range(n)],
                        "rater": f"{group}{k}",
                        "rating": group_taste + 0.3 * rng.normal() + noise * rng.normal(size=n),
                        "rater_gender": group,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


@pytest.mark.long
def test_groups_that_differ_in_level_alone_agree():
    rows = two_groups()
    groups, _ = group_columns(rows[["rater_gender"]], rows)
    report = measure_groups(rows, groups)["rater_gender"]
    assert report["groups"]["female"]["n_raters"] == 12
    (pair,) = report["pairs"]
    assert pair["groups"] == ["female", "male"]
    assert pair["random"] == "faces and raters"
    assert pair["difference"]["low"] < 1 < pair["difference"]["high"]
    assert pair["difference"]["low"] > 0.3  # raters of either group differ by 0.3, 12 of them
    assert pair["r"]["value"] < 0.96
    assert pair["r_corrected"]["value"] == pytest.approx(1, abs=0.05)
    # Another order and other names of raters move no bit.
    again = rows.sample(frac=1, random_state=1)
    assert measure_groups(again, groups)["rater_gender"]["pairs"] == [pair]
    alone = measure_groups(rows.assign(rater=""), groups)["rater_gender"]["pairs"][0]
    assert alone["random"] == "faces"
    spans = [p["difference"]["high"] - p["difference"]["low"] for p in (alone, pair)]
    assert spans[0] < spans[1]


@pytest.mark.long
def test_a_taste_of_their_own_is_told_from_few_raters():
    rows = two_groups(own=1.0, n=300)
    pair = measure_groups(rows, group_columns(rows[["rater_gender"]], rows)[0])["rater_gender"][
        "pairs"
    ]
    assert pair[0]["r_corrected"]["high"] < 0.7  # 0.5 is true
    assert pair[0]["r_corrected"]["low"] > 0.35


def test_only_what_divides_the_raters_is_a_group():
    rows = two_groups(n=4, raters=3)
    who = pd.DataFrame(
        {
            "rater_gender": rows["rater_gender"],
            "rater_age": rows["rater"].map(
                {r: str(20 + i) for i, r in enumerate({*rows["rater"]})}
            ),
            "face_gender": np.where(rows["filename"] == "0.jpg", "male", "female"),
            "answer_time": [str(i) for i in range(len(rows))],
            "study": "one",
        }
    )
    assert [*group_columns(who, rows)[0]] == ["rater_gender", "rater_age"]
    assert group_columns(None, rows)[0].empty


@pytest.mark.long
def test_of_very_many_groups_the_fewest_are_compared(tmp_path):
    """Each pair takes time, and of thousands of figures nobody reads one."""
    raters, images = [f"r{i}" for i in range(24)], ["00", "01"]
    names = ["gender", *(f"question_{i}" for i in range(39))]
    lines = [
        f"{image},{rater},{1 + i % 7},{'fm'[i % 2]}," + ",".join([f"{i % 12}"] * 39)
        for i, rater in enumerate(raters)
        for image in images
    ]
    text = "\n".join([f"image,rater,rating,{','.join(names)}", *lines]) + "\n"
    joined = join(tmp_path, ratings__csv=text)
    assert [*joined.groups] == names[:5]  # 1 + 4 * 66 pairs
    (warning,) = (one for one in joined.warnings if "pairs of groups" in one)
    assert "40 columns divide raters into groups, which makes 2575 pairs" in warning
    assert "left out 35 columns: 'question_4', 'question_5'" in warning


@pytest.mark.long
def test_means_by_group_stand_in_a_table(tmp_path):
    joined = join(tmp_path, ratings__csv=RATINGS)
    table = group_means(joined.judgements, joined.traits, joined.groups)
    tables.write(table, tmp_path / "rater_groups.parquet", RATER_GROUPS)
    table = tables.read(tmp_path / "rater_groups.parquet", RATER_GROUPS)
    row = table[(table["trait"] == "trustworthy") & (table["group"] == "female")]
    assert row["rating"].tolist() == [7, 2]
    plain = join(tmp_path, ratings__csv="image,rater,rating\n00,a,7\n")
    means = group_means(plain.judgements, plain.traits, plain.groups)
    tables.write(means, tmp_path / "rater_groups.parquet", RATER_GROUPS)
    assert tables.read(tmp_path / "rater_groups.parquet", RATER_GROUPS).empty
    assert add_groups({"reliability": 1}, None, {}, plain.groups, None) == {"reliability": 1}


@pytest.mark.long
def test_pairs_of_as_many_faces_share_their_resamples(monkeypatch):
    """Drawing them took nearly all of the 15 s of 264 pairs."""
    rows = pd.concat([two_groups(n=30, raters=2).assign(rater_gender=name) for name in "abcdef"])
    rows = rows.assign(rater=rows["rater"] + rows["rater_gender"]).reset_index(drop=True)
    groups, _ = group_columns(rows[["rater_gender"]], rows)
    expected, calls = measure_groups(rows, groups), []
    draw = rater_groups.resampled_weights
    monkeypatch.setattr(
        rater_groups, "resampled_weights", lambda *of: calls.append(of) or draw(*of)
    )
    assert measure_groups(rows, groups) == expected
    assert len(expected["rater_gender"]["pairs"]) == 15
    assert len(calls) == 1
    monkeypatch.setattr(rater_groups, "KEPT", 0)  # as with faces whose weights take gigabytes
    assert measure_groups(rows, groups) == expected


def test_groups_that_share_few_faces_are_not_compared():
    rows = two_groups(n=4, raters=3)
    report = measure_groups(rows, group_columns(rows[["rater_gender"]], rows)[0])
    (pair,) = report["rater_gender"]["pairs"]
    assert pair["why"] == "both rated 4 faces, 10 are needed"
    assert pair["difference"]["value"] is None
