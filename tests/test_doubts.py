"""Doubts about a picture: each is raised, plain photographs raise none, all interfaces agree."""

import warnings

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facestats.attributes.doubtful import find_doubtful
from facestats.core import tables
from facestats.core.doubts import (
    FACTS,
    PICTURE,
    doubtful_faces,
    drawn_share,
    find_doubts,
    named_doubts,
)
from facestats.faces.crop import NoFaceError, PreprocessConfig, crop_face
from facestats.faces.quality import face_region
from facestats.faces.tables import FACES
from facestats.sample.draw import draw_face
from facestats.sample.traits import draw_traits
from resources import OMI, ROOT, omi_images

CONFIG = PreprocessConfig()
STUDIO = OMI.parent / "3dsk"


@pytest.fixture(scope="module")
def plain(landmarker):
    """Photographs without any doubt, as arrays, with their crops."""
    paths = omi_images()[7::150]
    if STUDIO.is_dir():
        paths += sorted(STUDIO.glob("female/*.jpg"))[:2] + sorted(STUDIO.glob("male/*.jpg"))[:2]
    pictures = [Image.open(path).convert("RGB") for path in paths]
    for picture in pictures:
        picture.thumbnail((900, 900))  # a quarter of what the studio's have
    photos = [np.asarray(picture) for picture in pictures]
    return [(photo, crop_face(photo, CONFIG, landmarker)) for photo in photos]


def reasons(photo: np.ndarray, landmarker) -> set[str]:
    try:
        return {doubt.reason for doubt in find_doubts(crop_face(photo, CONFIG, landmarker))}
    except NoFaceError:  # so little is left that nothing is said about it
        return {"half_hidden", "blurred", "dark", "bright"}


def box(crop) -> tuple[int, int, int, int]:
    return tuple(int(v) for v in crop.box)


def darker(photo, _crop, light):
    return (255 * (photo / 255) * light).astype(np.uint8)


def blurred(photo, crop, share):
    return cv2.GaussianBlur(photo, (0, 0), share * (crop.box[2] - crop.box[0]))


