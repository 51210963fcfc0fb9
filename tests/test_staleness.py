"""What a change makes stale, and what of that runs.

What a change can reach is tested on stubs: DVC decides by dvc.yaml, and no stage computes anything.
One test has DVC run them, too.
Results that come out as they were end a run earlier; three tests have DVC run real stages for it.
The others call the stages that a change reaches and look at what the next ones would read.
"""

import json
import shutil

import pandas as pd
import pytest

from clips import VISION, random_clip_that_reads
from project import TRAINED, Project
from resources import ROOT, read_yaml
from stages import call_stages, inputs
from stubs import StubProject

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # of DVC's own

SELECTED = {"select@women", "select@top_rated", "select@impossible"}
COMPOSED = {"composite@women", "composite@top_rated", "composite@impossible"}
PAIRED = {"continuum@women_to_top", "difference@women_minus_top"}
WITH_WOMEN = PAIRED | {"difference@women_minus_nobody"}
SHOWN = {"composites_manifest", "report"}
# From zero-shot answers to the final table, in the order of their runs.
ANSWERED = ("attributes", "geometry", "score", "clusters", "finalize")
CROSSVALIDATED = {"crossvalidate_geometry", "crossvalidate"}
LABELLED = {"labels", "split", "train_attractiveness"} | TRAINED | CROSSVALIDATED
# What `score` reaches, and what reads the attributes.
SCORED = {"score", "traits", "serving", "finalize", "evaluate", "model_card", "report"}
SCORED |= SELECTED | COMPOSED | WITH_WOMEN | {"composites_manifest"}
ATTRIBUTED = {"attributes", "geometry", "clusters", "crossvalidate"} | SCORED
EMBEDDED = {"preprocess", "embed", "rejected", "zeroshot", "age_check"} | LABELLED | ATTRIBUTED
# What attributes reach by the age check.
CHECKED = {"age_check", "train_attractiveness", "crossvalidate_geometry"}
# A change of params.yaml, and all that it can reach.
REACHED = {
    "preprocess.size=72": EMBEDDED,
    "clip.variant=other": EMBEDDED - {"preprocess", "rejected", "labels", "split"} | {"fetch_clip"},
    "mlp.hidden=16": {"train_attractiveness", "crossvalidate"} | SCORED,
    "geometry.appearance=false": {"geometry"} | CROSSVALIDATED | SCORED,
    "score.weights={geometric: 0.3, holistic: 0.7}": {"crossvalidate"} | SCORED,
    "score.traits=[attractive, calm]": {"age_check", "trait@attractive", "trait@calm"}
    | LABELLED
    | ATTRIBUTED,
    "zeroshot.glasses.with=[spectacles]": {"zeroshot"} | CHECKED | ATTRIBUTED,
    "attributes.targets.gender.C=0.001": {"train_attribute@gender"} | CHECKED | ATTRIBUTED,
    "attributes.targets.glasses={kind: classification}": {"train_attribute@glasses"}
    | CHECKED
    | ATTRIBUTED,
    "composites.women.filter.n=5": {"select@women", "composite@women"} | WITH_WOMEN | SHOWN,
    "composites.women.render.align=eyes": {"composite@women"} | WITH_WOMEN | SHOWN,
    "continua.women_to_top.steps=4": {"continuum@women_to_top"} | SHOWN,
    "report.images=false": {"report"},
}
# A changed or new file, and all that it can reach.
READ = {
    "data/raw/two.jpg": EMBEDDED,
    "data/labels/labels.csv": {"age_check"} | LABELLED | ATTRIBUTED,
    "data/manual_labels.csv": {"age_check"} | LABELLED | ATTRIBUTED,
    "src/facestats/report/code.py": {"report", "model_card"},
    "src/facestats/pairs/code.py": WITH_WOMEN | SHOWN,
    "stages/finalize.py": SCORED - {"score", "traits", "serving", "evaluate", "model_card"},
}


