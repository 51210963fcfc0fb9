"""`facestats transform` and `transform_face`: differences by name, sheets, and users' mistakes."""

from facestats.run.stage import StageItem

import contextlib
import json
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

import facestats.serving.loading
import facestats.serving.stimuli as stimuli
from drawn_shapes import shape, smooth
from facestats.__main__ import main, make_parser
from facestats.core import tables
from facestats.core.files import temporary_name
from facestats.core.layout import COMPOSITES, COMPOSITES_MANIFEST, FINAL_TABLE
from facestats.core.manifests import write_composites_manifest
from facestats.core.photo_files import face_filename
from facestats.errors import (
    FaultError,
    ImageError,
    InputError,
    ModelError,
    ParamsError,
    WithheldError,
)
from facestats.pairs.built import Built
from facestats.params.errors import checked_options
from facestats.params.project import check_params
from facestats.photos.reading import hash_photo
from facestats.serving import stimulus_files
from facestats.serving.manifest import MixedPartsError
from facestats.serving.stimuli import Mover, face_continuum, transform_face
from facestats.serving.stimulus_files import compared
from facestats.serving.types import Score
from facestats.stimuli.params import How
from facestats.stimuli.photo import FacePhoto
from resources import ROOT, jpeg
from stages import call_stage

SIZE = 96
PARTS = {"blend": {"models/blend.json": "0" * 64}}
CROP = {"size": 96, "margin": 0.3, "quality": 95, "align": "eyes", "on_no_face": "reject"}


class Stand:
    """Models that find the drawn face in the middle of every photo."""

    irises = None

    def __init__(self, root, withheld=None):
        self.root, self.landmarker = root, None
        self.serving = {
            "crop": CROP | {"max_megabytes": 256, "max_pixels": 10**8, "max_seconds": 60}
        }
        self.parts = SimpleNamespace(lock=threading.RLock(), manifest=SimpleNamespace(parts=PARTS))
        self.withheld = withheld

    def photo(self, image):
        if isinstance(image, str) and not image.endswith(("jpg", "png", "webp")):
            raise InputError(f"{image}: no such file")
        return image

    def crop(self, image):
        facts = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, "occlusion": None}
        return SimpleNamespace(landmarks=shape(), pose=SimpleNamespace(yaw=0), facts=lambda: facts)

    def jpeg(self, crop):
        return jpeg(Image.new("RGB", (64, 64)))

    def doubts(self, crop):
        return []

    def embed(self, crop):
        return np.zeros(4, np.float32)

    def score(self, image):
        if self.withheld:
            return Score(withheld=self.withheld)
        rgb = np.asarray(image if isinstance(image, Image.Image) else Image.open(image))
        return Score(score=float(rgb.mean()), geometric=50.0, combined=60.0)


def read(image, landmarker, **limits):
    """As `read_face`, with the drawn face; the file's name says what is wrong with it."""
    if "nobody" in str(image):
        raise ImageError("no face found")
    rgb = np.asarray(Image.open(image).convert("RGB"))
    yaw = 40.0 if "turned" in str(image) else 0.0
    return FacePhoto(
        rgb, shape()[:, :2].astype(float) * len(rgb), yaw, 2 if "two" in str(image) else 1
    )


def composite(root, name, seed, wanted=None, built=True, **render):
    folder = root / "data/processed/composites" / name
    folder.mkdir(parents=True)
    facts = {"name": name, "built": built, "why": None if built else "too few", "n": 12}
    facts |= {"filter": wanted or {}, "members": [], "render": {"align": "warp"} | render}
    (folder / "composite.json").write_text(json.dumps(facts))
    if built:
        Image.fromarray(smooth(seed)).save(folder / "composite.jpg", quality=95)
        np.save(folder / "shape.npy", shape(seed=seed)[:, :2])


def pair(root, name, of, minus, built=True):
    folder = root / "data/processed/composites" / name
    folder.mkdir(parents=True)
    facts = {"of": {"name": of}, "minus": {"name": minus}, "built": built, "why": "of is not built"}
    (folder / "difference.json").write_text(json.dumps(facts))


def drawn(root, parts=PARTS):
    """The manifest of what lies in the folder."""
    serving = root / "models/serving.json"
    serving.parent.mkdir(exist_ok=True)
    serving.write_text(json.dumps({"parts": parts}))
    with contextlib.chdir(root):
        write_composites_manifest(
            COMPOSITES_MANIFEST, serving, FINAL_TABLE, [*COMPOSITES.iterdir()]
        )


