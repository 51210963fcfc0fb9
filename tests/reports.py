"""What the report is written from, small and with names that a page must not believe."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
from PIL import Image

from facestats.core.crops import Crops
from facestats.core.files import write_image, write_json
from facestats.params.project import Params, check_params, load_params
from facestats.photos.rejected_thumbnails import write_rejected
from facestats.report.material import Material, Run
from resources import ROOT, backdrop

TAG = "<script>alert(1)</script>.jpg"
ENTITY = 'a" onerror="alert(2).jpg'
NAMES = [TAG, ENTITY, "face_3.jpg", "face_4.jpg", "face_5.jpg", "face_6.jpg"]
PLOTS = ("clusters", "error_by_group", "learning_curve", "predicted_vs_actual", "reliability_curve")
NOT_BUILT = "too few faces match: 0 of at least 4"
FILTER = MappingProxyType(
    {"gender": "<b>female</b>", "n": 8, "seed": 0, "min_results": 4, "on_few": "skip", "relax": []}
)
RENDER = MappingProxyType({"align": "warp", "space": "linear", "symmetric": False, "max_yaw": 25.0})


def params(**changes) -> Params:
    """The project's parameters with few composites, and what is given beside them."""
    raw = load_params(ROOT / "params.yaml").model_dump(mode="json", by_alias=True)
    raw |= {
        "composites": {
            "women": {"filter": {"gender": "female"}, "render": {}},
            "nobody": {"filter": {"gender": "nobody"}, "render": {}},
        },
        "continua": {"women_to_nobody": {"from": "women", "to": "nobody", "steps": 3}},
        "differences": {"women_minus_nobody": {"of": "women", "minus": "nobody"}},
    }
    return check_params(raw | changes)


def material_of(
    folder: Path, run: Run, options: Params | None = None, rejected: int = 2
) -> Material:
    """Files below `folder` and tables in memory: six faces in two clusters, `rejected` photos that
    were left out, of which one can be shown.
    """
    options = options or params()
    for i, name in enumerate(NAMES):
        write_image(folder / "crops" / name, Image.fromarray(backdrop(128, 128, i)))
    for name in PLOTS:
        _png(folder / f"metrics/plots/{name}.png")
    for name in options.attributes.targets:
        _png(folder / f"metrics/attributes/{name}_confusion.png")
    _composites(folder / "composites")
    out = pd.DataFrame(
        {
            "image": [f"out_{i:03d}.jpg" for i in range(rejected)],
            "reason": ["no face found"] + ["empty file"] * (rejected - 1),
        }
    )
    write_image(folder / "photos/out_000.jpg", Image.fromarray(backdrop(128, 96)))
    write_rejected(out, folder / "photos", folder / "rejected")
    faces = pd.concat(
        [
            pd.DataFrame({"image": NAMES, "status": "ok", "reason": None, "face_count": 1}),
            out.assign(status="rejected"),
        ],
        ignore_index=True,
    )
    final = pd.DataFrame(
        {
            "filename": NAMES,
            "cluster": [0, 0, 0, 1, 1, 1],
            "attractiveness_score": np.nan,
            "rating": np.nan,
            "gender_final": ["female"] * 3 + ["male", "male", "unknown"],
        }
    )
    return Material(
        options,
        run,
        clusters={
            "n": 6,
            "k": 2,
            "attributes": {"gender": {"adjusted_mutual_information": 0.5, "n": 5}},
        },
        faces=faces.assign(duplicate_of=None, near_duplicate_of=None),
        final=final,
        flags=pd.DataFrame(
            {"filename": [TAG, TAG], "reason": ["several_faces", "blurred"], "value": [2.0, 1.0]}
        ),
        proposed=[ENTITY, TAG],
        examples={0: NAMES[:3], 1: NAMES[3:]},
        crops=Crops.of(folder / "crops"),
        rejected=folder / "rejected",
        composites=folder / "composites",
        metrics=folder / "metrics",
    )


def nothing_trained(material: Material) -> Material:
    """The same where no composite could be built and nothing is to be labelled or flagged."""
    facts = {
        "name": "women",
        "built": False,
        "why": NOT_BUILT,
        "note": None,
        "filter": dict(FILTER),
        "n": 0,
        "rating": None,
        "relaxed": [],
        "left_out": {},
    }
    write_json(material.composites / "women/composite.json", facts)
    return replace(material, flags=material.flags.iloc[:0], proposed=[])


def _composites(folder: Path) -> None:
    facts = {"filter": dict(FILTER), "relaxed": [], "left_out": {}, "note": None}
    write_json(
        folder / "women/composite.json",
        facts
        | {
            "name": "women",
            "built": True,
            "why": None,
            "note": "an average of few",
            "n": 8,
            "render": dict(RENDER),
            "rating": {"value": 52.0, "low": 48.0, "high": 56.0, "n": 8},
            "sheet": {"shown": 6, "not_shown": 2},
        },
    )
    for name in ("composite", "members"):
        write_image(folder / f"women/{name}.jpg", Image.fromarray(backdrop(256, 256)))
    write_json(
        folder / "nobody/composite.json",
        facts | {"name": "nobody", "built": False, "why": NOT_BUILT, "n": 0, "rating": None},
    )
    for kind, name in (("continuum", "women_to_nobody"), ("difference", "women_minus_nobody")):
        write_json(
            folder / name / f"{kind}.json",
            {
                "name": name,
                "built": False,
                "why": f"the composite nobody was not built: {NOT_BUILT}",
            },
        )


def _png(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), "white").save(path)