@pytest.fixture(scope="module")
def stubs(tmp_path_factory) -> StubProject:
    """All of it has run once."""
    project = StubProject(tmp_path_factory.mktemp("stubs") / "project")
    assert len(project.repro()) > 30
    return project


@pytest.mark.first_cases(6)
@pytest.mark.long
@pytest.mark.parametrize("change", REACHED)
def test_a_changed_parameter_reaches(stubs, tmp_path, change):
    name, _, value = change.partition("=")
    project = stubs.copy(tmp_path / "copy")
    project.set_params({name: read_yaml(value)})
    assert project.reached() == REACHED[change]


@pytest.mark.first_cases(3)
@pytest.mark.long
@pytest.mark.parametrize("name", READ)
def test_a_changed_file_reaches(stubs, tmp_path, name):
    project = stubs.copy(tmp_path / "copy")
    (project.folder / name).write_text("changed")
    assert project.reached() == READ[name]


@pytest.mark.thorough
@pytest.mark.long
def test_a_run_does_what_it_can_reach(stubs, tmp_path):
    """A stage that is new, and a file of others; some stay as they are."""
    project = stubs.copy(tmp_path / "copy")
    new, file = "attributes.targets.glasses", "src/facestats/pairs/code.py"
    project.set_params({new: {"kind": "classification"}})
    (project.folder / file).write_text("changed")
    reached = REACHED[f"{new}={{kind: classification}}"] | READ[file]
    assert project.reached() == project.repro() == reached
    assert project.reached() == set()


@pytest.mark.long
def test_there_and_back_comes_from_dvcs_cache_and_leaves_the_files_of_what_is_gone(stubs, tmp_path):
    project = stubs.copy(tmp_path / "copy")
    assert project.repro() == set()
    params = project.read("params.yaml")
    project.set_params({"continua.women_to_top.steps": 4})
    assert project.repro("continuum@women_to_top") == {"continuum@women_to_top"}
    (project.folder / "params.yaml").write_bytes(params)
    assert project.repro("continuum@women_to_top") == set()
    project.set_params({"attributes.targets.glasses": {"kind": "classification"}})
    project.repro("train_attribute@glasses")
    (project.folder / "params.yaml").write_bytes(params)
    project.repro("attributes")
    assert (project.folder / "models/attributes/glasses_clf.safetensors").exists()


def test_no_parameter_is_hidden_from_the_run_cache():
    """DVC 3.67 leaves keys called `size` and `nfiles` out of the hash of a run: as a parameter of
    its own (`preprocess.size`) such a key counts, inside a group it does not, and old results would
    come back.
    """
    params = read_yaml((ROOT / "params.yaml").read_text())

    def hidden(value) -> bool:
        return isinstance(value, dict) and any(
            k in ("size", "nfiles") or hidden(v) for k, v in value.items()
        )

    for name, stage in read_yaml((ROOT / "dvc.yaml").read_text())["stages"].items():
        for tracked in stage.get("do", stage).get("params", []):
            values = [params]
            for part in tracked.split("."):
                values = [
                    v
                    for value in values
                    for v in (value.values() if part == "${key}" else [value[part]])
                ]
            assert not any(map(hidden, values)), f"{name} tracks {tracked} as a whole"


@pytest.mark.slow
def test_nothing_changed_runs_nothing(project):
    assert project.repro() == set()
    assert "up to date" in project.dvc("status").stdout


def members(project: Project) -> dict[str, bytes]:
    return {
        name: project.read(f"data/interim/members/{name}/members.csv")
        for name in ("women", "top_rated", "impossible")
    }


