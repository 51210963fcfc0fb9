"""The pages in headless Chromium: each page's main job by keyboard and pointer, no complaint, and
no request to another host. One server and one browser for all.
"""

import csv
import json
import os
from pathlib import Path
from urllib.parse import quote

import pytest

from apps import CONSENT, HOSTILE, PAGES, SEEN, STATE, begin_rating, choose_file
from facestats.core.layout import SERVING
from resources import ROOT, read_yaml, write_yaml
from services import CHILD, with_a_score

pytestmark = [pytest.mark.long, pytest.mark.browser, pytest.mark.server]
SHOWN = "Array.from(document.querySelectorAll('#faces li'), it => Number(it.dataset.index))"
FOCUSED = "Number(document.activeElement.closest('#faces li')?.dataset.index ?? -1)"
FACE = "document.getElementById('name').textContent"
COUNT = "document.querySelector('#counts .count:last-child .n').textContent"
# Pages of the menu that lie beyond its end.
CUT_OFF = """(() => { const menu = document.querySelector('.top nav').getBoundingClientRect();
  return Array.from(document.querySelectorAll('.top nav a')).filter(it =>
    it.getBoundingClientRect().right > menu.right + 1).map(it => it.textContent); })()"""
# Controls and pictures without a name for who can't see them.
NAMELESS = """Array.from(document.querySelectorAll('a, button, input, select, img, canvas, [role]'))
  .filter(it => it.type !== 'hidden' && it.role !== 'status' && it.checkVisibility()
    && !it.closest('[aria-hidden=true]'))
  .filter(it => !(it.ariaLabel || it.getAttribute('alt') !== null || it.textContent.trim()
    || it.closest('label') || it.labels?.length || it.title)).map(it => it.outerHTML)"""
# Text whose contrast with what lies behind it is below 4.5.
PALE = """(() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92
    : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = it => { for (; it; it = it.parentElement) {
    const colour = parts(getComputedStyle(it).backgroundColor);
    if (colour.length === 3 || colour[3]) return colour; } return [255, 255, 255]; };
  return Array.from(document.querySelectorAll('main *, header *')).filter(it => it.checkVisibility()
    && Array.from(it.childNodes).some(n => n.nodeType === 3 && n.textContent.trim())
    && !it.closest('option, .skip, .hidden')).filter(it => {
      const [a, b] = [light(parts(getComputedStyle(it).color)), light(behind(it))];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
    }).map(it => it.outerHTML.slice(0, 120)); })()"""

# `npm install --no-save axe-core` puts it there; the variable names it elsewhere.
AXE = Path(os.environ.get("FACESTATS_AXE", ROOT / "node_modules/axe-core/axe.min.js"))
VIOLATIONS = """axe.run(document, {resultTypes: ['violations']}).then(found => found.violations
  .filter(it => ['serious', 'critical'].includes(it.impact))
  .map(it => [it.id, ...it.nodes.slice(0, 3).map(node => node.html)]))"""


@pytest.fixture(scope="module")
def root(root):
    """Its scale is shown as buttons, which have keys."""
    params = read_yaml((root / "params.yaml").read_text())
    params["labels"]["rating_scale"] = [1, 7]
    (root / "params.yaml").write_text(write_yaml(params))
    return root


def forgive(tab, status: int) -> None:
    """Take away one complaint of the browser, that the server has refused what should be."""
    refused = [event for event in tab.complaints() if f"status of {status}" in json.dumps(event)]
    assert len(refused) == 1
    tab.events.remove(refused[0])


