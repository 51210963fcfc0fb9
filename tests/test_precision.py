"""Each precision: the packed tower is transformers' forward; bits depend only on the image."""

import json
import threading

import numpy as np
import pytest
import torch
from transformers import CLIPModel

from clips import VISION, picture, random_clip
from facestats.checkpoints.variants import fetch_clip
from facestats.clip import tower
from facestats.clip.encoder import ImageEncoder
from facestats.clip.tower import ACTIVATIONS, PackedTower, PlainTower, StoppedError, can_pack
from facestats.errors import ModelError

PRECISIONS = ("float32", "bfloat16")
LEAST = {"float32": 0.999999, "bfloat16": 0.999}
# As wide as a ViT-B, so that products are large enough to be shared out among threads.
WIDE = VISION | {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}


def cosines(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def fetched(tmp_path, vision, **options):
    fetch_clip(
        str(random_clip(tmp_path / "source", vision=vision, **options)), None, tmp_path / "model"
    )
    return tmp_path / "model"


def encode_with(threads, encoder, images):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        return encoder.encode(images)
    finally:
        torch.set_num_threads(before)


def packed_here(precision):
    dtype = getattr(torch, precision)
    config = type(
        "Config", (), {"hidden_act": "gelu", "num_channels": 3, "image_size": 224, "patch_size": 32}
    )
    return can_pack(config, dtype, torch.device("cpu"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return fetched(tmp_path_factory.mktemp("wide"), WIDE, projection=512)


@pytest.mark.long
@pytest.mark.first_cases(8)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        *({"hidden_act": name} for name in (*ACTIVATIONS, "silu")),
        {"patch_size": 16},
        {"patch_size": 14},
        {"hidden_size": 48, "num_attention_heads": 3},
        {"image_size": 96},
        {"image_size": 100},
        {"layer_norm_eps": 0.1},
    ],
    ids=str,
)
def test_any_tower_computes_what_transformers_computes(tmp_path, precision, changes):
    model = fetched(tmp_path, VISION | {"hidden_act": "quick_gelu"} | changes)
    encoder = ImageEncoder(model, precision, batch_size=4)
    own = (
        changes.get("hidden_act") == "silu" or changes.get("image_size") == 100
    )  # 100 is no multiple of 32
    assert isinstance(
        encoder.tower, PlainTower if own or not packed_here(precision) else PackedTower
    )
    images = [picture((120, 100), i) for i in range(5)]
    inputs = torch.from_numpy(np.stack([encoder.transform(image) for image in images]))
    with torch.inference_mode():
        features = CLIPModel.from_pretrained(model).eval().get_image_features(pixel_values=inputs)
    expected = getattr(features, "pooler_output", features).numpy()
    assert cosines(expected[1:], expected[:-1]).max() < 0.99  # else any embedding would do
    assert cosines(encoder.encode(images), expected).min() >= LEAST[precision]


class Broken(PackedTower):
    """What another version of torch could make of the packed tower."""

    how = ""

    def __init__(self, *arguments):
        if self.how == "missing":
            torch.ops.mkldnn._reorder_linear_weights_of_another_version()
        super().__init__(*arguments)

    def __call__(self, pixels, stopped=lambda: False):
        if self.how == "another signature":
            raise TypeError("_linear_pointwise() takes 7 arguments, 6 were given")
        rows = super().__call__(pixels, stopped)
        return {
            "not finite": rows * torch.nan,
            "all alike": rows[:1].expand(rows.shape),
            "no activation": rows + 0.1 * rows.norm(dim=1, keepdim=True) * torch.eye(*rows.shape),
        }[self.how]


@pytest.mark.long
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("missing", "'mkldnn' object has no attribute"),
        ("another signature", "takes 7 arguments"),
        ("not finite", "differ from those of transformers by inf%"),
        ("all alike", "differ from those of transformers by"),
        ("no activation", "differ from those of transformers by"),
    ],
)
def test_a_packed_tower_that_is_broken_is_left_with_a_warning(
    tmp_path, monkeypatch, precision, how, why
):
    if not packed_here(precision):
        pytest.skip("this processor packs no weights of this precision")
    model = fetched(tmp_path, VISION)
    images = [picture((120, 100), i) for i in range(3)]
    expected = ImageEncoder(model, precision, batch_size=4).encode(images)
    monkeypatch.setattr(Broken, "how", how)
    monkeypatch.setattr(tower, "PackedTower", Broken)
    with pytest.warns(RuntimeWarning, match=rf"the fast image tower does not work.*{why}"):
        encoder = ImageEncoder(model, precision, batch_size=4)
    assert isinstance(encoder.tower, PlainTower)
    assert cosines(encoder.encode(images), expected).min() >= LEAST[precision]


