"""What `dvc repro` runs after each kind of change, on a small project with real DVC.

Where stages behind those in question would only take time, `dvc repro` has targets: what they do
not need is left out.
"""

import json
import shutil

import pandas as pd
import pytest
import yaml

from clips import VISION, random_clip_that_reads
from project import FETCHED, TRAINED, Project
from resources import ROOT

pytestmark = pytest.mark.slow

SELECTED = {"select@women", "select@top_rated", "select@impossible"}
COMPOSED = {"composite@women", "composite@top_rated", "composite@impossible"}
PAIRED = {"continuum@women_to_top", "difference@women_minus_top"}
WITH_WOMEN = PAIRED | {"difference@women_minus_nobody"}


def members(project: Project) -> dict[str, bytes]:
    return {
        name: project.read(f"data/interim/members/{name}/members.csv")
        for name in ("women", "top_rated", "impossible")
    }


def changed_composites(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {f"composite@{name}" for name in before if before[name] != after[name]}


def test_no_parameter_is_hidden_from_the_run_cache():
    """DVC 3.67 leaves keys called `size` and `nfiles` out of the hash of a run: as a parameter of
    its own (`preprocess.size`) such a key counts, inside a group it does not, and old results would
    come back.
    """
    params = yaml.safe_load((ROOT / "params.yaml").read_text())

    def hidden(value) -> bool:
        return isinstance(value, dict) and any(
            k in ("size", "nfiles") or hidden(v) for k, v in value.items()
        )

    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items():
        for tracked in stage.get("do", stage).get("params", []):
            values = [params]
            for part in tracked.split("."):
                values = [
                    v
                    for value in values
                    for v in (value.values() if part == "${key}" else [value[part]])
                ]
            assert not any(map(hidden, values)), f"{name} tracks {tracked} as a whole"


def test_nothing_changed_runs_nothing(project):
    assert project.repro() == set()
    assert "up to date" in project.dvc("status").stdout


def test_another_network_runs_what_its_scores_reach(project):
    before, scores = members(project), project.read("data/interim/members/women/scores.json")
    # The network alone may correct too little to move a face.
    project.set_params({"mlp.hidden": 16, "mlp.folds": 2, "mlp.calibration": "linear"})
    ran = project.repro()
    assert (
        ran - COMPOSED
        == {
            "train_attractiveness",
            "score",
            "serving",
            "finalize",
            "evaluate",
            "model_card",
            "report",
        }
        | SELECTED
        | PAIRED
    )
    assert ran & COMPOSED == changed_composites(before, members(project)) == {"composite@top_rated"}
    assert (
        project.read("data/interim/members/women/scores.json") != scores
    )  # they moved, and the picture stays as it is


def test_other_weights_train_nothing_and_move_no_member(project):
    project.set_params({"score.weights": {"geometric": 0.3, "holistic": 0.7}})
    assert (
        project.repro()
        == {"score", "serving", "finalize", "evaluate", "model_card", "report"} | SELECTED
    )
    table = pd.read_parquet(project.folder / "data/processed/metadata/attributes_final.parquet")
    expected = 0.3 * table["geometric_score"] + 0.7 * table["attractiveness_score"]
    assert (table["combined_score"] - expected).abs().max() < 1e-9


def test_pixels_left_out_of_the_geometric_score_run_what_it_reaches(project):
    before = members(project)
    project.set_params({"geometry.appearance": False})
    ran = project.repro()
    assert (
        ran - COMPOSED
        == {"geometry", "score", "serving", "finalize", "evaluate", "model_card", "report"}
        | SELECTED
    )
    assert ran & COMPOSED == changed_composites(before, members(project)) == set()


def test_one_filter_runs_one_composite(project):
    project.set_params({"composites.women.filter.n": 5})
    assert project.repro() == {"select@women", "composite@women", "report"} | WITH_WOMEN
    assert json.loads(project.read("data/processed/composites/women/composite.json"))["n"] == 5


def test_one_way_of_drawing_runs_one_composite_and_no_selection(project):
    project.set_params({"composites.women.render.align": "eyes"})
    assert project.repro() == {"composite@women", "report"} | WITH_WOMEN


def test_one_step_more_runs_one_continuum(project):
    folder = "data/processed/composites/women_to_top"
    before = project.read(f"{folder}/frames/00.jpg")
    project.set_params({"continua.women_to_top.steps": 4})
    assert project.repro() == {"continuum@women_to_top", "report"}
    assert (
        len(list((project.folder / folder / "frames").iterdir()))
        == json.loads(project.read(f"{folder}/continuum.json"))["steps"]
        == 4
    )
    assert project.read(f"{folder}/frames/00.jpg") == before
    project.set_params({"continua.women_to_top.steps": 3})
    assert project.repro() == set()  # out of DVC's cache


def test_a_report_without_faces_runs_the_report_alone(project):
    page = "data/processed/report.html"
    assert b"data:image/jpeg" in project.read(page)
    project.set_params({"report.images": False})
    assert project.repro() == {"report"}
    assert b"data:image/jpeg" not in project.read(page)
    metrics = json.loads(project.read("metrics/clusters.json"))
    (project.folder / "metrics/clusters.json").write_text(json.dumps(metrics | {"n": 12345}))
    assert project.repro("--single-item", "report") == {"report"}
    assert b"of 12345 faces" in project.read(page)


def test_one_target_trains_one_classifier(project):
    project.set_params({"attributes.targets.gender.C": 0.001})
    ran = project.repro("sample", "train_attractiveness", "evaluate")
    assert {"train_attribute@gender", "attributes", "evaluate"} <= ran
    assert not ran & (
        FETCHED
        | TRAINED - {"train_attribute@gender"}
        | {"preprocess", "embed", "train_attractiveness"}
    )


def test_a_new_target_trains_one_more_and_a_removed_one_is_forgotten(project):
    before, in_use = (
        project.read("data/processed/metadata/attributes_final.parquet"),
        project.read("models/attributes.json"),
    )
    labels = pd.read_csv(project.folder / "data/labels/labels.csv")
    labels["glasses"] = ["yes", "no"] * (len(labels) // 2)
    labels.to_csv(project.folder / "data/labels/labels.csv", index=False)
    project.set_params(
        {"attributes.targets.glasses": {"kind": "classification", "precision": None}}
    )
    ran = project.repro("sample", "finalize", "evaluate")
    assert {"train_attribute@glasses", "evaluate"} <= ran
    assert not ran & (FETCHED | {"preprocess", "embed"})
    table = pd.read_parquet(project.folder / "data/processed/metadata/attributes_final.parquet")
    assert set(table["glasses_final"]) == {"yes", "no"}

    project.git("checkout", "-q", "params.yaml", "data/labels.dvc")
    project.dvc("checkout", "-q", "--force", "data/labels.dvc")
    project.repro("finalize", "evaluate")
    assert (project.folder / "models/attributes/glasses_clf.safetensors").exists()  # DVC leaves it
    assert project.read("data/processed/metadata/attributes_final.parquet") == before
    assert project.read("models/attributes.json") == in_use
    assert json.loads(project.read("models/attributes.json"))["targets"] == [
        "age",
        "ethnicity",
        "gender",
    ]
    assert "glasses" not in json.loads(project.read("metrics/attributes.json"))


def test_another_wording_embeds_and_trains_nothing(project):
    before = project.read("data/processed/metadata/zeroshot.parquet")
    project.set_params(
        {
            "zeroshot.glasses.with": ["spectacles"],
            "composites.women.filter.attributes": {"glasses": ["with", "unknown"]},
        }
    )
    ran = project.repro("sample", "evaluate", "select@women")
    assert {"zeroshot", "attributes", "evaluate", "select@women"} <= ran
    assert not ran & (
        FETCHED | TRAINED | {"preprocess", "embed", "labels", "split", "train_attractiveness"}
    )
    assert project.read("data/processed/metadata/zeroshot.parquet") != before
    table = pd.read_parquet(project.folder / "data/processed/metadata/attributes_final.parquet")
    matched = json.loads(project.read("data/interim/members/women/selection.json"))["matched"]
    assert set(table["glasses_source"]) <= {"zeroshot", "unknown"}
    assert (
        matched["attributes.glasses"]
        == ((table["gender_final"] == "female") & (table["glasses_final"] == "with")).sum()
    )


def test_another_clip_variant_keeps_the_faces(project, tmp_path):
    random_clip_that_reads(
        tmp_path / "variant",
        vision=VISION | {"image_size": 64, "patch_size": 16, "projection_dim": 48},
    )
    project.set_params({"clip.variant": str(tmp_path / "variant")})
    ran = project.repro()
    assert {
        "fetch_clip",
        "embed",
        "zeroshot",
        "train_attractiveness",
        "score",
        "evaluate",
    } | TRAINED <= ran
    assert not ran & {"fetch_landmarker", "sample", "preprocess", "labels", "split"}
    serving = json.loads(project.read("models/serving.json"))
    assert (serving["clip"]["variant"], serving["clip"]["dimension"]) == ("local", "48")
    assert str(tmp_path).encode() not in b"".join(
        path.read_bytes()
        for path in (project.folder / "data/processed").rglob("*")
        if path.is_file()
    )


def test_another_size_starts_at_preprocess(project):
    project.set_params({"preprocess.size": 72})
    ran = project.repro("sample", "train_attractiveness")
    assert {"preprocess", "embed", "train_attractiveness"} <= ran
    assert not ran & FETCHED


def test_one_label_computes_no_embedding(project):
    path = project.folder / "data/labels/labels.csv"
    labels = pd.read_csv(path)
    row = labels["gender"].first_valid_index()
    labels.loc[row, "gender"] = "male" if labels.loc[row, "gender"] == "female" else "female"
    labels.to_csv(path, index=False)
    ran = project.repro("sample", "train_attribute@gender")
    assert {"labels", "train_attribute@gender"} <= ran
    assert not ran & (FETCHED | {"preprocess", "embed"})


def test_a_proposed_face_labelled_by_hand_wins_and_computes_no_embedding(project):
    project.facestats("labels", "template", "-o", "mine/to_label.csv")
    path = project.folder / "mine/to_label.csv"
    template = pd.read_csv(path, dtype=str)
    face = template.iloc[0]
    other = "male" if face["current_gender"] == "female" else "female"
    template.loc[0, ["proposed_gender", "proposed_age"]] = [other, "33"]
    template.to_csv(path, index=False)
    said = project.facestats("labels", "merge", "mine/to_label.csv").stdout
    assert f"{face['filename']}: gender {other} (new)" in said
    ran = project.repro("sample", "finalize")
    assert not ran & (FETCHED | {"preprocess", "embed"})
    final = pd.read_parquet(project.folder / "data/processed/metadata/attributes_final.parquet")
    after = final.set_index("filename").loc[face["filename"]]
    assert after[["gender_final", "gender_source", "age_final", "age_source"]].tolist() == [
        other,
        "manual",
        33,
        "manual",
    ]
    assert face["filename"] not in set(
        pd.read_csv(project.folder / "data/processed/metadata/labels_template.csv")["filename"]
    )


def test_one_more_image_starts_at_preprocess_and_moves_no_one(project):
    splits = project.folder / "data/processed/metadata/splits.parquet"
    before = pd.read_parquet(splits).set_index("filename")["split"]
    shutil.copyfile(project.folder / "data/raw/bad/a.png", project.folder / "data/raw/one more.png")
    ran = project.repro("sample", "embed", "split")
    assert {"preprocess", "embed"} <= ran
    assert not ran & FETCHED
    after = pd.read_parquet(splits).set_index("filename")["split"]
    assert set(after.index) - set(before.index) == {"one more.png.jpg"}
    assert after[before.index].equals(before)
