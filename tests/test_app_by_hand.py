"""Labels and ratings by the pages, without a server: what is read once for all of them."""

import json
import random
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="needs the extra facestats[serve]")

from facestats.app import labelling, rating
from facestats.app.faces_table import FacesTable
from facestats.app.labelling import Attribute, ChangedError, Labelling
from facestats.app.photo_facts import PhotoFacts
from facestats.app.rating import Rating, check_rater, read_study
from facestats.app.site import Choices
from facestats.attributes.known_classes import check_label, known_classes
from facestats.core import tables
from facestats.core.layout import FACES_TABLE, METADATA
from facestats.errors import InputError, ModelError
from facestats.faces.tables import FACES
from facestats.labels.dataset import OF_RUN
from facestats.labels.manual import merge_labels
from facestats.labels.tables import LABELS
from facestats.params.project import load_params
from resources import write_params


def shown_of(n: int) -> Any:
    """What pages show of `n` faces."""
    names = [f"{i:03d}.jpg" for i in range(n)]
    table = pd.DataFrame({"filename": names, "image": names, "score_withheld": None})
    facts = SimpleNamespace(sha256_of=lambda face: None)
    return SimpleNamespace(faces=FacesTable(table), facts=facts, version="1")


@pytest.fixture
def root(tmp_path):
    write_params(tmp_path, {"labels": {"rating_scale": [1, 7]}})
    (tmp_path / "data").mkdir()
    return tmp_path


def test_names_and_parameters_are_read_once_for_all_labels(root, monkeypatch):
    """Of 100,000 faces they took a second at each label."""
    shown, read = shown_of(9), []
    monkeypatch.setattr(labelling, "load_params", lambda p: read.append(p) or load_params(p))
    _ = shown.faces.photos
    monkeypatch.setattr("facestats.labels.manual.PhotoNames", None)
    page, gender = Labelling(root, False), Attribute("gender", ["female", "male"])
    page.label(shown, "001.jpg", gender, "male", "", False, "", "here")
    entry = page.label(shown, "002.jpg", gender, "female", "", False, "", "here")
    assert page._labels(shown) == {"001.jpg": {"gender": "male"}, "002.jpg": {"gender": "female"}}
    page.undo(shown, entry.id, "", "here")
    with page.file().open("a") as file:  # in an editor
        file.write("003.JPG,male,,,,\n")
    assert page._labels(shown) == {"001.jpg": {"gender": "male"}, "003.jpg": {"gender": "male"}}
    assert len(read) == 1
    write_params(root, {"data": {"manual_labels": "data/other.csv"}})
    assert page._labels(shown) == {}


def test_forgetting_takes_a_line_that_a_kill_has_cut(root):
    shown, page = shown_of(3), Labelling(root, False)
    gender = Attribute("gender", ["female", "male"])
    for name in ("001.jpg", "002.jpg"):
        page.label(shown, name, gender, "male", "", False, "", "here")
    path = page.journal.path
    path.write_bytes(path.read_bytes()[:-20])
    assert page.journal.forget(["002.jpg"]) == 1
    assert [entry.filename for entry in page.journal.entries()] == ["001.jpg"]
    assert b"002.jpg" not in path.read_bytes()


def test_a_number_that_two_people_wrote_otherwise_is_one_label(root):
    shown, page = shown_of(3), Labelling(root, False)
    age = Attribute("age", None)
    ann, bob = (
        page.label(shown, "001.jpg", age, text, "", False, who, who)
        for who, text in (("Ann", "30"), ("Bob", "30.0"))
    )
    page.undo(shown, ann.id, "Ann", "Ann")
    assert page._labels(shown) == {"001.jpg": {"age": "30"}}
    page.undo(shown, bob.id, "Bob", "Bob")
    assert page._labels(shown) == {}


def test_a_label_that_two_people_gave_stays_until_both_have_taken_it_back(root):
    shown, page = shown_of(3), Labelling(root, False)
    gender = Attribute("gender", ["female", "male"])

    def give(who, label, before=""):
        return page.label(shown, "001.jpg", gender, label, before, False, who, who)

    def by_hand():
        return page._labels(shown).get("001.jpg", {}).get("gender")

    ann, bob = give("Ann", "male"), give("Bob", "male")
    page.undo(shown, ann.id, "Ann", "Ann")
    assert (by_hand(), [entry.who for entry in page.changes(shown)]) == ("male", ["Bob"])
    page.undo(shown, bob.id, "Bob", "Bob")
    assert by_hand() is None
    with page.file().open("a") as file:  # in an editor
        file.write("001.jpg,male,,,,\n")
    ann = give("Ann", "male")
    page.undo(shown, ann.id, "Ann", "Ann")
    assert by_hand() == "male"
    ann = give("Ann", "female", "male")
    page.undo(shown, ann.id, "Ann", "Ann")
    assert by_hand() == "male"


