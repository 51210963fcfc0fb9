"""The stages `train_attractiveness` and `score`: who may influence the model, and what happens
where it can't be trained.
"""

from facestats.run.stage import StageItem

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from facestats.age.tables import AGE_CHECK
from facestats.attributes.tables import CLEAN
from facestats.clip.tables import embeddings_schema
from facestats.core import tables
from facestats.core.files import write_json
from facestats.core.landmarks import N_LANDMARKS
from facestats.core.stats.identity import IDENTITY
from facestats.core.stats.intervals import person_groups
from facestats.errors import FaultError, TableError
from facestats.evaluation import evaluate_project
from facestats.evaluation.attractiveness import Attractiveness
from facestats.faces.tables import FACES
from facestats.geometry.tables import GEOMETRY
from facestats.labels.tables import LABELS, SPLITS
from facestats.params.project import load_params
from facestats.scores.blending import BlendWeights
from facestats.scores.fitting import _train
from facestats.scores.params import Mlp
from facestats.scores.regressor import load_regressor
from facestats.scores.tables import SCORES, SCORES_OUT_OF_FOLD
from programs import run_program, stage_command
from rated import D, noisy_line
from resources import ROOT, names
from stages import call_stage

N = 130
MLP = {"hidden": 8, "ensemble": 2, "epochs": 3, "folds": 3}
SPLIT = np.resize(["train", "train", "train", "val", "test", "train", "excluded"], N)


@dataclass
class Stage:
    """The inputs of the stage in a folder; `rows` is what the tables are made from."""

    folder: Path
    rows: pd.DataFrame
    vectors: np.ndarray
    warnings: str = ""

    def run(
        self,
        script: str,
        paths: dict[str, str],
        threads: int | None = None,
        weights: str | dict | None = None,
        **mlp,
    ) -> str:
        raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        raw["mlp"] |= MLP | mlp
        raw["score"]["weights"] = weights or raw["score"]["weights"]
        (self.folder / "params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
        if not threads:
            return call_stage(script, self.folder, **paths)
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, str(threads))
        done = run_program(stage_command(script, **paths), self.folder, environment, check=True)
        return done.stderr

    def write(self, shuffle: bool = False) -> None:
        """Write the tables that stages of training read."""
        order = np.random.default_rng(0).permutation(N) if shuffle else np.arange(N)
        rows = self.rows.iloc[order]
        vectors = {"box": np.zeros((N, 4)), "landmarks": np.zeros((N, N_LANDMARKS * 3))}
        faces = rows.assign(image=rows["filename"]).reindex(
            columns=[c for c in FACES.columns if c not in vectors]
        )
        tables.write(faces, self.folder / "faces.parquet", FACES, vectors=vectors)
        tables.write(
            rows.reindex(columns=list(LABELS.columns)),
            self.folder / "labels.parquet",
            LABELS,
            {"rating_low": "1", "rating_high": "7"},
        )
        tables.write(rows[["filename", "split"]], self.folder / "splits.parquet", SPLITS)
        tables.write(
            rows.reindex(columns=list(AGE_CHECK.columns)),
            self.folder / AGE_CHECK.name,
            AGE_CHECK,
        )
        tables.write(
            rows[["filename"]].assign(key="k"),
            self.folder / "embeddings.parquet",
            embeddings_schema(D),
            {
                "variant": "v",
                "revision": "",
                "weights_sha256": "w",
                "precision": "float32",
                "dimension": D,
            },
            vectors={"embedding": self.vectors[order]},
        )

    def train(self, shuffle: bool = False, **options) -> str:
        """Write the tables and run the stage; returns its warnings."""
        self.write(shuffle)
        return self.run(
            "train_attractiveness",
            {
                "embeddings": "embeddings.parquet",
                "faces": "faces.parquet",
                "labels": "labels.parquet",
                "splits": "splits.parquet",
                "age_check": AGE_CHECK.name,
                "regressor": "m.pt",
                "out_of_fold": "out_of_fold.parquet",
                "metrics": "live",
            },
            **options,
        )

    def score(
        self,
        raw: pd.Series | None = None,
        weights: str | dict | None = None,
        why: str | None = None,
    ) -> pd.DataFrame:
        """Run the stage `score`.

        `raw` is what a geometric model says of each row, None (and `why`) where there is none.
        """
        tables.write(
            self.rows.reindex(columns=list(CLEAN.columns)),
            self.folder / CLEAN.name,
            CLEAN,
        )
        geometry = pd.DataFrame(
            {
                "filename": self.rows["filename"],
                "frontal": True,
                "geometry_zscore": 0.5,
                "geometric_raw": np.nan if raw is None else raw,
                "geometric_out_of_fold": self.rows["split"] == "train",
            }
        )
        tables.write(
            geometry.reindex(columns=list(GEOMETRY.columns), fill_value=0.0),
            self.folder / "geometry.parquet",
            GEOMETRY,
            {"why": why} if why else None,
        )
        write_json(self.folder / "crossvalidated.json", {"rating": {"why": "left out"}})
        self.warnings = self.run(
            "score",
            {
                "embeddings": "embeddings.parquet",
                "metadata": ".",
                "crossvalidated": "crossvalidated.json",
                "regressor": "m.pt",
                "array": "scores.npy",
                "blend": "blend.json",
            },
            weights=weights,
        )
        return tables.read(self.folder / SCORES.name, SCORES).set_index("filename")

    def blend(self) -> dict:
        return json.loads((self.folder / "blend.json").read_text(encoding="utf-8"))

    def sha256(self, *files: str) -> list[str]:
        return [
            hashlib.sha256((self.folder / name).read_bytes()).hexdigest()
            for name in files or ("m.pt", "out_of_fold.parquet")
        ]

    def summary(self) -> dict:
        return json.loads((self.folder / "live/metrics.json").read_text(encoding="utf-8"))