@pytest.fixture
def models(tmp_path, monkeypatch):
    root = tmp_path / "project"
    for seed, name in enumerate(("women", "men")):
        composite(root, name, seed)
    composite(root, "best", 2, {"attractiveness": [9, 10]})
    composite(root, "nobody", 3, built=False)
    pair(root, "women_minus_men", "women", "men")
    pair(root, "best_minus_men", "best", "men")
    pair(root, "unbuilt", "nobody", "men", built=False)
    drawn(root)
    models = Stand(root)
    monkeypatch.setattr(stimuli, "read_face", read)
    make_parser()  # commands are imported while `load` is what it is
    monkeypatch.setattr(stimuli, "load", lambda *_: models)
    monkeypatch.setattr(facestats.serving.loading, "load", lambda *_: models)
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.jpg"):
        Image.fromarray(smooth(5)).save(tmp_path / name)
    return models


def moved(models, image="a.jpg", **how):
    return Mover(models, checked_options(How, how)).move(image)[1]


def run(*arguments):
    return main(["transform", *arguments])


def test_a_face_moves_along_a_difference_of_params_yaml(models):
    picture = transform_face("a.jpg", along="women_minus_men", shape=0.5, colour=0.5)
    assert picture.size == (SIZE, SIZE)
    assert np.abs(np.asarray(picture).astype(int) - smooth(5)).max() > 10
    other = transform_face("a.jpg", along="women_minus_men", shape=-0.5, colour=-0.5)
    assert not np.array_equal(np.asarray(picture), np.asarray(other))


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"along": "women_minus_man", "shape": 1}, "Did you mean women_minus_men?"),
        ({"along": "unbuilt", "shape": 1}, "the difference unbuilt was not built: of is not built"),
        ({"caricature": 0.5, "mean": "nobody"}, "the composite nobody was not built: too few"),
        ({"caricature": 0.5, "mean": "womin"}, "no composite 'womin'. Did you mean women?"),
        (
            {"along": "women_minus_men", "shape": 50},
            "shape = 50 is not possible: it goes from -2 to 2",
        ),
        ({"along": "women_minus_men"}, "shape, colour and texture are all 0"),
        ({"along": "women_minus_men", "texture": 1}, "composites.women.render.texture: true"),
        ({"shape": 1}, "exactly one of along, symmetric and caricature; none is given"),
        ({"symmetric": "both", "caricature": 1, "mean": "men"}, "found symmetric and caricature"),
        ({"caricature": 0.5}, "caricature and mean go together"),
        ({"symmetric": "left"}, "symmetric = 'left' is not possible"),
    ],
)
def test_what_is_not_possible_is_named(models, options, message):
    with pytest.raises(InputError) as error:
        transform_face("a.jpg", **options)
    assert message in str(error.value)


def redrawn(root, name):
    """Another run has drawn the composite, and not yet the others."""
    Image.fromarray(smooth(9)).save(
        root / "data/processed/composites" / name / "composite.jpg", quality=95
    )


@pytest.mark.long
@pytest.mark.parametrize(
    "use",
    [
        lambda: transform_face("a.jpg", along="women_minus_men", shape=0.5),
        lambda: transform_face("a.jpg", caricature=0.5, mean="men"),
        lambda: face_continuum("women", "men", 3),
    ],
)
def test_composites_of_two_runs_are_not_mixed(models, use):
    use()
    redrawn(models.root, "men")
    with pytest.raises(
        MixedPartsError, match=r"men/composite\.jpg is not the one that .*composites"
    ):
        use()
    drawn(models.root)
    use()


def test_a_picture_that_came_after_the_manifest_is_of_another_run(models):
    Image.fromarray(smooth(9)).save(models.root / COMPOSITES / "men/composite.png")
    with pytest.raises(MixedPartsError, match=r"does not name .*men/composite\.png"):
        transform_face("a.jpg", along="women_minus_men", shape=0.5)


def test_composites_of_other_models_are_not_used(models):
    drawn(models.root, {"blend": {"models/blend.json": "1" * 64}})
    with pytest.raises(MixedPartsError, match="is not of the run that made the models"):
        face_continuum("women", "a.jpg", 3)
    (models.root / COMPOSITES_MANIFEST).unlink()
    with pytest.raises(ModelError, match=r"composites\.json: no such file"):
        face_continuum("women", "a.jpg", 3)