@pytest.mark.first_cases(1)
@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1280, "light"),
        (390, "dark"),
        pytest.param(1280, "dark", marks=pytest.mark.thorough),
        pytest.param(390, "light", marks=pytest.mark.thorough),
    ],
)
def test_pages_fit_and_can_be_read(tab, address, width, scheme):
    tab.send(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    for path in PAGES:
        tab.visit(address + path, width)
        assert tab.evaluate("document.documentElement.scrollWidth") == width, path
        assert tab.evaluate(CUT_OFF) == [], path
        assert tab.evaluate(NAMELESS) == [], path
        assert tab.evaluate(PALE) == [], path
        assert tab.evaluate("document.querySelectorAll('h1').length") == 1, path


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core (npm install --no-save axe-core)")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_no_serious_violation(tab, address, width, scheme):
    tab.send(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    for path in PAGES:
        tab.visit(address + path, width)
        tab.send("Runtime.evaluate", expression=AXE.read_text(encoding="utf-8"))
        assert tab.evaluate(VIOLATIONS) == [], path


def test_faces_by_keyboard(tab, address):
    tab.visit(f"{address}/app/faces?flags=keep&copies=keep")
    tab.wait(f"{SHOWN}.length")
    tab.press("/", "/")
    assert tab.evaluate("document.activeElement.id") == "search"
    tab.press("Escape")
    tab.wait(f"{FOCUSED} === 0")
    tab.press("ArrowRight")
    tab.wait(f"{FOCUSED} === 1")
    tab.press("End")
    total = int(tab.evaluate("document.querySelector('#faces li').ariaSetSize"))
    tab.wait(f"{FOCUSED} === {total - 1}")
    tab.press("Home")
    tab.wait(f"{FOCUSED} === 0")
    tab.press("ArrowDown")
    below = tab.wait(f"{FOCUSED} > 0 && {FOCUSED}")
    tab.press("ArrowUp")
    tab.wait(f"{FOCUSED} === 0")
    tab.press("ArrowRight")
    assert below > 1
    tab.press("Enter", "\r")
    tab.wait("location.pathname.startsWith('/app/face/')")
    tab.evaluate("history.back()")
    tab.wait(f"location.pathname === '/app/faces' && {SHOWN}.length")


def test_a_filter_answers_at_once_and_is_in_the_address(tab, address):
    tab.visit(f"{address}/app/faces")
    before = int(tab.wait(COUNT))
    tab.evaluate("document.querySelector('input[name=gender][value=female]').click()")
    tab.wait("location.search === '?gender=female'")
    found = int(tab.evaluate(COUNT))
    assert 0 < found < before
    assert tab.evaluate(f"{SHOWN}.length") == found
    tab.visit(address + tab.evaluate("document.getElementById('link').getAttribute('href')"))
    assert int(tab.wait(COUNT)) == found
    assert tab.evaluate("document.querySelector('input[name=gender][value=female]').checked")
    tab.evaluate(
        "(() => { const it = document.querySelector('[name=\\'age_range.from\\']');"
        "it.value = '999'; it.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    tab.wait("!document.getElementById('hints').hidden")  # said, and the faces stay
    assert int(tab.evaluate(COUNT)) == found
    forgive(tab, 422)


def test_a_column_is_added_to_the_filter(tab, address):
    tab.visit(f"{address}/app/faces?gender=female")
    tab.evaluate(
        "(() => { const it = document.getElementById('add'); it.value = 'nose_width';"
        "it.dispatchEvent(new Event('change', { bubbles: true })); })()"
    )
    tab.wait("location.search.includes('add=nose_width')")
    tab.wait("!!document.querySelector('[name=\\'columns.nose_width.from\\']')")
    assert tab.evaluate("document.querySelector('input[name=gender][value=female]').checked")


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("name", HOSTILE[:4])
def test_names_stay_names(tab, address, name):
    tab.visit(f"{address}/app/faces?flags=keep&copies=keep")
    tab.evaluate(
        f"(() => {{ const it = document.getElementById('search'); it.value = {json.dumps(name)};"
        "it.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    tab.wait("document.querySelectorAll('#faces li').length === 1 && location.search")
    link = "document.querySelector('#faces a')"
    assert name in tab.evaluate(f"{link}.firstElementChild.alt")
    tab.wait(f"{link}.firstElementChild.naturalWidth")
    tab.evaluate(f"{link}.click()")
    tab.wait("location.pathname.startsWith('/app/face/')")
    assert tab.wait("document.querySelector('h1')?.textContent") == name


def test_landmarks_and_box_are_switched_on(tab, address):
    tab.visit(f"{address}/app/face/{CHILD}")
    tab.evaluate("document.getElementById('landmarks').click()")
    tab.wait("document.querySelectorAll('#crop circle').length === 468")
    tab.evaluate("document.getElementById('box').click()")
    tab.wait("!!document.querySelector('#photo rect')")
    tab.evaluate("document.getElementById('landmarks').click()")
    tab.wait("!document.querySelector('#crop svg')")


def test_a_photo_and_words_find_faces(tab, address, root):
    folder = root / json.loads((root / SERVING).read_text())["images"]
    tab.visit(f"{address}/app/find")
    photos = (path for path in sorted(folder.glob("face_*.jpg")) if path.name != CHILD)
    (photo,) = with_a_score(root, photos, 1)
    choose_file(tab, "#file", photo)
    tab.wait("!document.getElementById('result').hidden")
    assert "combined" in tab.evaluate("document.getElementById('card').textContent")
    assert tab.evaluate("document.getElementById('picture').width") > 0
    first = tab.evaluate("document.querySelector('#similar img').alt")
    assert first.startswith(photo.name)
    tab.evaluate("document.getElementById('marks').click()")
    tab.evaluate("document.getElementById('search').value = 'a person with glasses'")
    tab.evaluate("document.querySelector('#words button').click()")
    tab.wait("document.querySelectorAll('#found li').length > 12")
    assert tab.evaluate("document.querySelectorAll('#similar li').length") == 12  # stay with it
    tab.evaluate("document.querySelector('#filter input[name=gender][value=female]').click()")
    for part in ("found", "similar"):  # both are asked again, among these
        labels = f"Array.from(document.querySelectorAll('#{part} img'), it => it.alt)"
        tab.wait(f"{labels}.length > 0 && {labels}.every(it => it.includes('female'))")
    assert tab.evaluate("location.search") == "?gender=female"
    empty = root.parent / "empty.jpg"
    empty.write_bytes(b"no picture")
    choose_file(tab, "#file", empty)
    tab.wait("document.getElementById('state').textContent.length > 10")
    assert tab.evaluate("document.getElementById('result').hidden")
    forgive(tab, 415)


def test_the_run_waits_for_nobody(tab, address):
    tab.visit(f"{address}/app/run")
    assert tab.evaluate("document.querySelectorAll('section h2').length") > 5
    tab.wait("!document.getElementById('stale').textContent.includes('Asking')")
    tab.wait("!document.getElementById('experiments').textContent.includes('Asking')")
    text = tab.evaluate("document.getElementById('stale').textContent")
    assert "can't tell" not in text


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("name", HOSTILE[:4])
def test_a_face_of_any_name_is_labelled_by_a_key(tab, address, root, name):
    tab.visit(f"{address}/app/label?attribute=gender&face={quote(name)}")
    tab.wait(f"!document.getElementById('work').hidden && {FACE}.length")
    assert tab.evaluate(FACE) == name
    before = (root / "data/manual_labels.csv").read_bytes()
    pressed = "document.querySelectorAll('#answers [aria-pressed=true]').length"
    tab.evaluate(SEEN)
    tab.press("1")
    tab.wait(f"{pressed} === 1")
    tab.evaluate(SEEN)
    tab.press("z")
    tab.wait(f"{pressed} === 0")
    assert (root / "data/manual_labels.csv").read_bytes() == before


def test_labelling_by_keys(tab, address):
    tab.visit(f"{address}/app/label?attribute=gender")
    left, first = tab.wait(STATE), tab.evaluate(FACE)
    tab.evaluate(SEEN)
    tab.press("s")
    second = tab.wait(f"{FACE} !== {json.dumps(first)} && {FACE}")
    tab.evaluate(SEEN)
    tab.press("u")
    tab.wait(f"{STATE} === {left - 1}")
    third = tab.evaluate(FACE)
    tab.evaluate(SEEN)
    tab.press("2")
    tab.wait(f"{STATE} === {left - 2}")
    tab.press("z")  # the face comes back
    tab.wait(f"{STATE} === {left - 1} && {FACE} === {json.dumps(third)}")
    tab.visit(f"{address}/app/label?attribute=gender")
    assert tab.wait(STATE) == left - 1
    assert tab.evaluate("document.querySelector('#changes tbody th').textContent") == second
    tab.evaluate(SEEN)
    tab.press("z")
    tab.wait(f"{STATE} === {left} && {FACE} === {json.dumps(second)}")


def test_rating_by_keys(tab, address, root):
    name = 'Zoë "<b>" \N{GRINNING FACE}'
    tab.visit(f"{address}/app/rate")
    assert tab.evaluate("document.querySelector('.consent')?.textContent") == CONSENT, tab.evaluate(
        "document.body.innerText"
    )
    begin_rating(tab, name)
    picture = "document.getElementById('picture').src"
    first = tab.evaluate(picture)
    tab.press("s")
    tab.wait(f"{picture} !== {json.dumps(first)}")
    for key, done in (("2", 1), ("z", 0), ("3", 1), ("1", 2)):
        tab.evaluate(SEEN)
        tab.press(key)
        tab.wait(f"{STATE} === {done}")
    tab.visit(f"{address}/app/rate")  # as after a reload
    assert tab.evaluate("document.getElementById('again-name').textContent") == name
    tab.evaluate("document.querySelector('#again button').click()")
    tab.wait(f"!document.getElementById('work').hidden && {STATE} === 2")
    tab.evaluate("document.getElementById('stop').click()")
    tab.wait("!document.getElementById('end').hidden")
    tab.visit(f"{address}/app/rate")
    begin_rating(tab, name)
    assert tab.evaluate(STATE) == 2
    with (root / "data/manual_ratings.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["rater"] == name]
    assert [(row["rating"], row["order"]) for row in rows] == [("3", "1"), ("1", "2")]
