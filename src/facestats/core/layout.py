"""Where things lie that no stage is told on its command line."""

from facestats.core.fingerprint import PACKAGE

METADATA = "data/processed/metadata"  # the tables
TINY = (
    PACKAGE / "checkpoints/tiny_model"
)  # the variant `tiny`, trained in pretrain/, see its model card
REJECTED_INDEX = "index.json"  # in data/interim/rejected
