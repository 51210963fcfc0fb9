"""The built-in sample: the same bytes everywhere, true labels, plausible ratings, found faces."""

import csv
import hashlib
import io
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError

from facestats.errors import InputError
from facestats.faces.landmarks import MIN_PRESENCE
from facestats.sample import draw_face, draw_traits, write_sample
from facestats.sample.bad_files import ORIENTATION, UNICODE_NAME, write_bad_files
from facestats.sample.build import cast
from facestats.sample.raters import appeal, rate_faces
from facestats.sample.traits import PHOTO_TRAITS, TONES, Traits


@pytest.fixture(scope="module")
def people() -> list[Traits]:
    return [draw_traits(np.random.default_rng([5, i])) for i in range(1500)]


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sample")
    write_sample(out, n=120, size=64, seed=3, workers=1, progress=False)
    return out


@pytest.fixture(scope="module")
def bad(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    write_bad_files(folder, size=96, seed=1)
    return folder / "bad"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files
    }


@pytest.mark.long
def test_same_bytes_with_one_and_two_workers(tmp_path):
    for workers in (1, 2):
        write_sample(
            tmp_path / str(workers), n=10, size=64, seed=1, workers=workers, progress=False
        )
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


@pytest.mark.long
def test_another_seed_gives_another_sample(tmp_path):
    for seed in (1, 2):
        write_sample(tmp_path / str(seed), n=2, size=64, seed=seed, workers=1, progress=False)
    one, two = digests(tmp_path / "1"), digests(tmp_path / "2")
    assert one["images/face_0001.jpg"] != two["images/face_0001.jpg"]


def test_a_folder_with_files_is_not_written_into(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="holds files already"):
        write_sample(tmp_path, n=2, size=64, progress=False)


@pytest.mark.long
def test_traits_are_varied_and_within_bounds(people):
    ages = np.array([t.age for t in people])
    assert ages.min() >= 18
    assert ages.max() <= 80
    assert np.ptp(np.percentile(ages, [5, 95])) > 35
    assert 0.45 < np.mean([t.gender == "male" for t in people]) < 0.55
    counts = [sum(t.tone == tone for t in people) for tone in TONES]
    assert min(counts) > 0.2 * len(people)
    assert not any(t.beard or t.moustache for t in people if t.gender == "female")
    assert all(TONES[int(t.skin * 4)] == t.tone for t in people)
    old = [t for t in people if t.age > 65]
    young = [t for t in people if t.age < 30]
    assert np.mean([t.grey for t in old]) > 0.7
    assert max(t.grey for t in young) < 0.1
    assert all(isinstance(v, str | bool | int | float) for v in asdict(people[0]).values())


def test_a_smile_a_tone_and_the_light_change_the_picture(people):
    base = replace(
        people[0],
        yaw=0,
        pitch=0,
        roll=0,
        light_azimuth=0,
        noise=0,
        blur=0,
        beard=False,
        beard_length=0,
    )

    def draw(**changes):
        return draw_face(replace(base, **changes), 128, np.random.default_rng(0))

    neutral, smiling = draw(smile=0.0), draw(smile=1.0)
    x, y = (int(c) for c in neutral.landmarks["mouth"])
    near = np.s_[y - 12 : y + 12, x - 16 : x + 16]
    change = np.abs(neutral.image.astype(int) - smiling.image)
    assert change[near].mean() > 8
    assert change[:20].mean() < 1
    assert smiling.landmarks["mouth"][1] < neutral.landmarks["mouth"][1]
    assert (
        draw(skin=0.1).image[y - 40 : y, x - 10 : x + 10].mean()
        > draw(skin=0.9).image[y - 40 : y, x - 10 : x + 10].mean() + 50
    )
    left, right = (
        draw(light_azimuth=-60.0).image.astype(int),
        draw(light_azimuth=60.0).image.astype(int),
    )
    cheek = np.s_[y - 20 : y - 8, x - 26 : x - 16]
    assert left[cheek].mean() > right[cheek].mean() + 20


@pytest.mark.long
def test_images_and_labels_belong_together(sample):
    labels = rows(sample / "labels" / "labels.csv")
    names = [row["image"] for row in labels]
    assert names == sorted(names)
    assert len(names) == 120
    assert list(labels[0]) == ["image", "gender", "ethnicity", "age", "person"]
    assert [row["image"] for row in rows(sample / "labels" / "truth.csv")] == names
    for name in names:
        with Image.open(sample / "images" / name) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 64))
    for path in (sample / "labels").iterdir():
        assert b"\r" not in path.read_bytes()


def test_a_third_of_the_labels_is_missing_and_the_rest_is_true(sample):
    labels, truth = rows(sample / "labels" / "labels.csv"), rows(sample / "labels" / "truth.csv")
    for column, trait in (("gender", "gender"), ("ethnicity", "tone"), ("age", "age")):
        known = [
            (row[column], true[trait])
            for row, true in zip(labels, truth, strict=True)
            if row[column]
        ]
        assert 0.52 < len(known) / len(labels) < 0.81  # 2/3, four standard errors
        assert all(float(a) == round(float(b)) if column == "age" else a == b for a, b in known)
    rated = {row["image"] for row in rows(sample / "labels" / "ratings.csv")}
    assert 0.49 < len(rated) / len(labels) < 0.84
    assert rated <= {row["image"] for row in labels}


