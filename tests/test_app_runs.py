"""The pages on other runs than the drawn sample's: nobody has labelled a face, or faces are OMI's.

Each page does its main job in headless Chromium, and what can't be is said in words.
"""

import csv
import json
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest

from apps import PAGES, SEEN, STATE, begin_rating, choose_file
from facestats.core.layout import CROPS, SERVING
from facestats.importers.omi import OMI as DATASET
from facestats.importers.run import import_dataset
from resources import OMI, omi_images, read_yaml, write_yaml
from services import CHILD, with_a_score
from stages import call_stages, stages_of

pytestmark = [pytest.mark.long, pytest.mark.browser, pytest.mark.server]
UNLABELLED, OF_OMI = "unlabelled", "omi"
FACES = 60  # of OMI's: enough for a regressor
TEXT = "document.querySelector('main').innerText"
# What a page is for is there; `/app/label` proposes no face where all are labelled.
THERE = {
    "faces": "document.querySelectorAll('#faces li img').length > 5",
    "find": "!!(document.getElementById('file') && document.getElementById('search'))",
    "map": "document.getElementById('state').textContent === ''",
    "compose": "document.querySelectorAll('#first .count').length > 1",
    "label": f"{TEXT}.includes('Which gender?') || {TEXT}.includes('No proposed face is left.')",
    "rate": f"/scale is not known|You judge [0-9]+ faces/.test({TEXT})",
    "run": "document.querySelectorAll('section h2').length > 5",
    "rejected": f"/7 photos gave no face|Every photo gave a face/.test({TEXT})",
    "face": "document.querySelectorAll('#nearest ~ ul li').length === 12",
}


@pytest.fixture(
    scope="module", params=[UNLABELLED, pytest.param(OF_OMI, marks=pytest.mark.thorough)]
)
def run(request):
    return request.param


@pytest.fixture(scope="module")
def root(built, run, request, tmp_path_factory) -> Path:
    """The small project without a label, or with photos and raters of OMI's."""
    folder = tmp_path_factory.mktemp("run") / "project"
    if run == UNLABELLED:
        return request.getfixturevalue("unlabelled").copy(folder).folder
    omi_images()  # skips where they are not
    project, names = built.copy(folder), stages_of(built)
    for name in (Path("data/raw"), Path("data/labels"), CROPS):
        shutil.rmtree(project.folder / name)
    import_dataset(DATASET, {}, OMI, project.folder / "data", limit=FACES)
    call_stages(project, *names[names.index("preprocess") :])
    return project.folder


@pytest.mark.first_cases(1)  # test_app_browser.py has the pages at both widths
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_shows_what_it_is_for(tab, address, table, width):
    for page in PAGES:
        path = page.replace(CHILD, quote(table["filename"][0]))
        tab.visit(address + path, width)
        tab.wait(THERE[path.split("/")[2]])
        assert tab.evaluate("document.documentElement.scrollWidth") == width, path


def test_a_run_without_scores_says_so(tab, address, run, table):
    tab.visit(f"{address}/app/faces")
    tab.wait(THERE["faces"])
    meaning = tab.evaluate("document.querySelector('.meaning').innerText")
    below = tab.evaluate("document.getElementById('below').textContent")
    sorts = tab.evaluate("[...document.querySelectorAll('[name=sort] option')].map(it => it.value)")
    line = tab.evaluate("document.querySelector('#faces .line').textContent")
    name = tab.evaluate("document.querySelector('#faces img').alt")
    tab.visit(f"{address}/app/face/{quote(table['filename'][0])}")
    scores = tab.evaluate("document.querySelectorAll('[aria-labelledby=scores] td').length")
    if run == UNLABELLED:
        assert meaning.startswith("This run has no scores: no regressor was trained (0 rated faces")
        assert (below, line) == ("name", table["filename"][0])
        assert "no score" not in name
        assert not {"combined_score", "rating"} & set(sorts)
        assert scores == 0
    else:
        assert "not the worth of a person" in meaning
        assert below == "combined score"
        assert {"combined_score", "rating"} <= set(sorts)
        assert scores > 0


