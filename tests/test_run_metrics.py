"""Figures are shown beside the models that they were measured of, or not at all."""

import argparse
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from facestats.cli import results
from facestats.core.files import read_json, write_json
from facestats.core.layout import ATTRACTIVENESS, METRICS_MANIFEST, SERVING
from facestats.core.manifests import write_run_manifest
from facestats.errors import InputError, ModelError
from facestats.export.card import Head, model_card
from facestats.export.figures import read_figures
from facestats.report import material
from facestats.serving.loading import load
from facestats.serving.manifest import Manifest
from facestats.serving.run_manifest import read_metrics, why_of_another_run
from models_of_runs import write_models
from resources import ROOT, landmarker_dir

NAMES = ("attractiveness", "traits", "attributes", "crossvalidated")
TEST = {"test": {"n": 9, "mlp": {"pearson": {"value": 0.5, "low": 0.25, "high": 0.75}}}}
HELD_OUT = "Pearson r 0.5 (95 % 0.25 to 0.75), on 9 test faces"
OTHER = "metrics/run.json is not of the run that made the models; a run is under way, or files"


@pytest.fixture(scope="module")
def run(tmp_path_factory, clip_models):
    """A project folder with the models of a run."""
    folder = tmp_path_factory.mktemp("run")
    before = Path.cwd()
    os.chdir(folder)
    write_models(folder, 1, clip_models["tiny"], landmarker_dir())
    os.chdir(before)
    return folder


@pytest.fixture
def root(run, tmp_path, monkeypatch):
    """Its manifest, and metrics of its run."""
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / SERVING, read_json(run / SERVING))
    for name in NAMES:
        write_json(Path(f"metrics/{name}.json"), TEST if name == "attractiveness" else {})
    write_run_manifest(METRICS_MANIFEST, SERVING, sorted(Path("metrics").glob("*.json")))
    return tmp_path


def parts(root):
    return Manifest.read(root).parts


def retrain(root):
    """Models of another run, as after `dvc checkout` of another commit."""
    facts = read_json(root / SERVING)
    facts["parts"]["blend"] = {"models/blend.json": "0" * 64}
    write_json(root / SERVING, facts)


def change(root):
    write_json(root / ATTRACTIVENESS, {"test": {"n": 10}})


def as_of_an_earlier_version(root):
    (root / METRICS_MANIFEST).unlink()


def lose(root):
    (root / ATTRACTIVENESS).unlink()


def make_a_pipe(root):
    lose(root)
    os.mkfifo(root / ATTRACTIVENESS)


def make_its_manifest_a(what):
    def make(root):
        path = root / METRICS_MANIFEST
        path.unlink()
        what(path)

    return make


MIXED = [
    (make_its_manifest_a(os.mkfifo), "metrics/run.json is no file of the pipeline"),
    (make_its_manifest_a(os.mkdir), "metrics/run.json is no file of the pipeline"),
    (make_its_manifest_a(lambda path: path.symlink_to("/dev/zero")), "metrics/run.json is no file"),
    (
        make_its_manifest_a(lambda path: path.symlink_to(path.name)),
        "metrics/run.json can't be read (Too many",
    ),
    (retrain, OTHER),
    (change, "metrics/attractiveness.json is not the one that metrics/run.json names; a run is"),
    (as_of_an_earlier_version, "metrics/run.json: no such file; `dvc repro` makes it"),
    (lose, "metrics/attractiveness.json can't be read"),
    (make_a_pipe, "metrics/attractiveness.json is not the one that"),
]


def test_figures_of_the_models_run_are_read(root):
    assert read_metrics(root, parts(root), NAMES).content["attractiveness"] == TEST
    figures = read_figures(root, parts(root))
    assert str(figures.of("attractiveness")) == str(figures.of_score("", "mlp")) == HELD_OUT
    assert figures.why is None
    assert why_of_another_run(root) is None


@pytest.mark.parametrize(("mix", "why"), MIXED)
def test_figures_of_another_run_are_left_out_with_the_reason(root, mix, why):
    mix(root)
    metrics = read_metrics(root, parts(root), NAMES)
    assert metrics.content == {}
    assert metrics.why.startswith(f"no held-out figures: {why}")
    assert str(root) not in metrics.why
    figures = read_figures(root, parts(root))
    assert str(figures.of("attractiveness")) == figures.why == metrics.why
    assert str(figures.of("gender_final")) == metrics.why
    assert str(figures.of("filename")) == ""
    head = Head("attractiveness", {"kind": "rating", "scale": (1, 7)}, figures.of_score("", "mlp"))
    facts = {
        "clip": {"variant": "tiny"},
        "crop": {"size": 256, "align": "eyes", "margin": 0.3},
        "age_check": {"min_age": None},
        "heads": {},
    }
    card = model_card(facts, [head], {}, "other")
    assert "no held-out figures: metrics/" in card
    assert "model-index" not in card
    if mix is not make_a_pipe:
        assert why_of_another_run(root).startswith(why)