def made_up_stage(folder: Path) -> Stage:
    x, y = noisy_line(N, 4)
    y[::10] = np.nan  # nobody rated these
    rows = pd.DataFrame(
        {
            "filename": names(N),
            "sha256": [f"{i:064}" for i in range(N)],
            "copy_group": names(N),
            "copy_rank": 1,
            "person": None,
            "rating": np.clip(y, 1, 7),
            "split": SPLIT,
        }
    )
    return Stage(folder, rows, x)


@pytest.fixture
def stage(tmp_path):
    return made_up_stage(tmp_path)


@pytest.mark.long
def test_test_ratings_touch_nothing_and_neither_rows_order_nor_threads_matter(stage):
    stage.train()
    before = stage.sha256()
    test = stage.rows["split"].isin(["test", "excluded"])
    stage.rows.loc[test, "rating"] = 1.0
    stage.train(shuffle=True, threads=2)
    assert stage.sha256() == before
    stage.rows.loc[(stage.rows["split"] == "val").idxmax() + 7, "rating"] = 1.5
    stage.train()
    assert stage.sha256() != before


@pytest.mark.long
def test_rated_train_and_val_faces_are_scored_out_of_fold_and_nobody_else(stage):
    stage.train()
    scores = stage.score()
    learned = (stage.rows["split"].isin(["train", "val"]) & stage.rows["rating"].notna()).to_numpy()
    assert scores["out_of_fold"].to_numpy().tolist() == learned.tolist()
    own = load_regressor(stage.folder / "m.pt")
    alone = own.predict(stage.vectors)
    assert scores["attractiveness_raw"].to_numpy()[~learned] == pytest.approx(
        alone[~learned], abs=1e-9
    )
    assert np.abs(scores["attractiveness_raw"].to_numpy()[learned] - alone[learned]).min() > 0
    assert own.reference == pytest.approx(
        np.sort(scores["attractiveness_raw"]), rel=1e-9
    )  # percentiles are among what the table shows
    assert scores["attractiveness"].value_counts().between(12, 14).all()
    assert stage.summary()["n_out_of_fold"] == learned.sum()


