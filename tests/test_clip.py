"""CLIP: embeddings are those of transformers on the same weights, whatever shares their batch."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPImageProcessor, CLIPModel

from clips import VISION, picture, random_clip, weights
from facestats.checkpoints.transform import ImageTransform
from facestats.checkpoints.variants import fetch_clip
from facestats.clip import embed
from facestats.clip.embed import (
    embed_faces,
    recipe_hash,
    row_columns,
    table_metadata,
    write_embeddings,
)
from facestats.clip.encoder import ImageEncoder, choose_precision
from facestats.clip.tables import embeddings_schema
from facestats.core import tables
from facestats.errors import FaultError, InputError, ModelError
from facestats.rows.store import RowStore

SIZES = [(300, 200), (200, 300), (224, 224), (97, 411), (640, 101), (33, 47), (225, 224)]


def reference(folder, images):
    """Unit-norm image features as transformers computes them, one image at a time."""
    model, processor = (
        CLIPModel.from_pretrained(folder).eval(),
        CLIPImageProcessor.from_pretrained(folder),
    )
    rows = []
    for image in images:
        with torch.inference_mode():
            features = model.get_image_features(**processor(image, return_tensors="pt"))
        rows.append(getattr(features, "pooler_output", features)[0].double().numpy())
    return np.stack([row / np.linalg.norm(row) for row in rows])


# Embeddings


@pytest.mark.long
@pytest.mark.parametrize("name", ["tiny", "patch32"])
@pytest.mark.parametrize(("precision", "least"), [("float32", 0.999999), ("bfloat16", 0.999)])
def test_embeddings_are_those_of_transformers(clip_models, name, precision, least):
    images = [picture(size, i) for i, size in enumerate(SIZES)]
    expected = reference(clip_models[name], images)
    assert (expected @ expected.T)[0, 1:].max() < 0.99  # else any embedding would do
    actual = ImageEncoder(clip_models[name], precision, batch_size=4).encode(images)
    assert (actual * expected).sum(axis=1).min() >= least


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_embeddings_are_float32_of_unit_norm_and_of_the_models_dimension(clip_models, precision):
    encoder = ImageEncoder(clip_models["patch32"], precision, batch_size=4)
    rows = encoder.encode([picture((64, 64), i) for i in range(5)])
    assert (rows.shape, rows.dtype, encoder.dimension) == ((5, 48), np.float32, 48)
    assert np.abs(np.linalg.norm(rows.astype(float), axis=1) - 1).max() < 1e-6


@pytest.mark.long
@pytest.mark.first_cases(2)
@pytest.mark.parametrize("name", ["tiny", "patch32"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_row_does_not_depend_on_its_neighbours_or_its_place(clip_models, name, precision):
    images = [picture((90, 70), i) for i in range(11)]
    encoder = ImageEncoder(clip_models[name], precision, batch_size=4)
    together = encoder.encode(images)
    assert len(np.unique(together, axis=0)) == len(images)
    assert encoder.encode(images[::-1])[::-1].tobytes() == together.tobytes()
    assert (
        np.concatenate([encoder.encode([image]) for image in images]).tobytes()
        == together.tobytes()
    )


@pytest.mark.long
@pytest.mark.parametrize("name", ["tiny", "patch32"])
def test_the_number_of_threads_changes_no_bit(clip_models, name):
    images = [picture((90, 70), i) for i in range(8)]
    before, rows = torch.get_num_threads(), {}
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            rows[threads] = ImageEncoder(clip_models[name], batch_size=8).encode(images).tobytes()
    finally:
        torch.set_num_threads(before)
    assert rows[1] == rows[2]


def test_no_images_give_no_rows(clip_models):
    assert ImageEncoder(clip_models["patch32"]).encode([]).shape == (0, 48)


def test_the_size_of_the_embedding_is_the_whole_models(tmp_path):
    # CLIPModel takes projection_dim from the top of the config; the vision part may say something
    # else, or nothing.
    fetch_clip(
        str(random_clip(tmp_path / "source", projection=24, vision=VISION)), None, tmp_path / "out"
    )
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


def test_faces_in_folders_are_embedded_sorted_and_keyed_by_their_bytes(clip_models, tmp_path):
    for i, name in enumerate(["b.jpg", "a/ü 1.jpg", "c.png.jpg"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture((80, 80), i).save(tmp_path / name, "JPEG", quality=95)
    shutil.copy(tmp_path / "b.jpg", tmp_path / "a" / "same.jpg")
    encoder = ImageEncoder(clip_models["tiny"], batch_size=2)
    table = embed_faces(tmp_path, encoder).set_index("filename")
    assert list(table.index) == ["a/same.jpg", "a/ü 1.jpg", "b.jpg", "c.png.jpg"]
    assert table["key"].nunique() == 3
    assert table.loc["b.jpg", "key"] == table.loc["a/same.jpg", "key"]
    alone = encoder.encode([Image.open(tmp_path / "c.png.jpg")])
    assert table.loc["c.png.jpg", "embedding"].tobytes() == alone.tobytes()


def test_a_table_written_in_blocks_is_the_one_written_at_once(clip_models, tmp_path, monkeypatch):
    (tmp_path / "faces").mkdir()
    for i in range(5):
        picture((80, 80), i % 4).save(tmp_path / f"faces/{9 - i}.jpg", "JPEG", quality=95)
    encoder = ImageEncoder(clip_models["tiny"], batch_size=2)
    tables.write(
        embed_faces(tmp_path / "faces", encoder),
        tmp_path / "once.parquet",
        embeddings_schema(encoder.dimension),
        table_metadata(encoder),
    )
    monkeypatch.setattr(embed, "BLOCK", 2)
    columns = row_columns(encoder.dimension)
    with RowStore(None, embed.STAGE, recipe_hash(encoder), columns) as rows:
        counts = write_embeddings(tmp_path / "blocks.parquet", tmp_path / "faces", encoder, rows)
    assert counts == {"reused": 0, "computed": 5, "elsewhere": 0}
    assert (tmp_path / "blocks.parquet").read_bytes() == (tmp_path / "once.parquet").read_bytes()


def test_a_face_that_changes_meanwhile_gives_no_row(clip_models, tmp_path, monkeypatch):
    """Its key is that of the bytes that were there before."""
    for i, name in enumerate(["a.jpg", "b.jpg"]):
        picture((80, 80), i).save(tmp_path / name)
    encoder = ImageEncoder(clip_models["tiny"], batch_size=2)
    stream = encoder.stream

    def stream_late(items, read):
        shutil.copy(tmp_path / "a.jpg", tmp_path / "b.jpg")
        return stream(items, read)

    monkeypatch.setattr(encoder, "stream", stream_late)
    with pytest.raises(FaultError, match=r"b\.jpg was changed while faces were embedded"):
        embed_faces(tmp_path, encoder)


@pytest.mark.long
def test_the_key_of_a_row_knows_batch_precision_and_weights(clip_models, tmp_path):
    picture((80, 80)).save(tmp_path / "a.jpg")
    encoders = [
        ImageEncoder(clip_models["tiny"], batch_size=2),
        ImageEncoder(clip_models["tiny"], batch_size=3),
        ImageEncoder(clip_models["tiny"], "bfloat16", batch_size=2),
        ImageEncoder(clip_models["patch32"], batch_size=2),
    ]
    assert len({embed_faces(tmp_path, encoder)["key"][0] for encoder in encoders}) == 4


@pytest.mark.long
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_key_covers_the_models_files_whatever_its_facts_say(clip_models, tmp_path, name):
    picture((96, 96)).save(tmp_path / "a.jpg")
    other = shutil.copytree(clip_models["patch32"], tmp_path / "other")
    if name == "config.json":
        config = json.loads((other / name).read_text())
        config["vision_config"]["layer_norm_eps"] = 1e-3
        (other / name).write_text(json.dumps(config))
    else:
        save_file(
            {key: value * 1.01 for key, value in weights(other).items()},
            other / name,
            metadata={"format": "pt"},
        )
    actual = [
        embed_faces(tmp_path, ImageEncoder(folder)) for folder in (clip_models["patch32"], other)
    ]
    assert actual[0]["key"][0] != actual[1]["key"][0]
    assert not np.array_equal(actual[0]["embedding"][0], actual[1]["embedding"][0])


def test_no_faces_is_an_error_that_points_at_preprocess(clip_models, tmp_path):
    with pytest.raises(InputError, match=r"faces\.parquet says why"):
        embed_faces(tmp_path, ImageEncoder(clip_models["tiny"]))


# The image transform


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"size": {"shortest_edge": 64}, "crop_size": {"height": 48, "width": 60}},
        {"size": {"height": 50, "width": 70}, "do_center_crop": False},
        {"do_resize": False, "crop_size": {"height": 120, "width": 121}},
        {"size": {"shortest_edge": 40}, "crop_size": {"height": 64, "width": 64}},
        {
            "size": {"shortest_edge": 64},
            "crop_size": 64,
            "resample": 2,
            "do_rescale": False,
            "do_normalize": False,
        },
        {
            "size": {"shortest_edge": 64},
            "crop_size": 64,
            "image_mean": [0.5, 0.4, 0.3],
            "image_std": [0.2, 0.3, 0.4],
        },
    ],
)
def test_pixels_are_those_of_transformers(tmp_path, config):
    processor = CLIPImageProcessor(**config)
    processor.save_pretrained(tmp_path)
    transform = ImageTransform.load(tmp_path)
    for i, size in enumerate(SIZES):
        expected = processor(picture(size, i), return_tensors="np")["pixel_values"][0]
        actual = transform(picture(size, i))
        assert (actual.shape, actual.dtype) == (expected.shape, np.float32)
        assert np.abs(actual - expected).max() <= 1e-6 * max(1, np.abs(expected).max())


def test_sizes_written_as_plain_numbers_are_understood(tmp_path):
    # the form of openai/clip-vit-base-patch32
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "crop_size": 224,
                "do_center_crop": True,
                "do_normalize": True,
                "do_resize": True,
                "feature_extractor_type": "CLIPFeatureExtractor",
                "image_mean": [0.48145466, 0.4578275, 0.40821073],
                "image_std": [0.26862954, 0.26130258, 0.27577711],
                "resample": 3,
                "size": 224,
            }
        )
    )
    expected = CLIPImageProcessor()(picture((300, 200)), return_tensors="np")["pixel_values"][0]
    assert np.abs(ImageTransform.load(tmp_path)(picture((300, 200))) - expected).max() <= 1e-6


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "dvc repro fetch_clip"),
        ("{", "can't be read"),
        ('{"size": {"longest_edge": 9}}', "longest_edge"),
    ],
)
def test_an_unusable_transform_is_named(tmp_path, content, expected):
    if content:
        (tmp_path / "preprocessor_config.json").write_text(content)
    with pytest.raises(ModelError, match=expected) as error:
        ImageTransform.load(tmp_path)
    assert "preprocessor_config.json" in str(error.value)


def test_what_a_transform_leaves_out_is_as_in_transformers(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_processor_type": "CLIPImageProcessor"}'
    )
    expected = CLIPImageProcessor.from_pretrained(tmp_path)(
        picture((300, 200)), return_tensors="np"
    )["pixel_values"][0]
    assert np.abs(ImageTransform.load(tmp_path)(picture((300, 200))) - expected).max() <= 1e-6
