"""Tables and crops of another run than the models': what a server shows of them."""

import io
import json
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

import facestats
from facestats.app.site import _facts_of, _version
from facestats.core.fingerprint import sha256_file
from facestats.core.layout import COMPOSITES_MANIFEST, CROPS, FACES_TABLE, FINAL_TABLE, SERVING
from facestats.errors import FaceStatsError
from facestats.service.faces import _draw, _read_crop
from facestats.service.models import CurrentRun
from facestats.service.schemas import CompositeRequest
from facestats.serving.manifest import MixedPartsError
from facestats.serving.parts import ONE_BY_ONE
from services import CHILD, with_a_child

pytestmark = [pytest.mark.long, pytest.mark.server]


@pytest.fixture
def root(built, tmp_path):
    return with_a_child(built, tmp_path / "project")


def test_faces_are_those_of_the_models_run(root, monkeypatch):
    """Models are new and the final table is not: kept, unless it scores who is a child now."""
    final, composites = root / FINAL_TABLE, root / COMPOSITES_MANIFEST
    kept = {path: path.read_bytes() for path in (final, composites)}
    models = facestats.load(root)
    run = CurrentRun(root, ONE_BY_ONE, 1)
    of_old_run = json.loads(kept[composites]) | {"models_sha256": "0" * 64}
    try:
        table = run._faces(models)
        assert isinstance(table, pd.DataFrame)
        assert pd.isna(table.loc[CHILD, "score_withheld"])  # the fixture labelled it since
        composites.write_text(json.dumps(of_old_run))
        assert isinstance(run._faces(models), MixedPartsError)
        assert isinstance(CurrentRun(root, ONE_BY_ONE, 1)._faces(models), MixedPartsError)
        composites.write_bytes(kept[composites])
        run._faces(models).loc[CHILD, "score_withheld"] = "labelled as under 18"
        composites.write_text(json.dumps(of_old_run))
        assert isinstance(run._faces(replace(models)), pd.DataFrame)
        assert run._table.models_before is models
        composites.write_bytes(kept[composites])
        final.write_bytes(kept[final] + b"of another run")
        assert isinstance(CurrentRun(root, ONE_BY_ONE, 1)._faces(models), FaceStatsError)
    finally:
        for path, content in kept.items():
            path.write_bytes(content)


def test_a_crop_of_another_run_is_not_shown(built, tmp_path):
    root = built.copy(tmp_path / "copy").folder
    models = facestats.load(root)
    run = SimpleNamespace(models=models, models_of_table=models)
    path = root / CROPS / CHILD
    content = path.read_bytes()
    assert _read_crop(run, CHILD) == content
    path.unlink()
    assert _read_crop(run, CHILD) is None
    Image.open(io.BytesIO(content)).rotate(180).save(path, quality=95)
    assert _read_crop(run, CHILD) is None


def test_what_is_kept_by_version_is_of_the_table_that_was_shown(built, tmp_path):
    """An average drawn of a table that was kept was served as that of the next run."""
    root = built.copy(tmp_path / "copy").folder
    final, composites = root / FINAL_TABLE, root / COMPOSITES_MANIFEST
    models = facestats.load(root)
    run = CurrentRun(root, ONE_BY_ONE, 1)
    shown = SimpleNamespace(models=models)
    before = _version(shown, run._faces(models))
    whole = pq.read_table(final)
    pq.write_table(whole.slice(1), final)
    kept = run._faces(models)
    assert len(kept) == len(whole)
    assert _version(shown, kept) == before
    facts = json.loads(composites.read_bytes())
    facts["files"][FINAL_TABLE.as_posix()] = sha256_file(final)
    composites.write_text(json.dumps(facts))
    now = run._faces(models)
    assert len(now) == len(whole) - 1
    assert _version(shown, now) != before


def test_a_row_of_the_run_before_has_no_picture_of_the_run_under_way(built, tmp_path):
    """Photos were replaced under their names: somebody's score stood beside another person."""
    root = built.copy(tmp_path / "copy").folder
    current = CurrentRun(root, ONE_BY_ONE, 1)
    current.update()
    before = current.run
    assert before.names_agree
    assert _read_crop(before, CHILD)
    faces = pq.read_table(root / FACES_TABLE)
    pq.write_table(faces.replace_schema_metadata({"run": "another"}), root / FACES_TABLE)
    manifest = json.loads((root / SERVING).read_bytes())
    manifest["parts"]["faces"][FACES_TABLE.as_posix()] = sha256_file(root / FACES_TABLE)
    (root / SERVING).write_text(json.dumps(manifest))
    assert current.update()
    run = current.run
    assert run.models is not before.models
    assert run.models_of_table is before.models
    assert not run.names_agree
    assert _read_crop(run, CHILD) is None
    with pytest.raises(MixedPartsError):
        _facts_of(run, run.table()).hash_of(CHILD)
    with pytest.raises(MixedPartsError):
        _draw(run, CompositeRequest.model_validate({"filter": {"gender": "female"}}))