@pytest.mark.long
def test_faces_that_may_be_too_young_get_no_score_teach_nothing_and_are_no_reference(stage):
    rated = np.flatnonzero(
        stage.rows["split"].isin(["train", "val"]) & stage.rows["rating"].notna()
    )
    labelled, guessed = (
        stage.rows["filename"][rated[:3]].tolist(),
        stage.rows["filename"][[rated[3], 4]].tolist(),
    )
    stage.rows["score_withheld"] = stage.rows["filename"].map(
        dict.fromkeys([*labelled, *guessed], "too young")
    )
    stage.rows["age_checked"] = stage.rows["filename"].map(
        dict.fromkeys(labelled, "label") | dict.fromkeys(guessed, "model")
    )
    summary = stage.train()
    assert "the ratings of 3 faces that are too young for a score are not used" in summary
    assert (
        stage.summary()["n_train"] + stage.summary()["n_val"] == len(rated) - 3
    )  # who is young by a model's guess is an adult as a rule
    folds = tables.read(stage.folder / "out_of_fold.parquet", SCORES_OUT_OF_FOLD)
    assert set(folds["filename"]) == set(stage.rows["filename"][rated[4:]])
    scores = stage.score(raw=pd.Series(np.linspace(2, 6, N)))
    young = scores.index.isin([*labelled, *guessed])
    shown = scores[
        [
            "attractiveness_raw",
            "attractiveness_score",
            "attractiveness_pct",
            "attractiveness",
            "geometric_score",
            "combined_score",
            "geometry_zscore",
        ]
    ]
    assert shown[young].isna().all(axis=None)
    assert shown[~young].notna().all(axis=None)
    assert (scores["score_withheld"].notna() == young).all()
    assert not scores.loc[young, ["out_of_fold", "geometric_out_of_fold"]].any(axis=None)
    assert np.isnan(np.load(stage.folder / "scores.npy")).tolist() == young.tolist()
    assert load_regressor(stage.folder / "m.pt").reference == pytest.approx(
        np.sort(scores["attractiveness_raw"].dropna()), rel=1e-9
    )
    before = stage.sha256()
    stage.rows.loc[rated[0], "rating"] = 1.0
    stage.train()
    assert stage.sha256() == before
    stage.rows["score_withheld"], stage.rows["age_checked"] = "too young", "model"
    stage.train()
    assert stage.score(raw=pd.Series(np.linspace(2, 6, N)))["combined_score"].isna().all()
    assert "no face gets a score" in stage.warnings


@pytest.mark.long
def test_copies_of_a_face_share_a_fold(stage):
    learned = np.flatnonzero(
        stage.rows["split"].isin(["train", "val"]) & stage.rows["rating"].notna()
    )
    stage.rows.loc[learned[:6], "person"] = "anna"
    stage.rows.loc[learned[7:10], "copy_group"] = stage.rows["filename"][learned[0]]
    stage.train()
    fold = tables.read(stage.folder / "out_of_fold.parquet", SCORES_OUT_OF_FOLD).set_index(
        "filename"
    )["fold"]
    assert fold[stage.rows["filename"][[*learned[:6], *learned[7:10]]]].nunique() == 1
    assert fold.nunique() == 3


@pytest.mark.long
@pytest.mark.first_cases(1)
@pytest.mark.parametrize("known_by", ["copy_group", "person"])
def test_copies_and_persons_are_no_evidence_for_a_classifier(stage, known_by):
    """Ten persons with thirteen nearly equal faces each, and genders by chance: what one face says
    is no help for the other twelve.
    """
    rng, rows = np.random.default_rng(0), stage.rows
    who = np.arange(N) % 10
    stage.vectors = (rng.normal(size=(10, D))[who] + rng.normal(0, 0.01, (N, D))).astype(np.float32)
    rows["gender"], rows["split"] = np.where(who % 2, "male", "female"), "train"

    def share_right() -> float:
        stage.write()
        shutil.copyfile(ROOT / "params.yaml", stage.folder / "params.yaml")
        inputs = ("embeddings", "faces", "labels", "splits")
        call_stage(
            "train_attribute",
            stage.folder,
            target=StageItem("gender"),
            **{name: f"{name}.parquet" for name in inputs},
            classifiers=".",
            out_of_fold="out_of_fold",
            metrics=".",
        )
        male = pd.read_parquet(stage.folder / "out_of_fold/gender.parquet").set_index("filename")[
            "gender_prob_male"
        ]
        return ((male > 0.5) == (rows.set_index("filename")["gender"] == "male")).mean()

    assert share_right() > 0.95
    rows[known_by] = rows["filename"][who].to_numpy()
    assert share_right() < 0.8


