"""Paths below the project folder that code looks up by itself, without being given them.

`dvc.yaml` names the same paths as outs; `tests/test_layout.py` compares the two.
"""

from pathlib import Path

from facestats.core.fingerprint import PACKAGE

METADATA = Path("data/processed/metadata")  # the tables
FACES_TABLE = METADATA / "faces.parquet"
FINAL_TABLE = METADATA / "attributes_final.parquet"
EMBEDDINGS = Path("data/processed/embeddings/embeddings_clip.parquet")
HALF_EMBEDDINGS = EMBEDDINGS.with_suffix(".f16.npy")
REST_EMBEDDINGS = EMBEDDINGS.with_suffix(".rest.npy")
CROPS = Path("data/processed/preproc")
COMPOSITES = Path("data/processed/composites")
COMPOSITES_MANIFEST = Path("data/processed/composites.json")
REPORT = Path("data/processed/report.html")
MEMBERS = Path("data/interim/members")
OUT_OF_FOLD = Path("data/interim/out_of_fold")
CROSSVALIDATED_GEOMETRY = Path("data/interim/crossvalidated_geometry.parquet")
TRAITS = Path("data/interim/traits")
WARNINGS = Path("data/interim/warnings")
REJECTED = Path("data/interim/rejected")
REJECTED_INDEX = "index.json"  # in it

CLIP = Path("models/clip")
LANDMARKER = Path("models/landmarker")
ATTRIBUTES = Path("models/attributes.json")
SERVING = Path("models/serving.json")
TINY = PACKAGE / "checkpoints/tiny_model"  # the variant `tiny`; see its model card

METRICS = Path("metrics")
ATTRACTIVENESS = METRICS / "attractiveness.json"
CROSSVALIDATED = METRICS / "crossvalidated.json"
FAIRNESS = METRICS / "fairness.json"
METRICS_MANIFEST = METRICS / "run.json"

PRETRAINED = Path("data/pretrained")  # the user's own models
