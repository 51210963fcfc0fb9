"""CLIP variants: the requested files are fetched safely, or an error names the way out."""

import io
import json
import pickle
import re
import shutil
import zipfile

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from transformers import CLIPImageProcessor, CLIPProcessor

from clips import VISION, picture, random_clip, weights
from facestats.checkpoints.transform import ImageTransform
from facestats.checkpoints.variants import check_variant, fetch_clip
from facestats.clip.load import load_encoder
from facestats.errors import ModelError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub_cache(clip_source, tmp_path, monkeypatch):
    """The hub's own cache holding org/small; the hub itself can't be reached."""
    repo = tmp_path / "hub" / "models--org--small"
    shutil.copytree(clip_source, repo / "snapshots" / COMMIT)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return repo / "snapshots" / COMMIT


def test_tiny_is_the_same_every_time(clip_models, tmp_path):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    facts = fetch_clip("tiny", None, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert (facts["variant"], facts["revision"]) == ("tiny", facts["sha256"])
    assert (
        facts["sha256"]
        == json.loads((clip_models["tiny"] / "facestats.json").read_text())["sha256"]
    )
    files = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert files == {p.name: p.read_bytes() for p in clip_models["tiny"].iterdir()}


def test_a_local_folder_is_copied_and_called_local(local, tmp_path):
    facts = fetch_clip(str(local), None, tmp_path / "out")
    assert (tmp_path / "out/model.safetensors").read_bytes() == (
        local / "model.safetensors"
    ).read_bytes()
    assert facts["variant"] == "local"
    assert str(tmp_path) not in (tmp_path / "out/facestats.json").read_text()


def test_pickled_weights_are_converted(local, tmp_path):
    state = weights(local)
    (local / "model.safetensors").unlink()
    # as old checkpoints are: an index buffer that the model rebuilds
    torch.save(
        state | {"vision_model.embeddings.position_ids": torch.arange(50)[None]},
        local / "pytorch_model.bin",
    )
    fetch_clip(str(local), None, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.bin"))
    converted = weights(tmp_path / "out")
    assert converted.keys() == state.keys()
    assert all(torch.equal(converted[k], state[k]) for k in state)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_sharded_weights_become_one_file(local, tmp_path, kind):
    state = weights(local)
    (local / "model.safetensors").unlink()
    keys = sorted(state)
    for i, part in enumerate((keys[::2], keys[1::2]), 1):
        shard = {k: state[k] for k in part}
        if kind == "safetensors":
            save_file(
                shard, local / f"model-{i:05}-of-00002.safetensors", metadata={"format": "pt"}
            )
        else:
            torch.save(shard, local / f"pytorch_model-{i:05}-of-00002.bin")
    fetch_clip(str(local), None, tmp_path / "out")
    joined = weights(tmp_path / "out")
    assert joined.keys() == state.keys()
    assert all(torch.equal(joined[k], state[k]) for k in state)
    assert [p.name for p in (tmp_path / "out").glob("*.safetensors")] == ["model.safetensors"]


class Exploit:
    """A pickle that runs code when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize(
    "dump", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))]
)
def test_a_pickle_that_runs_code_is_refused(local, tmp_path, dump):
    (local / "model.safetensors").unlink()
    dump({"visual_projection.weight": Exploit(tmp_path / "broken-in")}, local / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin can't be read safely"):
        fetch_clip(str(local), None, tmp_path / "out")
    assert not (tmp_path / "broken-in").exists()


def test_weights_that_would_take_more_memory_than_their_file_are_not_loaded(
    local, tmp_path, monkeypatch
):
    """76 bytes that claim a bytearray of 3 GB, and an archive that torch never packs."""
    (local / "model.safetensors").unlink()
    claim = b"\x8a\x08" + (3 << 30).to_bytes(8, "little")
    content = b"\x80\x02}X\x01\x00\x00\x00acbuiltins\nbytearray\n" + claim + b"\x85Rs."
    header = [0x1950A86A20F9469CFC6C, 1001, {}]
    bomb = b"".join(pickle.dumps(part, 2) for part in header) + content + pickle.dumps([], 2)
    stored = io.BytesIO()
    torch.save({"vision_model.a.weight": torch.zeros(100_000)}, stored)
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(stored) as before,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            after.writestr(name, before.read(name))
    assert len(packed.getvalue()) < 10_000

    def loaded(*_, **__):
        raise AssertionError("it was loaded")

    monkeypatch.setattr(torch, "load", loaded)
    for data, why in ((bomb, "torch.save never writes"), (packed.getvalue(), "it is packed")):
        (local / "pytorch_model.bin").write_bytes(data)
        with pytest.raises(ModelError, match=why):
            fetch_clip(str(local), None, tmp_path / "out")


def test_a_pickle_of_something_else_is_refused(local, tmp_path):
    (local / "model.safetensors").unlink()
    torch.save([torch.zeros(3)], local / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin"):
        fetch_clip(str(local), None, tmp_path / "out")


def test_without_an_image_transform_clips_own_is_used_at_the_towers_size(tmp_path):
    source = random_clip(
        tmp_path / "source", vision=VISION | {"image_size": 96, "projection_dim": 48}
    )
    fetch_clip(str(source), None, tmp_path / "out")
    side = {"height": 96, "width": 96}
    expected = CLIPImageProcessor(size={"shortest_edge": 96}, crop_size=side)(
        picture((300, 200)), return_tensors="np"
    )
    assert (
        np.abs(
            ImageTransform.load(tmp_path / "out")(picture((300, 200))) - expected["pixel_values"][0]
        ).max()
        <= 1e-6
    )


@pytest.mark.parametrize("nested", [False, True])
def test_the_variants_own_image_transform_is_kept(local, tmp_path, nested):
    processor = CLIPImageProcessor(image_mean=[0.1, 0.2, 0.3], image_std=[0.5, 0.6, 0.7])
    if nested:  # as CLIPProcessor of transformers 5 saves it
        (local / "processor_config.json").write_text(
            json.dumps(
                {"image_processor": processor.to_dict(), "processor_class": CLIPProcessor.__name__}
            )
        )
    else:
        processor.save_pretrained(local)
    fetch_clip(str(local), None, tmp_path / "out")
    expected = processor(picture((300, 200)), return_tensors="np")["pixel_values"][0]
    assert (
        np.abs(ImageTransform.load(tmp_path / "out")(picture((300, 200))) - expected).max() <= 1e-6
    )


def test_a_processor_config_without_an_image_transform_counts_as_none(local, tmp_path):
    (local / "processor_config.json").write_text('{"processor_class": "CLIPProcessor"}')
    fetch_clip(str(local), None, tmp_path / "out")
    assert ImageTransform.load(tmp_path / "out").crop == (224, 224)


def test_tokenizer_files_come_along(local, tmp_path):
    (local / "merges.txt").write_text("a b\n")
    (local / "flax_model.msgpack").write_text("not needed")
    fetch_clip(str(local), None, tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "config.json",
        "facestats.json",
        "merges.txt",
        "model.safetensors",
        "preprocessor_config.json",
    }


def test_a_revision_of_a_local_folder_is_checked_against_its_weights(local, tmp_path):
    sha256 = fetch_clip(str(local), None, tmp_path / "out")["sha256"]
    assert fetch_clip(str(local), sha256[:12], tmp_path / "out")["sha256"] == sha256
    for variant in (str(local), "tiny"):
        with pytest.raises(ModelError, match=r"clip\.revision 0000 does not match") as error:
            fetch_clip(variant, "0000", tmp_path / "out")
        assert re.search(r"their sha256 is [0-9a-f]{64}", str(error.value))


@pytest.mark.parametrize(
    "odd",
    [
        {1: torch.zeros(2)},
        {"\ud800": torch.zeros(2)},
        {"x": torch.eye(3).to_sparse()},
        {"x": torch.empty(3, device="meta")},
        {"x": torch.zeros(2, dtype=torch.complex64)},
        {"x": torch.zeros(1).expand(5 * 10**9)},
    ],
    ids=["number", "surrogate", "sparse", "meta", "complex", "20 GB out of 4 bytes"],
)
def test_pickled_weights_that_are_no_plain_numbers_are_refused(local, tmp_path, odd):
    torch.save(weights(local) | odd, local / "pytorch_model.bin")
    (local / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"pytorch_model\.bin is not a state dict"):
        fetch_clip(str(local), None, tmp_path / "out")


def test_a_checkpoint_names_no_program_for_its_attention(local):
    path = local / "config.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"attn_implementation": "org/kernel"})
    )
    with pytest.raises(
        ModelError, match="may name a program to run"
    ):  # in `models/clip` too, which may come out of a doctored cache
        load_encoder(local)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "not valid JSON"),
        (
            lambda folder: (folder / "config.json").write_text('{"model_type": "siglip"}'),
            "'siglip'.*model_type 'clip'",
        ),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
        (
            lambda folder: (folder / "preprocessor_config.json").write_text("{"),
            "preprocessor_config.json",
        ),
    ],
)
def test_a_local_folder_that_holds_no_clip_is_named(local, tmp_path, spoil, expected):
    spoil(local)
    with pytest.raises(ModelError, match=expected) as error:
        fetch_clip(str(local), None, tmp_path / "out")
    assert str(local) in str(error.value)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 605157884\n"


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def as_pickle(folder):
    torch.save(weights(folder), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder / "pytorch_model.bin"


def as_shards(folder, index):
    """All shards but the last; where `index`, with the file that names them."""
    state = weights(folder)
    (folder / "model.safetensors").unlink()
    names = [f"model-{i:05}-of-00003.safetensors" for i in (1, 2, 3)]
    of = {key: names[i % 3] for i, key in enumerate(sorted(state))}
    for name in names[:2]:
        save_file({key: state[key] for key in state if of[key] == name}, folder / name)
    if index:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": of}))


def renamed(folder, rename):
    save_file(
        {rename(key): tensor.clone() for key, tensor in weights(folder).items()},
        folder / "model.safetensors",
    )


def nested(folder, into):
    """The checkpoint in a folder further down, as archives and the hub's cache have it."""
    (folder / into).mkdir(parents=True)
    for path in [p for p in folder.iterdir() if p.is_file()]:
        path.rename(folder / into / path.name)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (
            lambda f: (f / "model.safetensors").write_bytes(POINTER),
            "model.safetensors is a pointer of git LFS.*git lfs pull",
        ),
        (lambda f: (f / "config.json").write_bytes(POINTER), "config.json is a pointer of git LFS"),
        (
            lambda f: (f / "tokenizer.json").write_bytes(POINTER),
            "tokenizer.json is a pointer of git LFS",
        ),
        (lambda f: as_pickle(f).write_bytes(POINTER), "pytorch_model.bin is a pointer of git LFS"),
        (
            lambda f: halve(f / "model.safetensors"),
            "model.safetensors is damaged or half a download, 572,994 bytes",
        ),
        (
            lambda f: (f / "model.safetensors").write_bytes(b""),
            "model.safetensors is damaged or half a download, 0 bytes",
        ),
        (
            lambda f: (f / "model.safetensors").rename(f / "model.safetensors.incomplete"),
            "it is half a download",
        ),
        (
            lambda f: as_shards(f, index=True),
            "model-00003-of-00003.safetensors is missing, as model.safetensors.index.json says",
        ),
        (
            lambda f: as_shards(f, index=False),
            "model-00003-of-00003.safetensors is missing, as their names say",
        ),
        (
            lambda f: renamed(f, lambda key: key.replace("vision_model", "visual")),
            "names its weights otherwise.*logit_scale",
        ),
        (
            lambda f: (f / "config.json").write_text(
                '{"architecture": "vit_base_patch32_clip_224"}'
            ),
            "a model of timm",
        ),
        (lambda f: (f / "config.json").write_text("[1]"), "config.json is not valid JSON"),
        (
            lambda f: (f / "config.json").write_text("<html>please log in</html>"),
            "config.json is not valid JSON",
        ),
        (
            lambda f: (f / "config.json").write_text(
                '{"model_type": "clip", "vision_config": [1]}'
            ),
            "vision_config is .1., expected the image tower",
        ),
        (
            lambda f: (f / "config.json").write_text('{"model_type": ["clip"]}'),
            "is a .'clip'. model",
        ),
        (
            lambda f: (f / "config.json").write_text(
                '{"model_type": "clip", "num_labels": 1000000000}'
            ),
            "num_labels is 1000000000, expected a whole number",
        ),
        (
            lambda f: (f / "config.json").write_text(
                '{"model_type": "clip", "vision_config": {"attn_implementation": "org/kernel"}}'
            ),
            "vision_config.attn_implementation is 'org/kernel', which may name a program",
        ),
        (
            lambda f: (f / "model.safetensors").rename(
                f / "model-00001-of-99999999999.safetensors"
            ),
            "one of more than 1,000 files",
        ),
        (lambda f: (f / "config.json").write_text("{}"), "of no kind that its config.json names"),
        (lambda f: nested(f, "clip-main"), "a config.json lies in clip-main"),
        (lambda f: nested(f, f"snapshots/{COMMIT}"), f"a config.json lies in snapshots/{COMMIT}"),
    ],
)
def test_a_folder_that_is_not_whole_says_what_is_wrong(local, tmp_path, spoil, expected):
    spoil(local)
    with pytest.raises(ModelError, match=expected) as error:
        fetch_clip(str(local), None, tmp_path / "out")
    assert str(local) in str(error.value)
    assert check_variant(str(local)) == str(error.value)  # known without reading the weights
    assert check_variant("local", root=local.parent).replace(
        "variant local", f"variant {local}"
    ) == str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", {"vision_config": {"hidden_size": "big"}}),
        ("config.json", {"vision_config": {"hidden_size": 128}}),
        ("config.json", {"vision_config": {"hidden_act": "unheard of"}}),
        ("config.json", {"vision_config": {"quantization_config": {"quant_method": "awq"}}}),
        ("preprocessor_config.json", {"size": "large"}),
    ],
)
def test_a_configuration_that_is_not_of_these_weights_is_called_so(local, tmp_path, name, content):
    path = local / name
    before = json.loads(path.read_text()) if path.exists() else {}
    vision = (
        {"vision_config": before["vision_config"] | content["vision_config"]}
        if "vision_config" in before
        else {}
    )
    path.write_text(json.dumps(before | content | vision))
    fetch_clip(str(local), None, tmp_path / "out")
    with pytest.raises(ModelError, match="does not fit the weights; they must be of one model"):
        load_encoder(tmp_path / "out")


