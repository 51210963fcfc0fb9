"""`facestats compare` of runs that somebody forged or damaged: an error that names the file."""

import copy
import json
import random
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
import yaml

from facestats.cli import compare_text
from facestats.cli.compare_checks import check_predictions, plain_params, val_loss
from facestats.cli.compare_runs import Run, read_run
from facestats.comparison import differences
from facestats.comparison.differences import compare
from facestats.core import tables
from facestats.crossvalidation.tables import CROSSVALIDATED
from facestats.dvc_files.forms import ForeignError, load_yaml
from facestats.errors import FaceStatsError, InputError
from runs_to_compare import made_run, run_of, two_halves

SUMMARY = {"best": {"val_loss": 0.5, "epoch": 3}, "rows": [1, 2, {"a": None}], "name": "x"}
PARAMS = {"mlp": {"loss": "mse", "hidden": [8, 8], "lr": 1e-4}, "score": {"traits": None}}
ODD = (
    *(None, True, -1, 0, 10**400, 2**63, 1e308, float("nan"), float("inf"), -0.0),
    *("", "x", "\x1b[31m\n", "\ud83d\ude00", "1e9", [], [[]], ["mse"], {}, {"": 1}, [None, {}]),
)
NUMBERS = (np.nan, np.inf, -np.inf, 1e308, -1e200, 0.0, 1e-320)
TEXTS = (None, "", "rating", "mlp", "face_0001.jpg", "a\n\x1b[2J", "é" * 300)


def places(value, above=()):
    """Paths of all that is in nested mappings and lists."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [above, *(place for key, one in inner for place in places(one, (*above, key)))]


def changed(content, rng):
    """The content with one to three values, or names of keys, replaced."""
    content = copy.deepcopy(content)
    for _ in range(rng.randint(1, 3)):
        place = rng.choice(places(content))
        if not place:
            if rng.random() < 0.1:
                return copy.deepcopy(rng.choice(ODD))
            continue
        inside = content
        for key in place[:-1]:
            inside = inside[key]
        if isinstance(inside, dict) and rng.random() < 0.3:
            inside[rng.choice(["x", "loss", "val_loss", "best", ""])] = inside.pop(place[-1])
        else:
            inside[place[-1]] = copy.deepcopy(rng.choice(ODD))
    return content


def damaged(data, rng):
    """The bytes with some overwritten, or cut off."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data if rng.random() < 0.7 else data[: rng.randrange(len(data))])


def of(params=None, loss=0.5, table=None):
    (first, _), actual, _ = two_halves(20, 0)
    table = run_of(first, actual) if table is None else table
    splits = frozenset(table["filename"][:5])
    return Run("main", None, table, params or {}, loss, splits)


def test_damaged_metrics_give_a_figure_or_an_error():
    rng, refused = random.Random(0), []
    for i in range(1000):
        data = json.dumps(changed(SUMMARY, rng)).encode()
        if i % 4 == 0:
            data = damaged(data, rng)
        try:
            value = val_loss(data, "metrics/summary.json of main")
            assert value is None or np.isfinite(value)
        except InputError as error:
            refused.append(str(error))
    assert 100 < len(refused) < 900
    assert all(text.startswith("metrics/summary.json of main: ") for text in refused)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (f'{{"best": {{"val_loss": 1{"0" * 400}}}}}', "best.val_loss: "),
        ('{"best": {"val_loss": [1]}}', "best.val_loss: "),
        ('{"best": 5}', "best: "),
        ("[" * 100_000, "the file: "),
        ("[1]", "the file: "),
    ],
)
def test_a_loss_that_is_none(data, said):
    with pytest.raises(InputError, match=f"main: {said}"):
        val_loss(data.encode(), "summary.json of main")


@pytest.mark.long
def test_damaged_params_are_shown_or_refused():
    rng, other, refused = random.Random(1), of(), 0
    for i in range(400):
        data = yaml.safe_dump(changed(PARAMS, rng), allow_unicode=True).encode()
        if i % 4 == 0:
            data = damaged(data, rng)
        try:
            params = plain_params(load_yaml(data), "params.yaml of main")
        except (InputError, ForeignError):
            refused += 1
            continue
        own = of(params | {"mlp.loss": rng.choice(ODD)}, table=other.table)
        json.dumps(compare_text.content(own, [], None))
        compare_text._why_no_choice([own, other])
    assert 20 < refused < 300


