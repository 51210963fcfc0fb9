"""Zero-shot classification: the cosine between the embeddings of an image and of prompts.

As in CLIP (Radford et al. 2021, section 3.1): several wordings a class are averaged as embeddings,
and the probabilities are the softmax over the classes at the temperature that the model was trained
with.
"""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from facestats.core.files import write_bytes
from facestats.core.fingerprint import sha256_file
from facestats.core.layout import TINY
from facestats.core.tables.embeddings import Embeddings, in_batches
from facestats.errors import InputError, MisfitError, ModelError, ParamsError
from facestats.machine.faults import DAMAGED_ARRAYS, fault, is_of_machine

if TYPE_CHECKING:
    from facestats.prompts.text import TextEncoder

Prompts = Mapping[str, Mapping[str, list[str]]]
MOST = 1 << 28  # bytes of the arrays
LAST = chr(sys.maxunicode)
ALIKE = 1e-5  # unit-norm embeddings of two classes that differ by less in every number are the same


@dataclass(frozen=True)
class PromptClassifier:
    """One attribute in words.

    Parameters
    ----------
    classes : list[str]
        Names, in the order of `params.yaml`.
    embeddings : np.ndarray
        Float32 (classes, d), unit norm.
    logit_scale : float
        What the cosines are multiplied by before the softmax.
    """

    classes: list[str]
    embeddings: np.ndarray
    logit_scale: float

    def predict_proba(self, embeddings: np.ndarray) -> np.ndarray:
        """Probability of each class for unit-norm image embeddings (n, d): float64 (n, classes)."""
        with threadpool_limits(1):
            logits = self.logit_scale * (
                embeddings.astype(np.float64, copy=False) @ self.embeddings.T.astype(np.float64)
            )
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def alike(self) -> list[tuple[str, str]]:
        """Pairs of classes that the text tower can't tell apart."""
        return [
            (self.classes[i], self.classes[j])
            for j in range(len(self.classes))
            for i in range(j)
            if np.abs(self.embeddings[i] - self.embeddings[j]).max() < ALIKE
        ]


def is_tiny(weights_sha256: str) -> bool:
    """Whether weights are those of the shipped variant, which knows only drawings."""
    return weights_sha256 == sha256_file(TINY / "model.safetensors")


def embed_classes(encoder: TextEncoder, prompts: Prompts) -> dict[str, PromptClassifier]:
    """One classifier an attribute, in the order of `prompts`.

    Parameters
    ----------
    prompts : Prompts
        Attribute to class to wordings. A class is the mean of its wordings' unit-norm embeddings,
        made unit norm.

    Raises
    ------
    ParamsError
        A prompt that is longer than the tokenizer's context, by its key in `params.yaml`.
    """
    listed = [
        (attribute, name, prompt)
        for attribute, classes in prompts.items()
        for name, wordings in classes.items()
        for prompt in wordings
    ]
    for attribute, name, prompt in listed:
        try:
            encoder.tokenize(prompt)
        except InputError as error:
            raise ParamsError(f"zeroshot.{attribute}.{name}: {error}") from None
    rows = encoder.encode([prompt for _, _, prompt in listed])
    classifiers = {}
    for attribute, classes in prompts.items():
        means = np.stack(
            [
                rows[[place[:2] == (attribute, name) for place in listed]].mean(
                    axis=0, dtype=np.float64
                )
                for name in classes
            ]
        )
        unit = means / np.linalg.norm(means, axis=1, keepdims=True)
        classifiers[attribute] = PromptClassifier(
            list(classes), unit.astype(np.float32), encoder.logit_scale
        )
    return classifiers


def probability_table(
    filenames: pd.Index, embeddings: Embeddings, classifiers: Mapping[str, PromptClassifier]
) -> pd.DataFrame:
    """The table `zeroshot.parquet`: `filename` and `<attribute>_prob_<class>` for every class.

    Parameters
    ----------
    filenames : pd.Index
        N names, the rows of `embeddings` (n, d), which may stay on disk.
    """
    parts: dict[str, list[np.ndarray]] = {attribute: [] for attribute in classifiers}
    for batch in in_batches(embeddings):
        x = batch.astype(np.float64)  # once for all attributes
        for attribute, classifier in classifiers.items():
            parts[attribute].append(classifier.predict_proba(x))
    table = {"filename": filenames.array}
    for attribute, classifier in classifiers.items():
        shares = np.concatenate(parts[attribute])
        table |= {
            f"{attribute}_prob_{name}": shares[:, i] for i, name in enumerate(classifier.classes)
        }
    return pd.DataFrame(table)