def test_half_a_pickle_is_told_when_it_is_read(local, tmp_path):
    halve(as_pickle(local))
    with pytest.raises(
        ModelError,
        match=r"pytorch_model\.bin can't be read safely: of .* bytes, it is half a download",
    ):
        fetch_clip(str(local), None, tmp_path / "out")


def test_a_file_in_the_place_of_a_folder(local, tmp_path):
    (local / "ViT-B-32.pt").write_bytes(b"0")
    with pytest.raises(ModelError, match="is a file; expected a folder"):
        fetch_clip(str(local / "ViT-B-32.pt"), None, tmp_path / "out")


def test_what_is_whole_has_no_problem(local):
    assert check_variant("tiny") is None
    assert check_variant(str(local)) is None
    as_pickle(local)
    assert check_variant(str(local)) is None


@pytest.mark.parametrize(
    "variant", ["./clip", "/no/where", "~/nothing-here", "a/b/c", "models\\clip"]
)
def test_a_missing_folder_never_becomes_a_question_to_the_hub(tmp_path, monkeypatch, variant):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("asked the hub")
    )
    with pytest.raises(ModelError, match="there is no folder") as error:
        fetch_clip(variant, None, tmp_path / "out")
    assert variant in str(error.value)


@pytest.mark.parametrize("revision", [None, "v1.0"])
def test_a_hub_that_cannot_be_reached_gives_three_ways_out(tmp_path, monkeypatch, revision):
    def refuse(*_, **__):
        raise ConnectionError("no route to host\nand a page of advice")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(ModelError) as error:
        fetch_clip("openai/clip-vit-base-patch32", revision, tmp_path / "out")
    for text in [
        "openai/clip-vit-base-patch32",
        "no route to host",
        "HF_HOME",
        "local folder",
        "clip.variant=tiny",
    ]:
        assert text in str(error.value)
    assert "no route to host and a page of advice" in str(
        error.value
    )  # the reason in full, on one line
    assert ("v1.0" in str(error.value)) == (revision is not None)