def changed_composites(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {f"composite@{name}" for name in before if before[name] != after[name]}


@pytest.mark.thorough
@pytest.mark.slow
def test_another_network_draws_the_composites_whose_members_change(project):
    before, scores = members(project), project.read("data/interim/members/women/scores.json")
    # The network alone may correct too little to move a face.
    project.set_params({"mlp.hidden": 16, "mlp.folds": 2, "mlp.calibration": "linear"})
    ran = project.repro(*COMPOSED)
    trained = {"train_attractiveness", "crossvalidate", "score", "traits", "finalize"}
    assert ran - COMPOSED == trained | SELECTED
    assert ran & COMPOSED == changed_composites(before, members(project)) == {"composite@top_rated"}
    assert (
        project.read("data/interim/members/women/scores.json") != scores
    )  # they moved, and the picture stays as it is


def drawn_from(project: Project) -> dict[str, dict[str, bytes]]:
    """What composites are made of."""
    return {name: inputs(project, name) for name in COMPOSED}


@pytest.mark.thorough
def test_other_weights_and_pixels_left_out_draw_no_composite(project):
    before = drawn_from(project)
    project.set_params({"score.weights": {"geometric": 0.3, "holistic": 0.7}})
    call_stages(project, "score", "finalize", *SELECTED)
    table = pd.read_parquet(project.folder / "data/processed/metadata/attributes_final.parquet")
    expected = 0.3 * table["geometric_score"] + 0.7 * table["attractiveness_score"]
    assert (table["combined_score"] - expected).abs().max() < 1e-9
    assert drawn_from(project) == before
    scores = project.read("data/processed/metadata/geometry.parquet")
    project.set_params({"geometry.appearance": False})
    call_stages(project, "geometry", "score", "finalize", *SELECTED)
    assert project.read("data/processed/metadata/geometry.parquet") != scores
    assert drawn_from(project) == before


def test_one_filter_takes_its_members(project):
    project.set_params({"composites.women.filter.n": 5})
    call_stages(project, "select@women", "composite@women")
    assert json.loads(project.read("data/processed/composites/women/composite.json"))["n"] == 5


def test_one_step_more_leaves_the_ends_of_a_continuum(project):
    folder = "data/processed/composites/women_to_top"
    before = project.read(f"{folder}/frames/00.jpg")
    shutil.rmtree(project.folder / folder)  # as DVC does
    project.set_params({"continua.women_to_top.steps": 4})
    call_stages(project, "continuum@women_to_top")
    assert (
        len(list((project.folder / folder / "frames").iterdir()))
        == json.loads(project.read(f"{folder}/continuum.json"))["steps"]
        == 4
    )
    assert project.read(f"{folder}/frames/00.jpg") == before


def test_a_report_without_faces_and_one_of_other_metrics(project):
    page = "data/processed/report.html"
    assert b"data:image/jpeg" in project.read(page)
    project.set_params({"report.images": False})
    metrics = json.loads(project.read("metrics/clusters.json"))
    (project.folder / "metrics/clusters.json").write_text(json.dumps(metrics | {"n": 12345}))
    call_stages(project, "report")
    assert b"data:image/jpeg" not in project.read(page)
    assert b"of 12345 faces" in project.read(page)


def test_one_target_trains_one_classifier(project):
    """The answers about gender say nothing about age: the regressor need not be trained."""
    before, answers = (
        inputs(project, "train_attractiveness"),
        project.read("data/processed/metadata/attributes_clean.parquet"),
    )
    project.set_params({"attributes.targets.gender.C": 0.001})
    call_stages(project, "train_attribute@gender", "attributes", "age_check")
    assert project.read("data/processed/metadata/attributes_clean.parquet") != answers
    assert inputs(project, "train_attractiveness") == before


@pytest.mark.thorough
@pytest.mark.slow
def test_a_new_target_is_trained_and_a_removed_one_is_forgotten(project):
    outs = ["data/processed/metadata/attributes_final.parquet", "models/attributes.json"]
    before = [project.read(name) for name in outs]
    labels = pd.read_csv(project.folder / "data/labels/labels.csv")
    labels["glasses"] = ["yes", "no"] * (len(labels) // 2)
    labels.to_csv(project.folder / "data/labels/labels.csv", index=False)
    project.set_params(
        {"attributes.targets.glasses": {"kind": "classification", "precision": None}}
    )
    assert "train_attribute@glasses" in project.repro("attributes")
    table = pd.read_parquet(project.folder / "data/processed/metadata/attributes_clean.parquet")
    assert set(table["glasses_final"]) == {"yes", "no"}

    project.git("checkout", "-q", "params.yaml", "data/labels.dvc")
    project.dvc("checkout", "-q", "--force", "data/labels.dvc")
    assert {"attributes", "evaluate"} <= project.repro("finalize", "evaluate")
    assert (project.folder / "models/attributes/glasses_clf.safetensors").exists()  # DVC leaves it
    assert [project.read(name) for name in outs] == before
    assert json.loads(project.read("models/attributes.json"))["targets"] == [
        "age",
        "ethnicity",
        "gender",
    ]
    assert "glasses" not in json.loads(project.read("metrics/attributes.json"))


@pytest.mark.thorough
def test_another_wording_gives_other_answers(project):
    before = project.read("data/processed/metadata/zeroshot.parquet")
    ages = inputs(project, "age_check")
    project.set_params(
        {
            "zeroshot.glasses.with": ["spectacles"],
            "composites.women.filter.attributes": {"glasses": ["with", "unknown"]},
        }
    )
    call_stages(project, "zeroshot", *ANSWERED, "select@women")
    assert project.read("data/processed/metadata/zeroshot.parquet") != before
    assert inputs(project, "age_check") == ages  # so that no regressor is trained
    table = pd.read_parquet(project.folder / "data/processed/metadata/attributes_final.parquet")
    matched = json.loads(project.read("data/interim/members/women/selection.json"))["matched"]
    assert set(table["glasses_source"]) <= {"zeroshot", "unknown"}
    assert (
        matched["attributes.glasses"]
        == ((table["gender_final"] == "female") & (table["glasses_final"] == "with")).sum()
    )


@pytest.mark.thorough
def test_another_clip_variant_is_named_and_its_place_is_not(project, tmp_path):
    random_clip_that_reads(
        tmp_path / "variant",
        vision=VISION | {"image_size": 64, "patch_size": 16, "projection_dim": 48},
    )
    project.set_params({"clip.variant": str(tmp_path / "variant")})
    call_stages(project, "fetch_clip", "embed", "zeroshot", *sorted(TRAINED), "age_check")
    call_stages(project, "train_attractiveness", *ANSWERED, "serving", "evaluate", "model_card")
    call_stages(project, "report")
    serving = json.loads(project.read("models/serving.json"))
    assert (serving["clip"]["variant"], serving["clip"]["dimension"]) == ("local", "48")
    assert str(tmp_path).encode() not in b"".join(
        path.read_bytes()
        for path in (project.folder / "data/processed").rglob("*")
        if path.is_file()
    )


@pytest.mark.thorough
def test_a_proposed_face_labelled_by_hand_wins(project):
    project.facestats("labels", "template", "-o", "mine/to_label.csv")
    path = project.folder / "mine/to_label.csv"
    template = pd.read_csv(path, dtype=str)
    face = template.iloc[0]
    other = "male" if face["current_gender"] == "female" else "female"
    template.loc[0, ["proposed_gender", "proposed_age"]] = [other, "33"]
    template.to_csv(path, index=False)
    output = project.facestats("labels", "merge", "mine/to_label.csv").stdout
    assert f"{face['filename']}: gender {other} (new)" in output
    call_stages(project, "labels", "split", *sorted(TRAINED), "attributes")
    final = pd.read_parquet(project.folder / "data/processed/metadata/attributes_clean.parquet")
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


def test_one_more_image_moves_no_one_to_another_split(project):
    splits = project.folder / "data/processed/metadata/splits.parquet"
    before = pd.read_parquet(splits).set_index("filename")["split"]
    shutil.copyfile(project.folder / "data/raw/bad/a.png", project.folder / "data/raw/one more.png")
    call_stages(project, "preprocess", "labels", "split")
    after = pd.read_parquet(splits).set_index("filename")["split"]
    assert set(after.index) - set(before.index) == {"one more.png.jpg"}
    assert after[before.index].equals(before)