@pytest.mark.parametrize("content", ["[]", "{}", '{"models_sha256": 1, "files": []}', "{"])
def test_a_damaged_manifest_is_named(models, content):
    (models.root / COMPOSITES_MANIFEST).write_text(content)
    with pytest.raises(ModelError, match=r"composites\.json"):
        transform_face("a.jpg", along="women_minus_men", shape=0.5)


def test_a_turned_face_and_a_photo_without_a_face_are_refused(models):
    Image.fromarray(smooth(5)).save("turned.jpg")
    with pytest.raises(ImageError, match=r"turned by 40° to a side.* at most 25° are possible"):
        moved(models, "turned.jpg", symmetric="both")
    with pytest.raises(ImageError, match="no face found"):
        moved(models, "nobody.jpg", symmetric="both")


def test_no_stimulus_leads_a_child_along_a_score(models, monkeypatch):
    withheld = (None, "may be under 18", [])
    monkeypatch.setattr(stimuli.answers, "check_age", lambda face: withheld)
    with pytest.raises(WithheldError, match="no stimulus along a score: may be under 18"):
        moved(models, along="best_minus_men", shape=1)
    assert moved(models, along="women_minus_men", shape=1).size == (SIZE, SIZE)
    for ends in (("a.jpg", "best"), ("best", "a.jpg")):
        with pytest.raises(WithheldError, match="no stimulus along a score: may be under 18"):
            face_continuum(*ends, 3)
    assert len(face_continuum("women", "best", 3)) == 3


@pytest.mark.long
def test_one_photo_gives_a_picture_and_its_sheet(models, tmp_path):
    assert run("a.jpg", "--along", "women_minus_men", "--shape", "1", "--output", "out.png") == 0
    assert Image.open("out.png").size == (SIZE, SIZE)
    row = pd.read_csv("out.csv").iloc[0]
    assert (row["image"], row["stimulus"], row["along"]) == ("a.jpg", "out.png", "women_minus_men")
    assert (row["shape"], row["colour"]) == (1, 0)
    assert row["score_before"] == pytest.approx(smooth(5).mean(), abs=1)
    assert row["score"] != row["score_before"]
    assert row["face_height"] == row["face_height_before"]


@pytest.mark.long
def test_of_a_folder_one_bad_photo_is_a_row_and_the_rest_goes_on(models, tmp_path, capsys):
    (tmp_path / "photos/more").mkdir(parents=True)
    for name in ("one.jpg", "nobody.jpg", "more/two.webp"):
        Image.fromarray(smooth(5)).save(tmp_path / "photos" / name)
    assert run("photos", "--symmetric", "both", "--output", "out") == 1
    sheet = pd.read_csv("out/stimuli.csv").set_index("image")
    assert sheet.loc["photos/nobody.jpg", "error"] == "no face found"
    assert sheet.loc["photos/more/two.webp", "stimulus"] == "more/two.webp.png"
    assert sheet.loc["photos/more/two.webp", "faces"] == 2
    assert (tmp_path / "out/one.jpg").is_file()
    assert not (tmp_path / "out/nobody.jpg").exists()
    assert "nobody.jpg: no face found" in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.jpg", "--output", "b.jpg"), "b.jpg exists; name another --output, or replace it"),
        (("a.jpg", "b.jpg", "--output", "out.jpg"), "names a file, but there are several photos"),
        (("a.jpg", "x/a.jpg", "--output", "out"), "a.jpg and x/a.jpg would both be written to"),
        (("a.jpg", "b.jpg", "--output", "file"), "file is no folder; name another --output"),
        (("gone", "--output", "out.jpg"), "gone: no such file"),
        (("a.jpg", "--output", "file/out.jpg"), "file"),
    ],
)
def test_an_output_that_cannot_be_used_is_named(models, tmp_path, capsys, arguments, message):
    (tmp_path / "file").write_text("")
    assert run(*arguments, "--symmetric", "both") == 2
    assert message in capsys.readouterr().err


@pytest.mark.long
def test_an_output_is_replaced_when_that_is_said(models):
    arguments = ("a.jpg", "--symmetric", "both", "--output", "out.jpg")
    assert run(*arguments) == 0
    assert run(*arguments) == 2
    assert run(*arguments, "--overwrite") == 0


