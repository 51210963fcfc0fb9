"""The README of an exported model, in the form of a model card on the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from facestats.export.figures import METRIC_NAMES, HeldOut

# What the Hub calls the metrics, where it has a name for one.
HUB_METRICS = {"pearson": "pearsonr", "spearman": "spearmanr"}

USE = """\
import json
import numpy as np, onnxruntime, torch
from PIL import Image
from transformers import CLIPVisionModelWithProjection

facts = json.load(open("model.json", encoding="utf-8"))
see = facts["clip"]["transform"]
face = Image.open("face.jpg").convert("RGB").resize(see["resize"], see["resample"])
left, top = ((a - b) // 2 for a, b in zip(face.size, see["crop"]))
pixels = np.asarray(face.crop((left, top, left + see["crop"][0], top + see["crop"][1])))
scale, mean, std = (np.float32(see[name]) for name in ("scale", "mean", "std"))
seen = torch.from_numpy(((pixels * scale - mean) / std).transpose(2, 0, 1)[None])
tower = CLIPVisionModelWithProjection.from_pretrained("clip", dtype=torch.float32)
embedding = tower(seen).image_embeds.detach().numpy()
embedding /= np.linalg.norm(embedding)
for name, head in facts["heads"].items():
    session = onnxruntime.InferenceSession(f"{name}.onnx")
    answers = session.run(head["outputs"], {"embedding": embedding})
    print(name, dict(zip(head["outputs"], (answer[0].tolist() for answer in answers))))
"""


@dataclass(frozen=True)
class Head:
    """One head of an exported model.

    Attributes
    ----------
    name : str
        Of its files.
    entry : mapping
        Its entry in `model.json`.
    held_out : HeldOut
        Its held-out figures.
    """

    name: str
    entry: Mapping[str, Any]
    held_out: HeldOut


def model_card(
    model: Mapping[str, Any],
    heads: Sequence[Head],
    left_out: Mapping[str, str],
    licence: str,
) -> str:
    """Write the README of an exported model.

    Parameters
    ----------
    model : mapping
        The content of `model.json`.
    heads : sequence of Head
    left_out : mapping of str to str
        Why a model has no head, by name.
    licence : str
        The Hub's name of a licence.

    Returns
    -------
    str
        YAML front matter and Markdown.
    """
    clip = model["clip"]
    front: dict[str, Any] = {
        "license": licence,
        "library_name": "onnx",
        "pipeline_tag": "image-classification",
        "tags": ["facestats", "clip", "face", "onnx", "safetensors"],
    }
    if "/" in clip["variant"]:
        front["base_model"] = clip["variant"]
    results = [_result(head) for head in heads if head.held_out.figures]
    if results:
        front["model-index"] = [{"name": "facestats", "results": results}]
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False, allow_unicode=True).strip(),
        "---",
        "",
        "# Heads on CLIP embeddings of faces",
        "",
        "Trained with FaceStats on one project's photos and ratings. Nothing here needs FaceStats: "
        f"`clip/` is the image tower and its settings ({_code(clip['variant'])}), each head is "
        "`<name>.onnx`, with its arrays in `<name>.safetensors` and its facts in `model.json`.",
        "",
        "| head | what it gives | held-out figures |",
        "|---|---|---|",
        *(f"| {_code(h.name)} | {_gives(h.entry)} | {_cell(h)} |" for h in heads),
        "",
    ]
    if left_out:
        lines += ["Left out:", ""]
        lines += [f"- {_code(name)}: {_escaped(why)}" for name, why in left_out.items()] + [""]
    lines += [
        "## Use",
        "",
        "`face.jpg` is a face as FaceStats cuts it out "
        f"({model['crop']['size']} px a side, aligned by the {model['crop']['align']}, "
        f"{model['crop']['margin']:g} of its size around it); other crops get other answers.",
        "",
        "```python",
        USE.rstrip(),
        "```",
        "",
        "It needs `numpy`, `onnxruntime`, `pillow`, `torch` and `transformers`.",
        "",
        *_limits(model),
    ]
    return "\n".join(lines)


def _limits(model: Mapping[str, Any]) -> list[str]:
    check = model["age_check"]
    lines = [
        "## Limits",
        "",
        "- A score predicts what the raters of this project said. It is not the worth of a person, "
        "and it says nothing about photos unlike those that were rated.",
        "- `score` is the holistic score alone; the geometric and the combined score need "
        "landmarks, and are not here.",
        "- Figures are of this project's held-out faces. Other photos, cameras, groups and raters "
        "give others.",
    ]
    if check["min_age"] is not None:
        rule = ""
        if check["bound"] is not None and "age" in model["heads"]:
            rule = f", that is where `age` gives less than {check['min_age'] + check['bound']:g}"
        lines.append(
            f"- **Children**: FaceStats gives no score to who may be under {check['min_age']}"
            f"{rule}. Nothing here checks that: do so before you show or keep a score."
        )
    lines += [
        "- An answer whose probability is below `abstain_below` in `model.json` is `unknown` in "
        "FaceStats.",
        "- Inferring ethnicity or other traits of a person is banned or high-risk in some places.",
        "- Licence: photos, ratings and the CLIP weights have terms of their own. Check them, and "
        "set `license` above, before you share this folder.",
        "",
    ]
    return lines


def _gives(entry: Mapping[str, Any]) -> str:
    if entry["kind"] == "rating":
        low, high = entry["scale"]
        return f"`raw` ({low:g} to {high:g}), `score` (0 to 100), `pct` (0 to 1)"
    if entry["kind"] == "regression":
        return "`value`"
    return f"`probabilities` and `answer` of {_escaped(', '.join(entry['classes']))}"


def _cell(head: Head) -> str:
    return _escaped(str(head.held_out)) or "none"


def _result(head: Head) -> dict[str, Any]:
    kind = head.entry["kind"]
    task = "image-classification" if kind == "classification" else "image-regression"
    return {
        "task": {"type": task, "name": head.name},
        "dataset": {"type": "own-photos", "name": head.held_out.faces},
        "metrics": [
            {
                "type": HUB_METRICS.get(one.metric, one.metric),
                "name": METRIC_NAMES[one.metric],
                "value": one.value,
                **({} if one.low is None else {"args": {"low": one.low, "high": one.high}}),
            }
            for one in head.held_out.figures
        ],
    }


def _code(text: str) -> str:
    return f"`{_escaped(text.replace('`', ''))}`"


def _escaped(text: str) -> str:
    """A text of the user's that is no Markdown, no table cell and no tag."""
    text = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in "|*_[]<>#`" else sign for sign in text)
