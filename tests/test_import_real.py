"""The label files that an import of a real dataset writes, through the stage that reads them."""

import pandas as pd
import pytest

from facestats.core.photo_files import face_filename
from facestats.importers.registry import DATASETS, KNOWN
from facestats.importers.run import import_dataset
from facestats.labels.joining import join_labels
from resources import OMI, omi_images


@pytest.mark.long
def test_the_judgements_of_omi_are_read(tmp_path):
    """It was refused: some of its ratings were filled in, and some are second ones."""
    photos = omi_images()
    import_dataset(DATASETS["omi"], KNOWN, OMI, tmp_path / "data")
    names = [photo.name for photo in photos]
    faces = pd.DataFrame({"image": names, "filename": [face_filename(name) for name in names]})
    joined = join_labels(faces, tmp_path / "data/labels", tmp_path / "none", "auto")
    assert joined.table["rating"].notna().all()
    assert (joined.scale, joined.warnings) == ((0, 100), [])
