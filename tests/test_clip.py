"""CLIP: what is fetched is what was asked for, and embeddings are those of transformers on the same weights."""

import json
import pickle
import re
import shutil

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

from facestats.clip.embed import embed_faces
from facestats.clip.encoder import ImageEncoder, choose_precision
from facestats.clip.transform import ImageTransform
from facestats.clip.variants import fetch_clip
from facestats.errors import InputError, ModelError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
VISION = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
          "image_size": 224, "patch_size": 32}
TEXT = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
SIZES = [(300, 200), (200, 300), (224, 224), (97, 411), (640, 101), (33, 47), (225, 224)]


def picture(size, seed=0):
    """Colour blobs, edges and noise: something that a wrong filter or crop would show on."""
    width, height = size
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 5, 3), dtype=np.uint8)).resize(size, Image.Resampling.NEAREST)
    noise = rng.integers(-60, 61, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(coarse).astype(int) + noise, 0, 255).astype(np.uint8))


def random_clip(folder, seed=1, projection=48, vision=None, **config):
    """A small CLIP with random weights, in the layout that transformers writes."""
    vision = VISION | {"projection_dim": projection} if vision is None else vision
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CLIPModel(CLIPConfig(text_config=TEXT | {"projection_dim": projection}, vision_config=vision,
                                     projection_dim=projection, **config))
        for name, weights in model.named_parameters():  # larger than CLIP's own initial ones, so that images differ
            if weights.ndim > 1 and "position" not in name:
                weights.data.mul_(4)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return random_clip(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def models(tmp_path_factory, source):
    """Fetched folders: the embedded variant, and one of the usual input size."""
    folders = {}
    for name, variant in (("tiny", "tiny"), ("patch32", str(source))):
        folders[name] = tmp_path_factory.mktemp(name)
        fetch_clip(variant, None, folders[name])
    return folders


@pytest.fixture
def local(source, tmp_path):
    """A copy of the local model to spoil."""
    return shutil.copytree(source, tmp_path / "local")


@pytest.fixture
def hub_cache(source, tmp_path, monkeypatch):
    """The hub's own cache holding org/small; the hub itself can't be reached."""
    repo = tmp_path / "hub" / "models--org--small"
    shutil.copytree(source, repo / "snapshots" / COMMIT)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return repo / "snapshots" / COMMIT


def reference(folder, images):
    """Unit-norm image features as transformers computes them, one image at a time."""
    model, processor = CLIPModel.from_pretrained(folder).eval(), CLIPImageProcessor.from_pretrained(folder)
    rows = []
    for image in images:
        with torch.inference_mode():
            features = model.get_image_features(**processor(image, return_tensors="pt"))
        rows.append(getattr(features, "pooler_output", features)[0].double().numpy())
    return np.stack([row / np.linalg.norm(row) for row in rows])


def weights(folder):
    return load_file(folder / "model.safetensors")


# Embeddings

@pytest.mark.parametrize("name", ["tiny", "patch32"])
@pytest.mark.parametrize(("precision", "least"), [("float32", 0.999999), ("bfloat16", 0.999)])
def test_embeddings_are_those_of_transformers(models, name, precision, least):
    images = [picture(size, i) for i, size in enumerate(SIZES)]
    expected = reference(models[name], images)
    assert (expected @ expected.T)[0, 1:].max() < 0.99  # else any embedding would do
    found = ImageEncoder(models[name], precision, batch_size=4).encode(images)
    assert (found * expected).sum(axis=1).min() >= least


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_embeddings_are_float32_of_unit_norm_and_of_the_models_dimension(models, precision):
    encoder = ImageEncoder(models["patch32"], precision, batch_size=4)
    rows = encoder.encode([picture((64, 64), i) for i in range(5)])
    assert (rows.shape, rows.dtype, encoder.dimension) == ((5, 48), np.float32, 48)
    assert np.abs(np.linalg.norm(rows.astype(float), axis=1) - 1).max() < 1e-6


@pytest.mark.parametrize("name", ["tiny", "patch32"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_row_does_not_depend_on_its_neighbours_or_its_place(models, name, precision):
    images = [picture((90, 70), i) for i in range(11)]
    encoder = ImageEncoder(models[name], precision, batch_size=4)
    together = encoder.encode(images)
    assert len(np.unique(together, axis=0)) == len(images)
    assert encoder.encode(images[::-1])[::-1].tobytes() == together.tobytes()
    assert np.concatenate([encoder.encode([image]) for image in images]).tobytes() == together.tobytes()


@pytest.mark.parametrize("name", ["tiny", "patch32"])
def test_the_number_of_threads_changes_no_bit(models, name):
    images = [picture((90, 70), i) for i in range(8)]
    before, rows = torch.get_num_threads(), {}
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            rows[threads] = ImageEncoder(models[name], batch_size=8).encode(images).tobytes()
    finally:
        torch.set_num_threads(before)
    assert rows[1] == rows[2]


def test_no_images_give_no_rows(models):
    assert ImageEncoder(models["patch32"]).encode([]).shape == (0, 48)


def test_the_size_of_the_embedding_is_the_whole_models(tmp_path):
    # CLIPModel takes projection_dim from the top of the config; the vision part may say something else, or nothing.
    fetch_clip(str(random_clip(tmp_path / "source", projection=24, vision=VISION)), None, tmp_path / "out")
    images = [picture((50, 60))]
    encoder = ImageEncoder(tmp_path / "out", batch_size=2)
    assert encoder.dimension == 24
    assert (encoder.encode(images) * reference(tmp_path / "out", images)).sum() >= 0.999999


def test_weights_that_lack_a_layer_are_refused_not_made_up(local, tmp_path):
    state = {k: v for k, v in weights(local).items() if k != "visual_projection.weight"}
    save_file(state, local / "model.safetensors", metadata={"format": "pt"})
    fetch_clip(str(local), None, tmp_path / "out")
    with pytest.raises(ModelError, match=r"visual_projection\.weight"):
        ImageEncoder(tmp_path / "out")


def test_weights_of_another_shape_are_refused(local, tmp_path):
    config = json.loads((local / "config.json").read_text())
    config["vision_config"]["hidden_size"] = 32
    (local / "config.json").write_text(json.dumps(config))
    fetch_clip(str(local), None, tmp_path / "out")
    with pytest.raises(ModelError, match="does not hold a CLIP model"):
        ImageEncoder(tmp_path / "out")


def test_an_empty_model_folder_says_which_stage_makes_it(tmp_path):
    with pytest.raises(ModelError, match="dvc repro fetch_clip"):
        ImageEncoder(tmp_path)


def test_auto_becomes_a_precision_and_a_wish_stays():
    device = torch.device("cpu")
    assert choose_precision("auto", device) in ("float32", "bfloat16")
    assert choose_precision("float16", device) == "float16"
    assert choose_precision("auto", torch.device("cuda")) == "float16"


# Tables of embeddings

def test_faces_in_folders_are_embedded_sorted_and_keyed_by_their_bytes(models, tmp_path):
    for i, name in enumerate(["b.jpg", "a/ü 1.jpg", "c.png.jpg"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture((80, 80), i).save(tmp_path / name, "JPEG", quality=95)
    shutil.copy(tmp_path / "b.jpg", tmp_path / "a" / "same.jpg")
    encoder = ImageEncoder(models["tiny"], batch_size=2)
    table = embed_faces(tmp_path, encoder).set_index("filename")
    assert list(table.index) == ["a/same.jpg", "a/ü 1.jpg", "b.jpg", "c.png.jpg"]
    assert table["key"].nunique() == 3
    assert table.loc["b.jpg", "key"] == table.loc["a/same.jpg", "key"]
    alone = encoder.encode([Image.open(tmp_path / "c.png.jpg")])
    assert table.loc["c.png.jpg", "embedding"].tobytes() == alone.tobytes()


def test_the_key_of_a_row_knows_batch_precision_and_weights(models, tmp_path):
    picture((80, 80)).save(tmp_path / "a.jpg")
    encoders = [ImageEncoder(models["tiny"], batch_size=2), ImageEncoder(models["tiny"], batch_size=3),
                ImageEncoder(models["tiny"], "bfloat16", batch_size=2), ImageEncoder(models["patch32"], batch_size=2)]
    assert len({embed_faces(tmp_path, encoder)["key"][0] for encoder in encoders}) == 4


def test_no_faces_is_an_error_that_points_at_preprocess(models, tmp_path):
    with pytest.raises(InputError, match=r"faces\.parquet says why"):
        embed_faces(tmp_path, ImageEncoder(models["tiny"]))


# The image transform

@pytest.mark.parametrize("config", [
    {},
    {"size": {"shortest_edge": 64}, "crop_size": {"height": 48, "width": 60}},
    {"size": {"height": 50, "width": 70}, "do_center_crop": False},
    {"do_resize": False, "crop_size": {"height": 120, "width": 121}},
    {"size": {"shortest_edge": 40}, "crop_size": {"height": 64, "width": 64}},
    {"size": {"shortest_edge": 64}, "crop_size": 64, "resample": 2, "do_rescale": False, "do_normalize": False},
    {"size": {"shortest_edge": 64}, "crop_size": 64, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]},
])
def test_pixels_are_those_of_transformers(tmp_path, config):
    processor = CLIPImageProcessor(**config)
    processor.save_pretrained(tmp_path)
    transform = ImageTransform.load(tmp_path)
    for i, size in enumerate(SIZES):
        expected = processor(picture(size, i), return_tensors="np")["pixel_values"][0]
        found = transform(picture(size, i))
        assert (found.shape, found.dtype) == (expected.shape, np.float32)
        assert np.abs(found - expected).max() <= 1e-6 * max(1, np.abs(expected).max())


def test_sizes_written_as_plain_numbers_are_understood(tmp_path):
    # the form of openai/clip-vit-base-patch32
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({
        "crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 224}))
    expected = CLIPImageProcessor()(picture((300, 200)), return_tensors="np")["pixel_values"][0]
    assert np.abs(ImageTransform.load(tmp_path)(picture((300, 200))) - expected).max() <= 1e-6


@pytest.mark.parametrize(("content", "expected"), [
    (None, "dvc repro fetch_clip"), ("{", "can't be read"), ('{"size": {"longest_edge": 9}}', "longest_edge"),
])
def test_an_unusable_transform_is_named(tmp_path, content, expected):
    if content:
        (tmp_path / "preprocessor_config.json").write_text(content)
    with pytest.raises(ModelError, match=expected) as error:
        ImageTransform.load(tmp_path)
    assert "preprocessor_config.json" in str(error.value)


def test_what_a_transform_leaves_out_is_as_in_transformers(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "CLIPImageProcessor"}')
    expected = CLIPImageProcessor.from_pretrained(tmp_path)(picture((300, 200)), return_tensors="np")["pixel_values"][0]
    assert np.abs(ImageTransform.load(tmp_path)(picture((300, 200))) - expected).max() <= 1e-6


# Fetching

def test_tiny_is_the_same_every_time(models, tmp_path):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    facts = fetch_clip("tiny", None, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert (facts["variant"], facts["revision"]) == ("tiny", facts["sha256"])
    assert facts["sha256"] == json.loads((models["tiny"] / "facestats.json").read_text())["sha256"]
    files = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert files == {p.name: p.read_bytes() for p in models["tiny"].iterdir()}


def test_a_local_folder_is_copied_and_called_local(local, tmp_path):
    facts = fetch_clip(str(local), None, tmp_path / "out")
    assert (tmp_path / "out/model.safetensors").read_bytes() == (local / "model.safetensors").read_bytes()
    assert facts["variant"] == "local"
    assert str(tmp_path) not in (tmp_path / "out/facestats.json").read_text()


def test_pickled_weights_are_converted(local, tmp_path):
    state = weights(local)
    (local / "model.safetensors").unlink()
    # as old checkpoints are: an index buffer that the model rebuilds
    torch.save(state | {"vision_model.embeddings.position_ids": torch.arange(50)[None]}, local / "pytorch_model.bin")
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
            save_file(shard, local / f"model-{i:05}-of-00002.safetensors", metadata={"format": "pt"})
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


@pytest.mark.parametrize("dump", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))])
def test_a_pickle_that_runs_code_is_refused(local, tmp_path, dump):
    (local / "model.safetensors").unlink()
    dump({"visual_projection.weight": Exploit(tmp_path / "broken-in")}, local / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin can't be read safely"):
        fetch_clip(str(local), None, tmp_path / "out")
    assert not (tmp_path / "broken-in").exists()


def test_a_pickle_of_something_else_is_refused(local, tmp_path):
    (local / "model.safetensors").unlink()
    torch.save([torch.zeros(3)], local / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin"):
        fetch_clip(str(local), None, tmp_path / "out")


def test_without_an_image_transform_clips_own_is_used_at_the_towers_size(tmp_path):
    source = random_clip(tmp_path / "source", vision=VISION | {"image_size": 96, "projection_dim": 48})
    fetch_clip(str(source), None, tmp_path / "out")
    side = {"height": 96, "width": 96}
    expected = CLIPImageProcessor(size={"shortest_edge": 96}, crop_size=side)(picture((300, 200)), return_tensors="np")
    assert np.abs(ImageTransform.load(tmp_path / "out")(picture((300, 200))) - expected["pixel_values"][0]).max() <= 1e-6


@pytest.mark.parametrize("nested", [False, True])
def test_the_variants_own_image_transform_is_kept(local, tmp_path, nested):
    processor = CLIPImageProcessor(image_mean=[0.1, 0.2, 0.3], image_std=[0.5, 0.6, 0.7])
    if nested:  # as CLIPProcessor of transformers 5 saves it
        (local / "processor_config.json").write_text(json.dumps(
            {"image_processor": processor.to_dict(), "processor_class": CLIPProcessor.__name__}))
    else:
        processor.save_pretrained(local)
    fetch_clip(str(local), None, tmp_path / "out")
    expected = processor(picture((300, 200)), return_tensors="np")["pixel_values"][0]
    assert np.abs(ImageTransform.load(tmp_path / "out")(picture((300, 200))) - expected).max() <= 1e-6


def test_a_processor_config_without_an_image_transform_counts_as_none(local, tmp_path):
    (local / "processor_config.json").write_text('{"processor_class": "CLIPProcessor"}')
    fetch_clip(str(local), None, tmp_path / "out")
    assert ImageTransform.load(tmp_path / "out").crop == (224, 224)


def test_tokenizer_files_come_along(local, tmp_path):
    (local / "merges.txt").write_text("a b\n")
    (local / "flax_model.msgpack").write_text("not needed")
    fetch_clip(str(local), None, tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "config.json", "facestats.json", "merges.txt", "model.safetensors", "preprocessor_config.json"}


def test_a_revision_of_a_local_folder_is_checked_against_its_weights(local, tmp_path):
    sha256 = fetch_clip(str(local), None, tmp_path / "out")["sha256"]
    assert fetch_clip(str(local), sha256[:12], tmp_path / "out")["sha256"] == sha256
    for variant in (str(local), "tiny"):
        with pytest.raises(ModelError, match=r"clip\.revision 0000 does not match") as error:
            fetch_clip(variant, "0000", tmp_path / "out")
        assert re.search(r"their sha256 is [0-9a-f]{64}", str(error.value))


@pytest.mark.parametrize(("spoil", "expected"), [
    (lambda folder: (folder / "config.json").unlink(), "no config.json"),
    (lambda folder: (folder / "config.json").write_text("{"), "not valid JSON"),
    (lambda folder: (folder / "config.json").write_text('{"model_type": "siglip"}'), "'siglip'.*model_type 'clip'"),
    (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
    (lambda folder: (folder / "preprocessor_config.json").write_text("{"), "preprocessor_config.json"),
])
def test_a_local_folder_that_holds_no_clip_is_named(local, tmp_path, spoil, expected):
    spoil(local)
    with pytest.raises(ModelError, match=expected) as error:
        fetch_clip(str(local), None, tmp_path / "out")
    assert str(local) in str(error.value)


@pytest.mark.parametrize("variant", ["./clip", "/no/where", "~/nothing-here", "a/b/c", "models\\clip"])
def test_a_missing_folder_never_becomes_a_question_to_the_hub(tmp_path, monkeypatch, variant):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
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
    for text in ["openai/clip-vit-base-patch32", "no route to host", "HF_HOME", "local folder", "clip.variant=tiny"]:
        assert text in str(error.value)
    assert "page of advice" not in str(error.value)
    assert ("v1.0" in str(error.value)) == (revision is not None)


def test_a_variant_in_the_hubs_own_cache_needs_no_hub(hub_cache, tmp_path):
    facts = fetch_clip("org/small", None, tmp_path / "out")
    assert (facts["variant"], facts["revision"]) == ("org/small", COMMIT)
    assert (tmp_path / "out/model.safetensors").read_bytes() == (hub_cache / "model.safetensors").read_bytes()
    assert fetch_clip("org/small", COMMIT, tmp_path / "out")["revision"] == COMMIT
    with pytest.raises(ModelError, match="org/small at revision other"):
        fetch_clip("org/small", "other", tmp_path / "out")


def test_pickled_weights_in_the_hubs_own_cache_are_converted(hub_cache, tmp_path):
    state = weights(hub_cache)
    (hub_cache / "model.safetensors").unlink()
    torch.save(state, hub_cache / "pytorch_model.bin")
    fetch_clip("org/small", None, tmp_path / "out")
    assert weights(tmp_path / "out").keys() == state.keys()


def test_pickles_are_asked_for_only_where_there_is_nothing_better(source, tmp_path, monkeypatch):
    asked = []

    def download(variant, *, revision, allow_patterns):
        asked.append((variant, revision, sorted(allow_patterns)))
        return str(source)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    fetch_clip("org/small", "v1", tmp_path / "out")
    assert asked == [("org/small", "v1", ["*.json", "*.safetensors", "*.txt"])]
