"""Who may be a child gets no score: who counts as one, what the model is trusted with, and what is
said where nothing can tell.
"""

from facestats.run.stage import StageItem

import json
import runpy
import warnings

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image, ImageOps

import facestats
from facestats.age.check import (
    AgeCheck,
    check_faces,
    fit_check,
    load_check,
    measure_check,
    save_check,
)
from facestats.age.tables import AGE_CHECK
from facestats.cli import score as score_command
from facestats.clip.tables import embeddings_schema
from facestats.core import tables
from facestats.core.files import read_json, write_json
from facestats.core.fingerprint import sha256_file
from facestats.core.layout import SERVING
from facestats.core.stats.intervals import exact_share
from facestats.errors import DoubtWarning, InputError, ModelError, ParamsError, WithheldError
from facestats.faces.dedup import find_copy, perceptual_hash
from facestats.faces.tables import FACES
from facestats.groups.filters import select_faces
from facestats.labels.tables import LABELS, SPLITS
from facestats.params.project import check_params
from facestats.report.section_models import age_notices
from resources import ROOT, names

PHOTO, OTHER = "data/raw/face_0001.jpg", "data/raw/face_0003.jpg"
SCORES = ("raw", "score", "pct", "decile", "geometric", "combined")
GOOD = AgeCheck(18, bound=3.0, n=100)


