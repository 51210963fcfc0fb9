"""Names of earlier versions: parameters and columns are read under the new name, with a warning."""

import warnings
from typing import ClassVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facestats.core import tables
from facestats.core.tables import Column, Schema
from facestats.errors import ParamsError, RenamedWarning, TableError
from facestats.machine.output import plain_warnings
from facestats.params.renaming import with_current_names
from facestats.params.types import Section


class Target(Section):
    aliases: ClassVar = {"kept": "precision"}
    precision: float


class Model(Section):
    aliases: ClassVar = {"neurons": "hidden"}
    hidden: int
    targets: dict[str, Target] | None = None


class Project(Section):
    aliases: ClassVar = {"perceptron": "mlp"}
    mlp: Model | None


TABLE = Schema(
    "faces.parquet",
    "Faces.",
    "preprocess",
    {
        "filename": Column(pa.string(), "the face"),
        "ethnicity": Column(pa.string(), "as labelled", aliases=("ancestry", "race")),
        "yaw": Column(pa.float32(), "degrees"),
    },
)


def write(path, **columns):
    pq.write_table(pa.table({"filename": ["a.jpg"], **columns}), path)


def test_keys_of_earlier_versions_are_read_with_a_warning_that_names_the_new_one():
    content = {"perceptron": {"neurons": 8, "targets": {"age": {"kept": 0.9}}}}
    with pytest.warns(RenamedWarning) as caught:
        params = Project.model_validate(with_current_names(content, Project))
    assert params.mlp.hidden == 8
    assert params.mlp.targets["age"].precision == 0.9
    assert [str(one.message).split(";")[0] for one in caught] == [
        "params.yaml: perceptron is called mlp now",
        "params.yaml: mlp.neurons is called mlp.hidden now",
        "params.yaml: mlp.targets.age.kept is called mlp.targets.age.precision now",
    ]


def test_a_key_under_both_of_its_names_is_refused():
    content = {"mlp": {"neurons": 8, "hidden": 9}}
    with pytest.raises(ParamsError, match=r"mlp\.neurons is called mlp\.hidden now, and both are"):
        with_current_names(content, Project, "mine.yaml")


def test_what_has_its_present_name_is_left_alone():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for content in ({"mlp": {"hidden": 8}}, {"mlp": None}, {"mlp": [1]}, {"other": 1}, None):
            assert with_current_names(content, Project) == content


@pytest.mark.parametrize("old", ["ancestry", "race"])
def test_columns_of_earlier_versions_are_read_with_a_warning_that_names_the_new_one(tmp_path, old):
    path = tmp_path / "faces.parquet"
    write(path, **{old: ["A"], "yaw": pa.array([1.0], pa.float32())})
    with pytest.warns(RenamedWarning, match=f"the column {old} is called ethnicity now"):
        table = tables.read(path, TABLE)
    expected = pd.DataFrame({"filename": ["a.jpg"], "ethnicity": ["A"], "yaw": [1.0]})
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
    with pytest.warns(RenamedWarning):
        assert list(tables.read(path, TABLE, ["filename", old])) == ["filename", "ethnicity"]
    with pytest.warns(RenamedWarning):
        assert list(tables.read_all(path, TABLE)) == ["filename", "ethnicity", "yaw"]


def test_the_present_name_of_a_column_wins(tmp_path):
    path = tmp_path / "faces.parquet"
    write(path, ethnicity=["A"], race=["B"], yaw=pa.array([1.0], pa.float32()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tables.read(path, TABLE)["ethnicity"].tolist() == ["A"]


def test_a_column_of_an_earlier_version_has_its_type_checked(tmp_path):
    write(tmp_path / "faces.parquet", race=[1.5], yaw=pa.array([1.0], pa.float32()))
    with pytest.raises(TableError, match="column ethnicity is double, expected string"):
        tables.read(tmp_path / "faces.parquet", TABLE)


def test_programs_print_the_warning_alone(capsys, monkeypatch):
    others = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *_: others.append(str(message)))
    plain_warnings()
    warnings.showwarning(RenamedWarning("a is called b now"), RenamedWarning, "x.py", 1)
    warnings.showwarning(UserWarning("something else"), UserWarning, "x.py", 1)
    assert capsys.readouterr().err == "warning: a is called b now\n"
    assert others == ["something else"]
