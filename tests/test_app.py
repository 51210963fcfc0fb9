"""The pages over a real socket: what they show, what they refuse, and that names stay names."""

import json
import re
from html import unescape
from urllib.parse import quote

import pandas as pd
import pytest

from apps import HOSTILE, HTML, PAGES, csrf, pages
from facestats.core import tables
from facestats.core.layout import EMBEDDINGS, SERVING
from facestats.geometry.measurements import NAMES
from facestats.groups.filters import filter_faces
from facestats.groups.params import Filter
from services import BOUNDARY, CHILD

pytestmark = [pytest.mark.long, pytest.mark.server]
TOKEN = "a-token-of-the-tests-0123456789"


@pytest.fixture(scope="module")
def guarded(root, tmp_path_factory):
    """A server that asks for a token, allows ethnicity and writes nothing."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "token").write_text(f"another-token-0123456789\n{TOKEN}\n")
    options = ("--token-file", str(folder / "token"), "--allow-ethnicity", "--read-only")
    with pages(root, folder, *options) as running:
        yield running


@pytest.fixture(scope="module")
def photo(root, table):
    folder = root / json.loads((root / SERVING).read_text())["images"]
    usual = (table["filename"] != CHILD) & ~table["image"].str.startswith("bad/")
    return (folder / table.loc[usual & ~table["image"].isin(HOSTILE), "image"].iloc[0]).read_bytes()


@pytest.mark.parametrize("path", PAGES)
def test_pages_hold_no_script_and_no_style(service, path):
    answer = service.get(path, **HTML)
    assert answer.status == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in answer.headers["content-security-policy"]
    page = answer.body.decode()
    assert not re.findall(
        r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=\"/app/)", page
    )
    hosts = re.findall(r'(?:src|href|action)="(?!/app/|#)([^"]*)"', page)
    assert hosts == []


def test_the_start_leads_to_the_faces_and_the_service_answers_beside_them(service):
    answer = service.get("/", **HTML)
    assert (answer.status, answer.headers["location"]) == (303, "/app/faces")
    assert service.get("/v1/faces").json["total"] > 0
    document = service.get("/openapi.json").json
    assert not any(path.startswith("/app") for path in document["paths"])


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", {}),
        ("gender=female", {"gender": "female"}),
        ("age_range=30..60&copies=keep", {"age_range": [30, 60], "copies": "keep"}),
        ("columns.nose_width=q0.5..q1", {"columns": {"nose_width": ["q0.5", "q1"]}}),
        ("flags=keep&columns.split=train", {"flags": "keep", "columns": {"split": "train"}}),
    ],
)
def test_a_page_shows_the_faces_that_a_composite_would_take(service, table, text, where):
    expected = filter_faces(table, Filter.model_validate({"min_results": 1, **where}))
    answer = service.get(f"/app/api/faces?{text}&limit=400").json
    assert [face["name"] for face in answer["faces"]] == expected.rows["filename"].tolist()
    assert answer["total"] == len(expected.rows)
    assert answer["counts"][0] == ["all faces", len(table)]
    parts = [
        service.get(f"/app/api/faces?{text}&offset={offset}&limit=3").json["faces"]
        for offset in range(0, answer["total"] + 3, 3)
    ]
    assert [face for part in parts for face in part] == answer["faces"]
    page = service.get(f"/app/faces?{text}", **HTML).body.decode()
    assert f'data-total="{answer["total"]}"' in page


def test_a_filter_that_is_none_is_told(service):
    answer = service.get("/app/api/faces?gander=female")
    assert (answer.status, answer.code) == (422, "invalid_request")
    page = service.get("/app/faces?gander=female", **HTML)
    assert page.status == 422
    assert "Did you mean gender?" in page.body.decode()
    assert service.get("/app/api/faces?ethnicity=a").code == "ethnicity_not_allowed"
    assert "Ethnicity" not in service.get("/app/faces", **HTML).body.decode()
    assert service.get("/app/face/nobody.jpg", **HTML).status == 404
    assert b"no face of that filename" in service.get("/app/face/nobody.jpg", **HTML).body


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_and_their_pictures_are_found(service, name):
    address = quote(name)
    page = service.get(f"/app/face/{address}", **HTML)
    assert page.status == 200
    text = page.body.decode()
    assert unescape(text.partition("<h1>")[2].partition("</h1>")[0]) == name
    assert (name in text) == (not set(name) & set("<>&\"'"))
    for kind in ("thumbnail", "crop", "photo"):
        picture = service.get(f"/app/{kind}/{address}")
        assert (picture.status, picture.headers["content-type"]) == (200, "image/jpeg"), kind
    faces = service.get(f"/app/api/faces?q={quote(name)}&flags=keep&copies=keep").json["faces"]
    assert [face["name"] for face in faces] == [name]
    assert service.get(f"/app/faces?q={quote(name)}", **HTML).status == 200


def test_a_picture_is_sent_once(service):
    first = service.get(f"/app/thumbnail/{CHILD}")
    assert first.status == 200
    assert "private" in first.headers["cache-control"]
    again = service.get(f"/app/thumbnail/{CHILD}", **{"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert service.get("/app/thumbnail/../../params.yaml").status == 404
    assert service.get("/app/thumbnail/nobody.jpg").code == "unknown_face"
    assert service.get("/app/plot/../../params.yaml").status == 404
    assert service.get("/app/static/..%2fsite.py").status == 404


def test_one_face_is_told_whole(service, root, table):
    row = table[table["rating"].notna() & (table["filename"] != CHILD)].iloc[0]
    address = quote(row["filename"])
    page = unescape(service.get(f"/app/face/{address}", **HTML).body.decode())
    assert f"{row['combined_score']:.1f}" in page
    assert f"{row['rating']:.2f}" in page
    assert "not the worth of a person" in page
    assert all(name.replace("_", " ") in page for name in NAMES)
    assert page.count("<svg") >= len([name for name in NAMES if not pd.isna(row[name])]) - 3
    names, embeddings, _ = tables.read_embeddings(root / EMBEDDINGS)
    order = (-(embeddings @ embeddings[names.get_loc(row["filename"])])).argsort(kind="stable")
    best = next(name for name in names[order] if name != row["filename"])
    shown = re.findall(r'href="/app/face/([^"]+)"', page.partition('id="nearest"')[2])
    assert shown[0] == quote(best)
    points = service.get(f"/app/api/face/{address}").json
    assert len(points["landmarks"]) == 468
    left, top, right, bottom = points["box"]
    assert left < right <= points["width"] * 1.5
    assert top < bottom <= points["height"] * 1.5


def test_a_childs_face_gets_no_score(service):
    page = service.get(f"/app/face/{CHILD}", **HTML).body.decode()
    assert "No score: labelled as under 18." in page
    (face,) = service.get(f"/app/api/faces?q={CHILD}&flags=keep").json["faces"]
    assert face["line"] == "no score"


def test_photos_that_were_left_out_have_their_reason(service):
    page = unescape(service.get("/app/rejected", **HTML).body.decode())
    assert "bad/empty.jpg" in page
    assert "empty file" in page
    (picture,) = set(re.findall(r'src="(/app/rejected/picture/[^"]+)"', page)) or {None}
    if picture:
        assert service.get(picture).status == 200
    assert service.get("/app/rejected/picture/index.json").status == 404


def test_a_photo_gets_the_card_of_the_service_and_is_forgotten(service, photo):
    token = csrf(service)
    answer = service.ask(
        "POST",
        "/app/api/analyze",
        photo,
        {"Content-Type": "image/jpeg", "X-CSRF-Token": token, "Sec-Fetch-Site": "same-origin"},
    )
    assert answer.status == 200
    assert answer.json["score"] == service.post("/v1/analyze?k=12", photo).json["score"]
    assert answer.json["similar"][0]["line"].startswith(("1.000", "0.99"))
    assert "embedding" not in answer.json
    assert "ethnicity" not in answer.json["attributes"]
    assert not [*service.temporary.rglob("*.jpg")]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "stale_page"),
        ({"X-CSRF-Token": "wrong"}, "stale_page"),
        ({"Origin": "https://example.org"}, "foreign_page"),
        ({"Sec-Fetch-Site": "cross-site"}, "foreign_page"),
        ({"Sec-Fetch-Site": "same-site"}, "foreign_page"),
        ({"Origin": "null"}, "foreign_page"),
    ],
)
def test_what_comes_from_no_page_of_this_server_is_refused(service, photo, headers, code):
    given = {"X-CSRF-Token": csrf(service)} if "X-CSRF-Token" not in headers and headers else {}
    answer = service.ask(
        "POST", "/app/api/analyze", photo, {"Content-Type": "image/jpeg", **given, **headers}
    )
    assert (answer.status, answer.code) == (403, code)


def test_words_find_faces(service):
    faces = service.get("/app/api/search?text=a+person+with+glasses").json["faces"]
    similar = service.get("/v1/search?text=a+person+with+glasses&k=3").json["similar"]
    assert [face["name"] for face in faces[:3]] == [face["filename"] for face in similar]
    assert service.get("/app/api/search?text=").status == 422


def test_a_search_is_among_the_faces_that_a_filter_leaves(service, table, photo):
    """Doubtful faces and copies count only without one; the app's form is the service's filter."""
    text = "gender=female&age_range=20..60"
    where = Filter(gender="female", age_range=[20, 60], min_results=1)
    names = {*filter_faces(table, where).rows["filename"]}
    assert 0 < len(names) < len(table)
    asked = f"filter={quote(text)}&k=1000"
    similar = service.post(f"/v1/similar?{asked}", photo).json["similar"]
    assert {face["filename"] for face in similar} == names
    best = service.post("/v1/similar?k=1000", photo).json["similar"]
    expected = {face["filename"]: face["similarity"] for face in best if face["filename"] in names}
    assert [face["filename"] for face in similar] == [*expected]
    assert [face["similarity"] for face in similar] == pytest.approx([*expected.values()], abs=1e-6)
    found = service.get(f"/v1/search?text=a+face&{asked}").json["similar"]
    assert {face["filename"] for face in found} == names
    shown = service.get(f"/app/api/search?text=a+face&{text}").json["faces"]
    assert [face["name"] for face in shown] == [face["filename"] for face in found[: len(shown)]]
    page = unescape(service.get(f"/app/find?{text}", **HTML).body.decode())
    assert re.search(r'name="gender" value="female" checked', page)
    headers = {"Content-Type": "image/jpeg", "X-CSRF-Token": csrf(service)}
    card = service.ask("POST", f"/app/api/analyze?{text}", photo, headers).json
    assert [face["name"] for face in card["similar"]] == [
        face["filename"] for face in similar[: len(card["similar"])]
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gender=nobody", "the filter leaves no face: 0 faces of at least 1.*gender: 0"),
        ("gendre=female", "the filter has no condition 'gendre'. Did you mean gender"),
        ("age_range=20", "age_range = '20'; expected a range"),
        ("female", "'female' is not such as gender=female"),
        ("columns.no_such=1..2", "the table has no column no_such"),
        ("columns.pc1=abc", "pc1 asks for a class, but pc1 holds numbers"),
        ("ethnicity=a", "without --allow-ethnicity"),
    ],
)
def test_a_filter_of_a_search_that_cannot_be_met_says_why(service, photo, text, message):
    for answer in (
        service.post(f"/v1/similar?filter={quote(text)}", photo),
        service.get(f"/v1/search?text=a+face&filter={quote(text)}"),
    ):
        assert answer.status == 422
        assert re.search(message, answer.json["error"]["message"]), answer.json
    if "=" in text:
        assert service.get(f"/app/api/search?text=a+face&{text}").status == 422
        wrong = service.get(f"/app/find?{text}", **HTML)
        assert wrong.status in (200, 422)  # what no face fulfils is a filter all the same
        assert "abc" not in text or re.search(
            r'name="columns.pc1.from" value="abc"', wrong.body.decode()
        )


def test_the_run_says_what_the_report_says(service, root):
    page = unescape(service.get("/app/run", **HTML).body.decode())
    for title in ("In short", "Scores by group", "Limits", "Models", "Experiments"):
        assert title in page, title
    for address in re.findall(r'src="(/app/plot/[^"]+)"', page):
        assert service.get(address).headers["content-type"] == "image/png"
    first = service.get("/app/api/run/stale").json
    assert first["state"] in ("asking", "done")


def test_a_token_is_asked_for_once(guarded):
    answer = guarded.get("/app/faces?gender=female", **HTML)
    assert answer.status == 303
    assert answer.headers["location"] == "/app/sign-in?to=%2Fapp%2Ffaces%3Fgender%3Dfemale"
    assert guarded.get("/app/api/faces").code == "unauthorized"
    assert guarded.get(f"/app/thumbnail/{CHILD}").status == 401
    assert guarded.get("/app/static/frame.css").status == 200
    assert guarded.get("/app/sign-in", **HTML).status == 200

    def sign_in(body: str, **headers: str):
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return guarded.ask("POST", "/app/sign-in", body.encode(), kind | headers)

    assert sign_in("token=wrong-wrong-wrong-wrong").status == 401
    assert sign_in(f"token={TOKEN}", Origin="https://example.org").code == "foreign_page"
    answer = sign_in(f"token={TOKEN}&to=https://example.org/")
    assert (answer.status, answer.headers["location"]) == (303, "/app/faces")
    assert sign_in(f"token={TOKEN}&to=//example.org/").headers["location"] == "/app/faces"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN not in cookie
    session = {"Cookie": cookie.partition(";")[0]}
    page = guarded.get("/app/faces", **HTML, **session)
    assert page.status == 200
    assert "Ethnicity" in page.body.decode()
    assert guarded.get("/app/api/faces", **session).status == 200
    assert guarded.get("/app/api/faces", Cookie="facestats_app=wrong").status == 401
    assert guarded.get("/v1/faces", **session).status == 401  # the cookie is for pages alone
    token = {"X-CSRF-Token": csrf(guarded, **session)}
    assert guarded.ask("POST", "/app/sign-out", b"{}", session).code == "stale_page"
    gone = guarded.ask("POST", "/app/sign-out", b"{}", session | token)
    assert 'facestats_app=""' in gone.headers["set-cookie"]
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.get("/v1/faces", **bearer).status == 200
    assert guarded.get("/app/api/faces", **bearer).status == 200


def test_another_host_is_not_answered(service):
    for path in ("/app/faces", "/app/sign-in", "/app/static/frame.css"):
        assert service.get(path, Host="example.org").code == "unknown_host"


def test_the_log_names_no_face(service):
    written = service.log.read_text()
    assert CHILD not in written
    assert "alert" not in written
    assert BOUNDARY not in written