def test_figures_count_persons_and_of_rated_copies_one(stage, monkeypatch):
    """Faces 1 to 3 are one person's, 4 and 5 copies of one picture, and 5 is the better one."""
    rows = stage.rows.assign(split="test", rating=4.0, attractiveness_raw=0.0)
    rows.loc[1:3, "person"] = "anna"
    rows.loc[4:5, "copy_group"], rows.loc[4, "copy_rank"] = rows["filename"][5], 2
    measured = {}

    def measure(*arguments, **options):
        measured.update(ratings=arguments[1], **options)
        return Attractiveness({}, pd.DataFrame(), pd.DataFrame())

    monkeypatch.setattr(evaluate_project, "evaluate_attractiveness", measure)
    by_face = rows.set_index("filename")
    columns = [name for name in LABELS.columns if name != "filename"]
    data = evaluate_project.ProjectTables(
        labels=by_face.reindex(columns=columns),
        scores=by_face.reindex(columns=list(SCORES.columns)),
        predictions=by_face[[]],
        zeroshot=by_face[[]],
        faces=rows[IDENTITY],
        scale=(1, 7),
        doubts={},
    )
    models = evaluate_project.ProjectModels({}, {}, BlendWeights(), {}, {}, {"why": None}, {})
    evaluate_project.evaluate_project(
        load_params(ROOT / "params.yaml").evaluate, stage.vectors, data, models
    )
    assert (
        measured["ratings"].isna().sum(),
        measured["ratings"].isna().iloc[4],
        measured["n_copies"],
    ) == (1, True, 1)
    groups = person_groups(measured["person"])
    assert groups[1] == groups[2] == groups[3]
    assert groups[4] == groups[5]
    assert len(set(groups)) == N - 3


@pytest.mark.long
def test_without_folds_the_main_model_scores_all(stage):
    stage.train(folds=0)
    scores = stage.score()
    assert not scores["out_of_fold"].any()
    alone = load_regressor(stage.folder / "m.pt").predict(stage.vectors)
    assert scores["attractiveness_raw"].to_numpy() == pytest.approx(alone, abs=1e-9)


@pytest.mark.long
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda rows: rows.assign(rating=5.0), "train ratings are 5; there is nothing to learn"),
        (
            lambda rows: rows.assign(rating=rows["rating"].where(rows.index.isin([1, 2]))),
            "2 rated faces in train and 0 in val; 20 and 5 are needed",
        ),
        (lambda rows: rows.assign(rating=np.nan), "0 rated faces in train and 0 in val"),
    ],
)
def test_what_cannot_be_trained_is_said_and_the_pipeline_goes_on(stage, spoil, why):
    stage.rows = spoil(stage.rows)
    warnings = stage.train()
    assert why in warnings
    assert (stage.summary()["trained"], stage.summary()["n_out_of_fold"]) == (False, 0)
    assert why in stage.summary()["why"]
    assert stage.score()["attractiveness_raw"].isna().all()


@pytest.mark.long
def test_an_embedding_that_is_not_finite_is_named(stage):
    stage.vectors[3, 5] = np.nan
    with pytest.raises(
        TableError, match=r"^embeddings.parquet: the embedding of f003.jpg is not finite"
    ):
        stage.train()


@pytest.mark.long
def test_the_learning_curve_starts_at_the_line_alone(stage):
    stage.train()
    curve = pd.read_csv(stage.folder / "live/plots/metrics/val/loss.tsv", sep="\t")
    assert curve["step"].tolist() == [0, 1, 2, 3]
    assert all(loss == float(f"{loss:.6g}") for loss in curve["loss"].astype(float))  # for git
    summary = stage.summary()
    assert summary["best"]["val_loss"] == pytest.approx(curve["loss"].astype(float).min())
    assert summary["best"]["epoch"] > 0 or summary["correction"] == 0  # epoch 0 is the line alone