def covered(photo, crop, part):
    """A grey card before the left, right or lower half of the face."""
    x0, y0, x1, y1 = box(crop)
    x, y, wide = (x0 + x1) // 2, (y0 + y1) // 2, x1 - x0
    out = photo.copy()
    rows, columns = {
        "left": (slice(max(y0 - wide, 0), y1 + wide), slice(max(x0 - wide // 3, 0), x)),
        "right": (slice(max(y0 - wide, 0), y1 + wide), slice(x, x1 + wide // 3)),
        "below": (slice(y, y1 + wide // 3), slice(max(x0 - wide // 3, 0), x1 + wide // 3)),
    }[part]
    out[rows, columns] = (70, 95, 140)
    return out


@pytest.mark.long
def test_plain_photographs_are_not_doubted(plain, landmarker):
    for photo, crop in plain:
        assert find_doubts(crop) == []
        grey = np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        assert reasons(grey, landmarker) == set()


@pytest.mark.first_cases(3)
@pytest.mark.long
@pytest.mark.parametrize(
    ("reason", "change", "how"),
    [
        ("dark", darker, 0.1),
        ("bright", darker, 2.4),
        ("blurred", blurred, 0.02),
        ("blurred", blurred, 0.03),
        ("half_hidden", covered, "left"),
        ("half_hidden", covered, "right"),
        ("half_hidden", covered, "below"),
    ],
)
def test_a_spoilt_photograph_is_doubted(plain, landmarker, reason, change, how):
    if change is darker and how > 1:  # clipped, as an over-exposed photo is
        spoilt = [np.clip(photo * how, 0, 255).astype(np.uint8) for photo, _ in plain]
    else:
        spoilt = [change(photo, crop, how) for photo, crop in plain]
    doubtful = [reason in reasons(photo, landmarker) for photo in spoilt]
    assert sum(doubtful) >= 0.75 * len(doubtful)


@pytest.mark.long
def test_neither_a_white_nor_a_black_background_counts(plain, landmarker):
    for photo, crop in plain:
        size = photo.shape[1]
        mask = np.zeros(photo.shape[:2], np.uint8)
        x0, y0, x1, y1 = box(crop)
        centre, wide = ((x0 + x1) // 2, (y0 + y1) // 2), x1 - x0
        cv2.ellipse(mask, centre, (int(0.75 * wide), int(0.95 * wide)), 0, 0, 360, 255, -1)
        soft = cv2.GaussianBlur(mask, (0, 0), size / 100)[..., None] / 255
        doubtful = [
            reasons((photo * soft + shade * (1 - soft)).astype(np.uint8), landmarker)
            for shade in (255, 0)
        ]
        assert all(not {"bright", "dark", "blurred"} & doubts for doubts in doubtful)


def test_a_blurred_background_is_no_blurred_face(plain, landmarker):
    for photo, crop in plain[:3]:
        x0, y0, x1, y1 = box(crop)
        out = cv2.GaussianBlur(photo, (0, 0), 12)
        out[max(y0 - 40, 0) : y1 + 20, x0:x1] = photo[max(y0 - 40, 0) : y1 + 20, x0:x1]
        assert "blurred" not in reasons(out, landmarker)


def test_a_turned_a_small_an_unsure_face_several_and_none_are_doubted(plain):
    facts = plain[0][1].facts()
    frame = pd.DataFrame(
        [
            facts | change
            for change in (
                {},
                {"yaw": -31.0},
                {"pitch": 31.0},
                {"box": np.array([0, 0, 40, 50.0])},
                {"presence": 0.99},
                {"face_count": 3},
                {
                    "confidence": None,
                    "presence": None,
                    "box": None,
                    "yaw": None,
                    "pitch": None,
                    "occlusion": None,
                    "drawing": None,
                },
            )
        ],
        columns=FACTS,
    )
    doubtful = {
        row: reason for reason, values, _ in doubtful_faces(frame, 0.0) for row in values.index
    }
    assert doubtful == {
        1: "extreme_pose",
        2: "extreme_pose",
        3: "small_face",
        4: "low_confidence",
        5: "several_faces",
        6: "no_face",
    }


def cartoon(size=512) -> np.ndarray:
    """A face of few flat colours with outlines."""
    image = np.full((size, size, 3), (200, 225, 240), np.uint8)
    skin, line = (245, 205, 165), (40, 25, 20)
    cv2.ellipse(image, (256, 270), (120, 155), 0, 0, 360, (90, 50, 25), -1, cv2.LINE_AA)
    cv2.ellipse(image, (256, 285), (108, 135), 0, 0, 360, skin, -1, cv2.LINE_AA)
    cv2.ellipse(image, (256, 285), (108, 135), 0, 0, 360, line, 3, cv2.LINE_AA)
    for x in (212, 300):
        cv2.ellipse(image, (x, 262), (24, 14), 0, 0, 360, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, 262), (24, 14), 0, 0, 360, line, 2, cv2.LINE_AA)
        cv2.circle(image, (x, 262), 11, (60, 90, 50), -1, cv2.LINE_AA)
        cv2.circle(image, (x, 262), 5, (0, 0, 0), -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, 236), (30, 12), 0, 200, 340, line, 5, cv2.LINE_AA)
    cv2.ellipse(image, (256, 308), (16, 10), 0, 20, 160, line, 3, cv2.LINE_AA)
    cv2.ellipse(image, (256, 350), (40, 16), 0, 0, 180, (190, 70, 70), -1, cv2.LINE_AA)
    cv2.ellipse(image, (256, 350), (40, 16), 0, 0, 180, line, 2, cv2.LINE_AA)
    return image


def test_the_kind_of_picture_that_the_models_do_not_know_is_doubted(plain, landmarker):
    drawing = crop_face(cartoon(), CONFIG, landmarker)
    assert [doubt.reason for doubt in find_doubts(drawing, 0.0)][-1] == "drawing"
    assert "drawing" not in {doubt.reason for doubt in find_doubts(drawing, 0.9)}
    doubtful = [[doubt.reason for doubt in find_doubts(crop, 0.9)] for _, crop in plain]
    assert sum(doubts == ["photograph"] for doubts in doubtful) >= 0.75 * len(doubtful)


@pytest.fixture(scope="module")
def drawings():
    """Faces as the sample has them, of people that neither it nor the models have."""
    doubtful = []
    for seed in range(900, 920):
        rng = np.random.default_rng(seed)
        doubtful.append(draw_face(draw_traits(rng), 256, rng).image)
    return doubtful


def grey(photo):
    return np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def resized(photo, factor):
    return cv2.resize(
        photo,
        None,
        fx=factor,
        fy=factor,
        interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC,
    )


@pytest.mark.first_cases(2)
@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda photo: photo, id="plain"),
        pytest.param(lambda photo: resized(photo, 2), id="enlarged"),
        pytest.param(lambda photo: resized(photo, 4), id="enlarged much"),
        pytest.param(lambda photo: resized(photo, 0.8), id="shrunk"),
        pytest.param(grey, id="grey"),
        pytest.param(lambda photo: grey(resized(photo, 2)), id="grey and enlarged"),
    ],
)
def test_faces_of_the_sample_are_told_to_be_drawn_at_any_size(drawings, landmarker, change):
    told = ["drawing" in reasons(change(photo), landmarker) for photo in drawings]
    assert sum(told) >= 0.9 * len(told)


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import looks_fit

    return looks_fit


def changed(benchmark, plain, landmarker, kind):
    """The doubts about each plain photograph after a change of the benchmark's."""
    for number, (photo, _) in enumerate(plain):
        points = landmarker.detect(photo)[0].landmarks[:, :2] * photo.shape[1::-1]
        yield reasons(benchmark.ALL[kind](photo, points, np.random.default_rng(number)), landmarker)


@pytest.mark.thorough
@pytest.mark.long
def test_harmless_changes_make_a_drawing_or_a_hidden_face_of_one_photograph_in_a_hundred_at_most(
    benchmark, plain, landmarker
):
    kinds = [
        "grey",
        "sepia",
        "colour cast",
        "0.05 of the light",
        "glasses",
        "noise",
        "JPEG quality 30",
        "white background",
        "black background",
        "shrunk",
        "enlarged",
        "light from a side",
    ]
    doubtful = [
        {"drawing", "half_hidden"} & doubts
        for kind in kinds
        for doubts in changed(benchmark, plain, landmarker, kind)
    ]
    assert sum(map(bool, doubtful)) <= max(len(doubtful) // 100, 1)


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize("kind", ["dark glasses", "hand before the mouth", "mask any colour"])
def test_dark_glasses_a_hand_and_a_mask_hide_a_part_of_a_face(benchmark, plain, landmarker, kind):
    doubtful = ["half_hidden" in doubts for doubts in changed(benchmark, plain, landmarker, kind)]
    assert sum(doubtful) >= 0.8 * len(doubtful)


@pytest.mark.first_cases(2)
@pytest.mark.long
@pytest.mark.parametrize("kind", ["cartoon", "pencil", "few colours", "pixel art"])
def test_a_photograph_made_a_drawing_is_told(benchmark, plain, landmarker, kind):
    doubtful = [
        doubts & {"drawing", "low_confidence"}
        for doubts in changed(benchmark, plain, landmarker, kind)
    ]
    assert sum(map(bool, doubtful)) >= 0.75 * len(doubtful)


@pytest.mark.long
def test_a_fit_of_the_same_examples_gives_the_same_bytes(benchmark, tmp_path, capsys):
    """Made-up features: what is to be told has other values in a few of them."""
    rng, rows = np.random.default_rng(0), []
    for number in range(240):
        for kind in ("plain", "grey", "cartoon", "pencil", "dark glasses", "mask black"):
            row = {
                "sort": "",
                "source": ("omi", "3dsk", "people")[number % 3],
                "name": f"face {number}",
                "kind": kind,
                "side": 200.0,
            }
            rows.append(
                row
                | {
                    "drawn": rng.normal(kind in ("cartoon", "pencil"), 1, 80),
                    "hidden": rng.normal(kind in ("dark glasses", "mask black"), 1, 120),
                }
            )
    for name in ("a.npz", "b.npz"):
        np.savez(tmp_path / name, **benchmark.fit(benchmark.Examples(rows), benchmark.MODELS))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert "cartoon" in capsys.readouterr().out
    weights = np.load(tmp_path / "a.npz")["drawn"]
    scores = {
        kind: [
            max(weights[:, :-1] @ row["drawn"] + weights[:, -1])
            for row in rows
            if row["kind"] == kind
        ]
        for kind in ("plain", "cartoon")
    }
    assert np.mean(np.array(scores["cartoon"]) > 0) > 0.95
    assert np.mean(np.array(scores["plain"]) > 0) < 0.05


def test_where_most_faces_are_drawn_drawings_are_not_flagged(plain):
    facts = plain[0][1].facts()
    frame = pd.DataFrame(
        [facts | {"drawing": drawing} for drawing in (0.9, 0.9, 0.9, 0.2)], columns=FACTS
    )
    assert drawn_share(frame) == 0.75
    assert not [
        reason for reason, values, _ in doubtful_faces(frame, drawn_share(frame)) if len(values)
    ]
    half = frame.iloc[[0, 1, 3, 3, 3]].reset_index(drop=True)
    assert not [
        reason for reason, values, _ in doubtful_faces(half, drawn_share(half)) if len(values)
    ]
    few = frame.iloc[[0, 3, 3, 3]].reset_index(drop=True)
    assert [
        reason for reason, values, _ in doubtful_faces(few, drawn_share(few)) if len(values)
    ] == ["drawing"]


def test_doubts_of_a_table_are_found_block_by_block(tmp_path, monkeypatch):
    rng, n = np.random.default_rng(0), 200
    facts = {
        "face_count": rng.integers(1, 3, n),
        **{name: rng.random(n) for name in ("confidence", "presence", "sharpness", "brightness")},
        **{name: rng.normal(0, 25, n) for name in ("yaw", "pitch")},
        **{name: rng.random(n) ** 2 for name in ("occlusion", "drawing")},
    }
    frame = pd.DataFrame({"image": [f"{i:03}.png" for i in range(n)], "status": "ok"} | facts)
    frame["filename"] = frame["image"].str.replace("png", "jpg").mask(rng.random(n) < 0.1)
    boxes = np.column_stack([np.zeros((n, 2)), rng.integers(20, 200, (n, 2))])
    columns = [name for name in FACES.columns if name not in ("box", "landmarks")]
    vectors = {"box": boxes, "landmarks": np.zeros((n, 1404))}
    tables.write(frame.reindex(columns=columns), tmp_path / "faces.parquet", FACES, None, vectors)
    accepted = tables.read(tmp_path / "faces.parquet", FACES).dropna(subset="filename")
    accepted = accepted.set_index("filename")
    expected = list(doubtful_faces(accepted, drawn_share(accepted)))
    monkeypatch.setattr(tables.blocks, "BLOCK", 60)
    found = find_doubtful(tmp_path / "faces.parquet")
    assert [(reason, rising) for reason, _, rising in found] == [
        (reason, rising) for reason, _, rising in expected
    ]
    assert sum(len(values) for _, values, _ in found) > n
    for (_, one, _), (_, other, _) in zip(found, expected, strict=True):
        pd.testing.assert_series_equal(one, other, check_names=False)


def test_the_table_names_doubts_about_the_picture_alone():
    flags = pd.DataFrame(
        {
            "filename": ["a", "b", "a", "c", "d"],
            "value": np.nan,
            "reason": ["blurred", "contradicts_gender", "dark", "several_faces", "near_duplicate"],
        }
    )
    assert named_doubts(flags).to_dict() == {"a": "blurred, dark"}
    assert "several_faces" not in PICTURE
    assert named_doubts(flags.iloc[:0]).empty


def test_a_region_without_landmarks_or_area_is_none(plain):
    crop = plain[0][1]
    assert face_region(None, 256) is None
    assert face_region(np.full((468, 3), 0.5, np.float32), 256) is None
    assert 0.1 < (face_region(crop.landmarks, 256) == 255).mean() < 0.7


def test_a_small_size_of_the_crops_changes_no_doubt(plain, landmarker):
    for photo, crop in plain[::3]:
        small = crop_face(photo, PreprocessConfig(size=96), landmarker)
        assert small.rgb.shape == (96, 96, 3)
        assert find_doubts(small) == []
        assert small.facts()["sharpness"] == pytest.approx(crop.facts()["sharpness"], rel=0.3)


def test_crops_of_every_size_and_colour_are_measured(plain):
    landmarks, layers = plain[0][1].landmarks, plain[0][1].layers
    for shade in (0, 128, 255):
        for size in (64, 512):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                rgb = np.full((size, size, 3), shade, np.uint8)
                facts = type(plain[0][1])(
                    rgb,
                    size,
                    size,
                    1,
                    0.9,
                    1.0,
                    np.array([0, 0, 99, 99], np.float32),
                    landmarks,
                    layers=layers,
                ).facts()
            assert all(
                np.isfinite(facts[name])
                for name in ("sharpness", "brightness", "occlusion", "drawing")
            )