def people(n: int, error: float, low: float = 5, seed: int = 0) -> pd.DataFrame:
    """Ages, and a model that is off by a normal error."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(low, 75, n)
    return pd.DataFrame({"age": age, "predicted": age + error * rng.normal(size=n)}, index=names(n))


def labels_of(age: list, source: list) -> pd.DataFrame:
    return pd.DataFrame(
        {"age": np.asarray(age, float), "age_source": source}, index=names(len(age))
    )


def test_the_youngest_age_of_a_copy_counts_for_all_of_its_group():
    labels = labels_of(
        [10, 25, np.nan, 30, 40, 25, 17],
        ["manual", "label", None, "label", "manual", "manual", "label"],
    )
    copies = pd.Series(["a", "a", "a", "b", "b", "c", "c"], index=labels.index)
    predicted = pd.Series(np.nan, index=labels.index)
    table = check_faces(GOOD, labels, predicted, copies)
    assert table["age_checked"].tolist() == [
        "manual",
        "copy",
        "copy",
        "label",
        "manual",
        "copy",
        "label",
    ]
    assert table["score_withheld"].notna().tolist() == [True, True, True, False, False, True, True]
    assert (
        table["score_withheld"][1]
        == "a copy of the picture is labelled as under 18 (score.min_age)"
    )


def test_hand_beats_label_label_beats_a_copys_and_that_beats_the_model():
    labels = labels_of(
        [12, 40, 17.9, 18, np.nan, np.nan, np.nan, np.nan, 12],
        ["manual", "manual", "label", "label", None, None, None, None, "label"],
    )
    predicted = pd.Series([60.0, 5, 60, 5, 20.9, 21, np.nan, 60, 60], index=labels.index)
    copies = pd.Series(["a", "b", "c", "d", "e", "f", "g", "h", "h"], index=labels.index)
    table = check_faces(GOOD, labels, predicted, copies)
    assert table["age_checked"].fillna("-").tolist() == [
        "manual",
        "manual",
        "label",
        "label",
        "model",
        "model",
        "-",
        "copy",
        "label",
    ]
    assert table["score_withheld"].notna().tolist() == [
        True,
        False,
        True,
        False,
        True,
        False,
        False,
        True,
        True,
    ]
    assert table["score_withheld"][0] == "said by hand to be under 18 (score.min_age)"
    unused = check_faces(AgeCheck(18, bound=3.0, why="too vague"), labels, predicted, copies)
    assert unused["age_checked"].isna().tolist() == [
        False,
        False,
        False,
        False,
        True,
        True,
        True,
        False,
        False,
    ]
    assert (
        check_faces(AgeCheck(None), labels, predicted, copies)[["score_withheld", "age_checked"]]
        .isna()
        .all(axis=None)
    )


def test_of_children_who_are_no_train_faces_few_pass_the_bound():
    rng = np.random.default_rng(1)
    for seed in range(5):
        faces = people(2000, 3.0, seed=seed)
        slope = faces["predicted"].where(
            faces["predicted"] > 24, 8 + 2 / 3 * faces["predicted"]
        )  # the young are taken for older
        check = fit_check(18, False, faces.assign(predicted=slope))
        assert check.by_model
        age = rng.uniform(5, 75, 20_000)
        seen = age + 3.0 * rng.normal(size=len(age))
        seen = np.where(seen > 24, seen, 8 + 2 / 3 * seen)
        near = np.abs(seen - (18 + check.bound)) < 0.7
        assert (age[near] < 18).mean() < 0.1  # at the boundary itself about one in twenty
        assert (check.may_be_under(seen) & (age > 32)).mean() < 0.01
        assert not check.may_be_under(seen[age < 18]).all()  # and some are missed: that is measured
        assert check.may_be_under(seen[age < 18]).mean() > 0.95


def test_a_model_that_withholds_too_much_from_adults_is_not_used_and_what_it_would_do_is_told():
    faces = people(400, 15.0)
    vague = fit_check(18, False, faces)
    assert not vague.by_model
    assert "it would withhold the scores of" in vague.why
    assert "more than 20 %" in vague.why
    share = measure_check(vague, faces, pd.Series(np.nan, index=faces.index))
    assert share["adults"]["value"] > 0.2
    assert share["adults"]["n"] == (faces["age"] >= 18).sum()
    grown = faces[faces["age"] >= 18]
    assert measure_check(vague, grown, pd.Series(np.nan, index=grown.index))["minors"] == {
        "value": None,
        "low": None,
        "high": None,
        "n": 0,
    }
    few = fit_check(18, False, people(19, 1.0))
    assert "19 labelled faces left out" in few.why
    assert few.bound is None
    assert fit_check(18, True, people(0, 1.0), "no age model was trained: 0 faces") == AgeCheck(
        18, True, why="no age model was trained: 0 faces"
    )
    assert fit_check(None, False, people(400, 1.0)).why == "score.min_age is null"


def test_missed_minors_are_measured_with_an_exact_interval():
    faces = pd.DataFrame(
        {"age": [10.0] * 20 + [40.0] * 10, "predicted": [15.0] * 19 + [30.0] + [40.0] * 10},
        index=names(30),
    )
    alone = pd.Series(np.nan, index=faces.index, dtype=object)
    measured = measure_check(GOOD, faces, alone)
    assert measured["minors"]["value"] == pytest.approx(0.05)
    assert measured["minors"]["low"] == pytest.approx(
        0.0013, abs=1e-4
    )  # of tables of Clopper and Pearson
    assert measured["minors"]["high"] == pytest.approx(0.2487, abs=1e-4)
    assert measured["adults"] == {
        "value": 0.0,
        "low": 0.0,
        "high": pytest.approx(0.3085, abs=1e-4),
        "n": 10,
    }
    one_person = measure_check(GOOD, faces, alone.mask(faces["age"] > 18, "anna"))["adults"]
    assert one_person["high"] > 0.9  # ten photos of one person say little of others
    assert exact_share(np.ones(4, dtype=bool)) == {
        "value": 1.0,
        "low": pytest.approx(0.3976, abs=1e-4),
        "high": 1.0,
        "n": 4,
    }


def test_what_is_said_of_a_run():
    ages = {
        "min_age": 18,
        "faces": 10,
        "checked": {"nothing": 3},
        "withheld": {"label": 1, "model": 0},
        "model": {"why": "it is vague"},
    }
    assert age_notices(ages) == [
        "the age of 3 of 10 faces was not checked, so scores may be those of children: it is vague",
        "1 of 10 faces gets no score, as it may be under 18",
    ]
    assert "of other photos is not checked" in age_notices(ages | {"checked": {"nothing": 0}})[0]
    assert (
        age_notices(ages | {"checked": {"nothing": 0}, "model": {"why": None}, "withheld": {}})
        == []
    )
    assert "children get scores" in age_notices(ages | {"min_age": None})[0]


def test_no_filter_by_score_finds_who_has_none():
    table = pd.DataFrame(
        {
            "filename": names(4),
            "attractiveness": pd.array([10, None, 9, None], dtype="Int32").astype("float64"),
        }
    )
    chosen = select_faces(table, {"attractiveness": [1, 10]}, min_results=4, relax=[])
    assert chosen.rows["filename"].tolist() == [names(4)[0], names(4)[2]]
    table["score_withheld"] = [None, "labelled as under 18 (score.min_age)", None, None]
    chosen = select_faces(
        table, {"attractiveness": [9, 10]}, min_results=4, relax=["attractiveness"]
    )
    assert chosen.relaxed[0]["to"] is None
    assert chosen.rows["filename"].tolist() == [names(4)[0], names(4)[2], names(4)[3]]


def test_requiring_a_check_against_no_age_is_a_mistake():
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert check_params(raw).score.min_age == 18
    raw["score"] |= {"min_age": None}
    assert check_params(raw).score.min_age is None
    raw["score"] |= {"require_age_check": True}
    with pytest.raises(ParamsError, match="require_age_check needs a min_age"):
        check_params(raw)


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[]",
        "x",
        '{"min_age": "18"}',
        '{"min_age": 18, "bound": -1.0}',
        '{"min_age": 18, "bound": null}',
        f'{{"min_age": 18, "bound": {10**400}}}',
        '{"min_age": null, "why": null}',
        '{"min_age": 18, "why": 3}',
    ],
)
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "age_check.json"
    with pytest.raises(ModelError, match="no such file"):
        load_check(path)
    path.write_text(content)
    with pytest.raises(
        ModelError, match=r"age_check\.json does not say how ages are checked .*dvc repro age_check"
    ):
        load_check(path)
    save_check(path, GOOD)
    assert load_check(path) == GOOD


@pytest.fixture
def stage(tmp_path):
    """Runs the age model's training and the stage on made-up faces: an embedding that tells the
    age, more or less.
    """
    n = 240
    rng = np.random.default_rng(0)
    age = rng.uniform(8, 75, n)
    rows = pd.DataFrame(
        {
            "filename": names(n),
            "sha256": [f"{i:064}" for i in range(n)],
            "copy_group": names(n),
            "copy_rank": 1,
            "status": "ok",
            "age": np.where(np.arange(n) % 6 == 5, np.nan, age),
            "age_source": "label",
            "split": np.resize(["train", "train", "val", "test"], n),
            "drawing": 0.0,
            "sharpness": 1.0,
            "face_count": 1,
            "confidence": 1.0,
            "presence": 1.0,
        }
    )
    rows["copy_group"] = rows["copy_group"].astype(object)

    def run(noise: float = 2.0, **options) -> dict:
        x = np.stack(
            [age / 20 + noise / 20 * rng.normal(size=n), *rng.normal(size=(3, n)) * 0.01], axis=1
        ).astype(np.float32)
        tables.write(
            rows.assign(image=rows["filename"]).reindex(
                columns=[c for c in FACES.columns if c not in ("box", "landmarks")]
            ),
            tmp_path / "faces.parquet",
            FACES,
            vectors={"box": np.tile([0, 0, 200, 200], (n, 1)), "landmarks": np.zeros((n, 1404))},
        )
        tables.write(
            rows.reindex(columns=list(LABELS.columns)),
            tmp_path / "labels.parquet",
            LABELS,
        )
        tables.write(rows[["filename", "split"]], tmp_path / "splits.parquet", SPLITS)
        tables.write(
            rows[["filename"]].assign(key="k"),
            tmp_path / "embeddings.parquet",
            embeddings_schema(4),
            {
                "variant": "v",
                "revision": "",
                "weights_sha256": "w",
                "precision": "float32",
                "dimension": 4,
            },
            vectors={"embedding": x},
        )
        raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        targets = options.pop("targets", {"age": {"kind": "regression", "alpha": 1.0}})
        raw["attributes"]["targets"] = targets
        raw["score"] |= options
        params = check_params(raw)
        inputs = [
            tmp_path / f"{name}.parquet" for name in ("embeddings", "faces", "labels", "splits")
        ]
        if targets:
            runpy.run_path(str(ROOT / "stages/train_attribute.py"))["main"](
                params,
                StageItem("age"),
                *inputs,
                tmp_path / "models/attributes",
                tmp_path / "oof",
                tmp_path / "metrics",
            )
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models/attributes.json").write_text(json.dumps({"targets": [*targets]}))
        embeddings, *others = inputs
        runpy.run_path(str(ROOT / "stages/age_check.py"))["main"](
            params,
            embeddings,
            tmp_path / "models",
            tmp_path / "oof",
            *others,
            tmp_path / "age_check.parquet",
            tmp_path / "age_check.json",
            tmp_path / "measured.json",
        )
        return json.loads((tmp_path / "measured.json").read_text(encoding="utf-8"))

    run.rows, run.ages = rows, age
    run.table = lambda: tables.read(tmp_path / "age_check.parquet", AGE_CHECK).set_index("filename")
    return run


@pytest.mark.long
def test_the_stage_checks_by_label_and_by_a_model_that_is_good_enough(stage, capsys):
    measured = stage()
    table, labelled = stage.table(), stage.rows["age"].notna().to_numpy()
    assert measured["model"]["used"]
    assert 2 < measured["model"]["bound"] < 8
    assert measured["checked"] == {"manual": 0, "label": 200, "copy": 0, "model": 40, "nothing": 0}
    assert (table["score_withheld"].notna()[labelled] == (stage.ages < 18)[labelled]).all()
    assert table["score_withheld"][~labelled & (stage.ages < 16)].notna().all()
    assert table["score_withheld"][~labelled & (stage.ages > 35)].isna().all()
    assert (
        measured["left_out"]["minors"]["n"] + measured["test"]["minors"]["n"]
        == (stage.ages[labelled] < 18).sum()
    )
    assert measured["left_out"]["adults"]["value"] < 0.2
    assert "not checked" not in capsys.readouterr().err
    stage.rows.loc[0, "drawing"] = stage.rows.loc[5, "drawing"] = 1.0  # drawings among photographs
    assert stage()["checked"]["nothing"] == 1  # the one without a label
    assert "no pictures of the kind" in capsys.readouterr().err


@pytest.mark.long
def test_a_copy_of_a_child_is_one(stage):
    young = int(np.flatnonzero((stage.ages < 12) & stage.rows["age"].notna())[0])
    stage.rows.loc[[young, 5], "copy_group"] = "together"
    stage()
    assert stage.table()["age_checked"].iloc[5] == "copy"
    assert (
        "a copy of the picture is labelled as under 18" in stage.table()["score_withheld"].iloc[5]
    )


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"targets": {}}, "attributes.targets has no age"),
        ({"noise": 40.0}, "can't tell enough adults"),
    ],
)
def test_where_nothing_can_tell_it_is_said_and_may_be_refused(stage, capsys, options, why):
    measured = stage(**options)
    assert measured["checked"]["nothing"] == 40
    assert measured["checked"]["label"] == 200
    assert measured["withheld"]["label"] > 0
    assert why in measured["model"]["why"]
    message = capsys.readouterr().err
    assert "warning: the age of 40 of 240 faces can't be checked" in message
    assert why in message
    with pytest.raises(
        InputError,
        match=r"the age of 40 of 240 faces can't be checked .*score\.require_age_check is true",
    ):
        stage(**options, require_age_check=True)
    assert stage(**options, min_age=None)["checked"]["nothing"] == 240
    assert "children get scores" in capsys.readouterr().err


@pytest.mark.long
def test_no_label_at_all_checks_nobody(stage, capsys):
    stage.rows["age"] = np.nan
    measured = stage()
    assert measured["checked"]["nothing"] == 240
    assert "no age model was trained: 0 labelled train faces" in capsys.readouterr().err
    assert measured["left_out"]["minors"]["value"] is None


def test_a_picture_is_found_again_resized_and_mirrored_and_no_other_is():
    rng = np.random.default_rng(0)
    looks = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8)).resize(
                (64, 64), Image.Resampling.BICUBIC
            )
        )
        for _ in range(6)
    ]
    hashes = np.stack([np.frombuffer(perceptual_hash(look), np.uint8) for look in looks])
    for at in (0, 3):
        for same in (looks[at], np.ascontiguousarray(looks[at][:, ::-1])):
            assert find_copy(perceptual_hash(same), same, hashes, looks.__getitem__) == at
    assert find_copy(perceptual_hash(looks[5]), looks[5], hashes[:5], looks.__getitem__) is None
    assert find_copy(perceptual_hash(looks[0]), looks[0], hashes, lambda at: None) is None
    assert find_copy(perceptual_hash(looks[0]), looks[0], hashes, lambda at: None, [0]) == 0
    assert find_copy(perceptual_hash(looks[0]), looks[0], hashes, lambda at: None, [1]) is None
    assert find_copy(perceptual_hash(looks[0]), looks[0], hashes[:0], looks.__getitem__) is None


@pytest.fixture
def serve(built, tmp_path, monkeypatch):
    """Serve the built project's models with another check, and with what people said of some of its
    faces.
    """
    for path in [
        *(built.folder / "models").iterdir(),
        built.folder / "data/processed/preproc",
        built.folder / "data/processed/metadata/faces.parquet",
        built.folder / "data/raw",
    ]:
        link = tmp_path / path.relative_to(built.folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    monkeypatch.chdir(tmp_path)

    def check(how: AgeCheck, said: dict[str, tuple[str | None, str]] | None = None) -> None:
        (tmp_path / "models/age_check.json").unlink(missing_ok=True)
        save_check(tmp_path / "models/age_check.json", how)
        rows = pd.DataFrame(
            [
                {"filename": name, "score_withheld": why, "age_checked": by}
                for name, (why, by) in (said or {}).items()
            ],
            columns=list(AGE_CHECK.columns),
        )
        tables.write(rows, tmp_path / "data/processed/metadata/age_check.parquet", AGE_CHECK)
        manifest = read_json(built.folder / SERVING)
        for part in ("age_check", "ages"):
            manifest["parts"][part] = {
                path: sha256_file(tmp_path / path) for path in manifest["parts"][part]
            }
        (tmp_path / SERVING).unlink()
        write_json(tmp_path / SERVING, manifest)

    return check


@pytest.mark.slow
def test_a_photo_by_itself_is_checked_by_the_model(serve, capsys):
    serve(AgeCheck(18, bound=200.0, n=100))
    result = facestats.score_image(PHOTO)
    assert [result[key] for key in SCORES] == [None] * 6
    assert result["withheld"] == "may be under 18: the age model can't rule it out (score.min_age)"
    assert result["warnings"][0] == f"no score: {result['withheld']}"
    with pytest.raises(WithheldError, match="no score: may be under 18"):
        facestats.calculate_attractiveness_score(PHOTO)
    assert run_score(PHOTO) == 1
    assert json.loads(capsys.readouterr().out)["withheld"] == result["withheld"]
    serve(AgeCheck(1, bound=0.0, n=100))
    result = facestats.score_image(PHOTO)
    assert result["withheld"] is None
    assert result["age_checked"] == "model"
    assert 0 <= result["combined"] <= 100
    assert not any("age" in text.split() for text in result["warnings"])


@pytest.mark.slow
def test_what_people_said_of_a_known_picture_beats_the_model(serve):
    why = "labelled as under 18 (score.min_age)"
    serve(
        AgeCheck(18, bound=200.0, n=100),
        {"face_0001.jpg": (why, "label"), "face_0003.jpg": (None, "manual")},
    )
    assert facestats.score_image(OTHER)["age_checked"] == "manual"
    assert facestats.score_image(OTHER)["score"] is not None
    serve(AgeCheck(1, bound=0.0, n=100), {"face_0001.jpg": (why, "label")})
    picture = Image.open(PHOTO).convert("RGB")
    for image in (
        PHOTO,
        np.asarray(picture),
        picture.resize((picture.width * 3 // 2, picture.height * 3 // 2)),
        ImageOps.mirror(picture),
    ):
        result = facestats.score_image(image)
        assert result["withheld"] == why
        assert result["age_checked"] == "label"
        assert result["score"] is None
    assert facestats.score_image(OTHER)["age_checked"] == "model"


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    [
        AgeCheck(18, why="no age model was trained: 0 faces"),
        AgeCheck(None, why="score.min_age is null"),
    ],
)
def test_a_photo_whose_age_nothing_tells_says_so_or_is_refused(serve, capsys, check):
    serve(check)
    result = facestats.score_image(PHOTO)
    assert result["warnings"][0].startswith("age was not checked")
    assert check.why in result["warnings"][0]
    assert result["age_checked"] is None
    assert result["score"] is not None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        facestats.calculate_attractiveness_score(PHOTO)
    assert any(
        issubclass(one.category, DoubtWarning) and "age was not checked" in str(one.message)
        for one in caught
    )
    if check.min_age is None:
        return
    serve(AgeCheck(18, required=True, why=check.why))
    for function in (facestats.score_image, facestats.calculate_attractiveness_score):
        with pytest.raises(WithheldError, match=r"age was not checked.*no age model was trained"):
            function(PHOTO)
    assert run_score(PHOTO) == 1
    assert "score.require_age_check" in json.loads(capsys.readouterr().out)["error"]


def run_score(photo: str) -> int:
    parser = score_command.argparse.ArgumentParser()
    score_command.add_arguments(parser)
    return score_command.run(parser.parse_args([photo]))