@pytest.mark.long
def test_photos_of_one_person_share_what_belongs_to_the_person():
    people, traits = cast(480, seed=0)
    named = {
        person: [t for p, t in zip(people, traits, strict=True) if p == person]
        for person in set(people) - {""}
    }
    assert len(named) == 20
    assert {len(photos) for photos in named.values()} == {2, 3}
    lasting = [f.name for f in fields(Traits) if f.name not in PHOTO_TRAITS] + ["glasses"]
    for first, *others in named.values():
        for other in others:
            assert all(getattr(other, name) == getattr(first, name) for name in lasting)
            assert other.yaw != first.yaw
            assert other.smile != first.smile


def test_ratings_depend_on_what_is_seen_and_not_on_the_tone(people):
    liking = np.array([appeal(t) for t in people])
    for tone in TONES:  # four standard errors
        group = liking[[t.tone == tone for t in people]]
        assert abs(group.mean() - liking.mean()) < 4 * liking.std() / np.sqrt(len(group))
    male = np.array([t.gender == "male" for t in people])
    assert abs(liking[male].mean() - liking[~male].mean()) < 0.35 * liking.std()
    assert np.corrcoef(liking, [t.smile for t in people])[0, 1] > 0.3
    assert np.corrcoef(liking, [t.wrinkles for t in people])[0, 1] < -0.2
    # Tone itself changes nothing, whatever correlates with it.
    assert appeal(replace(people[0], tone="tone_d", skin=0.9)) == appeal(
        replace(people[0], tone="tone_a", skin=0.1)
    )


def test_mean_ratings_are_as_reliable_as_those_of_people(people):
    ratings = rate_faces([(f"{i:04d}", t) for i, t in enumerate(people[:320])], seed=0)
    table = np.full((320, 20), np.nan)
    for image, rater, rating in ratings:
        table[int(image), int(rater[-2:]) - 1] = rating
    assert np.nanmin(table) >= 0
    assert np.nanmax(table) <= 100
    assert 11 < (~np.isnan(table)).sum(1).mean() < 13
    rng, halves = np.random.default_rng(0), []
    for _ in range(20):
        order = rng.permutation(20)
        seen = ~np.isnan(table[:, order[:10]]).all(1) & ~np.isnan(table[:, order[10:]]).all(1)
        first, second = (np.nanmean(table[seen][:, half], 1) for half in (order[:10], order[10:]))
        r = np.corrcoef(first, second)[0, 1]
        halves.append(2 * r / (1 + r))
    assert 0.83 < np.mean(halves) < 0.93
    means = np.nanmean(table, 0)
    assert means.std() > 3  # raters differ in what they call average


@pytest.mark.long
def test_every_bad_file_is_what_it_says(bad):
    assert (bad / "empty.jpg").stat().st_size == 0
    for name in ("text.jpg", "unknown_format.heic"):
        with pytest.raises(UnidentifiedImageError):
            Image.open(bad / name)
    with Image.open(bad / "truncated.jpg") as image, pytest.raises(OSError, match="truncated"):
        image.load()
    with Image.open(bad / "one_pixel.png") as image:
        assert image.size == (1, 1)
    assert (bad / "huge.png").stat().st_size < 1000
    with pytest.raises(Image.DecompressionBombError):
        Image.open(bad / "huge.png")
    for name, fmt, mode in (
        ("cmyk.jpg", "JPEG", "CMYK"),
        ("grey16.png", "PNG", "I;16"),
        ("palette.png", "PNG", "P"),
    ):
        with Image.open(bad / name) as image:
            assert (image.format, image.mode) == (fmt, mode)
            assert mode != "P" or "transparency" in image.info
    with Image.open(bad / "animated.gif") as image:
        assert image.n_frames == 3
    with Image.open(bad / "two_faces.jpg") as image:
        assert image.width == 2 * image.height
    assert (bad / "duplicate.jpg").read_bytes() == (bad / "a.jpg").read_bytes()
    a, b = (np.asarray(Image.open(bad / name).convert("L"), int) for name in ("a.jpg", "a.png"))
    assert np.abs(a - b).mean() > 10
    assert (bad.parent / UNICODE_NAME).is_file()
    assert (bad / "no_face.jpg").is_file()
    assert len([p for p in bad.rglob("*") if p.is_file()]) == 17


def test_the_sideways_photo_is_upright_after_its_orientation_is_applied(bad):
    with Image.open(bad / "sideways.jpg") as image:
        assert image.getexif()[ORIENTATION] == 6
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB"), int)
    drawn = draw_traits(rng := np.random.default_rng([1, 5]))
    buffer = io.BytesIO()
    Image.fromarray(draw_face(drawn, 96, rng).image).save(buffer, "JPEG", quality=92)
    assert np.abs(upright - np.asarray(Image.open(buffer), int)).mean() < 3


def test_the_declared_size_of_the_huge_png_is_in_a_valid_header(bad):
    data = (bad / "huge.png").read_bytes()
    assert data[16:24] == (60_000).to_bytes(4, "big") * 2


@pytest.mark.long
def test_landmarker_finds_the_drawn_faces(landmarker):
    points = {"right_eye": (33, 133), "left_eye": (362, 263), "nose_tip": (4,), "mouth": (61, 291)}
    errors = {name: [] for name in points}
    n = 60
    for i in range(n):
        rng = np.random.default_rng([11, i])
        drawing = draw_face(draw_traits(rng), 256, rng)
        faces = [face for face in landmarker.detect(drawing.image) if face.presence > MIN_PRESENCE]
        if not faces:
            continue
        detected = faces[0].landmarks[:, :2] * 256
        for name, indices in points.items():
            distance = np.linalg.norm(detected[list(indices)].mean(0) - drawing.landmarks[name])
            errors[name].append(distance / drawing.face_width)
    assert len(errors["mouth"]) >= 0.99 * n
    for name, values in errors.items():
        assert np.median(values) < 0.04, name