def test_none_is_a_label_where_it_is_a_class_and_can_be_taken_back(root):
    shown, page = shown_of(3), Labelling(root, False)
    glasses = Attribute("glasses", ["frame", "none", "sun"])
    ann = page.label(shown, "001.jpg", glasses, "none", "", False, "Ann", "Ann")
    assert page._labels(shown) == {"001.jpg": {"glasses": "none"}}
    with pytest.raises(ChangedError, match="glasses of this face is none by now by Ann"):
        page.label(shown, "001.jpg", glasses, "sun", "", False, "Bob", "Bob")
    bob = page.label(shown, "001.jpg", glasses, "sun", "none", False, "Bob", "Bob")
    page.undo(shown, bob.id, "Bob", "Bob")
    assert page._labels(shown) == {"001.jpg": {"glasses": "none"}}
    page.undo(shown, ann.id, "Ann", "Ann")
    assert page._labels(shown) == {}
    assert "none" not in page.file().read_text()


@pytest.mark.parametrize(
    ("attribute", "word"),
    [
        ("gender", "none"),
        ("glasses", "NA"),
        ("glasses", "missing"),
        ("glasses", "k. A."),
        ("glasses", ""),
    ],
)
def test_a_word_that_is_read_as_nothing_is_no_label(attribute, word):
    for known in ([], [word]):
        with pytest.raises(InputError, match="stands for no answer"):
            check_label(attribute, word, known, new=True)


def test_none_may_be_a_new_class_of_a_column_of_ones_own(root, monkeypatch):
    assert check_label("glasses", "none", ["frame"], new=True) == "none"
    monkeypatch.setattr("facestats.attributes.known_classes._columns", lambda path: [])
    path = root / "manual.csv"
    path.write_text("filename,gender,glasses\n001.jpg,none,none\n")
    classes = known_classes(root, path, ["gender", "glasses"])
    assert classes == {"gender": [], "glasses": ["none"]}


@pytest.mark.parametrize("name", ["NA", "none", "missing", "unbekannt", "Unknown"])
def test_a_word_that_is_read_as_nothing_is_no_name_of_a_rater(name):
    with pytest.raises(InputError, match="no name of a rater"):
        check_rater(name, set())


@pytest.mark.parametrize(
    ("column", "label", "value"),
    [("age", "25,5", 25.5), ("weight", "70,50", 70.5), ("weight", "70.5", 70.5)],
)
def test_a_label_by_hand_that_the_run_has_read_is_not_waited_for(root, column, label, value):
    names = ["001.jpg"]
    table = {"filename": names, "image": names, "score_withheld": None}
    table |= {f"{column}_final": [value], f"{column}_source": ["manual"]}
    shown = SimpleNamespace(faces=FacesTable(pd.DataFrame(table)), version="1")
    page = Labelling(root, False)
    page.file().write_text(f'filename,{column}\n001.jpg,"{label}"\n')
    assert page.waiting(shown, "001.jpg") == []
    page.file().write_text(f"filename,{column}\n001.jpg,31\n")
    assert page.waiting(shown, "001.jpg") == [(column, "31")]


@pytest.mark.long
def test_orders_and_lines_are_read_once_for_all_ratings(root, monkeypatch):
    shown, drawn, read = shown_of(40), [], []
    generator, reader = np.random.default_rng, rating.rows_by_hand
    monkeypatch.setattr(rating, "rows_by_hand", lambda *it: read.append(it) or reader(*it))
    monkeypatch.setattr(rating.np.random, "default_rng", lambda s: drawn.append(s) or generator(s))
    choices = Choices(False, "Adults judge faces.", 0.1)
    study, seen = Rating(root, choices), []
    now = study.begin(shown, "zed", "", True)
    while now["face"]:
        seen.append(now["face"]["name"])
        now = study.rate(shown, "zed", "", seen[-1], 4.0, 1.0, now["repeat"])
    assert (len(seen), len({*seen[:40]}), len({*seen[40:]})) == (44, 40, 4)
    assert len(drawn) == 1
    assert len(read) == 3  # no file yet, then the one of consents
    assert seen[:3] == ["016.jpg", "024.jpg", "035.jpg"]
    path = root / "data/manual_ratings.csv"
    path.write_text("".join(path.read_text().splitlines(True)[:-1]))  # in an editor
    assert study.begin(shown, "zed", "", True)["done"] == 43
    again = Rating(root, choices).begin(shown_of(40), "zoe", "", True)
    assert (again["done"], again["total"]) == (0, 44)
    assert again["face"]["name"] != seen[0]


