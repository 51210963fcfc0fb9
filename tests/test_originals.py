"""Composites that are drawn from the members' photos instead of their crops."""

from facestats.run.stage import StageItem

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image, ImageCms

from drawn_shapes import shape
from facestats.composites.averaging import average_faces
from facestats.composites.light import gradient_energy, inner_face
from facestats.composites.members import Members
from facestats.composites.originals import Originals, crop_of
from facestats.composites.outline import own_pixels
from facestats.composites.params import Render
from facestats.composites.texture import scales_of
from facestats.core import tables
from facestats.errors import InputError, ParamsError
from facestats.faces.align import CropTransform, to_crop_frame
from facestats.faces.crop import PreprocessConfig, crop_face
from facestats.groups.filters import Selection, filter_faces
from facestats.groups.members import write_members
from facestats.params.project import check_params
from facestats.photos.reading import hash_photo
from resources import ROOT, landmarker_dir, studio_photos, write_params
from stages import call_stage

CONFIG = PreprocessConfig(size=64)
LIMITS = SimpleNamespace(max_megabytes=256, max_pixels=10**8, max_seconds=60)


class Group:
    """A group's photos, crops and folder of members, in a folder."""

    def __init__(self, folder, photos, landmarker):
        self.folder, self.images = folder, folder / "photos"
        self.faces, rows = {}, []
        for path in photos:
            face = self.faces[path.name] = crop_face(path, CONFIG, landmarker)
            crop = folder / "crops" / f"{path.stem}.jpg"
            crop.parent.mkdir(exist_ok=True)
            crop.write_bytes(face.jpeg(95))
            rows.append((path.name, crop.name, face.landmarks.ravel(), face.pose.yaw))
        self.table = pd.DataFrame(rows, columns=["image", "filename", "landmarks", "yaw"])
        self.select()

    def select(self, originals=True):
        """As the stage `select` does it."""
        paths = [self.images / image for image in self.table["image"]]
        hashes = {"sha256": [hash_photo(path) for path in paths]} if originals else {}
        chosen = Selection(
            self.rows,
            {"all": len(paths)},
            1,
        )
        wanted = {"originals": True} if originals else {}
        write_members(
            chosen,
            "group",
            wanted,
            self.table.drop(columns="image").assign(**hashes),
            self.folder / "crops",
            self.folder / "members/group",
        )

    @property
    def rows(self) -> pd.DataFrame:
        """The faces as `attributes_final.parquet` has them."""
        scores = dict.fromkeys(("attractiveness_score", "geometric_score", "combined_score"), 1.0)
        table = self.table[["image", "filename"]].assign(rating=1.0, **scores)
        return table.assign(person_group=range(len(table)))

    @property
    def members(self) -> Members:
        place = self.folder / "members/group"
        return Members(place / "members.csv", place / "faces")

    def originals(self, side=None, limits=LIMITS) -> Originals:
        return Originals(self.members, self.images, landmarker_dir(), side, limits)

    def draw(self, **render) -> str:
        """Call the stage; returns what it warned of."""
        raw = yaml.safe_load((ROOT / "params.yaml").read_text())
        one = {"filter": {"originals": True, "min_results": 1}, "render": render}
        raw |= {"composites": {"group": one}, "continua": {}, "differences": {}}
        raw["data"]["images"] = "photos"
        (self.folder / "params.yaml").write_text(yaml.safe_dump(raw))
        places = {"members": "members", "composites": "out", "landmarker": landmarker_dir()}
        return call_stage("composite", self.folder, name=StageItem("group"), **places)


@pytest.fixture
def group(tmp_path, few_drawn_paths, landmarker) -> Group:
    (tmp_path / "photos").mkdir()
    photos = [tmp_path / "photos" / path.name for path in few_drawn_paths[:3]]
    for path, photo in zip(few_drawn_paths, photos, strict=False):
        photo.write_bytes(path.read_bytes())
    return Group(tmp_path, photos, landmarker)


def saved(folder, name, **options):
    """A drawn photo in another format, as the only one of a folder."""

    def save(image):
        (folder / "photos").mkdir()
        image.save(folder / "photos" / name, **options)
        return [folder / "photos" / name]

    return save


@pytest.mark.parametrize("turn", [0.0, 0.3, -2.9, np.pi / 2])
def test_the_place_of_a_crop_follows_from_landmarks_in_both(turn):
    there, crop = shape(seed=3), CropTransform(310.0, 207.5, 250.0, turn)
    found = crop_of(there[:, :2] * (640, 480), to_crop_frame(there, 640, 480, crop))
    assert (found.x, found.y, found.side) == pytest.approx((crop.x, crop.y, crop.side), abs=0.01)
    assert np.angle(np.exp(1j * (found.angle - turn))) == pytest.approx(0, abs=1e-4)


def test_another_face_is_not_taken_for_the_crops():
    assert crop_of(shape(seed=3)[:, :2] * 500, shape(seed=4)) is None


