"""Commands and examples of the documentation, run as they stand on the small project."""

from facestats.run.stage import StageItem

import importlib.util
import json
import re
import shlex
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from PIL import Image

from documented import block, run_documented
from facestats.params.project import load_params
from project import executed
from resources import ROOT

pytestmark = pytest.mark.slow

META = "data/processed/metadata"
COMPOSITES = "docs/composites.md"


def stage(name: str):
    """The `main` of a stage's script."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"stages/{name}.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.main


@pytest.mark.thorough
def test_the_parameters_on_the_composites_page_draw_what_it_shows(project, monkeypatch):
    """By the stages' scripts in this process: DVC would take a minute for it, and is tried by the
    experiments in README.md.
    """
    monkeypatch.chdir(project.folder)
    usual = yaml.safe_load((ROOT / "params.yaml").read_text())
    project.set_params(
        {
            "composites": {
                name: usual["composites"][name] for name in ("women", "men", "older_adults")
            },
            "continua": {"women_to_men": usual["continua"]["women_to_men"]},
            "differences": {},
        }
    )
    for name in ("a composite", "widened", "a continuum", "a difference", "chance"):
        for section, entries in yaml.safe_load(block(COMPOSITES, name).text).items():
            project.set_params({f"{section}.{key}": value for key, value in entries.items()})
    for name in ("choices", "strips", "one difference more"):
        for line in block(COMPOSITES, name).text.splitlines():
            words = shlex.split(line, comments=True)
            assert words[:4] == ["dvc", "exp", "run", "-S"]
            apply_overrides(project.folder / "params.yaml", words[4:])
    params, folder, made = load_params(), project.folder / "data/processed/composites", {}
    members = project.folder / "data/interim/members"
    for name in params.composites:
        stage("select_members")(
            params,
            StageItem(name),
            project.folder / META / "attributes_final.parquet",
            project.folder / META / "faces.parquet",
            project.folder / "data/processed/preproc",
            members,
        )
        landmarker = project.folder / "models/landmarker"
        stage("composite")(params, StageItem(name), members, landmarker, folder)
        made[name] = json.loads((folder / name / "composite.json").read_text())
    assert {name for name, facts in made.items() if facts["built"]} == made.keys()
    assert made["women"]["render"]["align"] == "eyes"
    assert made["young"]["n"] > made["young_women"]["n"] >= 10
    assert [step["condition"] for step in made["very_old"]["relaxed"]] == ["age_range"]
    for name, pair in params.continua.items():
        stage("continuum")(params, StageItem(name), folder)
        assert len(list((folder / name / "frames").iterdir())) == pair.steps
    assert {name: pair.steps for name, pair in params.continua.items()} == {
        "young_to_old": 5,
        "ageing": 9,
    }
    assert params.differences.keys() == {"old_minus_all", "chance", "age_gap"}
    for name in params.differences:
        stage("difference")(params, StageItem(name), folder)
        assert json.loads((folder / name / "difference.json").read_text())["built"]


def test_python_on_the_pages_about_composites_and_geometry(built, monkeypatch, tmp_path):
    monkeypatch.chdir(built.folder)
    code = block(COMPOSITES, "from python").text.replace(
        '"young_women.jpg"', f"{str(tmp_path / 'young_women.jpg')!r}"
    )
    exec(compile(code, COMPOSITES, "exec"), {})
    with Image.open(tmp_path / "young_women.jpg") as picture:
        assert picture.size == (96, 96)

    table = (
        pd.read_parquet(f"{META}/geometry.parquet")
        .dropna(subset=["geometric_raw"])
        .merge(pd.read_parquet(f"{META}/faces.parquet"), on="filename")
    )
    landmarks = np.stack(table["landmarks"]).reshape(-1, 468, 3)
    crops = [
        (built.folder / "data/processed/preproc" / name).read_bytes() for name in table["filename"]
    ]
    example = block("docs/methods/geometry.md", "from python").text
    names = {"landmarks": landmarks, "crops": crops}
    exec(
        compile(
            example.replace("model.predict", "scores = model.predict").replace(
                "model.zscore", "zscores = model.zscore"
            ),
            "geometry.md",
            "exec",
        ),
        names,
    )
    main_model = ~table["geometric_out_of_fold"].to_numpy()
    assert main_model.sum() > 20
    np.testing.assert_allclose(
        names["scores"][main_model], table["geometric_raw"][main_model], atol=1e-3
    )  # of 100
    np.testing.assert_allclose(names["zscores"], table["geometry_zscore"], atol=1e-6)


# What somebody does who opens the template in a spreadsheet: says of the first face what it shows.
FILL_IN = f"""{shlex.quote(sys.executable)} - <<'END'
import pandas
table = pandas.read_csv("to_label.csv", dtype=object)
table.loc[0, ["proposed_age", "proposed_gender"]] = "44", "female"
table.to_csv("to_label.csv", index=False)
END
"""


@pytest.mark.thorough
def test_the_labelling_loop(project):
    project.keep_stages("labels", "split", "train_attribute", "attributes")
    project.commit("stages")
    run_documented(
        project,
        "docs/photos.md",
        "labels",
        {"python -m facestats labels merge": f"{FILL_IN}python -m facestats labels merge"},
    )
    (project.folder / "to_label.csv").unlink()
    proposed = pd.read_csv(project.folder / META / "labels_template.csv")["filename"]
    output = run_documented(
        project, "docs/labelling.md", "the loop", {"# fill in to_label.csv, then:\n": FILL_IN}
    )
    assert {"labels", "attributes"} <= executed(output)
    row = (
        pd.read_parquet(project.folder / META / "attributes_clean.parquet")
        .set_index("filename")
        .loc[proposed[0]]
    )
    assert (row["gender_final"], row["gender_source"], row["age_final"]) == ("female", "manual", 44)
    assert proposed[0] not in set(
        pd.read_csv(project.folder / META / "labels_template.csv")["filename"]
    )


@pytest.mark.thorough
def test_embeddings_without_avx512_as_the_page_on_reproducibility_measures_them(project):
    output = run_documented(project, "docs/methods/reproducibility.md", "without AVX-512")
    assert (
        len(re.findall(r"rows=110 reused=0 computed=110", output)) == 2
    )  # each in a store of its own
    made = project.read("data/processed/embeddings/embeddings_clip.parquet")
    assert project.read("default.parquet") == made
    embeddings = [
        np.stack(pd.read_parquet(project.folder / name)["embedding"])
        for name in ("default.parquet", "avx2.parquet")
    ]
    assert (embeddings[0] * embeddings[1]).sum(axis=1).min() > 0.999999
