"""The pages Map and Compose: over a socket, and in headless Chromium. One server for all."""

import io
import json
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

import facestats
from apps import HOSTILE, HTML
from facestats.app.composing import STEPS
from facestats.app.faces_table import FacesTable, inside
from facestats.app.page_map import CLASSES, NONE, colour_columns, colours_of
from facestats.app.query import parse_query
from facestats.composites.params import Composite
from facestats.errors import InputError
from facestats.groups.filters import filter_faces
from facestats.groups.params import Filter
from facestats.serving.composites import draw_composite

pytestmark = [pytest.mark.long, pytest.mark.server]
BOTH = f"gender=female&pair=1&side=first&other={quote('gender=male')}"


def area_of(table: pd.DataFrame, share: float) -> tuple[str, list[str]]:
    """An area of the map as a query, and the faces in it."""
    x, y = (float(table[name].quantile(share).round(3)) for name in ("pc1", "pc2"))
    far = 1000
    within = table.loc[(table["pc1"] <= x) & (table["pc2"] <= y), "filename"]
    query = f"area=-{far}_-{far}~{x}_-{far}~{x}_{y}~-{far}_{y}&flags=keep&copies=keep"
    return query, within.tolist()


def test_points_in_a_polygon_with_a_hole():
    corners = [(0, 0), (4, 0), (4, 4), (0, 4), (0, 0), (1, 1), (3, 1), (3, 3), (1, 3), (1, 1)]
    points = np.array([[0.5, 0.5], [2, 2], [5, 2], [np.nan, 1], [3.5, 2]], np.float32)
    assert inside(points, corners).tolist() == [True, False, False, False, True]


@pytest.mark.parametrize(
    "text", ["1_1~2_2", "1_1~2_2~nan_3", "1_1~2_2~3", "~".join(["1_1"] * 121), "1_1~2_2~1e5_3"]
)
def test_an_area_that_is_none_is_told(text):
    with pytest.raises(InputError, match="area is no 3 to 120 corners"):
        parse_query([("area", text)])


def test_an_area_stands_in_its_address_as_it_was():
    query = parse_query([("area", "0_0~1.5_0~1.5_-2"), ("gender", "female")])
    assert query.text == "gender=female&area=0_0~1.5_0~1.5_-2"
    assert query.corners == [(0, 0), (1.5, 0), (1.5, -2)]


def test_colours_of_classes_and_numbers():
    frame = pd.DataFrame({"filename": [f"{i:03}" for i in range(100)]})
    frame["letter"] = [*"aabbbb", *(chr(100 + i % 12) for i in range(93)), None]
    frame["age_final"] = [np.nan, *range(99)]
    faces = FacesTable(frame)
    letters = colours_of(faces, "letter")
    assert len(letters.legend["classes"]) == CLASSES
    assert letters.legend["classes"][-1][0] == "7 others"
    assert sum(n for _, n, _ in letters.legend["classes"]) == 99
    assert (letters.codes[-1], letters.legend["none"]) == (NONE, 1)
    ages = colours_of(faces, "age_final")
    assert (ages.codes[0], ages.codes[1], ages.codes[99]) == (NONE, 0, 254)
    assert (np.diff(ages.codes[1:].astype(int)) >= 0).all()
    assert ages.legend["low"] == pytest.approx(0.98)
    assert faces.places is None
    assert colour_columns(faces)[0] == "age_final"
    with pytest.raises(InputError, match="Did you mean letter"):
        colours_of(faces, "leter")
    with pytest.raises(InputError, match="this run has no map"):
        faces.select(parse_query([("area", "0_0~1_0~1_1")]))