def transparent(image):
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def lying(image):
    return image.transpose(Image.Transpose.ROTATE_90)


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


WIDE = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "change", "options"),
    [
        ("plain.jpg", lambda image: image, {"quality": 95}),
        ("turned.jpg", lying, {"exif": exif(6)}),
        ("transparent.png", transparent, {}),
        ("grey.png", lambda image: image.convert("L"), {}),
        ("deep.png", lambda image: image.convert("L").convert("I;16").point(lambda v: v * 256), {}),
        ("profile.jpg", lambda image: image, {"icc_profile": WIDE}),
        ("ink.jpg", lambda image: image.convert("CMYK"), {}),
    ],
)
def test_a_photo_is_opened_as_preprocess_opens_it(
    tmp_path, few_drawn_paths, landmarker, name, change, options
):
    image = change(Image.open(few_drawn_paths[0]).convert("RGB"))
    group = Group(tmp_path, saved(tmp_path, name, **options)(image), landmarker)
    (member,) = group.originals(CONFIG.size)
    face = group.faces[name]
    assert np.abs(member.pixels().astype(int) - face.rgb).max() <= 1
    assert np.array_equal(member.landmarks, face.landmarks)


@pytest.mark.long
def test_a_composite_has_the_photos_own_resolution(group):
    side = int(np.median([place.crop.side for place in group.originals()._places.values()]))
    assert side > 3 * CONFIG.size
    assert group.draw(format="png16", outlines=True, texture=True) == NOTE
    facts = json.loads((group.folder / "out/group/composite.json").read_text())
    assert (facts["n"], facts["render"]["side"]) == (3, side)
    picture = Image.open(group.folder / "out/group/composite.jpg")
    assert picture.size == (side, side)
    assert Image.open(group.folder / "out/group/composite.png").size == (side, side)
    # what the crops show, and detail that they can't
    group.select(originals=False)
    small = average_faces(group.members, texture=True)
    reduced = np.asarray(picture.resize((CONFIG.size, CONFIG.size), Image.Resampling.BOX))
    inside = slice(20, 44)
    assert np.abs(reduced[inside, inside].astype(int) - small.image[inside, inside]).mean() < 8
    np.testing.assert_allclose(
        np.load(group.folder / "out/group/shape.npy"), small.shape, atol=1e-6
    )


NOTE = (
    "warning: composites.group: an average of fewer than 10 faces shows these people rather than "
    "a group\n"
)


@pytest.mark.long
def test_what_lies_beyond_a_photo_counts_for_little(group):
    originals = group.originals(100)
    place = originals._places[next(iter(originals)).filename]
    moved = place._replace(crop=CropTransform(0.0, 256.0, 200.0, np.pi / 2), size=(512, 512))
    inside = originals._inside(moved)
    # turned by a quarter, its upper half lies right of the photo's left edge
    assert inside[[0, 49], 50] == pytest.approx([0.495, 0.005])
    assert not inside[50:].any()
    assert own_pixels(inside)[[40, 49, 60], 50] == pytest.approx([1, 0.125, 0])
    averages = [average_faces(group.originals(100), segmenter=s) for s in (None, _person)]
    assert averages[0].image.shape == averages[1].image.shape


def _person(rgb):
    return np.ones((256, 256), np.float32)


@pytest.mark.long
def test_a_smaller_side_is_drawn_and_a_larger_one_refused(group):
    group.draw(side=100)
    assert Image.open(group.folder / "out/group/composite.jpg").size == (100, 100)
    with pytest.raises(
        InputError, match=r"render\.side = 4000 px is more than the photos have.*set it to"
    ):
        group.draw(side=4000)
    small = SimpleNamespace(max_megabytes=256, max_pixels=600**2, max_seconds=60)
    assert group.originals(limits=small).side == 120
    with pytest.raises(InputError, match="takes more memory than a photo may; at most 120 px"):
        group.originals(150, small)


@pytest.mark.long
def test_a_photo_that_is_gone_or_another_one_is_named_and_nothing_drawn(group):
    path = group.images / group.table["image"][1]
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InputError, match=rf"{path.name} is not the photo that its face was cut"):
        group.draw()
    path.unlink()
    with pytest.raises(InputError, match=rf"{path.name} is missing: .* bring it back"):
        group.draw()
    assert not (group.folder / "out").exists()


def test_a_name_that_leads_out_of_the_folder_is_refused(group):
    group.table.loc[0, "image"] = "../photos/" + group.table["image"][0]
    group.select()
    with pytest.raises(InputError, match="is no name of a photo"):
        group.originals()