def test_a_variant_in_the_hubs_own_cache_needs_no_hub(hub_cache, tmp_path):
    facts = fetch_clip("org/small", None, tmp_path / "out")
    assert (facts["variant"], facts["revision"]) == ("org/small", COMMIT)
    assert (tmp_path / "out/model.safetensors").read_bytes() == (
        hub_cache / "model.safetensors"
    ).read_bytes()
    assert fetch_clip("org/small", COMMIT, tmp_path / "out")["revision"] == COMMIT
    with pytest.raises(ModelError, match="org/small at revision other"):
        fetch_clip("org/small", "other", tmp_path / "out")


def test_pickled_weights_in_the_hubs_own_cache_are_converted(hub_cache, tmp_path):
    state = weights(hub_cache)
    (hub_cache / "model.safetensors").unlink()
    torch.save(state, hub_cache / "pytorch_model.bin")
    fetch_clip("org/small", None, tmp_path / "out")
    assert weights(tmp_path / "out").keys() == state.keys()


def test_pickles_are_asked_for_only_where_there_is_nothing_better(
    clip_source, tmp_path, monkeypatch
):
    asked = []

    def download(variant, *, revision, allow_patterns):
        asked.append((variant, revision, allow_patterns))
        return str(clip_source)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    fetch_clip("org/small", "v1", tmp_path / "out")
    configuration, model = asked
    assert configuration[:2] == ("org/small", "v1")
    assert "config.json" in configuration[2]
    assert not any("model" in name for name in configuration[2])
    assert model == (
        "org/small",
        clip_source.name,
        ["model.safetensors", "model.safetensors.index.json"],
    )
