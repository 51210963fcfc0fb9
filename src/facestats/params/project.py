"""`params.yaml`, typed and checked.

Each section is a pydantic model in `params.py` of its package; `params.errors` turns pydantic's
errors into messages that name the key, the value, what is allowed and, for an unknown key, the
nearest known one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from facestats.attributes.params import Attributes
from facestats.clip.params import Clip
from facestats.clusters.params import Clusters
from facestats.composites.params import Composite
from facestats.core.files import read_bytes
from facestats.errors import ParamsError
from facestats.evaluation.params import Evaluate
from facestats.faces.params import Preprocess
from facestats.geometry.params import Geometry
from facestats.groups.params import check_scores
from facestats.labels.columns import LABELS
from facestats.labels.params import Data, Labels, Split
from facestats.landmarker.params import Landmarker
from facestats.neighbours.params import Index
from facestats.pairs.params import Continuum, Difference, check_pairs
from facestats.params.errors import explain
from facestats.params.names import FolderName
from facestats.params.renaming import with_current_names
from facestats.params.types import Section
from facestats.prompts.params import Zeroshot, check_ranges
from facestats.report.params import Report
from facestats.sample.params import Sample
from facestats.scores.params import Mlp, Score, check_targets
from facestats.stimuli.params import Stimuli, check_stimuli

_MOST = 20_000  # values of a file; a project with a hundred composites has two thousand
_LONGEST = 1000  # characters of a number; Python can't print one of more than 4300 digits


class _Loader(yaml.SafeLoader):
    """YAML with numbers as DVC and people read them: 010 is ten, 1:30 is text and not ninety."""

    def construct_number(self, node: yaml.ScalarNode) -> Any:
        text = node.value.replace("_", "")
        if ":" in text:
            return node.value
        if len(text) > _LONGEST:
            raise ValueError(f"a number has {len(text)} characters; write what is meant")
        if re.fullmatch(r"[-+]?\d+", text):
            return int(text)
        return (
            self.construct_yaml_float(node)
            if node.tag.endswith(":float")
            else self.construct_yaml_int(node)
        )

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge keys (`<<`), up to a limit: each level of merged lists can multiply them."""
        super().flatten_mapping(node)
        if len(node.value) > _MOST:
            raise ValueError(
                f"it merges more than {_MOST} keys (<<) into one mapping; write what is meant"
            )

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict:
        """Refuse a key that stands twice, as DVC does."""
        if not isinstance(node, yaml.MappingNode):
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value!r} is no mapping", node.start_mark
            )
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands there twice", key.start_mark
                )
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_number)
# 1e5 is text in YAML 1.1. DVC, whose YAML is 1.2, takes it for a number, and a commit 7e12345 for
# infinity, like any other of that form.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+"), list("-+0123456789")
)


class Params(Section):
    """All of `params.yaml`."""

    data: Data
    """where photos and labels lie"""
    landmarker: Landmarker
    """the models that find faces and their 468 landmarks"""
    clip: Clip
    """the model that embeds the faces"""
    sample: Sample
    """the built-in sample of drawn faces"""
    preprocess: Preprocess
    """from photos to face crops"""
    labels: Labels
    """how the label files are read"""
    split: Split
    """who is trained on, and who is kept for choices and metrics"""
    attributes: Attributes
    """what is learned from labels"""
    zeroshot: Zeroshot
    """what CLIP's text side says where there is neither label nor trained model: attribute, class,
    wordings
    """
    mlp: Mlp
    """a ridge regression, and an ensemble of perceptrons trained on what it misses"""
    geometry: Geometry
    """measurements of the landmarks, and a score learned from ratings of the train faces"""
    score: Score
    """how the geometric and the holistic score become one"""
    clusters: Clusters
    """groups of alike faces"""
    composites: dict[FolderName, Composite]
    """one average face each; `filter` says who is in it, `render` how it is drawn"""
    continua: dict[FolderName, Continuum]
    """pictures from one composite to another, shape and colour; {} for none"""
    differences: dict[FolderName, Difference]
    """where two composites differ, in colour and in shape; {} for none"""
    stimuli: dict[FolderName, Stimuli] = Field(default_factory=dict)
    """faces moved in shape, colour and texture, each in its own picture; {} for none"""
    index: Index = Field(default_factory=Index)
    """how the most similar faces are found"""
    evaluate: Evaluate
    """how the metrics are measured"""
    report: Report
    """the page data/processed/report.html, with everything on it, to be sent"""


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read and check a parameter file.

    Raises
    ------
    ParamsError
        Missing file, broken YAML, unknown key, wrong type or impossible value; every problem is
        named.
    """
    path = Path(path)
    try:
        raw = yaml.load(read_bytes(path).decode("utf-8"), _Loader)
        _count(raw)
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run this from the folder that holds it") from None
    except IsADirectoryError:
        raise ParamsError(
            f"{path} is a folder; expected the file with the parameters, `git checkout "
            f"{path.name}` brings it back"
        ) from None
    except OSError as error:
        raise ParamsError(f"{path} can't be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ParamsError(
            f"{path} is not UTF-8 (byte {error.object[error.start]:#04x} at position "
            f"{error.start}); save it as UTF-8"
        ) from None
    except RecursionError:
        raise ParamsError(
            f"{path} is nested too deeply, or contains itself by an alias; write it out, at most a "
            "few levels deep"
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: 2026-13-45 is not a date
        raise ParamsError(f"{path} is not valid YAML: {error}") from None
    except (TypeError, KeyError, IndexError, AttributeError):  # of PyYAML, at `!!bool x`
        raise ParamsError(f"{path} has a tag (!!) that its value does not fit; remove it") from None
    return check_params(raw, str(path))


def _count(value: Any, counts: dict[int, int] | None = None) -> int:
    """Count values as often as aliases repeat them: a kilobyte can stand for billions.

    Raises
    ------
    ValueError
        There are more than anybody writes.
    """
    counts = {} if counts is None else counts
    if id(value) not in counts:
        parts = (
            value.values()
            if isinstance(value, dict)
            else value
            if isinstance(value, (list, tuple, set))
            else ()
        )
        counts[id(value)] = 1 + sum(_count(part, counts) for part in parts)
    if counts[id(value)] > _MOST:
        raise ValueError(
            f"it holds more than {_MOST} values, counted as often as aliases (*name) repeat them; "
            "write what is meant"
        )
    return counts[id(value)]


def check_params(raw: Any, where: str = "params.yaml") -> Params:
    """Validate already parsed parameters; see `load_params`."""
    if not isinstance(raw, dict):
        content = "nothing" if raw is None else f"a {type(raw).__name__}"
        raise ParamsError(
            f"{where} must be a mapping of sections, found {content}; `git checkout params.yaml` "
            "brings back the last one committed"
        )
    try:
        raw = with_current_names(raw, Params, where)
        params = Params.model_validate(raw)
        problems = check_ranges(
            params.zeroshot,
            {name: target.kind for name, target in params.attributes.targets.items()},
        )
        targets = {"attributes.targets": params.attributes.targets, "zeroshot": params.zeroshot}
        problems += check_targets(params.score, LABELS["rating"], **targets)
        filters = {f"composites.{name}.filter": c.filter for name, c in params.composites.items()}
        problems += check_scores(filters, params.score.traits)
        problems += check_pairs(
            params.composites, params.continua, params.differences, params.preprocess.size
        )
        problems += check_stimuli(params.stimuli, params.composites, params.differences)
    except ValidationError as error:
        problems = explain(error.errors(include_url=False), raw, Params)
    if problems:
        raise ParamsError("\n".join(f"{where}: {problem}" for problem in problems))
    return params