@pytest.mark.long
@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_photo_behind_a_link_out_of_its_folder_is_not_read(group, linked):
    image = group.table["image"][0]
    path, elsewhere = group.images / image, group.folder / "elsewhere"
    elsewhere.mkdir()
    path.rename(elsewhere / image)
    if linked == "file":
        path.symlink_to(elsewhere / image)
    else:
        (group.images / "in").symlink_to(elsewhere)
        group.table["image"] = [f"in/{image}", *group.table["image"][1:]]
        group.select()
        path = group.images / "in" / image
    with pytest.raises(InputError, match="outside of the folder") as error:
        group.originals()
    assert str(error.value).startswith(f"{path} is a link to {elsewhere / image}, ")
    cached = Originals(group.members, group.images, landmarker_dir(), None, LIMITS, elsewhere)
    assert len(list(cached)) == len(group.table)


@pytest.mark.long
def test_members_change_with_a_photo_only_where_they_are_drawn_from_photos(group):
    """The photos are no dep of `composite`: their hashes, by `faces.parquet`, are."""
    listed = group.folder / "members/group/members.csv"
    path = group.images / group.table["image"][0]
    drawn = []
    for originals in (True, False):
        group.select(originals)
        before = listed.read_bytes()
        path.write_bytes(path.read_bytes() + b"\0")  # the same picture
        group.select(originals)
        drawn.append(listed.read_bytes() != before)
    assert drawn == [True, False]
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for name in ("select", "composite"):
        stage = stages[name]["do"]
        assert not any("data.images" in entry for entry in [*stage["deps"], *stage["params"]])


@pytest.mark.long
@pytest.mark.parametrize("originals", [False, True])
def test_the_stage_selects_hashes_where_photos_are_asked_for(group, monkeypatch, originals):
    faces = group.table.assign(sha256=[hash_photo(group.images / i) for i in group.table["image"]])
    monkeypatch.setattr(
        "facestats.groups.filters.filter_table", lambda _, wanted: filter_faces(group.rows, wanted)
    )
    monkeypatch.setattr(tables, "read", lambda path, schema, columns, only: faces[columns])
    monkeypatch.setattr(tables, "read_doubts", lambda *_: {})
    options = {"originals": True} if originals else {}
    one = {"filter": {"min_results": 1} | options, "render": {}}
    raw = {"composites": {"some": one}}
    write_params(group.folder, {})
    params = yaml.safe_load((group.folder / "params.yaml").read_text())
    params |= raw | {"continua": {}, "differences": {}}
    (group.folder / "params.yaml").write_text(yaml.safe_dump(params))
    places = {"attributes": "a", "faces": "f", "crops": "crops", "members": "chosen"}
    call_stage("select_members", group.folder, name=StageItem("some"), **places)
    listed = pd.read_csv(group.folder / "chosen/some/members.csv")
    assert ("sha256" in listed) == originals
    told = json.loads((group.folder / "chosen/some/selection.json").read_text())["filter"]
    assert ("originals" in told) == originals


def test_a_side_needs_originals_and_stimuli_have_their_own():
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw |= {"continua": {}, "differences": {}}
    raw["composites"]["women"]["render"] = {"side": 900}
    with pytest.raises(ParamsError, match=r"render\.side needs filter\.originals: true"):
        check_params(raw)
    raw["composites"]["women"]["filter"]["originals"] = True
    assert check_params(raw).composites["women"].render.used()["side"] == 900
    raw["stimuli"] = {"some": {"symmetric": "both", "filter": {"originals": True}}}
    with pytest.raises(ParamsError, match=r"stimuli\.some\.filter\.originals"):
        check_params(raw)
    assert "side" not in Render().used()


@pytest.mark.long
def test_photographs_of_a_studio(tmp_path, landmarker):
    (tmp_path / "photos").mkdir()
    photos = [
        tmp_path / "photos" / path.name for path in studio_photos("female/agata", "male/alex")
    ]
    for path in photos:
        gender = "female" if path.stem == "agata" else "male"
        path.write_bytes(studio_photos(f"{gender}/{path.stem}")[0].read_bytes())
    group = Group(tmp_path, photos, landmarker)
    average, small = (average_faces(members) for members in (group.originals(), group.members))
    side = len(average.image)
    assert side > 700
    large = cv2.resize(small.image, (side, side), interpolation=cv2.INTER_CUBIC)
    fine, coarse = (
        gradient_energy(i[:, :, 1] / 255, inner_face(average.shape, side))
        for i in (average.image, large)
    )
    assert fine > 2 * coarse


def test_pairs_need_one_size():
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    women, men = (raw["composites"][name] for name in ("women", "men"))
    women["filter"]["originals"] = True
    with pytest.raises(
        ParamsError,
        match=r"differences\.women_minus_men sets women \(as large as its photos\) against men "
        r"\(512 px\); both need one size",
    ):
        check_params(raw)
    women["render"]["side"] = 900
    men["filter"]["originals"] = True
    with pytest.raises(ParamsError, match=r"women \(900 px\) against men \(as large as"):
        check_params(raw)
    men["render"]["side"] = 900
    check_params(raw)


@pytest.mark.parametrize(("side", "scales"), [(96, 5), (512, 5), (700, 5), (1024, 6), (2048, 7)])
def test_detail_is_as_coarse_a_share_of_a_larger_face(side, scales):
    assert scales_of(side) == scales