def test_the_map_has_the_places_and_classes_of_the_table(service, table):
    answer = service.get("/app/api/map/places")
    places = np.frombuffer(answer.body, "<f4").reshape(-1, 2)
    np.testing.assert_array_equal(places, table[["pc1", "pc2"]].to_numpy(np.float32))
    again = service.get("/app/api/map/places", **{"If-None-Match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    legend = service.get("/app/api/map/legend?column=gender_final").json
    counts = table["gender_final"].value_counts()
    assert {label: n for label, n, _ in legend["classes"]} == counts.to_dict()
    codes = np.frombuffer(service.get("/app/api/map/colours?column=gender_final").body, np.uint8)
    label, n, query = legend["classes"][0]
    assert (codes == 0).tolist() == (table["gender_final"] == label).tolist()
    assert service.get(f"/app/api/faces?{query}").json["total"] == n
    for row in np.flatnonzero(table["filename"].isin(HOSTILE)):
        face = service.get(f"/app/api/map/face?row={row}&column=age_final").json
        assert face["name"] == table["filename"][row]
    assert service.get("/app/api/map/face?row=999999").code == "unknown_face"
    assert service.get("/app/api/map/legend?column=nothing").status == 422
    assert service.get("/app/api/map/colours?column=ethnicity_final").status == 422


def test_an_area_of_the_map_is_a_filter(service, table):
    query, names = area_of(table, 0.6)
    assert 3 < len(names) < len(table)
    answer = service.get(f"/app/api/faces?{query}&limit=400").json
    assert [face["name"] for face in answer["faces"]] == names
    assert answer["counts"][-1] == ["in that area of the map", len(names)]
    page = service.get(f"/app/faces?{query}", **HTML).body.decode()
    assert f'data-total="{len(names)}"' in page
    assert 'name="area"' in page


def test_an_average_is_that_of_the_library(service, root, table):
    answer = service.get("/app/api/compose/face?gender=female").json
    chosen = filter_faces(table, Filter(gender="female"))
    assert answer["n"] == len(chosen.rows)
    picture = Image.open(io.BytesIO(service.get(answer["picture"]).body))
    models = facestats.load(root)
    expected = draw_composite(models, facestats.filter_images(table, gender="female"))
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(expected))


def test_options_change_the_picture_and_wrong_ones_are_told(service):
    query = "gender=female&mask=oval&background=transparent&symmetric=true"
    drawn = service.get(f"/app/api/compose/face?{query}").json
    assert Image.open(io.BytesIO(service.get(drawn["picture"]).body)).mode == "RGBA"
    for wrong in ("mask=oval", "align=nose", "max_yaw=far", "symmetric=maybe"):
        answer = service.get(f"/app/api/compose/face?{wrong}")
        assert (answer.status, answer.code) == (422, "invalid_request"), wrong
        assert service.get(f"/app/compose?{wrong}", **HTML).status == 422


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("age_range=90..130", "too few faces match: 0 of at least 10"),
        ("gender=female&n=3", "n=3 faces can never reach min_results=10"),
    ],
)
def test_too_few_faces_are_not_drawn(service, query, why):
    assert why in service.get(f"/app/api/compose?{query}").json["sides"][0]["why"]
    answer = service.get(f"/app/api/compose/face?{query}")
    assert answer.status == 422
    assert why in answer.json["error"]["message"]
    assert service.get(f"/app/api/compose/between?{query}").status == 422
    assert service.get("/app/api/compose?ethnicity=a").code == "ethnicity_not_allowed"
    other = quote("ethnicity=a")
    assert service.get(f"/app/api/compose?pair=1&other={other}").code == "ethnicity_not_allowed"


