"""The report: all of a run on one page that fetches nothing, believes no name, and stays small
enough to send.
"""

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cards import trained_run, untrained_run
from facestats.core.files import read_json, write_image, write_json
from facestats.errors import InputError
from facestats.photos.rejected_thumbnails import MOST, write_rejected
from facestats.report import section_composites, section_faces
from facestats.report.album import MOST_BYTES, Album
from facestats.report.blocks import FACE, THUMBNAIL_SIZE, Figure
from facestats.report.document import inline, report
from facestats.report.material import typical_faces
from facestats.report.section_models import limits, misuses
from facestats.report.text import measured
from reports import ENTITY, NOT_BUILT, TAG, material_of, nothing_trained, params


class Read(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.texts, self._open = [], [], []
        self.feed(page)
        self.text = re.sub(r"\s+", " ", " ".join(self.texts))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        self._open = self._open[: len(self._open) - 1 - self._open[::-1].index(tag)]

    def handle_data(self, data):
        if not {"script", "style"} & set(self._open):
            self.texts.append(data)

    def of(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    return material_of(tmp_path_factory.mktemp("report"), trained_run())


@pytest.fixture(scope="module")
def page(material) -> str:
    return report(material)[0]


@pytest.fixture(scope="module")
def read(page) -> Read:
    return Read(page)


@pytest.mark.long
def test_names_are_text_and_never_tags(page, read):
    assert len(read.of("script")) == 1
    assert page.count("<script") == 1
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert TAG in read.text
    assert ENTITY in read.text
    assert "gender: <b>female</b>" in read.text
    assert not read.of("b")
    assert [image["alt"] for image in read.of("img") if TAG in image["alt"]]


def test_inline_marks_work_on_escaped_text_alone():
    assert inline("**a** `b` <i>") == "<strong>a</strong> <code>b</code> &lt;i&gt;"
    assert inline("[its card](../x.md) **<b>**") == "its card <strong>&lt;b&gt;</strong>"
    assert (
        inline("A *score* of 2 * 3 * 4, **all** of *.jpg and *.png")
        == "A <em>score</em> of 2 * 3 * 4, <strong>all</strong> of *.jpg and *.png"
    )


def test_nothing_is_fetched_and_nothing_foreign_could_be(page, read):
    for _, attributes in read.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert attributes.get(name, "#").startswith(("data:", "#"))
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(
        meta["content"]
        for meta in read.of("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy


def test_every_section_and_its_figures_are_there(material, read):
    test = material.run.attractiveness["test"]
    assert [link["href"][1:] for link in read.of("a")] == [
        section["id"] for section in read.of("section")
    ]
    for model, key in (
        ("mlp", "pearson"),
        ("ridge", "spearman"),
        ("geometric", "pearson"),
        ("combined", "pearson"),
        ("geometry_zscore", "pearson"),
    ):
        assert measured(test[model][key]) in read.text
    assert measured(test["mean"]["mae"], 1) in read.text
    assert (
        measured(material.run.fairness["attractiveness"]["gender"]["female"]["bias"], 1)
        in read.text
    )
    assert measured(material.run.attributes["gender"]["balanced_accuracy"]) in read.text
    assert "8 files came in; 6 give a face, 2 are left out." in read.text
    assert "out_000.jpg: no face found" in read.text
    assert f"not built: {NOT_BUILT}" in read.text
    assert "Who is in women: 8 faces" in read.text
    assert "And 2 more." in read.text
    assert "several faces, blurred" in read.text
    assert "gender female (100 %)" in read.text
    assert ": 8 faces; an average of few" in read.text
    assert "Judging a person." in read.text
    assert "evaluate.bootstrap" in read.text
    assert "continua.women_to_nobody.from " in read.text  # as params.yaml calls it
    assert f"The combined score reaches r = {measured(test['combined']['pearson'])}" in read.text
    assert (
        "no model can be expected to exceed" not in read.text
    )  # the ceiling of this run was not measured


@pytest.mark.long
def test_faces_by_score_stand_in_the_order_of_their_deciles(material):
    final = material.final.assign(
        copy_rank=[1, 2, 1, 1, 1, 1],
        attractiveness=[1, 1, 10, 10, None, 10],
        attractiveness_score=[20.0, 20.0, 91.0, 97.0, None, 90.0],
    )
    read = Read(report(replace(material, final=final))[0])
    start = read.texts.index("Faces by score", read.texts.index("In short"))
    shown = [text for text in read.texts[start:] if ", decile" in text]
    assert shown == ["20, decile 1", "90, decile 10", "91, decile 10", "97, decile 10"]
    options = params(report={"images": False})
    text = Read(report(replace(material, final=final, params=options))[0]).text
    assert "10 3 90 to 97" in text
    assert "No face has a score." in Read(report(material)[0]).text


@pytest.mark.long
def test_a_plot_of_one_dot_and_groups_that_are_all_small_are_not_shown(material):
    run = material.run
    small = {
        attribute: {group: {"n": 3, "why": "too few"} for group in members}
        for attribute, members in run.fairness["attractiveness"].items()
    }
    fairness = run.fairness | {"attractiveness": small}
    run = replace(run, points={"reliability_curve": 1}, fairness=fairness)
    page = Read(report(replace(material, run=run))[0])
    assert "No group is large enough to be measured" in page.text
    alts = [image["alt"] for image in page.of("img")]
    assert not [alt for alt in alts if alt.startswith(("Mean human rating", "Bias and mean"))]
    assert len(alts) == len(Read(report(material)[0]).of("img")) - 2


def test_pictures_come_first_and_what_is_measured_is_folded(page):
    places = [page.index(f'<section id="{key}"') for key in ("summary", "faces", "composites")]
    assert places == sorted(places)
    folded = re.findall(r'<section id="(\w+)"[^>]*>\s*<details class="section">', page)
    places = [folded.index(key) for key in ("crossvalidation", "scores", "groups", "gaps")]
    assert places == sorted(places)
    assert places[0] == 0
    assert not {"summary", "faces", "composites", "photos"} & set(folded)


@pytest.mark.long
def test_without_a_regressor_the_summary_has_the_geometric_score(material):
    run = trained_run(regressor=False)
    text = Read(report(replace(material, run=run))[0]).text
    test = run.attractiveness["test"]
    assert (
        "The holistic score is not measured: 180 rated faces in train and 4 in val; 20 and "
        "5 are needed." in text
    )
    assert (
        "the geometric score predicts the mean rating with r = "
        f"{measured(test['geometric']['pearson'])} and R² = "
        f"{measured(test['geometric']['r2'])}. Ridge regression" in text
    )
    assert "How well scores agree with raters is not measured" not in text
    assert (
        "Only 9 rated test faces"
        in limits(replace(run, attractiveness=run.attractiveness | {"test": test | {"n": 9}}))
        .blocks[0]
        .lines[1]
    )


@pytest.mark.long
def test_photos_shown_twice_are_counted_in_sentences(material):
    faces = material.faces.assign(
        face_count=[2, 1, 1, 1, 1, 1, None, None],
        duplicate_of=[None, "a.jpg", "a.jpg", *[None] * 5],
        near_duplicate_of=[*[None] * 3, "a.jpg", "a.jpg", *[None] * 3],
    )
    text = Read(report(replace(material, faces=faces))[0]).text
    assert (
        "1 photo shows several faces; the largest was used. 2 files are the same, byte for "
        "byte, as another one. 2 photos are copies of" in text
    )
    assert "byte for byte" not in Read(report(material)[0]).text


@pytest.mark.parametrize(
    ("classes", "subject"),
    [
        ({"gender": 2, "ethnicity": 4}, "`gender` and `ethnicity` are what"),
        ({"gender": 2, "ethnicity": 0}, "`gender` is what"),
        ({"gender": 0}, "`ethnicity` are what"),
    ],
)
def test_labels_are_named_in_the_right_number(material, classes, subject):
    labels = material.run.labels | {
        "classes": {name: {str(i): 1 for i in range(n)} for name, n in classes.items()}
    }
    assert (
        "**Telling who somebody is.** "
        f"{subject if len(classes) > 1 else '`gender` and ' + subject} labellers wrote"
        in misuses(replace(material.run, labels=labels)).blocks[0].lines[2]
    )


def test_the_ceiling_stands_beside_the_headlines(material):
    reliability = material.run.attractiveness["reliability"] | {
        "ceiling": {"value": 0.95, "low": 0.94, "high": 0.96}
    }
    run = replace(
        material.run, attractiveness=material.run.attractiveness | {"reliability": reliability}
    )
    assert (
        "As raters disagree, no model can be expected to exceed r = 0.95 (0.94 to 0.96)."
        in Read(report(replace(material, run=run))[0]).text
    )


def test_every_picture_has_words_and_a_size_and_every_table_a_caption(read):
    images = read.of("img")
    assert (
        len(images) == 1 + 3 + 1 + 1 + 1 + 1 + 1 + 6 + 2 + 1
    )  # left out, scores, confusion, groups, composite, sheet, map, examples, to label, flagged
    assert all(image["alt"] and int(image["width"]) and int(image["height"]) for image in images)
    assert len(read.of("caption")) == len(read.of("table")) > 5


@pytest.mark.long
def test_the_same_run_gives_the_same_bytes(material, page, tmp_path):
    assert report(material)[0] == page
    assert report(material_of(tmp_path, trained_run()))[0] == page  # in another folder


@pytest.mark.long
def test_without_images_no_face_is_in_it(material):
    left = Read(report(replace(material, params=params(report={"images": False})))[0])
    assert [image["src"][:15] for image in left.of("img")] == [
        "data:image/png;"
    ] * 6  # plots, and the confusion matrix of the attribute that was trained
    assert (
        left.text.count("report.images is false") == 2
    )  # the photo that was left out, the composite
    assert "Pictures of faces are left out" in left.text
    for name in (TAG, ENTITY):
        assert name in left.text


@pytest.mark.long
def test_nothing_labelled_trained_or_built_still_makes_a_report(tmp_path):
    read = Read(report(nothing_trained(material_of(tmp_path, untrained_run())))[0])
    assert "is not measured: 0 rated faces in train and 0 in val" in read.text
    assert "Nobody labelled any of 30 faces." in read.text
    assert (
        read.text.count(f"not built: {NOT_BUILT}") == 6
    )  # two composites, each as a picture and a line; one continuum, one difference
    assert "None is proposed: only faces without a label" in read.text
    assert "None is flagged." in read.text


@pytest.mark.long
def test_filters_and_who_could_not_be_drawn_are_said_in_words(material, tmp_path):
    shutil.copytree(material.composites, tmp_path / "composites")
    path = tmp_path / "composites/women/composite.json"
    facts = read_json(path) | {
        "filter": {
            "age_range": [55.0, 100.0],
            "attractiveness": [10, 10],
            "ethnicity": ["asian", "white"],
            "attributes": {"glasses": "with"},
            "n": 8,
        },
        "relaxed": [
            {"condition": "age_range", "from": [60.0, 95.0], "to": [55.0, 100.0]},
            {"condition": "gender", "from": "male", "to": None},
        ],
        "left_out": {"max_yaw": ["a.jpg", "b.jpg"]},
    }
    write_json(path, facts)
    text = Read(report(replace(material, composites=tmp_path / "composites"))[0]).text
    assert (
        "age_range: 55 to 100; attractiveness: 10; ethnicity: asian or white; attributes: "
        "glasses with" in text
    )
    assert (
        "age_range 60 to 95 widened to 55 to 100; gender male dropped; 2 left out, turned "
        "too far (max_yaw)" in text
    )
    assert "a.jpg" not in text


def test_composites_continua_and_differences_may_all_be_missing(material):
    read = Read(
        report(replace(material, params=params(composites={}, continua={}, differences={})))[0]
    )
    assert read.text.count("None is asked for") == 3


@pytest.mark.long
def test_paths_of_this_machine_stay_out(material):
    raw = params().clip.model_dump() | {"variant": "/home/anna/weights"}
    page, _ = report(replace(material, params=params(clip=raw)))
    assert "/home" not in page
    assert "…/weights" in page
    assert str(material.crops.folder.parent) not in page


@pytest.mark.long
def test_a_full_page_says_what_it_left_out(material):
    page, album = report(material, most=20_000)
    assert album.left_out > 5
    assert f"{album.left_out} pictures found no room" in Read(page).text
    assert sum(len(image["src"]) for image in Read(page).of("img")) <= 20_000


@pytest.mark.long
def test_pictures_make_room_for_words(material, page, monkeypatch):
    """The album alone would be full at 9 MB.

    With very many composites words take more than the rest.
    """
    most = len(page.encode()) - 10_000
    monkeypatch.setattr("facestats.report.document.MOST", most)
    smaller, album = report(material)
    assert len(smaller.encode()) <= most
    assert 0 < album.left_out < 15
    monkeypatch.setattr("facestats.report.document.MOST", 1)  # words are never left out
    smaller, album = report(material)
    assert "data:image" not in smaller
    assert "Judging a person." in smaller


@pytest.mark.long
def test_what_is_shown_is_bounded_whatever_comes_in(material):
    many = [f"face_{i}" for i in range(1000)]
    flags = pd.DataFrame({"filename": many, "reason": "blurred", "value": 1.0})
    clusters = pd.DataFrame(
        {
            "filename": many,
            "cluster": range(1000),
            "attractiveness": 1,
            "attractiveness_score": 1.0,
            "rating": 1.0,
            "gender_final": "female",
        }
    )
    options = params(report={"images": False})
    page, _ = report(replace(material, params=options, flags=flags, final=clusters, proposed=many))
    read = Read(page)
    assert "And 940 more." in read.text
    assert "And 960 more in labels_template.csv" in read.text
    assert "And 970 more clusters" in read.text
    assert len(page.encode()) < 400_000


@pytest.mark.long
def test_the_most_pictures_of_noise_stay_below_ten_megabytes(tmp_path):
    """With params as they come there is room for as many pictures as are ever shown.

    Beyond, the album says no.
    """
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    write_image(tmp_path / "noise.jpg", Image.fromarray(noise))
    book = Album()
    side, most = THUMBNAIL_SIZE
    thumbnail = book.picture(Figure(tmp_path / "noise.jpg", "noise"))
    faces = (
        MOST
        + 10 * section_faces.BY_SCORE
        + section_faces.CLUSTERS * 8
        + section_faces.PROPOSED
        + section_faces.FLAGGED
    )
    others = sum(
        kind[1]
        for kind in (
            section_composites.FACES,
            section_composites.SHEETS,
            section_composites.STRIPS,
            section_composites.MAPS,
        )
    )
    assert thumbnail.size == (side, side)
    assert len(thumbnail.uri) <= most * 4 / 3 + 30
    assert (
        faces * len(thumbnail.uri) + others * 4 / 3 < MOST_BYTES - 900_000
    )  # so much are the sample's eight plots and more
    while book.left_out == 0:
        size = section_composites.SHEETS[::2]
        book.picture(Figure(tmp_path / "noise.jpg", "noise", of=FACE, size=size))
    assert book.room >= 0
    assert MOST_BYTES + 400_000 < 10_000_000  # with the words of the test above


def test_a_damaged_crop_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.jpg is no picture that can be read"):
        Album().picture(Figure(tmp_path / "broken.jpg", ""))


def test_rejected_photos_are_shown_in_turn_from_each_reason(tmp_path):
    many = pd.DataFrame(
        {
            "image": [f"{i:03d}.jpg" for i in range(200)],
            "reason": ["no face found"] * 199 + ["empty file"],
        }
    )
    write_image(tmp_path / "photos/000.jpg", Image.fromarray(np.full((400, 800, 3), 90, np.uint8)))
    index = write_rejected(many, tmp_path / "photos", tmp_path / "out")
    assert len(index) == MOST
    assert index[0] == {"image": "199.jpg", "reason": "empty file", "picture": None}
    shown = [row for row in index if row["picture"]]
    assert [row["image"] for row in shown] == ["000.jpg"]
    with Image.open(tmp_path / "out" / shown[0]["picture"]) as image:
        assert image.size == (192, 96)


def test_typical_faces_are_those_nearest_to_the_middle_of_their_cluster():
    x = np.array(
        [[1, 0], [0.8, 0.6], [0.9, np.sqrt(0.19)], [0, 1], [0, 1], [1, 0]], dtype=np.float32
    )
    names = pd.Index(["a", "b", "c", "e", "d", "alone"])
    clusters = pd.Series([0, 0, 0, 1, 1], index=["a", "b", "c", "d", "e"])
    assert typical_faces(names, x, clusters, 2) == {0: ["c", "b"], 1: ["d", "e"]}
    assert typical_faces(names, x, clusters, 0) == {0: [], 1: []}
