"""docs/parameters.md, docs/tables.md and the picture in docs/methods/README.md are what schemas
and `dvc dag` say, and every key and column is described.
"""

import re
from functools import reduce
from importlib import import_module
from operator import getitem

import pyarrow.parquet as pq
import pytest
import yaml

from facestats.core.tables import Schema
from facestats.geometry.measurements import MEASUREMENTS
from resources import ROOT

COMMENT = re.compile(r"^( *)([\w-]+):([^#]*)(?:# (.*))?$")


@pytest.fixture
def reference(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    import reference

    return reference


def described(reference) -> dict[str, str]:
    """Each key of the page, and what it does."""
    schema = reference.Params.model_json_schema()
    texts = {section: facts["description"] for section, facts in schema["properties"].items()}
    for section, facts in schema["properties"].items():
        texts |= {
            row[0].strip("`"): row[3] for row in reference._keys(section, facts, schema["$defs"])
        }
    return texts


@pytest.mark.long
def test_the_pages_are_up_to_date(reference):
    own_photos = (
        yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["data"]["images"]
        != "data/sample/images"
    )
    for path, text in reference.pages().items():
        if path.name == "README.md" and own_photos:  # whose pipeline has no use for the sample
            continue
        assert path.read_text(encoding="utf-8") == text, "run `python docs/reference.py`"


def test_the_picture_has_every_stage_once_and_no_arrow_that_follows_from_others(reference):
    mermaid = (
        'node1["a"]\nnode2["b@x"]\nnode3["b@y"]\nnode4["c"]\nnode1-->node2\nnode1-->node3\n'
        "node2-->node4\nnode1-->node4"
    )
    assert reference.pipeline_picture(mermaid).splitlines() == [
        "```mermaid",
        "flowchart TD",
        "    b[[b]]",
        "    a --> b",
        "    b --> c",
        "```",
    ]
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    # `dvc dag` has no stage for a section without entries.
    of_nothing = {
        name
        for name, stage in stages.items()
        if "foreach" in stage and not reduce(getitem, stage["foreach"][2:-1].split("."), params)
    }
    picture = (
        (ROOT / "docs/methods/README.md")
        .read_text(encoding="utf-8")
        .partition("```mermaid")[2]
        .partition("```")[0]
    )
    assert {name for line in picture.splitlines() for name in re.findall(r"\w+", line)} - {
        "flowchart",
        "TD",
    } == set(stages) - of_nothing


def test_every_key_says_what_it_does(reference):
    texts = described(reference)
    assert len(texts) > 80
    assert [key for key, text in texts.items() if not text] == []


def test_params_yaml_says_the_same(reference):
    """A comment in params.yaml is the text of the schema.

    Names of the user's own (composites, targets) count alike.
    """
    texts, path, compared = described(reference), [], 0
    for line in (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines():
        matched = COMMENT.match(line)
        if not matched:
            continue
        depth = len(matched[1]) // 2
        path[depth:] = [matched[2]]
        owned = {"composites": 1, "continua": 1, "differences": 1, "attributes": 2}.get(path[0])
        key = ".".join(
            "<name>" if i == owned and (path[0] != "attributes" or path[1] == "targets") else part
            for i, part in enumerate(path)
        )
        if matched[4] and path[0] not in ("zeroshot",):
            assert matched[4] == texts[key], key
            compared += 1
    assert compared > 50


@pytest.mark.long
def test_params_yaml_holds_every_key_of_its_sections(reference):
    """Nobody should have to know a key that params.yaml does not show.

    Below users' own names the page is enough.
    """
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for key in described(reference):
        if "<name>" not in key:
            value = params
            for part in key.split("."):
                value = value[part]


def test_every_table_and_column_is_described(reference):
    packages = {path.parent.name for path in ROOT.glob("src/facestats/*/tables.py")}
    assert len(packages) > 8
    for package in packages:
        module = import_module(f"facestats.{package}.tables")
        schemas = [value for value in vars(module).values() if isinstance(value, Schema)]
        assert {id(schema) for schema in schemas} <= {id(table) for table in reference.TABLES}
    for table in reference.TABLES:
        assert table.text
        assert all(column.text for column in table.fields.values())
        assert all(table.further.values())


def test_the_paths_and_stages_are_those_of_the_pipeline(reference):
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    short = {"${" + name + "}": path for item in pipeline["vars"] for name, path in item.items()}
    for table in reference.TABLES:
        path = re.sub(r"<\w+>", "${key}", table.location)
        for inside in ("/faces/landmarks.parquet", "${key}/scores.parquet"):  # of a folder
            path = path.replace(inside, inside.partition("/")[0])
        stage = pipeline["stages"][table.stage]
        outs = str(stage.get("do", stage)["outs"]).replace("${item}", "${key}")
        for name, place in short.items():
            outs = outs.replace(name, place)
        assert f"'{path}'" in outs, table.location


@pytest.mark.slow
def test_no_table_of_a_run_has_a_column_that_is_not_described(built, reference):
    names, looked_at = r"[^/]+", 0
    for table in reference.TABLES:
        columns = {re.sub(r"<\w+>", names, column) for column in (*table.columns, *table.further)}
        if "<measurement>" in table.further:
            columns = columns - {names} | {measurement.name for measurement in MEASUREMENTS}
        for path in built.folder.glob(re.sub(r"<\w+>", "*", table.location)):
            written = pq.read_schema(path).names
            assert [
                name
                for name in written
                if not any(re.fullmatch(column, name) for column in columns)
            ] == []
            assert set(table.columns) <= set(written)
            looked_at += 1
    assert looked_at >= len(reference.TABLES)