def test_want_of_memory_does_not_change_the_tower(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    model = fetched(tmp_path, VISION)
    monkeypatch.setattr(tower, "can_pack", lambda *_: True)
    monkeypatch.setattr(tower, "PackedTower", fail)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        ImageEncoder(model, batch_size=4)


@pytest.mark.long
def test_activations_are_told_apart(tmp_path):
    rows = {}
    for name in ACTIVATIONS:
        model = fetched(tmp_path / name, VISION | {"hidden_act": name})
        rows[name] = ImageEncoder(model, batch_size=1).encode([picture((120, 100))])
    for name in set(ACTIVATIONS) - {
        "gelu",
        "gelu_pytorch_tanh",
    }:  # these two are one function but for its 4th digit
        others = [rows[other] for other in rows if other != name]
        assert max(cosines(rows[name], other)[0] for other in others) < 0.999999


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_bit_depends_on_the_number_of_threads(wide, precision):
    images = [picture((60, 60), i) for i in range(7)]
    encoder = ImageEncoder(
        wide, precision, batch_size=4
    )  # two batches: shared by 1, 2 and 4 threads, a batch or less each
    one, two, four = (encode_with(threads, encoder, images) for threads in (1, 2, 4))
    assert one.tobytes() == two.tobytes() == four.tobytes()


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_bit_depends_on_neighbours_or_place(wide, precision):
    images = [picture((60, 60), i) for i in range(7)]
    encoder = ImageEncoder(wide, precision, batch_size=4)
    together = encoder.encode(images)
    assert encoder.encode(images[::-1])[::-1].tobytes() == together.tobytes()
    assert (
        np.concatenate([encoder.encode([image]) for image in images]).tobytes()
        == together.tobytes()
    )


def test_rows_come_in_the_order_of_the_items_and_no_item_is_read_far_ahead(clip_models):
    loaded = []

    def load(seed):
        loaded.append(seed)
        return picture((40, 40), seed)

    encoder = ImageEncoder(clip_models["patch32"], batch_size=2)
    rows = encoder.stream(iter(range(200)), load)
    first = [next(rows) for _ in range(3)]
    assert len(loaded) <= 2 * (2 * torch.get_num_threads() + 2)
    rows.close()
    expected = encoder.encode([picture((40, 40), seed) for seed in range(3)])
    assert np.stack(first).tobytes() == expected.tobytes()


def test_embedding_leaves_the_number_of_threads_and_no_thread_behind(clip_models):
    before, alive = torch.get_num_threads(), threading.active_count()
    rows = ImageEncoder(clip_models["patch32"], batch_size=2).stream(
        [picture((40, 40), i) for i in range(9)]
    )
    next(rows)
    rows.close()
    assert (torch.get_num_threads(), threading.active_count()) == (before, alive)


def test_an_image_that_cannot_be_loaded_stops_the_stream_with_its_own_error(clip_models):
    def load(item):
        if item == 5:
            raise OSError("truncated")
        return picture((40, 40), item)

    with pytest.raises(OSError, match="truncated"):
        list(ImageEncoder(clip_models["patch32"], batch_size=2).stream(range(9), load))


@pytest.mark.long
@pytest.mark.parametrize(
    "crop",
    [{"height": 448, "width": 448}, {"height": 112, "width": 448}, {"height": 100, "width": 100}],
    ids=str,
)
def test_a_transform_that_does_not_fit_the_tower_is_named(local, tmp_path, crop):
    transform = {"size": {"shortest_edge": 448}, "crop_size": crop}
    (local / "preprocessor_config.json").write_text(json.dumps(transform))
    fetch_clip(str(local), None, tmp_path / "out")
    with pytest.raises(ModelError, match=f"{crop['width']}×{crop['height']} px.*224×224"):
        ImageEncoder(tmp_path / "out").encode([picture((500, 500))])


@pytest.mark.skipif(not packed_here("float32"), reason="the packed tower is for x86 processors")
def test_a_forward_pass_stops_between_layers(clip_models):
    encoder = ImageEncoder(clip_models["patch32"], batch_size=1)
    asked = []
    with pytest.raises(StoppedError):
        encoder.tower(
            torch.zeros((1, 224, 224, 3), dtype=torch.uint8),
            lambda: asked.append(1) or len(asked) == 2,
        )
    assert len(asked) == 2
