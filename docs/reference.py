"""Write parameters.md, tables.md, api.md, datasets.md and the picture of the pipeline in README.md.

python docs/reference.py
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx
import pyarrow as pa
from api import api_page
from dataset_page import datasets_page

from facestats.age.tables import AGE_CHECK
from facestats.attributes.tables import (
    ATTRIBUTES,
    CLEAN,
    FAIRFACE,
    FLAGS,
    PREDICTIONS,
    PREDICTIONS_OUT_OF_FOLD,
    WITH_MANUAL,
)
from facestats.clip.tables import embeddings_schema
from facestats.clusters.tables import WITH_CLUSTERS
from facestats.core.tables import BOOLEAN, Schema
from facestats.crossvalidation.tables import CROSSVALIDATED, GEOMETRIC
from facestats.faces.tables import FACES
from facestats.geometry.measurements import MEASUREMENTS
from facestats.geometry.tables import (
    GEOMETRY,
    PUPILS_SOURCE,
    SKIN_CLASS,
    SKIN_MISSING,
    WITH_META,
)
from facestats.groups.tables import FINAL, MEMBER_LANDMARKS
from facestats.labels.tables import LABELS, RATER_GROUPS, SPLITS
from facestats.params.project import Params
from facestats.prompts.tables import ZEROSHOT
from facestats.scores.tables import SCORES, SCORES_OUT_OF_FOLD, SCORES_WITH_ATTRIBUTES
from facestats.traits.tables import ONE_TRAIT, TRAIT_SCORES

TABLES = (
    FINAL,
    FACES,
    embeddings_schema(384),
    LABELS,
    RATER_GROUPS,
    SPLITS,
    ZEROSHOT,
    ATTRIBUTES,
    PREDICTIONS,
    WITH_MANUAL,
    CLEAN,
    FLAGS,
    FAIRFACE,
    AGE_CHECK,
    GEOMETRY,
    WITH_META,
    SCORES_OUT_OF_FOLD,
    CROSSVALIDATED,
    GEOMETRIC,
    PREDICTIONS_OUT_OF_FOLD,
    SCORES,
    SCORES_WITH_ATTRIBUTES,
    ONE_TRAIT,
    TRAIT_SCORES,
    WITH_CLUSTERS,
    MEMBER_LANDMARKS,
)
TEXT_COLUMNS = ("<column>", PUPILS_SOURCE, SKIN_CLASS, SKIN_MISSING)
FOLDER = Path(__file__).resolve().parent
NUMBERS = {"integer": "whole number", "number": "number"}
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
TYPES = {
    pa.string(): "text",
    pa.int32(): "whole number",
    pa.float32(): "float32",
    pa.float64(): "float64",
    pa.bool_(): "true or false",
}


def parameters_page() -> str:
    """docs/parameters.md: every key of `params.yaml`."""
    schema = Params.model_json_schema()
    lines = [
        "# Parameters",
        "",
        "Every key of `params.yaml`, written from the schema by `python docs/reference.py`. A key "
        "that is not in `params.yaml` has its default. An unknown key, a wrong type or an "
        "impossible value stops the stage with a message that names it. Numbers may be written "
        "in any way: `0.00005`, `5e-05` and `'5e-5'` are the same. `dvc exp run -S key=value` "
        "tries another value ([experiments.md](experiments.md)). `<name>` stands for a name of "
        "yours.",
        "",
    ]
    for section, facts in schema["properties"].items():
        text = facts.get("description", "")
        lines += [f"## {section}", "", text[:1].upper() + text[1:] + ".", ""]
        rows = list(_keys(section, facts, schema["$defs"]))
        lines += (
            _rows(("key", "type and limits", "default", "what it does"), rows)
            if rows
            else [f"Type: {_type(facts, schema['$defs'])}.", ""]
        )
    return "\n".join(lines)


def _keys(path: str, facts: dict, models: dict) -> Iterator[tuple[str, str, str, str]]:
    """The keys below one: path, type, default and text."""
    for prefix, model in _below(path, facts, models):
        for name, key in model["properties"].items():
            where = f"{prefix}.{name}"
            kind = f"`{key['const']}`" if "const" in key else _type(key, models)
            yield f"`{where}`", kind, _default(key), " ".join(key.get("description", "").split())
            yield from _keys(where, key, models)


def _below(path: str, facts: dict, models: dict) -> Iterator[tuple[str, dict]]:
    """Mappings with known keys that a value may be or hold, each with its path."""
    if "$ref" in facts:
        yield path, models[facts["$ref"].rsplit("/", 1)[1]]
    for one in [*facts.get("anyOf", []), *facts.get("oneOf", [])]:
        yield from _below(path, one, models)
    for inner in _values(facts):
        yield from _below(f"{path}.<name>", inner, models)


def _values(facts: dict) -> list[dict]:
    """What a mapping with names of the user's own holds."""
    inner = [*facts.get("patternProperties", {}).values(), facts.get("additionalProperties")]
    return [one for one in inner if isinstance(one, dict)]