@pytest.mark.long
@pytest.mark.parametrize("out", ["out", "out.png", "new/out.png"])
def test_a_run_that_stops_leaves_nothing_in_the_way_of_the_next(models, tmp_path, monkeypatch, out):
    arguments = ("a.jpg", "--symmetric", "both", "--output", out)
    before = sorted(tmp_path.rglob("*"))

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stimulus_files, "compared", stop)  # the picture is there, its row is not
        assert run(*arguments) == 130
    assert sorted(tmp_path.rglob("*")) == before
    folder = (tmp_path / out).parent if out.endswith(".png") else tmp_path / out
    name = temporary_name(folder / Path(out).name).stem
    killed = folder / f"{name}.9999999"
    killed.mkdir(parents=True)
    (killed / "a.jpg").touch()
    assert run(*arguments) == 0
    assert not killed.exists()
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.long
def test_a_continuum_that_stops_leaves_nothing(models, tmp_path, monkeypatch):
    def stop(*_):
        raise FaultError("the disk failed")

    arguments = ("women", "--to", "men", "--steps", "3", "--output", "out")
    with monkeypatch.context() as patch:
        patch.setattr(stimulus_files, "compared", stop)
        assert run(*arguments) == 2
    assert not (tmp_path / "out").exists()
    assert run(*arguments) == 0
    assert len([*(tmp_path / "out").iterdir()]) == 4


def test_a_sheet_holds_no_score_of_a_child(models):
    models.withheld = "may be under 18"
    assert run("a.jpg", "--symmetric", "shape", "--output", "out.jpg") == 0
    row = pd.read_csv("out.csv").iloc[0]
    assert row["score_withheld"] == "may be under 18"
    assert not {"score", "score_before", "geometric", "combined_before"} & set(row.index)


def scored(monkeypatch, models, **photo):
    """Have the photo and the moved picture get these scores; the latter's age is not checked."""
    unchecked = Score(score=50.0, warnings=["age was not checked: no model", "blurred"])
    monkeypatch.setattr(
        models, "score", lambda it: unchecked if isinstance(it, Image.Image) else Score(**photo)
    )
    assert run("a.jpg", "--symmetric", "shape", "--output", "out.jpg") == 0
    return pd.read_csv("out.csv").iloc[0]


def test_the_age_of_a_moved_face_is_that_of_its_photo(models, monkeypatch):
    row = scored(monkeypatch, models, score=40.0, age_checked="label")
    assert (row["score"], row["score_warning"]) == (50, "blurred")


def test_an_age_that_was_not_checked_is_named_once(models, monkeypatch):
    row = scored(monkeypatch, models, score=40.0, warnings=["age was not checked: no model"])
    assert row["score_warning"] == "age was not checked: no model"


def test_a_moved_child_gets_no_score_although_nobody_knows_the_picture(models, monkeypatch):
    row = scored(monkeypatch, models, withheld="labelled as 7", age_checked="label")
    assert row["score_withheld"] == "labelled as 7"
    assert not {"score", "score_before", "geometric"} & set(row.index)


def test_at_the_end_of_a_continuum_is_another_person(models, monkeypatch):
    scores = iter([Score(score=40.0, age_checked="label"), Score(score=1.0, warnings=["age was"])])
    monkeypatch.setattr(models, "score", lambda _: next(scores))
    faces = Image.open("a.jpg"), Image.open("b.jpg")
    assert compared(models, *faces, same_person=False)["score_warning"] == "age was"


@pytest.mark.long
def test_a_continuum_leads_from_one_face_to_another(models, monkeypatch):
    pictures = face_continuum("women", "men", 3)
    assert [picture.size for picture in pictures] == [(SIZE, SIZE)] * 3
    first = np.asarray(pictures[0]).astype(int)
    assert np.abs(first - np.asarray(Image.open(stimuli_picture(models, "women")))).max() <= 1
    assert run("women", "--to", "men", "--steps", "3", "--output", "out") == 0
    sheet = pd.read_csv("out/stimuli.csv")
    assert sheet["share"].tolist() == [0, 0.5, 1]
    assert Image.open("out/02.png").size == (SIZE, SIZE)
    with pytest.raises(InputError, match="steps = 90 is not possible: 2 to 25"):
        face_continuum("women", "men", 90)