def test_figures_are_hashed_as_they_were_read(root, monkeypatch):
    """Another run that replaces the file between two looks at it changes nothing."""
    reads = []
    read_bytes = Path.read_bytes

    def once(path):
        data = read_bytes(path)
        reads.append(path.name)
        if path.name == ATTRACTIVENESS.name:
            change(root)
        return data

    monkeypatch.setattr(Path, "read_bytes", once)
    assert read_metrics(root, parts(root), NAMES).content["attractiveness"] == TEST
    assert reads.count(ATTRACTIVENESS.name) == 1


def test_the_service_says_why_it_has_no_figures(run, monkeypatch):
    pytest.importorskip("starlette", reason="the extra `serve`")
    from types import SimpleNamespace

    from facestats.service.faces import _describe_models
    from facestats.service.models import Run

    monkeypatch.chdir(run)
    write_json(ATTRACTIVENESS, TEST)
    write_json(Path("metrics/attributes.json"), {})
    models = load(run)
    facts = _describe_models(Run(models, None, SimpleNamespace(), None, None))
    assert facts["metrics"] == {"attractiveness": None, "attributes": None}
    assert facts["metrics_why"].startswith("no held-out figures: metrics/run.json: no such file")
    write_run_manifest(METRICS_MANIFEST, SERVING, sorted(Path("metrics").glob("*.json")))
    facts = _describe_models(Run(models, None, SimpleNamespace(), None, None))
    assert facts["metrics"] == {"attractiveness": TEST, "attributes": {}}
    assert facts["metrics_why"] is None


def test_a_page_of_one_runs_figures_and_anothers_models_is_not_written(root, monkeypatch):
    """As with `dvc repro -s report` after another training."""
    for name in (*material.METRICS, "train_attractiveness/metrics"):
        if name not in NAMES:
            write_json(Path(f"metrics/{name}.json"), {})
    folders = Path("metrics"), SERVING, Path("data/raw"), Path("data/sample")
    assert material.read_run(*folders).attractiveness == TEST
    retrain(root)
    with pytest.raises(InputError, match=r"run\.json is of other models than models/serving\.json"):
        material.read_run(*folders)


def test_results_warns_of_figures_of_another_run(root, monkeypatch, capsys):
    monkeypatch.setattr(results, "_headlines", lambda folder: ["headlines"])
    monkeypatch.setattr(results, "_reasons", lambda *_: {"composite": [], "doubt": []})
    monkeypatch.setattr(results, "_gaps", lambda path: [])
    monkeypatch.setattr(results, "_warnings", lambda *_: [])
    shutil.copyfile(ROOT / "params.yaml", "params.yaml")
    options = argparse.Namespace(root=root)
    results.run(options)
    assert "WARNING" not in capsys.readouterr().out
    retrain(root)
    results.run(options)
    assert f"WARNING: these figures are not of models/: {OTHER}" in capsys.readouterr().out
    (root / SERVING).unlink()  # as where nothing was pulled
    results.run(options)
    assert "WARNING" not in capsys.readouterr().out


@pytest.mark.parametrize("path", ["metrics/pipe.json", "../../dev/zero", "/dev/zero", "a\0b"])
def test_a_manifest_that_names_no_file_of_the_project_is_not_followed(root, path):
    os.mkfifo("metrics/pipe.json")
    facts = read_json(METRICS_MANIFEST)
    facts["files"][path] = "0" * 64
    write_json(METRICS_MANIFEST, facts)
    assert re.search("no file|outside the project", why_of_another_run(root) or "")


def test_a_manifest_of_deep_lists_is_an_error(root):
    facts = read_json(SERVING)
    facts["crop"]["size"] = "DEEP"
    (root / SERVING).write_text(json.dumps(facts).replace('"DEEP"', "[" * 500 + "]" * 500))
    with pytest.raises(ModelError, match="does not say what a photo needs"):
        Manifest.read(root)
