"""The traits of `score.traits`: which rating is the main one, and the scores of the others."""

import argparse
import json

import pandas as pd
import pytest
import yaml

from facestats.cli.importing import add_arguments
from facestats.core import tables
from facestats.core.files import write_json
from facestats.errors import LabelError, ParamsError
from facestats.labels.joining import join_labels
from facestats.labels.traits import read_traits, write_traits
from facestats.params.project import check_params
from facestats.scores.tables import SCORES
from facestats.traits.joining import MODEL_FILES, copy_models, join_traits
from facestats.traits.tables import MAIN, ONE_TRAIT, TRAIT_SCORES, of_trait
from label_files import FACES
from resources import ROOT
from test_traits import RATINGS

PLAIN = "image,rater,rating\n00,a,7\n00,b,5\n01,a,2\n"


def join(folder, chosen, **files):
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return join_labels(FACES, folder, folder / "manual.csv", "auto", chosen=chosen)


def test_the_first_trait_of_the_list_is_the_rating(tmp_path):
    joined = join(tmp_path, ["attractive", "trustworthy"], ratings__csv=RATINGS)
    table = joined.table.set_index("filename")
    assert table.loc["00.jpg", ["rating", "rating_trustworthy"]].tolist() == [1.5, 6]
    assert joined.metadata()["trait"] == "attractive"
    assert [*joined.traits] == ["attractive", "trustworthy"]
    assert joined.judgements["rating"].tolist() == [1, 2, 4]


@pytest.mark.long
def test_ratings_without_a_trait_are_those_of_the_first(tmp_path):
    labels = "image,rating_calm\n00,3\n01,1.5\n"
    joined = join(tmp_path, ["kind", "calm"], ratings__csv=PLAIN, labels__csv=labels)
    table = joined.table.set_index("filename")
    assert table.loc["00.jpg", ["rating", "rating_calm"]].tolist() == [6, 3]
    assert table["rating_calm"].dtype == float
    # The means of a label file may also be the main trait.
    table = join(tmp_path, ["calm"]).table.set_index("filename")
    assert table.loc[["00.jpg", "01.jpg"], "rating"].tolist() == [3, 1.5]
    assert join(tmp_path, ["calm"]).judgements is None


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["attractive", "trust"], "'trust', which nobody rated.*Did you mean trustworthy"),
        (["kind"], "'kind', which nobody rated.*Rated are attractive, trustworthy"),
    ],
)
def test_a_trait_that_nobody_rated_is_an_error(tmp_path, chosen, message):
    with pytest.raises(LabelError, match=message):
        join(tmp_path, chosen, ratings__csv=RATINGS)


def test_means_of_a_trait_must_be_numbers(tmp_path):
    labels = "image,rating_calm\n01,2\n00,very\n"
    with pytest.raises(LabelError, match=r"labels.csv, line 3, column rating_calm: found 'very'"):
        join(tmp_path, ["kind", "calm"], ratings__csv=PLAIN, labels__csv=labels)


def test_the_scale_is_that_of_all_means_where_nobody_judged(tmp_path):
    labels = "image;rating_kind;rating_calm\n00;3,5;6,5\n01;4;None\n"
    joined = join(tmp_path, ["kind", "calm"], labels__csv=labels)
    table = joined.table.set_index("filename")
    assert table.loc["00.jpg", ["rating", "rating_kind", "rating_calm"]].tolist() == [3.5, 3.5, 6.5]
    assert (
        joined.summary["labelled"] | {"rating_kind": 2, "rating_calm": 1}
        == (joined.summary["labelled"])
    )
    assert joined.scale == (1, 7)


@pytest.mark.parametrize(
    ("traits", "message"),
    [
        (["attractive", "attractive"], "attractive stands there twice"),
        (["geometric"], "columns of the main score"),
        (["so kind"], "a name can't hold ' '"),
        ("kind", "score.traits"),
    ],
)
def test_lists_that_can_not_be(traits, message):
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["score"]["traits"] = traits
    with pytest.raises(ParamsError, match=message):
        check_params(raw)


def one_trait(value):
    frame = pd.DataFrame({"filename": ["a.jpg", "b.jpg"]})
    for name in MAIN:
        frame[name] = [True, False] if name.endswith("fold") else [value, value + 1.0]
    return frame.assign(decile=pd.array([3, None], dtype="Int32"))


def write_main(path):
    main = one_trait(1.0).rename(columns=MAIN).assign(split="train")
    tables.write(main.reindex(columns=[*SCORES.columns]), path, SCORES)
    return path


@pytest.mark.parametrize("block", [1, 100])
def test_scores_of_all_traits_stand_in_one_table(tmp_path, monkeypatch, block):
    monkeypatch.setattr("facestats.core.tables.blocks.BLOCK", block)
    write_traits(tmp_path, ["attractive", "calm"])
    surplus = one_trait(5.0)[:1].assign(filename="of no photo.jpg")
    calm = pd.concat([one_trait(5.0), surplus])
    tables.write(calm, tmp_path / "calm/scores.parquet", ONE_TRAIT, tables.doubts_metadata({}))
    for name in (*MODEL_FILES, "training.json"):
        write_json(tmp_path / "calm" / name, name)
    blocks, doubts = join_traits(write_main(tmp_path / "main.parquet"), tmp_path, "says nothing")
    assert doubts == {"attractive_decile": "says nothing"}
    tables.write_blocks(blocks, tmp_path / "all.parquet", TRAIT_SCORES)
    joined = tables.read_all(tmp_path / "all.parquet", TRAIT_SCORES)
    assert joined["calm_score"].tolist() == [5, 6]
    assert joined["attractive_combined"].tolist() == [1, 2]
    assert joined["calm_decile"].isna().tolist() == [False, True]
    assert [*of_trait(joined, "calm")] == [*MAIN.values()]
    assert copy_models(tmp_path, tmp_path / "models") == 5
    assert json.loads((tmp_path / "models/calm/blend.json").read_text()) == "blend.json"
    assert read_traits(tmp_path / "models") == ["attractive", "calm"]


def test_without_traits_the_table_has_names_alone(tmp_path):
    write_traits(tmp_path, [])
    blocks, doubts = join_traits(write_main(tmp_path / "main.parquet"), tmp_path)
    assert [[*block] for block in blocks] == [["filename"]]
    assert doubts == {}


def test_import_takes_traits_one_after_the_other_too():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args(["omi", "DIR", "--trait", "attractive", "--trait", "kind", "calm"])
    assert options.trait == ["attractive", "kind", "calm"]
