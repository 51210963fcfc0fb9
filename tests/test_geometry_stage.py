"""The stage `geometry`: who may influence the model, what its tables hold, and what happens without
ratings or landmarks.
"""

import hashlib
import runpy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from threadpoolctl import threadpool_limits

from facestats.age.tables import AGE_CHECK
from facestats.attributes.tables import CLEAN
from facestats.core import tables
from facestats.core.stats.identity import training_rows
from facestats.core.tables.steps import Source
from facestats.faces.models import MESH_FILE
from facestats.faces.tables import FACES
from facestats.geometry.columns import COLUMNS
from facestats.geometry.learning import read_rows
from facestats.geometry.measurements import MEASUREMENTS, NAMES, measure
from facestats.geometry.regressor import load_geometry
from facestats.geometry.tables import GEOMETRY, WITH_META
from facestats.labels.tables import LABELS, SPLITS
from facestats.params.project import load_params
from rated_shapes import made_up, write_crops
from resources import ROOT

N = 120
SPLIT = np.resize(["train", "train", "train", "val", "test", "train", "excluded"], N)
WITHOUT = 5  # the number of a train face without landmarks
OUTS = ("m.safetensors", "geometry.parquet", "meta.parquet")


@dataclass
class Stage:
    """The inputs of the stage in a folder; `rows` is what the tables are made from."""

    folder: Path
    rows: pd.DataFrame
    landmarks: np.ndarray

    def write_tables(self, shuffle: bool = False, rejected: bool = True) -> None:
        order = np.random.default_rng(0).permutation(N) if shuffle else np.arange(N)
        rows = self.rows.iloc[order]
        shapes = self.landmarks.reshape(N, -1)[order]
        landmarks = [None if np.isnan(row).any() else row for row in shapes]
        faces = rows.assign(image=rows["filename"], landmarks=landmarks)
        if rejected:
            faces = pd.concat(
                [
                    faces,
                    pd.DataFrame({"image": ["a.txt"], "status": ["rejected"], "landmarks": [None]}),
                ],
                ignore_index=True,
            )
        box = {"box": np.zeros((len(faces), 4))}
        tables.write(
            faces.reindex(columns=[c for c in FACES.columns if c != "box"]),
            self.folder / "faces.parquet",
            FACES,
            vectors=box,
        )
        tables.write(
            rows.reindex(columns=list(LABELS.columns)),
            self.folder / "labels.parquet",
            LABELS,
        )
        tables.write(rows[["filename", "split"]], self.folder / "splits.parquet", SPLITS)
        tables.write(
            rows.reindex(columns=list(AGE_CHECK.columns)),
            self.folder / "ages.parquet",
            AGE_CHECK,
        )
        clean = rows.reindex(columns=list(CLEAN.columns)).assign(hat_final="with")
        tables.write(clean, self.folder / "clean.parquet", CLEAN)

    def run(self, shuffle: bool = False, threads: int = 1, rejected: bool = True, **options) -> str:
        """Write the tables and run the stage in this process; returns its summary."""
        self.write_tables(shuffle, rejected)
        raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        raw["geometry"] |= {"folds": 3} | options
        (self.folder / "params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
        (self.folder / "landmarker").mkdir(exist_ok=True)
        (self.folder / "landmarker" / MESH_FILE).touch()  # the iris model is not there
        files = [
            self.folder / name
            for name in (
                "crops",
                "landmarker",
                "faces.parquet",
                "labels.parquet",
                "splits.parquet",
                "clean.parquet",
                "ages.parquet",
                *OUTS,
            )
        ]
        with threadpool_limits(threads):
            return runpy.run_path(str(ROOT / "stages/geometry.py"))["main"](
                load_params(self.folder / "params.yaml"), *files
            )

    def table(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "geometry.parquet").set_index("filename")

    def sha256(self) -> list[str]:
        return [hashlib.sha256((self.folder / name).read_bytes()).hexdigest() for name in OUTS]


@pytest.fixture
def stage(tmp_path):
    landmarks, tone, ratings = made_up(N, 1)
    ratings[::10] = np.nan  # nobody rated these
    landmarks[WITHOUT] = np.nan
    names = [f"f{i:03}.jpg" for i in range(N)]
    write_crops(tmp_path / "crops", names, tone)
    (tmp_path / "crops" / names[WITHOUT]).unlink()  # what nobody should open
    rows = pd.DataFrame(
        {
            "filename": names,
            "sha256": [f"{i:064}" for i in range(N)],
            "copy_group": names,
            "copy_rank": 1,
            "person": None,
            "status": "ok",
            "rating": ratings,
            "split": SPLIT,
            "yaw": np.resize([0.0, 5.0, 60.0], N),
            "pitch": 0.0,
            "roll": 3.0,
        }
    )
    return Stage(tmp_path, rows, landmarks)


@pytest.mark.long
def test_one_row_a_face_with_the_measurements_and_both_scores(stage):
    summary = stage.run()
    geometry = tables.read_all(stage.folder / "geometry.parquet", GEOMETRY)
    assert set(geometry.columns) == {
        "filename",
        *COLUMNS,
        "frontal",
        "geometry_zscore",
        "geometric_raw",
        "geometric_out_of_fold",
    }
    assert geometry["filename"].tolist() == stage.rows["filename"].tolist()
    measured, turned = measure(stage.landmarks), (stage.rows["yaw"] > 50).to_numpy()
    always = [one.name for one in MEASUREMENTS if np.isinf(one.max_yaw)]
    pd.testing.assert_frame_equal(geometry[always], measured[always], rtol=1e-12)
    assert len(always) == 30
    straight = geometry.loc[~turned, list(NAMES)]
    steady = [one.name for one in MEASUREMENTS if one.max_yaw >= 5]
    pd.testing.assert_frame_equal(straight[steady], measured.loc[~turned, steady], rtol=1e-12)
    assert geometry.loc[turned].drop(columns=always)["fwhr"].isna().all()
    reasons = geometry.loc[turned, "skin_missing"]
    assert reasons[WITHOUT] == "no landmarks"
    assert set(reasons.drop(WITHOUT)) == {"turned away"}
    assert geometry["frontal"].tolist() == (stage.rows["yaw"] < 50).tolist()
    meta = tables.read_all(stage.folder / "meta.parquet", WITH_META)
    assert set(meta.columns) == {
        *CLEAN.columns,
        "hat_final",
        "yaw",
        "pitch",
        "roll",
        *COLUMNS,
        "frontal",
    }
    pd.testing.assert_frame_equal(meta[list(COLUMNS)], geometry[list(COLUMNS)])
    assert f"faces={N} landmarks={N - 1}" in summary


@pytest.mark.long
def test_train_faces_are_out_of_fold_and_the_others_by_the_model_in_the_file(stage):
    stage.run()
    table, model = stage.table(), load_geometry(stage.folder / "m.safetensors")
    learned = (
        (SPLIT == "train") & stage.rows["rating"].notna() & (np.arange(N) != WITHOUT)
    ).to_numpy()
    assert (table["geometric_out_of_fold"].to_numpy() == learned).all()
    assert model.n_train == learned.sum()
    for row in np.flatnonzero(~learned & (np.arange(N) != WITHOUT))[:5]:
        alone = model.predict(
            stage.landmarks[row : row + 1], [stage.folder / "crops" / table.index[row]]
        )
        assert abs(alone[0] - table["geometric_raw"].iloc[row]) < 0.01
        assert np.isclose(
            model.zscore(stage.landmarks[row : row + 1])[0], table["geometry_zscore"].iloc[row]
        )
    known = learned & True
    assert np.corrcoef(table["geometric_raw"][known], stage.rows["rating"][known])[0, 1] > 0.8
    stage.run(folds=0)
    flattered = stage.table()
    assert not flattered["geometric_out_of_fold"].any()
    error = [
        np.abs(t["geometric_raw"].to_numpy() - stage.rows["rating"].to_numpy())[known].mean()
        for t in (table, flattered)
    ]
    assert error[1] < error[0]


@pytest.mark.long
def test_no_rating_of_val_and_test_and_not_the_faces_own_decides(stage):
    stage.run()
    before, sha256 = stage.table(), stage.sha256()
    rating = stage.rows["rating"].copy()
    stage.rows["rating"] = rating.where(SPLIT == "train", 1.0)
    stage.run()
    assert stage.sha256() == sha256
    row = next(i for i in range(N) if before["geometric_out_of_fold"].iloc[i])
    stage.rows["rating"] = rating.where(np.arange(N) != row, rating[row] + 20)
    stage.run()
    after = stage.table()
    assert after["geometric_raw"].iloc[row] == pytest.approx(
        before["geometric_raw"].iloc[row], rel=1e-9
    )
    assert (after["geometric_raw"] != before["geometric_raw"]).any()


@pytest.mark.long
def test_faces_that_may_be_too_young_get_no_score_and_their_labelled_ratings_teach_nothing(stage):
    learned = np.flatnonzero(
        (SPLIT == "train") & stage.rows["rating"].notna() & (np.arange(N) != WITHOUT)
    )
    young = {learned[0]: "label", learned[1]: "model", 4: "copy"}
    stage.rows["age_checked"] = [young.get(i) for i in range(N)]
    stage.rows["score_withheld"] = ["too young" if i in young else None for i in range(N)]
    stage.run()
    table = stage.table()
    assert table.iloc[list(young)][["geometric_raw", "geometry_zscore"]].isna().all(axis=None)
    assert table["geometric_raw"].notna().sum() == N - 1 - len(young)
    assert not table["geometric_out_of_fold"].iloc[list(young)].any()
    assert load_geometry(stage.folder / "m.safetensors").n_train == len(learned) - 1
    before = stage.sha256()
    stage.rows.loc[learned[0], "rating"] += 30
    stage.run()
    assert stage.sha256() == before


@pytest.mark.long
def test_bytes_depend_on_neither_threads_nor_order(stage):
    stage.run()
    once = stage.sha256()
    stage.run(shuffle=True, threads=2)
    assert stage.sha256() == once


@pytest.mark.long
@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_what_is_read_in_step_is_what_whole_tables_tell(stage, order, monkeypatch):
    stage.rows["person"] = [f"p{i // 3}" if i % 4 else None for i in range(N)]
    stage.rows["age_checked"] = np.resize([None, "label", "model"], N)
    stage.rows["score_withheld"] = np.resize([None, None, "too young", None, "too young"], N)
    stage.write_tables()
    monkeypatch.setattr(tables.blocks, "BLOCK", 50)
    names = stage.rows["filename"][order].reset_index(drop=True)
    paths = [stage.folder / f"{name}.parquet" for name in ("labels", "splits", "faces")]
    read = read_rows(names, *paths, Source(stage.folder / "ages.parquet", AGE_CHECK))
    by_name = stage.rows.set_index("filename")
    whole = training_rows(
        by_name[["rating", "person"]], by_name["split"], stage.rows, stage.rows
    ).loc[names]
    rating = whole["rating"].mask(whole["minor"]).to_numpy()
    assert np.array_equal(read["rating"], rating, equal_nan=True)
    assert read["split"].tolist() == whole["split"].tolist()
    assert read["scored"].tolist() == whole["scored"].tolist()
    rated = ~np.isnan(rating) & (whole["split"] == "train").to_numpy()
    assert read["group"][rated].tolist() == whole["group"][rated].tolist()
    assert read["group"][~rated].isna().all()
    assert 0 < rated.sum() < N


@pytest.mark.long
def test_without_appearance_no_crop_is_needed(stage):
    stage.run()
    with_pixels = stage.table()["geometric_raw"]
    for crop in (stage.folder / "crops").iterdir():
        crop.unlink()
    stage.run(appearance=False)
    known = np.arange(N) != WITHOUT
    assert (stage.table()["skin_missing"][known] == "no crop").all()
    held_out = (SPLIT == "test") & stage.rows["rating"].notna().to_numpy()
    r = [
        np.corrcoef(raw[held_out], stage.rows["rating"][held_out])[0, 1]
        for raw in (stage.table()["geometric_raw"], with_pixels)
    ]
    assert 0.4 < r[0] < r[1]


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("rated", [0, 7])
@pytest.mark.long
def test_without_ratings_there_are_measurements_and_a_warning(stage, rated, capsys):
    stage.rows.loc[
        np.cumsum(stage.rows["rating"].notna() & (SPLIT == "train")) > rated, "rating"
    ] = np.nan
    stage.rows.loc[SPLIT != "train", "rating"] = np.nan
    n = int((stage.rows["rating"].notna() & (np.arange(N) != WITHOUT)).sum())
    why = f"{n} rated faces with landmarks in train; 20 are needed"
    stage.run()
    assert f"warning: the geometric score is not trained: {why}" in capsys.readouterr().err
    table, model = stage.table(), load_geometry(stage.folder / "m.safetensors")
    assert table["geometric_raw"].isna().all()
    assert not table["geometric_out_of_fold"].any()
    assert table["geometry_zscore"].notna().sum() == N - 1
    assert (model.trained, model.why) == (False, why)
    assert tables.file_metadata(stage.folder / "geometry.parquet") == {"why": why}


@pytest.mark.long
def test_a_face_without_landmarks_has_neither_measurements_nor_scores(stage):
    stage.run()
    row = stage.table().iloc[WITHOUT]
    assert row[[*NAMES, "geometry_zscore", "geometric_raw"]].isna().all()
    assert not row["geometric_out_of_fold"]
    stage.landmarks[:] = np.nan
    stage.run()
    assert stage.table()[[*NAMES, "geometry_zscore", "geometric_raw"]].isna().all(axis=None)
