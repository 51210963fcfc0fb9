"""`python -m facestats results`: where to look, which `make repro` says at its end."""

import argparse
import json
import random
import re
import shutil
from functools import partial, reduce
from operator import getitem

import pytest
import yaml

from cards import trained_run, untrained_run
from facestats.cli import results
from facestats.core.files import read_json, write_json
from facestats.errors import InputError
from facestats.params.project import load_params
from resources import ROOT

NOTHING_ELSEWHERE = {"composite": [], "doubt": []}


def output_of(root, capsys) -> str:
    assert results.run(argparse.Namespace(root=root)) == 0
    return capsys.readouterr().out


@pytest.fixture
def root(built, tmp_path):
    """What the command reads of a project that has run."""
    shutil.copytree(built.folder / "metrics", tmp_path / "metrics")
    for folder in ("data/processed/composites", results.WARNINGS):
        shutil.copytree(built.folder / folder, tmp_path / folder)
    for name in ("params.yaml", "dvc.yaml", results.REPORT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(built.folder / name, tmp_path / name)
    return tmp_path


@pytest.mark.slow
def test_every_path_is_there_and_headlines_have_intervals(root, built, capsys):
    output = output_of(root, capsys)
    for path in re.findall(r"\b(?:data|metrics|docs)/[\w./]+", output):
        assert (built.folder / path).exists(), path
    assert str(results.REPORT) in output
    assert "The photos of data/raw are not here" in output
    (root / "data/raw").mkdir()
    assert "are not here" not in output_of(root, capsys)
    assert re.search(
        r"holistic score: r = \S+ \(95 % interval \S+ to \S+\), R² = \S+ \(95 % interval "
        r"\S+ to \S+\) on \d+ test faces",
        output,
    )
    assert "impossible/composite.json  (not built: too few" in output


@pytest.mark.slow
def test_what_was_taken_out_of_the_parameters_is_not_named(root, capsys):
    folder = root / "data/processed/composites"
    for kind, old in (
        ("composite", "women"),
        ("continuum", "women_to_top"),
        ("difference", "women_minus_top"),
    ):
        write_json(
            folder / f"former_{old}" / f"{kind}.json", read_json(folder / old / f"{kind}.json")
        )
    output = output_of(root, capsys)
    assert "former_" not in output
    params = yaml.safe_load((root / "params.yaml").read_text())
    assert all(
        f"composites/{name}/" in output
        for kind in ("composites", "continua", "differences")
        for name in params[kind]
    )
    (root / "params.yaml").write_text(yaml.safe_dump(params | {"continua": {}}))
    assert "women_to_top" not in output_of(root, capsys)


@pytest.mark.long
def test_all_warnings_stand_at_the_end_once_with_their_number(tmp_path):
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    params, folder = load_params(tmp_path / "params.yaml"), tmp_path / results.WARNINGS
    assert results._warnings(tmp_path, params, NOTHING_ELSEWHERE)[0] == "\nno warnings"
    assert re.search(
        r"those of \d+ stages are not here: `dvc repro`",
        results._warnings(tmp_path, params, NOTHING_ELSEWHERE)[1],
    )
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for stage, facts in stages.items():
        for item in (
            {
                "train_attribute": params.attributes.targets,
                "continuum": params.continua,
                "difference": params.differences,
                "stimuli": params.stimuli,
                "trait": params.score.traits,
            }.get(stage, params.composites)
            if "foreach" in facts
            else [""]
        ):
            write_json(folder / (f"{item}/{stage}.stage.json" if item else f"{stage}.json"), [])
    assert results._warnings(tmp_path, params, NOTHING_ELSEWHERE) == ["\nno warnings"]
    write_json(folder / "labels.json", ["labels.csv names 1 missing image"])
    write_json(
        folder / "geometry.json",
        [f"geometry.folds: fold {i}: {18 - i} rated faces" for i in (0, 2, 4)],
    )
    write_json(folder / "women/composite.stage.json", ["composites.women: an average of few"])
    write_json(folder / "men/composite.stage.json", ["composites.men: an average of few"])
    write_json(folder / "former/composite.stage.json", ["composites.former: an average of few"])
    assert results._warnings(tmp_path, params, NOTHING_ELSEWHERE) == [
        "\n6 warnings",
        "  labels: labels.csv names 1 missing image",
        "  geometry: geometry.folds: fold 0: 18 rated faces (2 more like it)",
        "  composite: composites.women: an average of few (1 more like it: men)",
    ]


def test_a_reason_that_many_warnings_repeat_stands_once(root, capsys):
    """A score that says nothing is in doubt in every composite, continuum and difference by it."""
    metrics = read_json(root / results.ATTRACTIVENESS)
    doubt = "the holistic score says nothing: R² is −0.2 on 40 cross-validated faces"
    metrics["verdicts"]["holistic"] |= {"word": "says nothing", "text": doubt}
    write_json(root / results.ATTRACTIVENESS, metrics)
    why = f"too few faces match the filter: 2 of at least 8; {doubt}"
    of_pair = f"the composite top_rated was not built: {why}"
    folder, warnings = root / "data/processed/composites", root / results.WARNINGS
    for kind, name, reason in (
        ("composite", "top_rated", why),
        ("continuum", "women_to_top", of_pair),
        ("difference", "women_minus_top", of_pair),
    ):
        facts = read_json(folder / name / f"{kind}.json")
        write_json(folder / name / f"{kind}.json", facts | {"built": False, "why": reason})
        message = f"{kind}.{name} is not built: {reason}"
        write_json(warnings / f"{name}/{kind}.stage.json", [message])
    write_json(warnings / "score.json", [doubt])
    output = output_of(root, capsys)
    assert output.count("R² is −0.2 on 40 cross-validated faces") == 1
    assert output.count("too few faces match the filter: 2 of at least 8") == 1
    for line in (
        f"WARNING: {doubt}",
        "(not built: too few faces match the filter: 2 of at least 8; the holistic score says "
        "nothing)",
        "women_to_top/continuum.json  (not built: the composite top_rated was not built)",
        "  score: the holistic score says nothing\n",
        "  difference: difference.women_minus_top is not built: the composite top_rated was not "
        "built\n",
    ):
        assert line in output


def test_every_stage_that_warns_keeps_its_warnings():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for stage, facts in stages.items():
        name = "${item}" if isinstance(facts.get("foreach"), list) or stage == "trait" else "${key}"
        facts = facts.get("do", facts)
        script = re.search(r"python (stages/\w+\.py)", facts["cmd"])[1]
        outs = [out for out in facts["outs"] if str(out).startswith("${interim}/warnings/")]
        warns = bool(
            re.search(
                r"^from facestats.run.stage import .*\bwarn(,|$)",
                (ROOT / script).read_text(encoding="utf-8"),
                re.MULTILINE,
            )
        )
        assert len(outs) == ("--interim ${interim}" in facts["cmd"]) >= warns, stage
        assert all(
            out
            == (
                "${interim}/warnings/" + name + f"/{stage}.stage.json"
                if "foreach" in stages[stage]
                else f"${{interim}}/warnings/{stage}.json"
            )
            for out in outs
        )


@pytest.mark.long
@pytest.mark.parametrize(
    ("made", "beginnings"),
    [
        (
            partial(trained_run, regressor=False),
            {
                "holistic score: 180 rated faces in train",
                "geometric score: r = 0.",
                "ridge regression: r = 0.",
            },
        ),
        (untrained_run, {"attractiveness: 0 rated faces in train"}),
    ],
)
def test_what_was_not_trained_says_why_and_the_rest_is_shown(tmp_path, made, beginnings):
    run = made()
    for name, content in {
        "attractiveness": run.attractiveness,
        "train_attractiveness/metrics": run.training,
        "attributes": {},
        "age_check": run.age_check,
    }.items():
        write_json(tmp_path / f"{name}.json", content)
    lines = results._headlines(tmp_path)
    assert {
        start for start in beginnings if any(line.startswith(start) for line in lines)
    } == beginnings
    assert any(line.startswith("geometric") for line in lines) == (len(beginnings) > 1)


def test_a_damaged_file_of_a_run_is_named(tmp_path):
    (tmp_path / "attractiveness.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"attractiveness\.json is damaged"):
        results._headlines(tmp_path)


def test_before_the_first_run_it_says_what_to_run(tmp_path):
    with pytest.raises(InputError, match="run `dvc repro` first"):
        results.run(argparse.Namespace(root=tmp_path))


def test_make_repro_ends_with_it():
    recipe = re.search(
        r"^repro:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )[1]
    assert recipe.splitlines()[-1] == "\t@python -m facestats results"


ODD = (None, True, -1, 1e308, 10**40, "x", [], {}, [[]], {"a": 1})


def places(value, above=()):
    """Keys and positions that lead to each value of JSON content."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield (*above, key)
        if isinstance(one, (dict, list)):
            yield from places(one, (*above, key))


@pytest.mark.thorough
def test_forged_metrics_are_shown_or_refused(root, capsys):
    """They may come with a pull request."""
    rng, refused = random.Random(0), []
    names = ("attractiveness", "attributes", "crossvalidated", "fairness", "age_check")
    for _ in range(50):
        path = root / "metrics" / f"{rng.choice(names)}.json"
        content = path.read_text()
        forged = json.loads(content)
        *above, last = rng.choice([*places(forged)])
        reduce(getitem, above, forged)[last] = rng.choice(ODD)
        path.write_text(json.dumps(forged))
        try:
            results.run(argparse.Namespace(root=root))
        except InputError as error:
            refused.append(str(error))
        path.write_text(content)
    assert len(refused) > 1
    assert all("metrics" in text for text in refused)
    capsys.readouterr()


def test_a_permutation_test_stands_beside_the_interval_that_it_outweighs(tmp_path):
    """The score says something by it, though the interval of its R² holds 0."""
    figure = {"value": 0.2, "low": -0.1, "high": 0.4}
    model = {"pearson": figure, "r2": figure}
    facts = {"why": None, "n": 40, "n_persons": 40, "mlp": model}
    for p, number, shown in (
        (0.005, 199, "p ≤ 0.005 by 199"),
        (0.04, 199, "p = 0.04 by 199"),
        (0.05, 19, "p ≤ 0.05 by 19"),
    ):
        chance = {"p": p, "permutations": number}
        write_json(
            tmp_path / "a.json", {"rating": facts | {"geometric": model | {"by_chance": chance}}}
        )
        holistic, geometric = results._crossvalidated(tmp_path / "a.json")
        assert f"to 0.4), {shown} permutations, cross-validated on" in geometric
        assert "permutations" not in holistic
