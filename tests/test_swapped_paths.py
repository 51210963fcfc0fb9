"""Two input paths of a stage that are swapped are an error, and nothing is written."""

from facestats.run.stage import StageItem

import re
import runpy
import shlex
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from facestats.age.tables import AGE_CHECK
from facestats.attributes.tables import CLEAN, FLAGS, PREDICTIONS, PREDICTIONS_OUT_OF_FOLD
from facestats.clip.tables import embeddings_schema
from facestats.clusters.tables import WITH_CLUSTERS
from facestats.core import tables
from facestats.core.files import write_json
from facestats.core.layout import CROPS, EMBEDDINGS, METADATA, OUT_OF_FOLD, TRAITS
from facestats.errors import FaceStatsError, of_file
from facestats.faces.tables import FACES
from facestats.geometry.tables import GEOMETRY, WITH_META
from facestats.groups.tables import FINAL
from facestats.labels.tables import LABELS, RATER_GROUPS, SPLITS
from facestats.labels.traits import write_traits
from facestats.params.project import check_params
from facestats.prompts.tables import ZEROSHOT
from facestats.scores.tables import SCORES, SCORES_OUT_OF_FOLD
from facestats.traits.tables import TRAIT_SCORES
from models_of_runs import write_models
from resources import ROOT, landmarker_dir, names

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
VARIABLES = {name: value for group in PIPELINE["vars"] for name, value in group.items()}
NOT_PASSED = ("--interim",)
N = 3
IDENTITIES = {
    "filename": names(N),
    "image": names(N),
    "sha256": [f"{i:064}" for i in range(N)],
    "status": "ok",
    "copy_group": names(N),
    "copy_rank": 1,
    "split": "train",
    "reason": "dark",
}


def resolved(text: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: VARIABLES[match[1]], text)


def arguments(stage: dict) -> dict[str, Path]:
    """The paths that dvc.yaml passes to a stage, by option."""
    words = shlex.split(resolved(stage["cmd"]))[2:]
    paths = dict(zip(words[::2], map(Path, words[1::2]), strict=True))
    return {option: path for option, path in paths.items() if option not in NOT_PASSED}


def keys(schema) -> tuple[str, ...]:
    return schema.keys()


def is_input(path: Path, stage: dict) -> bool:
    """Whether a stage depends on a path, or on something below it."""
    deps = [Path(resolved(dep)) for dep in stage["deps"] if "${data." not in dep]
    return any(dep.is_relative_to(path) for dep in deps)


@pytest.fixture(scope="module")
def project(tmp_path_factory, clip_models):
    """A folder with every input of the stages; the tables have three faces and few values."""
    root = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        write_models(root, 1, clip_models["tiny"], landmarker_dir())
        rows = pd.DataFrame(IDENTITIES)
        for schema in (
            *(AGE_CHECK, CLEAN, FLAGS, PREDICTIONS, WITH_CLUSTERS, FACES, GEOMETRY, WITH_META),
            *(
                FINAL,
                LABELS,
                RATER_GROUPS,
                SPLITS,
                ZEROSHOT,
                SCORES,
                SCORES_OUT_OF_FOLD,
                TRAIT_SCORES,
            ),
        ):
            kinds = {"box": (N, 4), "landmarks": (N, 1404)}
            vectors = {k: np.zeros(shape) for k, shape in kinds.items() if k in schema.columns}
            columns = [name for name in schema.columns if name not in vectors]
            table = rows.reindex(columns=columns)
            unknown = [key for key in columns if key in keys(schema) and table[key].isna().all()]
            table = table.assign(**dict.fromkeys(unknown, "a"))
            tables.write(table, METADATA / schema.name, schema, vectors=vectors)
        OUT_OF_FOLD.mkdir(parents=True)
        table = rows.reindex(columns=list(PREDICTIONS_OUT_OF_FOLD.columns))
        tables.write(table, OUT_OF_FOLD / "age.parquet", PREDICTIONS_OUT_OF_FOLD)
        facts = tables.file_metadata(EMBEDDINGS)
        facts |= {"variant": "tiny", "revision": "", "precision": "float32", "dimension": "384"}
        vectors = {"embedding": np.eye(N, 384, dtype=np.float32)}
        table = rows[["filename"]].assign(key="key")
        tables.write(table, EMBEDDINGS, embeddings_schema(384), facts, vectors)
        write_json(Path("metrics/labels.json"), {"reliability": {}})
        write_json(Path("metrics/train_attractiveness/metrics.json"), {"why": None})
        for folder in (TRAITS, Path("models/traits")):
            write_traits(folder, [])
        CROPS.mkdir(parents=True)
        Path("data/sample").mkdir()
    return root


def message_of(main: Callable, *arguments) -> str | None:
    """What the user reads of a stage that fails; None where it does not."""
    try:
        main(*arguments)
    except FaceStatsError as error:
        return str(error)
    except OSError as error:
        return of_file(error)
    return None


def files(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "stage",
    [
        *("embed", "split", "train_attribute", "zeroshot", "attributes", "age_check"),
        *("train_attractiveness", "geometry", "score", "serving", "clusters", "finalize"),
        *("trait", "traits", "select", "evaluate", "model_card"),
    ],
)
def test_swapped_inputs_are_an_error(stage, project, monkeypatch):
    monkeypatch.chdir(project)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["attributes"]["targets"] = {"age": {"kind": "regression"}}
    params, before = check_params(raw), files(project)
    item = {"train_attribute": ["age"], "select": ["women"], "trait": ["kind"]}.get(stage, [])
    section = PIPELINE["stages"][stage]
    section = section.get("do", section)
    main, paths = runpy.run_path(str(ROOT / section["cmd"].split()[1]))["main"], arguments(section)
    pairs = [*combinations([o for o, path in paths.items() if is_input(path, section)], 2)]
    assert pairs
    messages = {}
    for one, other in pairs:
        swapped = paths | {one: paths[other], other: paths[one]}
        messages[one, other] = message_of(main, params, *map(StageItem, item), *swapped.values())
    unclear = {
        pair: message
        for pair, message in messages.items()
        if not any(str(paths[option]) in (message or "") for option in pair)
    }
    assert unclear == {}
    assert files(project) == before