def find_strange_classes(classes: Mapping[str, Iterable[str]], labels: pd.DataFrame) -> list[str]:
    """A warning for each attribute with classes that no label has.

    An attribute without labels, or with numbers as labels, has nothing to compare with.
    """
    warnings = []
    for attribute, names in classes.items():
        known = (
            labels[attribute].dropna().drop_duplicates()
            if attribute in labels
            else pd.Series(dtype="str")
        )
        strange = [name for name in names if name not in set(known)]
        if strange and pd.to_numeric(known, errors="coerce").isna().any():
            warnings.append(
                f"zeroshot.{attribute}: no label says {', '.join(strange)}; the labels say "
                f"{', '.join(sorted(set(known)))}"
            )
    return warnings


def save_classifiers(
    path: Path, classifiers: Mapping[str, PromptClassifier], weights_sha256: str
) -> None:
    """Write an `.npz` file with one row a class.

    `attributes`, `classes`, `embeddings`, `logit_scale`, `weights_sha256`.
    """
    buffer = io.BytesIO()
    rows = [(attribute, name) for attribute, c in classifiers.items() for name in c.classes]
    np.savez(
        buffer,
        attributes=np.array([r[0] for r in rows], dtype=str),
        classes=np.array([r[1] for r in rows], dtype=str),
        embeddings=np.concatenate(
            [c.embeddings for c in classifiers.values()] or [np.empty((0, 0), np.float32)]
        ),
        logit_scale=next((c.logit_scale for c in classifiers.values()), 1.0),
        weights_sha256=weights_sha256,
    )
    write_bytes(path, buffer.getvalue())


def load_classifiers(path: Path, weights_sha256: str) -> dict[str, PromptClassifier]:
    """Read what `save_classifiers` wrote, for embeddings of the weights named.

    Raises
    ------
    ModelError
        The file is missing or something else, or of other weights.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if sum(part.file_size for part in file.zip.infolist()) > MOST:
                raise MisfitError(f"it has more than {MOST >> 20} MB unpacked")
            attributes, classes = file["attributes"], file["classes"]
            embeddings = file["embeddings"]
            scale, weights = float(file["logit_scale"]), str(file["weights_sha256"])
        _check_prompts(attributes, classes, embeddings, scale)
        named = list(zip(attributes.tolist(), classes.tolist(), strict=True))
        if any(max(text, default="") > LAST for text in (weights, *chain(*named))):
            raise MisfitError("it holds letters beyond Unicode")
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; `dvc repro zeroshot` makes it") from None
    except (
        *DAMAGED_ARRAYS,
        AttributeError,
        zlib.error,
        NotImplementedError,
        SystemError,  # of a single letter beyond Unicode
    ) as error:
        # The header of an array may claim any size.
        if is_of_machine(error) and not isinstance(error, MemoryError):
            raise fault(path, error) from None
        raise ModelError(
            f"{path} holds no prompts of this project ({error}); run `dvc repro zeroshot`"
        ) from None
    if weights != weights_sha256:
        raise ModelError(
            f"{path} is of other CLIP weights ({weights[:12]}) than the embeddings "
            f"({weights_sha256[:12]}); run `dvc repro`"
        )
    return {
        name: PromptClassifier(
            [label for attribute, label in named if attribute == name],
            embeddings[[attribute == name for attribute, _ in named]],
            scale,
        )
        for name in dict.fromkeys(attribute for attribute, _ in named)
    }


def _check_prompts(
    attributes: np.ndarray, classes: np.ndarray, embeddings: np.ndarray, scale: float
) -> None:
    if attributes.dtype.kind != "U" or classes.dtype.kind != "U" or embeddings.dtype != np.float32:
        raise MisfitError(
            f"attributes, classes and embeddings are {attributes.dtype}, {classes.dtype} and "
            f"{embeddings.dtype}"
        )
    if (
        attributes.shape != classes.shape
        or attributes.shape != embeddings.shape[:1]
        or embeddings.ndim != 2
    ):
        raise MisfitError(
            f"attributes, classes and embeddings have the shapes {attributes.shape}, "
            f"{classes.shape} and {embeddings.shape}"
        )
    if not (np.isfinite(embeddings).all() and 0 < scale < np.inf):
        raise MisfitError("embeddings or logit_scale are not finite")
