"""The models and tables behind a `Models`: read once, all of one run.

Each file is hashed, read, and its identity checked again: if it is the same, the bytes read are the
bytes hashed. A part whose files were not pulled is an error only where it is needed; a part that
does not match the manifest is an error for all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from facestats.age.tables import AGE_CHECK
from facestats.core import tables
from facestats.core.crops import Crops
from facestats.core.layout import CROPS, SERVING
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.core.tables.matrix import HALF, REST, matrix_of
from facestats.core.tables.parts import table_of
from facestats.errors import FaceStatsError, FaultError, ModelError
from facestats.faces.tables import FACES
from facestats.params.errors import explain
from facestats.serving.checks import read_facts
from facestats.serving.manifest import (
    OF_TWO_RUNS,
    Manifest,
    MixedPartsError,
    check,
    files_in,
    identity,
    is_readable,
)

if TYPE_CHECKING:
    from facestats.geometry.regressor import GeometryModel
    from facestats.scores.blending import BlendWeights
    from facestats.scores.regressor import Regressor

HASHED_BY_ENCODER = ("config.json", "model.safetensors")
BY_WEIGHTS = frozenset({"clip", "zeroshot", "embeddings"})  # they depend on `clip` in the manifest
BY_PART = {"classifiers": "attributes", "ages": "faces"}  # they are read with another part


class InUse(BaseModel):
    """The content of `models/attributes.json`."""

    model_config = ConfigDict(strict=True)
    targets: list[str]
    drawn: FiniteFloat
    mostly_drawn: bool = False
    on_photographs: dict[str, FiniteFloat | None] | None = None
    doubts: dict[str, str] = {}


@dataclass(frozen=True)
class TraitModels:
    """The models of a further trait.

    Attributes
    ----------
    regressor : Regressor or None
        Of the holistic score; None if it was not trained.
    geometry : GeometryModel
        Of the geometric score.
    weights : BlendWeights
        Of the combined score.
    scale : (float, float) or None
        Ends of the raters' scale.
    verdicts : dict of str to dict
        By score.
    """

    regressor: Regressor | None
    geometry: GeometryModel
    weights: BlendWeights
    scale: tuple[float, float] | None
    verdicts: dict[str, dict]


@dataclass(frozen=True)
class Encoding:
    """How photos are embedded.

    Attributes
    ----------
    batch_size : int
        Photos a forward pass; every pass has this shape.
    precision : str or None
        As `clip.precision`; None: that of the run.
    """

    batch_size: int = 1
    precision: str | None = None


ONE_BY_ONE = Encoding()


@dataclass(frozen=True)
class Parts:
    """The parts that were read.

    Attributes
    ----------
    manifest : Manifest
        The manifest that they match.
    values : mapping
        By name of the part, the result of its reader, or the error instead.
    absent : frozenset of str
        Paths of missing files.
    lock : RLock
        To be held by whoever uses a part; `Parts` that share a part share the lock.
    """

    manifest: Manifest
    values: Mapping[str, Any]
    absent: frozenset[str] = frozenset()
    lock: Any = field(default_factory=threading.RLock)

    def get(self, name: str) -> Any:
        """Return a part, or raise its error."""
        value = self.values[name]
        if isinstance(value, FaceStatsError):
            raise type(value)(*value.args)  # a new one, since each thread adds its own traceback
        return value

    def has(self, name: str) -> bool:
        """Whether all files of a part existed."""
        return self.absent.isdisjoint(self.manifest.parts[name])

    @property
    def are_overwritten(self) -> bool:
        """Whether a file that is read at each search, the matrix, was written to since."""
        value = self.values["embeddings"]
        return not isinstance(value, FaceStatsError) and value.is_overwritten

    def serve(self, name: str, manifest: Manifest) -> bool:
        """Whether a part was read, and is also the one that another manifest names."""
        return (
            self.has(name)
            and not isinstance(self.values[name], FaceStatsError)
            and not (name == "embeddings" and self.are_overwritten)
            and self.manifest.parts[name] == manifest.parts[name]
            and (name not in BY_WEIGHTS or self.manifest.facts["clip"] == manifest.facts["clip"])
            and (name not in BY_PART or self.serve(BY_PART[name], manifest))
        )


def read_parts(root: Path, before: Parts | None = None, encoding: Encoding = ONE_BY_ONE) -> Parts:
    """Read all parts of a project folder.

    Parameters
    ----------
    root : Path
    before : Parts, optional
        Of the same folder; parts that the manifest still names are reused.
    encoding : Encoding, optional
        How photos are embedded; the same as that of `before`.

    Raises
    ------
    MixedPartsError
        A part differs from what the manifest names, or was replaced while it was read.
    FaultError
        The machine fails, which says nothing about the parts.
    ModelError
        There is no manifest, or it is damaged.
    """
    manifest_identity = identity(root / SERVING)
    manifest = Manifest.read(root)
    seen = {path: identity(root / path) for path in manifest.files()}
    absent = frozenset(path for path, status in seen.items() if status is None)
    pipe = next((path for path in seen if not is_readable(root / path)), None)
    if pipe is not None:
        raise MixedPartsError(f"{root / pipe} is no file; {OF_TWO_RUNS}")
    values: dict[str, Any] = {}
    for name in READERS:
        if before is not None and before.serve(name, manifest):
            values[name] = before.values[name]
            absent -= set(manifest.parts[name])
            continue
        values[name] = _read(name, root, manifest, values, absent, encoding)
        replaced = [path for path in manifest.parts[name] if identity(root / path) != seen[path]]
        if replaced:
            raise MixedPartsError(
                f"{root / replaced[0]} was replaced while it was read; {OF_TWO_RUNS}"
            )
    if identity(root / SERVING) != manifest_identity:
        raise MixedPartsError(f"{root / SERVING} was replaced while parts were read; {OF_TWO_RUNS}")
    return Parts(manifest, values, absent, before.lock if before else threading.RLock())


def _read(
    name: str,
    root: Path,
    manifest: Manifest,
    values: Mapping[str, Any],
    absent: frozenset[str],
    encoding: Encoding,
) -> Any:
    files = manifest.parts[name]
    there = {path: sha256 for path, sha256 in files.items() if path not in absent}
    try:
        if name in FOLDERS and there:
            folder = root / next(iter(there))
            strange = {path.relative_to(root).as_posix() for path in files_in(folder.parent)} - set(
                files
            )
            if strange:
                raise MixedPartsError(
                    f"{root / min(strange)} is not among the files that {root / SERVING} names; "
                    f"{OF_TWO_RUNS}"
                )
        if name != "clip":
            check(root, there)
        reader = partial(_clip, encoding=encoding) if name == "clip" else READERS[name]
        return reader(root, [root / path for path in files], manifest, values)
    except (MixedPartsError, FaultError):
        raise
    except FaceStatsError as error:
        if name == "clip":
            check(root, there)  # damaged, or of another run?
        return (
            type(error)(f"{error}. If a run is under way, wait for its end")
            if len(there) < len(files)
            else error
        )


def _landmarker(
    root: Path, files: list[Path], manifest: Manifest, values: Mapping[str, Any]
) -> Any:
    from facestats.faces.irises import Irises
    from facestats.faces.landmarks import Landmarker
    from facestats.faces.models import IRIS_FILE

    folder = files[0].parent
    irises = Irises(folder) if IRIS_FILE in {file.name for file in files} else None
    return Landmarker(folder), irises


def _clip(
    root: Path,
    files: list[Path],
    manifest: Manifest,
    values: Mapping[str, Any],
    encoding: Encoding = ONE_BY_ONE,
) -> Any:
    from facestats.clip.load import load_encoder

    clip = manifest.facts["clip"]
    # It hashes its weights; a second time would take a second for 2 GB.
    encoder = load_encoder(
        files[0].parent, encoding.precision or clip["precision"], encoding.batch_size
    )
    known = {
        path: encoder.files_sha256[path.name] for path in files if path.name in HASHED_BY_ENCODER
    }
    check(
        root,
        manifest.parts["clip"],
        {path.relative_to(root).as_posix(): sha256 for path, sha256 in known.items()},
    )
    if encoder.facts["sha256"] != clip["weights_sha256"]:
        raise ModelError(
            f"models/clip holds other weights ({encoder.facts['variant']}) than the models of "
            f"{root} were trained on ({clip['variant']}); run `dvc repro`"
        )
    return encoder


def _regressor(root: Path, files: list[Path], manifest: Manifest, values: Mapping[str, Any]) -> Any:
    from facestats.scores.regressor import load_regressor

    model = load_regressor(files[0])
    if model is None:
        raise ModelError(f"no attractiveness model was trained: {manifest.facts['why']}")
    return model


def _geometry(root: Path, files: list[Path], manifest: Manifest, values: Mapping[str, Any]) -> Any:
    from facestats.geometry.regressor import load_geometry

    return load_geometry(files[0])


def _blend(root: Path, files: list[Path], manifest: Manifest, values: Mapping[str, Any]) -> Any:
    from facestats.scores.blending import load_blend, load_verdicts

    return load_blend(files[0]), load_verdicts(files[0])


def _traits(root: Path, files: list[Path], manifest: Manifest, values: Mapping[str, Any]) -> Any:
    from facestats.geometry.regressor import load_geometry
    from facestats.scores.blending import load_blend, load_verdicts
    from facestats.scores.regressor import load_regressor

    folders = [file.parent for file in files if file.name == "regressor.pt"]
    return {
        folder.name: TraitModels(
            load_regressor(folder / "regressor.pt"),
            load_geometry(folder / "geometry.safetensors"),
            *load_blend(folder / "blend.json"),
            load_verdicts(folder / "blend.json"),
        )
        for folder in folders
    }


def _attributes(
    root: Path, files: list[Path], manifest: Manifest, values: Mapping[str, Any]
) -> Any:
    content = read_facts(files[0], "targets", "drawn")
    try:
        InUse.model_validate(content)
    except ValidationError as error:
        wrong = "; ".join(explain(error.errors(include_url=False), content, InUse))
        raise ModelError(
            f"{files[0]} does not say which models are in use ({wrong}); run `dvc repro`"
        ) from None
    return content


def _classifiers(
    root: Path, files: list[Path], manifest: Manifest, values: Mapping[str, Any]
) -> Any:
    from facestats.attributes.model import load_models, model_path

    if isinstance(values["attributes"], FaceStatsError):
        raise values["attributes"]
    targets = values["attributes"]["targets"]
    unknown = [
        target
        for target in targets
        if not files or model_path(files[0].parent, target) not in files
    ]
    if unknown:
        raise MixedPartsError(
            f"{root / SERVING} does not name the model of {unknown[0]!a}; {OF_TWO_RUNS}"
        )
    return load_models(files[0].parent, targets) if files else {}


def _zeroshot(root: Path, files: list[Path], manifest: Manifest, values: Mapping[str, Any]) -> Any:
    from facestats.prompts.zeroshot import load_classifiers

    return load_classifiers(files[0], manifest.facts["clip"]["weights_sha256"])


def _embeddings(
    root: Path, files: list[Path], manifest: Manifest, values: Mapping[str, Any]
) -> Any:
    from facestats.neighbours.search import Neighbours

    by_suffix = {"".join(path.suffixes): path for path in files}
    missing = [ending for ending in (".parquet", HALF, REST) if ending not in by_suffix]
    if missing:
        raise ModelError(
            f"{root / SERVING} names no embeddings *{missing[0]}; another version of the pipeline "
            "wrote it, run `dvc repro`"
        )
    table = EmbeddingTable(table_of(by_suffix[".parquet"]))
    if table.metadata.get("weights_sha256") != manifest.facts["clip"]["weights_sha256"]:
        raise ModelError(
            f"{table.path} was computed with other weights than those of {root / SERVING}; run "
            "`dvc repro`"
        )
    half = by_suffix[HALF]
    sha256 = manifest.parts["embeddings"][half.relative_to(root).as_posix()]
    matrix = matrix_of(table, half, by_suffix[REST])
    return Neighbours(table.names, matrix, manifest.facts["index"]["kind"], sha256, root)


def _faces(root: Path, files: list[Path], manifest: Manifest, values: Mapping[str, Any]) -> Any:
    return (
        tables.read(table_of(files[0]), FACES, ["image", "filename", "perceptual_hash"])
        .dropna(subset="filename")
        .set_index("filename")
    )


def _age_check(root: Path, files: list[Path], manifest: Manifest, values: Mapping[str, Any]) -> Any:
    from facestats.age.check import load_check

    return load_check(files[0])


def _ages(root: Path, files: list[Path], manifest: Manifest, values: Mapping[str, Any]) -> Any:
    from facestats.age.check import MODEL
    from facestats.faces.comparison import read_thumbnail
    from facestats.faces.dedup import shows

    nobody = (
        pd.DataFrame(columns=["filename", "score_withheld", "age_checked"]),
        np.empty((0, 32), dtype=np.uint8),
        {},
    )
    without_faces = isinstance(values["faces"], FaceStatsError)
    if without_faces and not files[0].is_file():  # models alone
        return nobody
    labelled = tables.read(table_of(files[0]), AGE_CHECK)
    labelled = labelled[labelled["age_checked"].notna() & (labelled["age_checked"] != MODEL)]
    if without_faces:  # a run replaces them, and a labelled child would not be known
        if labelled.empty:
            return nobody
        raise values["faces"]
    labelled = labelled.merge(values["faces"]["perceptual_hash"].dropna(), on="filename")
    labelled = labelled.sort_values(["score_withheld", "filename"])
    hashes = np.frombuffer(
        bytes.fromhex("".join(labelled["perceptual_hash"])), dtype=np.uint8
    ).reshape(-1, 32)
    labelled = labelled[["filename", "score_withheld", "age_checked"]].reset_index(drop=True)
    size, thumbnails = manifest.facts["crop"]["size"], {}
    crops = Crops.of(root / CROPS)
    for at, (name, withheld) in enumerate(
        zip(labelled["filename"], labelled["score_withheld"].notna(), strict=True)
    ):
        there = crops.has(name)
        if withheld or not there:
            data = crops.read(name) if there else b""
            # the crop of another run would not be recognised
            thumbnails[at] = read_thumbnail(data, size) if shows(data, hashes[at]) else None
    return labelled, hashes, thumbnails


FOLDERS = frozenset({"landmarker", "clip"})
READERS: dict[str, Callable[[Path, list[Path], Manifest, Mapping[str, Any]], Any]] = {
    "regressor": _regressor,
    "blend": _blend,
    "geometry": _geometry,
    "traits": _traits,
    "attributes": _attributes,
    "classifiers": _classifiers,
    "zeroshot": _zeroshot,
    "landmarker": _landmarker,
    "embeddings": _embeddings,
    "faces": _faces,
    "age_check": _age_check,
    "ages": _ages,
    "clip": _clip,
}