def test_nothing_is_offered_of_which_nothing_is_known(tab, address, table):
    tab.visit(f"{address}/app/compose")
    keys = tab.evaluate(
        "[...document.querySelectorAll('fieldset[data-key]')].map(it => it.dataset.key)"
    )
    for column in [name for name in table if name.endswith("_final")]:
        key = column.removesuffix("_final")
        known = table[column].dropna().astype(str).ne("unknown").any()
        shown = bool({key, f"attributes.{key}", f"{key}_range"} & set(keys))
        assert shown == (known and key != "ethnicity"), key
    offered = tab.evaluate("[...document.querySelectorAll('#add option')].map(it => it.value)")
    assert [name for name in offered if name and not table[name].notna().any()] == []


def test_a_photo_and_words_find_faces(tab, address, root, run):
    folder = root / json.loads((root / SERVING).read_text())["images"]
    photos = sorted(folder.glob("*.jpg"))
    photo = photos[-1] if run == UNLABELLED else with_a_score(root, photos, 1)[0]
    tab.visit(f"{address}/app/find")
    choose_file(tab, "#file", photo)
    tab.wait("!document.getElementById('result').hidden")
    card = tab.evaluate("document.getElementById('card').innerText")
    assert "gender" in card
    assert ("combined" in card) == (run == OF_OMI)
    assert ("No score: no attractiveness model was trained: 0 rated" in card) == (run == UNLABELLED)
    assert tab.evaluate("document.querySelector('#similar img').alt").startswith(photo.name)
    tab.evaluate("document.getElementById('search').value = 'a smiling woman'")
    tab.evaluate("document.querySelector('#words button').click()")
    tab.wait("document.querySelectorAll('#found li').length > 12")


def test_what_is_in_view_of_the_map_is_chosen(tab, address, table):
    tab.visit(f"{address}/app/map")
    tab.wait(THERE["map"])
    tab.evaluate("document.getElementById('view').click()")
    chosen = tab.wait("document.getElementById('count').textContent")
    assert int(chosen.split()[0]) == len(table)
    tab.wait("document.querySelectorAll('#some li').length > 5")


def test_an_average_is_drawn(tab, address):
    tab.visit(f"{address}/app/compose?gender=female")
    tab.evaluate("document.getElementById('draw').click()")
    tab.wait("document.querySelector('#first figure:not([hidden]) img')?.naturalWidth")


def test_a_face_is_labelled(tab, address, root):
    path = root / "data/manual_labels.csv"
    before = path.read_bytes()
    tab.visit(f"{address}/app/label?attribute=gender&list=faces")
    tab.wait("document.querySelectorAll('#answers button').length === 2")
    tab.evaluate(SEEN)
    first = tab.evaluate("document.getElementById('name').textContent")
    tab.press("2")
    tab.wait(f"document.getElementById('name').textContent !== {json.dumps(first)}")
    with path.open() as file:
        assert [row["gender"] for row in csv.DictReader(file)] == ["male"]
    tab.press("z")
    tab.wait(f"document.getElementById('name').textContent === {json.dumps(first)}")
    assert path.read_bytes() == before


def test_a_face_is_rated_on_the_studys_scale(tab, address, root, run):
    tab.visit(f"{address}/app/rate")
    if run == UNLABELLED:
        text = tab.evaluate(TEXT)
        assert "Nobody has rated yet, so the scale is not known: write labels.rating_scale" in text
        params = read_yaml((root / "params.yaml").read_text())
        params["labels"]["rating_scale"] = [1, 7]
        (root / "params.yaml").write_text(write_yaml(params))
        tab.visit(f"{address}/app/rate")
    begin_rating(tab, "Zoë")
    if run == UNLABELLED:
        tab.press("6")
    else:  # from 0 to 100: no buttons
        tab.evaluate(
            "(() => { document.getElementById('value').value = '60';"
            "document.querySelector('#number button').click(); })()"
        )
    tab.wait(f"{STATE} === 1")
    with (root / "data/manual_ratings.csv").open() as file:
        rows = [(row["rater"], row["rating"]) for row in csv.DictReader(file)]
    assert rows == [("Zoë", "6" if run == UNLABELLED else "60")]