def test_the_last_judgement_is_the_one_given_last_however_the_file_is_sorted(root):
    shown, study, seen = shown_of(5), Rating(root, Choices(False, "Adults judge faces.", 0.0)), []
    now = study.begin(shown, "zed", "", True)
    for _ in range(3):
        seen.append(now["face"]["name"])
        now = study.rate(shown, "zed", "", seen[-1], 4.0, 1.0, False)
    path = root / "data/manual_ratings.csv"
    header, *lines = path.read_text().splitlines(True)
    path.write_text(header + "".join(lines[::-1]))
    assert study.begin(shown, "zed", "", True)["last"] == seen[-1]
    for face in seen[::-1]:
        assert study.undo(shown, "zed", "", face)["face"]["name"] == face
    assert path.read_text() == header


def test_faces_that_were_rated_before_the_trait_had_a_name_are_not_asked_again(root):
    shown, study = shown_of(4), Rating(root, Choices(False, "Adults judge faces.", 0.0))
    now = study.begin(shown, "zed", "", True)
    study.rate(shown, "zed", "", now["face"]["name"], 4.0, 1.0, False)
    write_params(
        root, {"labels": {"rating_scale": [1, 7]}, "score": {"traits": ["attractive", "calm"]}}
    )
    assert study.begin(shown, "zed", "attractive", True)["done"] == 1
    assert study.begin(shown, "zed", "calm", True)["done"] == 0


@pytest.mark.long
def test_nothing_is_written_of_a_photo_that_was_removed_meanwhile(root):
    """By `forget`, while raters look at it."""
    photos = root / load_params(root / "params.yaml").data.images
    photos.mkdir(parents=True)
    for i in range(6):
        (photos / f"{i:03d}.jpg").write_bytes(b"a photo")
    shown, study = shown_of(6), Rating(root, Choices(False, "Adults judge faces.", 0.0))
    labels, gender = Labelling(root, False), Attribute("gender", ["female", "male"])
    face = study.begin(shown, "zed", "", True)["face"]["name"]
    entry = labels.label(shown, face, gender, "male", "", False, "", "here")
    (photos / face).unlink()
    before = labels.file().read_bytes()
    for act in (
        lambda: study.rate(shown, "zed", "", face, 4.0, 1.0, False),
        lambda: labels.label(shown, face, gender, "female", "male", False, "", "here"),
        lambda: labels.undo(shown, entry.id, "", "here"),
    ):
        with pytest.raises(InputError, match="this photo was removed from the project"):
            act()
    assert labels.file().read_bytes() == before
    assert not (root / "data/manual_ratings.csv").exists()
    now, seen = study.begin(shown, "zed", "", True), set()
    while now["face"]:
        seen.add(now["face"]["name"])
        now = study.rate(shown, "zed", "", now["face"]["name"], 4.0, 1.0, False)
    assert seen == {f"{i:03d}.jpg" for i in range(6)} - {face}


def test_nothing_is_written_of_a_photo_that_took_the_name_of_another(root):
    """Photos were numbered anew since the run: what the page shows is called otherwise now."""
    photos = root / load_params(root / "params.yaml").data.images
    photos.mkdir(parents=True)
    shown, labels = shown_of(1), Labelling(root, False)
    shown.facts.sha256_of = {"000.jpg": sha256(b"one").hexdigest()}.get
    gender = Attribute("gender", ["female", "male"])
    (photos / "000.jpg").write_bytes(b"two")
    with pytest.raises(InputError, match="another photo has this name by now"):
        labels.label(shown, "000.jpg", gender, "male", "", False, "", "here")
    (photos / "000.jpg").write_bytes(b"one")
    labels.label(shown, "000.jpg", gender, "male", "", False, "", "here")


def test_which_photo_was_shown_is_known_while_another_run_replaces_the_table(root):
    """Else a label would be written of the photo that has the name by then."""
    faces = {"image": ["000.jpg"], "filename": ["000.jpg"], "sha256": ["of the old one"]}
    faces = pd.DataFrame(faces).reindex(columns=list(FACES.columns))
    tables.write(faces, root / FACES_TABLE, FACES)
    facts, late = PhotoFacts(None, None), PhotoFacts(None, None)
    facts._path = lambda: root / FACES_TABLE
    assert facts.sha256_of("000.jpg") == "of the old one"

    def replaced():
        raise ModelError("a run is under way")

    facts._path = late._path = replaced
    assert facts.sha256_of("000.jpg") == "of the old one"
    shown = shown_of(1)
    shown.facts.sha256_of = late.sha256_of
    gender = Attribute("gender", ["female", "male"])
    with pytest.raises(InputError, match="a run is under way"):
        Labelling(root, False).label(shown, "000.jpg", gender, "male", "", False, "", "here")


