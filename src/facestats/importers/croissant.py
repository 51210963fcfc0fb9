"""A description of an import for machines: Croissant 1.1, metadata of datasets as JSON-LD."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pandas as pd

from facestats.importers.content import Content
from facestats.labels.label_file import NUMBERS

# The context of https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "annotation": "cr:annotation",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "excludes": "cr:excludes",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "readLines": "cr:readLines",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
    "unArchive": "cr:unArchive",
    "value": "cr:value",
}
CONFORMS_TO = "http://mlcommons.org/croissant/1.1"


def croissant(dataset: dict[str, Any], content: Content, labels: Path) -> dict[str, Any]:
    """Describe an import; paths in it are relative to the folder of labels.

    Parameters
    ----------
    dataset : dict
        `dataset.json`.
    content : Content
        What was imported.
    labels : Path
        Holds `labels.csv` and, perhaps, `ratings.csv`.
    """
    every = [dataset, *dataset.get("appended", [])]
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": "_".join(part["name"] for part in every),
        "description": (
            f"{' and '.join(part['title'] for part in every)}: photos of faces and their labels, "
            "as imported by FaceStats."
        ),
        "license": [part["licence_link"] or part["licence"] for part in every],
        "citeAs": "; ".join(part["citation"] for part in every if part["citation"]),
        # It names the bytes, so that another import has another version.
        "version": f"1.0.0+{_version(labels)}",
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": "photos",
                "name": "photos",
                "description": "Photos, in ../raw",
                "containedIn": {"@id": "raw"},
                "encodingFormat": "image/*",
                "includes": "**/*",
            },
            {
                "@type": "cr:FileObject",
                "@id": "raw",
                "name": "raw",
                "description": f"Folder of {sum(part['files'] for part in every)} photos",
                "contentUrl": "../raw",
                "encodingFormat": "inode/directory",
                "sha256": _digest("\n".join(sorted(content.photos)).encode("utf-8", "replace")),
            },
        ],
        "recordSet": [],
    }
    if link := every[0]["licence_link"]:
        document["url"] = link
    if year := re.search(r"\b(19|20)\d\d\b", every[-1]["citation"]):
        document["datePublished"] = year[0]
    for name, table, what in (
        ("labels", content.labels, "One row a photo"),
        ("ratings", content.ratings, "One row a judgement"),
    ):
        if table is None:
            continue
        path = labels / f"{name}.csv"
        document["distribution"].append(
            {
                "@type": "cr:FileObject",
                "@id": path.name,
                "name": path.name,
                "contentUrl": path.name,
                "encodingFormat": "text/csv",
                "contentSize": f"{path.stat().st_size} B",
                "sha256": _digest(path.read_bytes()),
            }
        )
        document["recordSet"].append(_records(name, table, what))
    return document


def _records(name: str, table: pd.DataFrame, what: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": what,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "dataType": "sc:Float" if _is_number(table[column]) else "sc:Text",
                "source": {
                    "fileObject": {"@id": f"{name}.csv"},
                    "extract": {"column": column},
                },
            }
            for column in map(str, table.columns)
        ],
    }


def _is_number(column: pd.Series) -> bool:
    return column.name in NUMBERS or column.dtype.kind in "iuf"


def _version(labels: Path) -> str:
    parts = [path.read_bytes() for path in sorted(labels.glob("*.csv"))]
    return _digest(b"\0".join(parts))[:12]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