def test_between_two_faces(service):
    answer = service.get(f"/app/api/compose/between?{BOTH}").json
    assert answer["shares"] == pytest.approx(np.linspace(0, 1, STEPS).tolist())
    pictures = [
        np.asarray(Image.open(io.BytesIO(service.get(path).body)), float)
        for path in answer["pictures"]
    ]
    ends = [
        np.asarray(Image.open(io.BytesIO(service.get(f"{path}.png?{query}").body)), float)
        for path, query in (
            ("/app/api/compose/face", "gender=female"),
            ("/app/api/compose/face", "gender=male"),
        )
    ]
    for shown, end in zip((pictures[0], pictures[-1]), ends, strict=True):
        assert np.abs(shown - end).mean() < 1
    apart = np.abs(ends[0] - ends[1]).mean()
    assert 0 < np.abs(pictures[STEPS // 2] - ends[0]).mean() < apart


def test_the_lines_for_params_draw_the_same_faces(service, table):
    query = (
        f"attributes.glasses=without&columns.nose_width=q0.2..q1&mask=oval&background=grey&{BOTH}"
    )
    content = service.get(f"/app/api/compose?{query}").json
    lines = yaml.safe_load(content["lines"])
    assert [*lines] == ["composites", "continua", "differences"]
    for (name, written), side in zip(lines["composites"].items(), content["sides"], strict=True):
        composite = Composite.model_validate(written)
        assert name == f"my_{side['name']}"
        assert len(filter_faces(table, composite.filter).rows) == side["counts"][-1][1]
        assert (composite.render.mask, composite.render.background) == ("oval", "grey")
    area, _ = area_of(table, 0.9)
    content = service.get(f"/app/api/compose?{area}").json
    assert content["lines"] == ""
    assert content["lines_why"] == "params.yaml has no condition for an area of the map"


# Chromium complains of a canvas that is read again and again unless it was made for that.
SOMETHING_DRAWN = """canvas => {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext("2d", {willReadFrequently: true});
  context.drawImage(canvas, 0, 0);
  return context.getImageData(0, 0, copy.width, copy.height).data.some(it => it > 0);
}"""


@pytest.mark.browser
def test_a_lasso_leads_to_its_faces(tab, address, service):
    tab.visit(f"{address}/app/map?colour=age_final")
    tab.wait("document.getElementById('state').textContent === ''")
    tab.wait(f"({SOMETHING_DRAWN})(document.getElementById('points'))")
    box = json.loads(
        tab.evaluate("JSON.stringify(document.getElementById('points').getBoundingClientRect())")
    )
    tab.evaluate("document.querySelector('[value=lasso]').click()")
    shares = [(0.02, 0.05), (0.6, 0.05), (0.6, 0.95), (0.3, 0.97), (0.02, 0.95)]
    for i, (x, y) in enumerate(shares):
        tab.send(
            "Input.dispatchMouseEvent",
            type="mouseMoved" if i else "mousePressed",
            x=box["x"] + x * box["width"],
            y=box["y"] + y * box["height"],
            button="left",
            buttons=1,
            clickCount=1,
        )
    tab.send(
        "Input.dispatchMouseEvent",
        type="mouseReleased",
        x=box["x"] + 0.02 * box["width"],
        y=box["y"] + 0.95 * box["height"],
        button="left",
        clickCount=1,
    )
    number = int(tab.wait("document.getElementById('count').textContent").split()[0])
    assert number > 0
    tab.wait("document.querySelectorAll('#some li').length")
    assert tab.evaluate("document.getElementById('below').textContent") == "combined score"
    beside = tab.evaluate("document.getElementById('faces').getBoundingClientRect().bottom")
    assert 0 < beside <= 900  # in view
    link = tab.evaluate("document.getElementById('faces').getAttribute('href')")
    assert service.get(link.replace("/app/", "/app/api/")).json["total"] == number
    tab.evaluate("document.getElementById('points').focus()")
    tab.press("Escape")
    assert tab.evaluate("document.getElementById('chosen').hidden")


@pytest.mark.browser
def test_the_map_by_keyboard_and_its_names_are_text(tab, address, table):
    tab.visit(f"{address}/app/map")
    tab.wait("document.getElementById('state').textContent === ''")
    tab.evaluate("document.getElementById('points').focus()")
    wanted, seen = set(table["filename"]), set()
    for _ in range(3):
        tab.send("Input.dispatchKeyEvent", type="keyDown", key="n", text="n")
        tab.wait("!document.getElementById('tip').hidden")
        seen.add(tab.evaluate("document.getElementById('tip').href"))
    assert len(seen) > 1
    assert tab.evaluate("document.getElementById('state').textContent").split(", ")[0]
    tab.press("Enter", "\r")
    tab.wait("location.pathname.startsWith('/app/face/')")
    assert tab.wait("document.querySelector('h1')?.textContent") in wanted


@pytest.mark.browser
def test_two_faces_and_what_lies_between_them(tab, address):
    tab.visit(f"{address}/app/compose")
    tab.evaluate("document.querySelector('input[name=gender][value=female]').click()")
    tab.wait("location.search.includes('gender=female')")
    tab.evaluate("document.getElementById('draw').click()")
    tab.wait("document.querySelector('#first figure:not([hidden]) img')?.naturalWidth")
    assert "my_first" in tab.evaluate("document.querySelector('#permanent pre').textContent")
    tab.visit(f"{address}/app/compose?gender=female")
    link = tab.evaluate("document.querySelector('.to[data-to=second]').getAttribute('href')")
    tab.evaluate("document.querySelector('.to[data-to=second]').click()")
    tab.wait("!!document.getElementById('second') && document.readyState === 'complete'")
    assert (
        link
        == f"/app/compose?{BOTH.replace(quote('gender=male'), quote('gender=female'))}".replace(
            "side=first", "side=second"
        )
    )
    assert tab.evaluate("document.querySelectorAll('.side figure:not([hidden])').length") == 0
    assert tab.evaluate("document.querySelector('input[name=gender][value=female]').checked")
    clear = tab.evaluate("document.querySelector('#filter .buttons a').getAttribute('href')")
    assert "side=second" in clear
    assert "gender%3Dfemale" in clear  # the first keeps its own
    # The first answer is late: the page says so, and asks again.
    tab.evaluate(
        "(() => { const own = fetch; let late = 1; window.fetch = (path, ...rest) =>"
        " String(path).includes('compose/face?') && late-- > 0 ? Promise.resolve(new Response("
        "JSON.stringify({ error: { code: 'too_late', message: 'no' } }), { status: 503 }))"
        " : own(path, ...rest); })()"
    )
    tab.evaluate(
        "new MutationObserver(found => found.forEach(it => { window.told = (window.told ?? '')"
        " + it.target.textContent; })).observe(document.querySelector('.sides'),"
        " { childList: true, subtree: true })"
    )
    tab.evaluate("document.getElementById('draw').click()")
    tab.wait("!document.querySelector('.slider').hidden")
    assert "Still drawing" in tab.evaluate("window.told")
    assert "draw=1" in tab.evaluate("location.search")
    image = "document.querySelector('#between img')"
    middle = tab.evaluate(f"{image}.src")
    tab.evaluate("document.getElementById('share').focus()")
    tab.press("End")
    tab.wait(f"{image}.src !== {json.dumps(middle)}")
    assert tab.evaluate(f"{image}.alt") == "100 % of the second face"
    tab.evaluate("document.querySelector('input[name=gender][value=male]').click()")
    tab.wait("document.querySelector('.slider').hidden")  # of another question
    tab.evaluate(
        "(() => { const it = document.querySelector('[name=\\'age_range.from\\']');"
        "it.value = '120'; it.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    tab.wait("document.querySelector('#second .why').textContent.includes('Too few')")