def test_nobody_rates_on_the_scale_of_before_an_import(root):
    write_params(root, {"labels": {"rating_scale": "auto"}})
    params = load_params(root / "params.yaml")
    table = root / METADATA / LABELS.name
    empty = pd.DataFrame(columns=list(LABELS.columns))
    tables.write(empty, table, LABELS, {"rating_low": "1", "rating_high": "7"})
    assert read_study(root).scale == (1, 7)
    facts = dict.fromkeys(OF_RUN, "x") | {"files": 2, "rating_scale": [0, 100]}
    (root / params.data.labels).mkdir(parents=True, exist_ok=True)
    (root / params.data.labels / "dataset.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match=r"from 1 to 7 in the last run, and are from 0 to 100"):
        read_study(root)


def test_who_wavers_takes_back_the_last_label(root):
    """The same label, given before and replaced since, does not keep it."""
    shown, page = shown_of(1), Labelling(root, False)
    gender, before = Attribute("gender", ["female", "male"]), ""
    for label in ("male", "female", "male"):
        last = page.label(shown, "000.jpg", gender, label, before, False, "", "here")
        before = label
    page.undo(shown, last.id, "", "here")
    assert page._labels(shown) == {"000.jpg": {"gender": "female"}}


@pytest.mark.parametrize(
    ("given", "undone", "left"),
    [
        (["male", "female", "male"], 0, "male"),  # the last one's label stands
        (["male", "", "male"], 2, "male"),  # somebody unsure between two who agree
        (["male", "male"], 1, "male"),
        (["male", "female", "male"], 2, "female"),
    ],
)
def test_taking_a_label_back_takes_none_of_somebody_else(root, given, undone, left):
    shown, page = shown_of(1), Labelling(root, False)
    gender, before, entries = Attribute("gender", ["female", "male"]), "", []
    for who, label in enumerate(given):
        entry = page.label(shown, "000.jpg", gender, label, before, False, f"rater {who}", "here")
        entries.append(entry)
        before = label or before
    page.undo(shown, entries[undone].id, "", "here")
    assert page._labels(shown) == {"000.jpg": {"gender": left}}


def test_a_correction_in_the_file_between_two_labels_comes_back(root):
    shown, page = shown_of(1), Labelling(root, False)
    gender = Attribute("gender", ["female", "male"])
    page.label(shown, "000.jpg", gender, "male", "", False, "ann", "here")
    merge_labels(page.file(), {"000.jpg": {"gender": "female"}}, shown.faces.images)
    last = page.label(shown, "000.jpg", gender, "male", "female", False, "cid", "here")
    page.undo(shown, last.id, "", "here")
    assert page._labels(shown) == {"000.jpg": {"gender": "female"}}


def test_who_takes_back_first_does_not_matter(root):
    shown, page, entries = shown_of(1), Labelling(root, False), {}
    gender, before = Attribute("gender", ["female", "male"]), ""
    for who, label in (("ben", "male"), ("ann", "female"), ("eve", ""), ("cid", "female")):
        entries[who] = page.label(shown, "000.jpg", gender, label, before, False, who, "here")
        before = label or before
    for who, left in (("ann", "female"), ("cid", "male"), ("ben", None)):
        page.undo(shown, entries[who].id, "", "here")
        assert page._labels(shown) == ({"000.jpg": {"gender": left}} if left else {})


@pytest.mark.parametrize("seed", range(30))
def test_a_label_is_that_of_the_last_who_stands_whatever_is_taken_back(root, seed):
    """A label that was itself taken back came back: a child of 8 was 30."""
    rng, shown, page = random.Random(seed), shown_of(1), Labelling(root, False)
    age, given = Attribute("age", None), []  # by people and, without an entry, in the file
    for _ in range(30):
        before = given[-1][1] if given else ""
        label, what = rng.choice(["8", "30", "45"]), rng.random()
        if what < 0.1:
            merge_labels(page.file(), {"000.jpg": {"age": label}}, shown.faces.images)
            given = [(None, label)] if label != before else given
        elif what < 0.6:
            entry = page.label(shown, "000.jpg", age, label, before, False, "ann", "here")
            given.append((entry, label))
        elif standing := [place for place, (entry, _) in enumerate(given) if entry]:
            (entry, _) = given.pop(rng.choice(standing))
            page.undo(shown, entry.id, "", "here")
        now = page._labels(shown).get("000.jpg", {}).get("age", "")
        assert now == (given[-1][1] if given else "")