def test_a_loss_that_is_a_list_is_compared():
    runs = [of({"mlp.loss": loss}) for loss in (["mse"], "mse")]
    assert "their mlp.loss differs" in (compare_text._why_no_choice(runs) or "")


@pytest.mark.parametrize("hexadecimal", ["0x" + "f" * 5000, "!!binary aGFsbG8=", "!!set {a, b}"])
def test_a_parameter_that_none_is(hexadecimal):
    with pytest.raises((InputError, ForeignError)):
        plain_params(load_yaml(f"mlp: {{lr: {hexadecimal}}}".encode()), "params.yaml of main")


def test_repeats_that_lack_most_faces_are_refused():
    """Each row in a repeat of its own would need a table of rows by rows."""
    halves, actual, _ = two_halves(200, 0)
    table = run_of(halves[0], actual)
    check_predictions(table, "main")
    table["repeat"] = np.arange(len(table), dtype="int32")
    with pytest.raises(InputError, match=r"main: repeats of .* lack most faces"):
        check_predictions(table, "main")


@pytest.mark.thorough
@pytest.mark.long
def test_damaged_predictions_are_compared_or_refused(monkeypatch):
    monkeypatch.setattr(differences, "RESAMPLES", 20)
    rng, (halves, actual, _), refused = random.Random(2), two_halves(20, 0), []
    other = run_of(halves[1], actual)
    for _ in range(100):
        table = run_of(halves[0], actual)
        for _ in range(rng.randint(1, 3)):
            column = rng.choice([*table])
            rows = rng.sample(range(len(table)), rng.choice([1, 3, len(table)]))
            odd = {"f": NUMBERS, "i": (-1, 0, 1, 7, 2**31 - 1)}.get(table[column].dtype.kind, TEXTS)
            if column == "answered":
                odd = (None, True, False)
            table.loc[rows, column] = rng.choice(odd)
        if rng.random() < 0.2:
            table = pd.concat([table, table[: rng.randrange(20)]], ignore_index=True)
        try:
            checked = check_predictions(table, "crossvalidated.parquet of main")
        except InputError as error:
            refused.append(str(error))
            continue
        comparison = compare(checked, other)
        own, another = of(table=checked), of(table=other)
        json.dumps(compare_text.content(own, [(another, comparison)], None), allow_nan=False)
        compare_text.print_all(own, [(another, comparison)])
        compare_text.choose(own, [another])
    assert 20 < len(refused) < 90
    assert all(text.startswith("crossvalidated.parquet of main: ") for text in refused)


@pytest.mark.long
def test_a_damaged_workspace_is_read_or_refused(tmp_path):
    (first, _), actual, _ = two_halves(20, 0)
    made_run(tmp_path, run_of(first, actual))
    files = [
        tmp_path / name
        for name in ("dvc.lock", "params.yaml", "metrics/summary.json", CROSSVALIDATED.location)
    ]
    whole, rng = {path: path.read_bytes() for path in files}, random.Random(3)
    for i in range(120):
        path = files[i % 4]
        if i % 4 < 2 and i % 8 < 4:
            content = changed(yaml.safe_load(whole[path]), rng)
            path.write_text(yaml.safe_dump(content), encoding="utf-8")
        else:
            path.write_bytes(damaged(whole[path], rng))
        with suppress(FaceStatsError):
            read_run(tmp_path, "workspace")
        path.write_bytes(whole[path])
    read_run(tmp_path, "workspace")


def test_a_stage_that_was_renamed(tmp_path):
    (first, _), actual, _ = two_halves(20, 0)
    made_run(tmp_path, run_of(first, actual))
    lock = yaml.safe_load((tmp_path / "dvc.lock").read_text())
    lock["stages"]["other"] = lock["stages"].pop("crossvalidate")
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump(lock))
    with pytest.raises(InputError, match=r"dvc\.lock has no stage `crossvalidate`"):
        read_run(tmp_path, "workspace")


@pytest.mark.long
def test_damaged_parquet_is_a_table_error(tmp_path):
    (first, _), actual, _ = two_halves(20, 0)
    tables.write(run_of(first, actual), tmp_path / "a.parquet", CROSSVALIDATED)
    data, rng = (tmp_path / "a.parquet").read_bytes(), random.Random(4)
    for _ in range(300):
        (tmp_path / "b.parquet").write_bytes(damaged(data, rng))
        with suppress(FaceStatsError):
            check_predictions(tables.read(tmp_path / "b.parquet", CROSSVALIDATED), "b.parquet")