@pytest.mark.long
def test_somebodys_checkpoint_takes_the_place_of_training(stage):
    stage.train()
    first = load_regressor(stage.folder / "m.pt").predict(stage.vectors)
    (stage.folder / "m.pt").rename(stage.folder / "theirs.pt")
    stage.train(pretrained="theirs.pt")
    assert load_regressor(stage.folder / "m.pt").predict(stage.vectors) == pytest.approx(
        first, rel=1e-9
    )
    assert not stage.score()["out_of_fold"].any()


# Geometric and combined scores


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trained once for what follows, which only scores."""
    done = made_up_stage(tmp_path_factory.mktemp("trained"))
    done.train(folds=0)
    return done


@pytest.fixture
def scored(trained):
    return replace(trained, rows=trained.rows.copy())


@pytest.mark.long
def test_the_combined_score_is_the_blend_that_serving_will_use(scored):
    scores = scored.score(raw=scored.rows["rating"].fillna(4.0) * 0.5 + 2)
    blend = scored.blend()
    assert set(blend.pop("verdicts")) == {"holistic", "geometric", "combined"}
    assert blend == {
        "geometric": 0.6,
        "holistic": 0.4,
        "learned": False,
        "n_val": 0,
        "why": None,
        "scale": [1.0, 7.0],
    }
    expected = 0.6 * scores["geometric_score"] + 0.4 * scores["attractiveness_score"]
    assert scores["combined_score"].to_numpy() == pytest.approx(expected.to_numpy())
    assert scores["geometric_out_of_fold"].tolist() == (scored.rows["split"] == "train").tolist()
    assert (scores["geometry_zscore"] == 0.5).all()
    assert [line.split(" is not shown")[0] for line in scored.warnings.splitlines()] == [
        "warning: the holistic score"
    ]  # half the ratings' spread


@pytest.mark.long
def test_weights_are_learned_from_val_faces_alone(scored):
    scored.rows.loc[scored.rows.index % 3 == 0, "split"] = "val"
    tables.write(scored.rows[["filename", "split"]], scored.folder / "splits.parquet", SPLITS)
    raw = pd.Series(np.random.default_rng(0).uniform(2, 6, N))
    scored.score(raw=raw, weights="learned")
    result = scored.blend()
    result.pop("verdicts")  # they are about test faces, too
    assert (result["learned"], result["why"]) == (True, None)
    assert (
        result["n_val"]
        == ((scored.rows["split"] == "val") & scored.rows["rating"].notna()).sum()
        >= 20
    )
    raw[scored.rows["split"] != "val"] = 4.0
    scored.score(raw=raw, weights="learned")
    assert scored.blend() | {"verdicts": None} == result | {"verdicts": None}


@pytest.mark.long
def test_without_enough_val_faces_nothing_is_blended_and_the_reason_is_told(scored):
    tables.write(scored.rows[["filename", "split"]], scored.folder / "splits.parquet", SPLITS)
    scores = scored.score(raw=scored.rows["rating"].fillna(4.0), weights="learned")
    n = ((scored.rows["split"] == "val") & scored.rows["rating"].notna()).sum()
    assert (
        scored.blend()["why"]
        == f"{n} rated val faces have both scores, 20 are needed to learn the weights"
    )
    assert f"warning: there is no combined score: {n} rated val faces" in scored.warnings
    assert scores["combined_score"].isna().all()
    assert scores["geometric_score"].notna().all()


@pytest.mark.long
def test_without_a_geometric_model_its_reason_is_passed_on(scored):
    scores = scored.score(why="3 rated faces with landmarks in train; 20 are needed")
    assert (
        scored.blend()["why"]
        == "no face has a geometric score: 3 rated faces with landmarks in train; 20 are needed"
    )
    assert scores[["geometric_score", "combined_score"]].isna().all(axis=None)
    assert scores["attractiveness_score"].notna().all()


def test_a_disk_that_fails_is_no_reason_to_go_on_without_a_model():
    """The run went on with "is not trained"."""

    def take(chosen):
        raise FaultError("embeddings_clip.parquet can't be read: Input/output error (EIO)")

    faces = np.arange(200)
    with pytest.raises(FaultError):
        _train(
            Mlp(),
            SimpleNamespace(take=take),
            pd.Series(faces, dtype="float64"),
            pd.Series(faces),
            faces < 150,
            faces >= 150,
            None,
        )