@pytest.mark.long
@pytest.mark.parametrize(
    "ends", [("a.jpg", "child.jpg"), ("child.jpg", "a.jpg"), ("men", "child.jpg")]
)
def test_on_the_way_to_a_child_no_picture_gets_a_score(models, tmp_path, monkeypatch, ends):
    Image.fromarray(smooth(5)).save(tmp_path / "child.jpg")
    monkeypatch.setattr(
        stimuli, "_withheld", lambda _, image: "labelled as 7" if "child" in image else None
    )
    monkeypatch.setattr(stimuli, "_crop_side", lambda *_: SIZE)
    monkeypatch.setattr(stimuli, "_cropped", lambda *_: Built("face", smooth(5), shape()[:, :2]))
    assert run(ends[0], "--to", ends[1], "--steps", "3", "--output", "out") == 0
    sheet = pd.read_csv("out/stimuli.csv")
    assert sheet["score_withheld"].tolist() == ["labelled as 7"] * 3
    assert not {"score", "score_before", "geometric", "combined_before"} & set(sheet)


def stimuli_picture(models, name):
    return models.root / "data/processed/composites" / name / "composite.jpg"


@pytest.fixture
def stage(models, tmp_path, monkeypatch):
    """The stage with three photos, of which one has no face any more; a way to run it."""
    names = ["nobody.jpg", "one.jpg", "two.webp"]
    (tmp_path / "crops").mkdir()
    (tmp_path / "photos").mkdir()
    for name in names:
        Image.fromarray(smooth(5)).save(tmp_path / "crops" / face_filename(name), "JPEG")
        Image.fromarray(smooth(6, 2 * SIZE)).save(tmp_path / "photos" / name)
    final = pd.DataFrame({"image": names, "filename": [face_filename(name) for name in names]})
    final["gender_final"] = ["female", "female", "male"]
    hashes = [hash_photo(tmp_path / "photos" / name) for name in names]
    monkeypatch.setattr(tables, "read_all", lambda *_: final)
    monkeypatch.setattr(tables, "read", lambda *_: final[["image"]].assign(sha256=hashes))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"]["images"] = "photos"

    def run(**options):
        params["stimuli"] = {"some": options}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        names = {"attributes": "a", "faces": "f", "crops": "crops", "stimuli": "stimuli"}
        warned = call_stage("stimuli", tmp_path, name=StageItem("some"), **names)
        return pd.read_csv(tmp_path / "stimuli/some/stimuli.csv"), warned

    return run


def test_the_stage_moves_the_faces_of_a_filter(stage, tmp_path):
    how = {"along": "women_minus_men", "shape": 0.5}
    sheet, warned = stage(**how, filter={"gender": "female", "min_results": 2})
    assert sheet["image"].tolist() == ["nobody.jpg", "one.jpg"]
    assert sheet["error"].tolist()[0] == "no face found"
    assert "stimuli.some: no face found (1 of 2 faces)" in warned
    assert Image.open(tmp_path / "stimuli/some/one.jpg").size == (SIZE, SIZE)
    facts = json.loads((tmp_path / "stimuli/some/stimuli.json").read_text())
    assert (facts["n"], facts["errors"], facts["shape"]) == (1, 1, 0.5)
    assert "too few: 2 faces" in stage(**how, filter={"gender": "female"})[1]


@pytest.mark.long
def test_the_stage_moves_listed_photos_at_their_own_size(stage, tmp_path):
    sheet, warned = stage(symmetric="both", images=["two.webp", "thre.jpg"], originals=True)
    assert sheet["stimulus"].tolist() == ["two.webp.png"]
    assert "thre.jpg is no photo with a face." in warned
    assert Image.open(tmp_path / "stimuli/some/two.webp.png").size == (2 * SIZE, 2 * SIZE)
    Image.fromarray(smooth(7)).save(tmp_path / "photos/two.webp")
    with pytest.raises(InputError, match="not the photo that its face was cut out of"):
        stage(symmetric="both", images=["two.webp"], originals=True)


def test_stimuli_of_what_is_not_there_are_refused_before_a_run():
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["stimuli"] = {
        "a": {"along": "women_minus_man", "shape": 1},
        "b": {"caricature": 1, "mean": "womin"},
        "c": {"along": "women_minus_men"},
    }
    with pytest.raises(ParamsError) as error:
        check_params({**raw, "stimuli": {name: raw["stimuli"][name] for name in "ab"}})
    assert "stimuli.a.along = 'women_minus_man' is no difference. Did you mean women" in str(
        error.value
    )
    assert "stimuli.b.mean = 'womin' is no composite. Did you mean women?" in str(error.value)
    with pytest.raises(ParamsError, match=r"stimuli\.c.*shape, colour and texture are all 0"):
        check_params({**raw, "stimuli": {"c": raw["stimuli"]["c"]}})
