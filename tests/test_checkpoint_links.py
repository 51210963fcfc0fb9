"""Only a checkpoint's own files are copied into models/, which is shared: links are refused."""

import json
import os
import shutil

import pytest

from clips import random_clip_that_reads
from facestats.checkpoints.variants import check_variant, fetch_clip
from facestats.errors import ModelError
from facestats.faces.models import SHA256
from facestats.landmarker.fetch import fetch_landmarker

SECRET = "-----BEGIN OPENSSH PRIVATE KEY-----"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return random_clip_that_reads(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def folder(checkpoint, tmp_path):
    (tmp_path / "id_ed25519").write_text(SECRET)
    return shutil.copytree(checkpoint, tmp_path / "clip")


def refused(folder, out) -> str:
    with pytest.raises(ModelError) as error:
        fetch_clip(str(folder), None, out)
    assert check_variant(str(folder)) == str(error.value)  # doctor says the same
    assert not any(
        SECRET.encode() in path.read_bytes() for path in out.rglob("*") if path.is_file()
    )
    return str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        "merges.txt",
        "config.json",
        "tokenizer_config.json",
        "preprocessor_config.json",
        "model.safetensors",
    ],
)
@pytest.mark.parametrize("way", ["absolute", "relative", "chain", "through a folder"])
def test_a_link_that_leads_outside_is_refused(folder, tmp_path, name, way):
    path = folder / name
    if path.exists():
        path.replace(tmp_path / name)
    else:
        (tmp_path / name).write_text(json.dumps({"secret": SECRET}))
    (tmp_path / "to").symlink_to(tmp_path / name)
    (folder / "up").symlink_to(tmp_path)
    path.symlink_to(
        {
            "absolute": tmp_path / name,
            "relative": f"../{name}",
            "chain": "../to",
            "through a folder": f"up/{name}",
        }[way]
    )
    assert f"{name} is a link to {tmp_path / name}, outside of {folder}" in refused(
        folder, tmp_path / "out"
    )


def test_a_shard_that_is_a_link_is_refused(folder, tmp_path):
    (folder / "model.safetensors").replace(tmp_path / "weights")
    (folder / "model-00001-of-00001.safetensors").symlink_to(tmp_path / "weights")
    assert "model-00001-of-00001.safetensors is a link to" in refused(folder, tmp_path / "out")


def test_links_inside_of_the_folder_and_to_the_folder_are_fine(folder, tmp_path):
    (folder / "model.safetensors").rename(folder / "weights")
    (folder / "model.safetensors").symlink_to("weights")
    (tmp_path / "mine").symlink_to(folder)
    assert fetch_clip(str(tmp_path / "mine"), None, tmp_path / "out")["variant"] == "local"
    assert not (tmp_path / "out/model.safetensors").is_symlink()


def test_a_snapshot_may_link_to_its_own_repository_alone(folder, tmp_path):
    hub = tmp_path / "hub/models--org--small"
    snapshot = shutil.copytree(folder, hub / "snapshots/0123")
    (hub / "blobs").mkdir()
    (snapshot / "merges.txt").replace(hub / "blobs/abc")
    (snapshot / "merges.txt").symlink_to("../../blobs/abc")
    fetch_clip(str(snapshot), None, tmp_path / "out")
    (hub.parent / "models--org--other").mkdir()
    (hub / "blobs/abc").rename(hub.parent / "models--org--other/abc")
    (hub / "blobs/abc").symlink_to("../../models--org--other/abc")
    assert f"outside of {hub}" in refused(snapshot, tmp_path / "out")


@pytest.mark.parametrize(
    "named", ["../id_ed25519", "/etc/passwd", "", "..", "a/b", ["model.safetensors"], 7, None]
)
def test_an_index_names_files_beside_it(folder, tmp_path, named):
    (folder / "model.safetensors").replace(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors", "b": named}})
    )
    assert f"names {named!r}, expected the name of a file beside it" in refused(
        folder, tmp_path / "out"
    )


@pytest.mark.parametrize("content", [{}, {"weight_map": []}, {"weight_map": None}])
def test_an_index_without_names_is_an_error(folder, tmp_path, content):
    (folder / "model.safetensors").replace(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(content))
    assert "it has no weight_map" in refused(folder, tmp_path / "out")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "name",
    [
        "merges.txt",
        "config.json",
        "model.safetensors",
        "model-00001-of-00001.safetensors",
        "model.safetensors.index.json",
    ],
)
def test_a_pipe_or_a_device_never_hangs(folder, tmp_path, name):
    if "model" in name:
        (folder / "model.safetensors").unlink()
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    assert "FIFO" not in refused(folder, tmp_path / "out")
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    assert str(folder) in refused(folder, tmp_path / "out")


@pytest.mark.timeout(60)
def test_landmark_models_are_regular_files(tmp_path):
    (tmp_path / "models").mkdir()
    os.mkfifo(tmp_path / "models" / next(iter(SHA256)))
    with pytest.raises(ModelError, match="is no regular file"):
        fetch_landmarker(tmp_path / "models", tmp_path / "out")
    assert not (tmp_path / "out").exists()
