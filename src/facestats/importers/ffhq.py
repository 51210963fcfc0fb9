"""FFHQ and its features, which are a model's guesses."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict

import numpy as np
import pandas as pd

from facestats.importers.content import NO_PHOTO, Choices, Content, Dataset
from facestats.importers.tree import Tree, naming

FFHQ_PHOTO = re.compile(r"\d{5}\.(png|jpe?g|webp)", re.IGNORECASE)
MIDDLE = 0.5


def read_ffhq(tree: Tree, _: Choices) -> Content:
    """FFHQ: photos by number, labels from the files of the FFHQ features dataset."""
    content = Content({}, pd.DataFrame())
    numbers: dict[str, str] = {}
    by_number: dict[str, list[str]] = defaultdict(list)
    for path in tree.files:
        if FFHQ_PHOTO.fullmatch(path.rpartition("/")[2]):
            by_number[path.rpartition("/")[2][:5]].append(path)
    for number, paths in by_number.items():
        first, *others = sorted(paths, key=_ffhq_kind)
        numbers[number] = first
        content.photos[first.rpartition("/")[2]] = first
        content.leave_out("a further file of one number", others)
    features = {
        path.rpartition("/")[2][:5]: path
        for path in tree.files
        if re.fullmatch(r"\d{5}\.json", path.rpartition("/")[2])
    }
    rows = []
    for number, path in sorted(features.items()):
        if number not in numbers:
            content.leave_out(NO_PHOTO, [path])
            continue
        face = _ffhq_face(tree, path, content)
        if face:
            rows.append({"image": numbers[number].rpartition("/")[2], **face})
    digests = "".join(f"{path} {digest}\n" for path, digest in sorted(tree.read_files.items()))
    tree.read_files.clear()  # 70,000 files of one face each: one line for all
    tree.read_files["json/*.json"] = hashlib.sha256(digests.encode()).hexdigest()
    content.leave_out("a photo without features", sorted(set(numbers) - set(features)))
    labels = pd.DataFrame(rows, columns=["image", *_FFHQ_COLUMNS])
    labels["model_age"] = content.numbers(labels["model_age"], labels["image"], 0)
    content.labels = labels.merge(_ffhq_split(tree, content), on="image", how="outer")
    content.notes.append(
        "the features are guesses of a model: their columns begin with model_, and none is "
        "gender or age"
    )
    return content


def _ffhq_kind(path: str) -> tuple[int, str]:
    """Faces cut out come before whole photos, and small ones last."""
    kinds = ("images1024x1024/", "", "in-the-wild-images/", "thumbnails128x128/")
    named = [place for place, kind in enumerate(kinds) if kind and kind in f"/{path}"]
    return (named[0] if named else 1, path)


_FFHQ_COLUMNS = tuple(
    f"model_{name}"
    for name in (
        "gender age glasses smile makeup emotion moustache beard sideburns bald hair_color"
        " pitch roll yaw"
    ).split()
)


def _ffhq_face(tree: Tree, path: str, content: Content) -> dict | None:
    """Features of the face nearest to the middle of the photo."""
    try:
        faces = json.loads(tree.read(path, most=4 << 20))
        json.dumps(faces, ensure_ascii=False).encode()  # halves of characters can't be written
        if not faces:
            content.leave_out("features without a face", [path])
            return None
        if len(faces) > 1:
            content.leave_out("a further face in the features", [path])
        if len(faces) > 1:
            boxes = [face["faceRectangle"] for face in faces]
            reach = max(box["left"] + box["width"] for box in boxes)
            size = 1024 if reach > 128 else 128
            faces = [faces[int(np.argmin([_off_middle(box, size) for box in boxes]))]]
        attributes = faces[0]["faceAttributes"]
        parts = ("makeup", "facialHair", "hair", "headPose")
        makeup, beard, hair, pose = (attributes.get(part) or {} for part in parts)
        return {
            "model_gender": attributes.get("gender"),
            "model_age": attributes.get("age"),
            "model_glasses": attributes.get("glasses"),
            "model_smile": attributes.get("smile"),
            "model_makeup": _answer(makeup.get("eyeMakeup")),
            "model_emotion": _likeliest(attributes.get("emotion") or {}),
            **{f"model_{name}": beard.get(name) for name in ("moustache", "beard", "sideburns")},
            "model_bald": hair.get("bald"),
            "model_hair_color": _likeliest(
                {one["color"]: one["confidence"] for one in hair.get("hairColor") or ()}
            ),
            **{f"model_{name}": pose.get(name) for name in ("pitch", "roll", "yaw")},
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        content.leave_out("features that can't be read", [path])
        return None


def _likeliest(shares: dict[str, float]) -> str | None:
    """The class with the largest share, if any has one."""
    best = max(shares, key=lambda name: shares[name], default=None)
    return best if best is not None and shares[best] > 0 else None


def _answer(value: object) -> str | None:
    return ("yes" if value else "no") if isinstance(value, bool) else None


def _off_middle(box: dict, size: int) -> float:
    x, y = box["left"] + box["width"] / 2, box["top"] + box["height"] / 2
    return (x / size - MIDDLE) ** 2 + (y / size - MIDDLE) ** 2


def _ffhq_split(tree: Tree, content: Content) -> pd.DataFrame:
    """The official split, and each photo's own licence."""
    by_number = {name[:5]: name for name in content.photos}
    paths = tree.ending("ffhq-dataset-v2.json")
    rows = []
    if paths:
        with naming(tree.top / paths[0], "FFHQ"):
            known = json.loads(tree.read(paths[0]))
            for key, facts in known.items():
                image = by_number.get(f"{int(key):05d}")
                if image:
                    split = {"training": "train", "validation": "test"}[facts["category"]]
                    licence = str(facts["metadata"].get("license", ""))
                    licence.encode()
                    rows.append((image, split, licence))
    else:
        rows = [(image, None, None) for image in sorted(content.photos)]
    table = pd.DataFrame(rows, columns=["image", "split_official", "licence"], dtype="str")
    return table if paths else table[["image"]]


DATASETS = (
    Dataset(
        "ffhq",
        "FFHQ with features",
        (r"(?:.*/)?\d{5}\.(?:png|jpe?g|webp)", r"\d{5}\.json"),
        read_ffhq,
        "photos: CC BY, CC BY-NC or public domain, each its own; metadata and features: "
        "CC BY-NC-SA 4.0",
        "https://github.com/NVlabs/ffhq-dataset",
        "Karras, Laine & Aila 2019, A style-based generator architecture for generative "
        "adversarial networks, CVPR; features: https://github.com/DCGM/ffhq-features-dataset",
        "70,000",
        "a model's gender, age, glasses, smile, makeup, emotion, hair, pose; official split",
        "images1024x1024/00000/00000.png … (or flat), ffhq-features-dataset/json/00000.json …, "
        "perhaps ffhq-dataset-v2.json",
        "`gender age glasses smile`, eye `makeup`, the likeliest `emotion` and `hair_color`, "
        "`moustache beard sideburns bald` and `pitch roll yaw` as `model_…`; `category` is "
        "`split_official` (validation is test); `licence` of each photo",
        "The features are guesses of a model, so they are no `gender` and `age`. 529 files are "
        "empty, 70 have several faces, of which the one nearest to the middle is taken. Of several "
        "pictures of one number, that of images1024x1024 is taken.",
    ),
)