def _type(facts: dict, models: dict) -> str:
    """A type and its limits, in words."""
    several = [*facts.get("anyOf", []), *facts.get("oneOf", [])]
    if several:
        return " or ".join(dict.fromkeys(_type(one, models) for one in several))
    if "enum" in facts or "const" in facts:
        return ", ".join(f"`{value}`" for value in facts.get("enum", [facts.get("const")]))
    if "$ref" in facts:
        return "keys below"
    kind = facts["type"]
    if kind == "array":
        inner = _type(facts["items"], models)
        return (
            f"[low, high], each a {inner}"
            if facts.get("maxItems") == 2
            else f"list of {_plural(inner)}"
        )
    if kind == "object":
        inner = _values(facts)
        return f"mapping of names to {_type(inner[0], models)}"
    limits = [f"{sign} {facts[limit]:g}" for limit, sign in LIMITS.items() if limit in facts]
    but = f", not {facts['not']['const']}" if "not" in facts else ""
    return (
        " ".join(
            [
                NUMBERS.get(
                    kind,
                    {"string": "text", "boolean": "true or false", "null": "null"}.get(kind, kind),
                ),
                " and ".join(limits),
            ]
        ).strip()
        + but
    )


def _plural(kind: str) -> str:
    """The name of a type as the things a list holds."""
    return "texts" if kind == "text" else re.sub(r"number\b", "numbers", kind)


def _default(key: dict[str, Any]) -> str:
    if "default" in key:
        return f"`{json.dumps(key['default'], ensure_ascii=False).strip(chr(34))}`"
    return f"`{json.dumps(key['examples'][0])}`" if "examples" in key else "must be given"


def tables_page() -> str:
    """docs/tables.md: every table and every column."""
    lines = [
        "# Tables",
        "",
        "Every parquet table of the pipeline, written by `python docs/reference.py` from the "
        "schemas in the `tables.py` of each package, which are checked wherever a table is read "
        "or written. Tables are sorted by their key, the columns in bold. A face has two names: "
        "`image` (the path of the photo) and `filename` (the path of its crop); tables between "
        "stages have `filename` only. `<…>` stands for names of yours: targets, prompts, "
        "classes, columns of label files. Any column but a key may be empty.",
        "",
    ]
    for table in TABLES:
        keys = table.keys()
        described = {name: column.text for name, column in table.fields.items()} | table.further
        lines += [
            f"## {Path(table.location).name}",
            "",
            f"{table.text} `{table.location}`, written by the stage `{table.stage}`.",
            "",
        ]
        lines += _rows(
            ("column", "type", "what it holds"),
            [
                (
                    f"**`{column}`**" if column in keys else f"`{column}`",
                    column_type(table, column),
                    described[column],
                )
                for column in described
            ],
        )
    lines += [
        "## Measurements",
        "",
        "From the landmarks. [measurements.md](measurements.md) says which, beyond which pose a "
        "measurement is empty, and how it relates to ratings.",
        "",
    ]
    lines += _rows(
        ("column", "unit", "definition"),
        [(f"`{m.name}`", m.unit, m.definition) for m in MEASUREMENTS],
    )
    return "\n".join(lines)


def column_type(table: Schema, column: str) -> str:
    """The type of a column in words; of those that may follow, as the stages write them."""
    kind = table.columns.get(column)
    if kind is None:
        return (
            "text"
            if column.endswith(("_final", "_source")) or column in TEXT_COLUMNS
            else "text or float64"
            if column in ("<attribute>", "<attribute>_said")
            else TYPES[BOOLEAN]
            if column.endswith("_out_of_fold")
            else "float64"
        )
    return (
        f"{kind.list_size} × {TYPES[kind.value_type]}"
        if pa.types.is_fixed_size_list(kind)
        else TYPES[kind]
    )


def _rows(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    safe = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return [
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *(f"| {row} |" for row in safe),
        "",
    ]


def pipeline_picture(mermaid: str) -> str:
    """`dvc dag --mermaid`, made readable.

    The stages of one `foreach` are one box; arrows that follow from others are left out.
    """
    names = {
        node: name.split("@")[0] for node, name in re.findall(r"(node\d+)\[\"(.+?)\"\]", mermaid)
    }
    edges = {(names[a], names[b]) for a, b in re.findall(r"(node\d+)-->(node\d+)", mermaid)}
    graph = networkx.transitive_reduction(networkx.DiGraph(sorted(edges)))
    many = {name.split("@")[0] for name in re.findall(r"\[\"(.+?)\"\]", mermaid) if "@" in name}
    boxes = [f"    {name}[[{name}]]" for name in sorted(many)]
    return "\n".join(
        [
            "```mermaid",
            "flowchart TD",
            *boxes,
            *(f"    {a} --> {b}" for a, b in sorted(graph.edges)),
            "```",
        ]
    )


def methods(text: str) -> str:
    """The index of docs/methods with the picture as it is now between its two marks."""
    dag = subprocess.run(
        [sys.executable, "-m", "dvc", "dag", "--mermaid"],
        cwd=FOLDER.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return re.sub(
        r"(?<=<!-- dvc dag -->\n).*?(?=\n<!-- end -->)",
        lambda _: pipeline_picture(dag.stdout),
        text,
        flags=re.DOTALL,
    )


def pages() -> dict[Path, str]:
    """Each page's path and text."""
    index = FOLDER / "methods" / "README.md"
    return {
        FOLDER / "parameters.md": parameters_page(),
        FOLDER / "tables.md": tables_page(),
        FOLDER / "api.md": api_page(),
        FOLDER / "datasets.md": datasets_page(),
        index: methods(index.read_text(encoding="utf-8")),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(FOLDER.parent))
