"""What strangers' projects, names and requests did to the pages in an attack, each mended."""

import json
import os
import shutil
import struct
import threading
import time
from codecs import BOM_UTF8
from functools import partial
from types import SimpleNamespace
from urllib.parse import quote

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from apps import rename_faces
from facestats.__main__ import main, make_parser
from facestats.app import rating
from facestats.app.blocks import plot_file
from facestats.app.composing import Wanted, params_lines
from facestats.app.faces_table import FacesTable
from facestats.app.gate import COOKIE, Gate
from facestats.app.journal import JOURNAL, Entry, Journal
from facestats.app.photo_facts import PhotoFacts
from facestats.app.query import parse_query
from facestats.app.rating import Rating, check_rater
from facestats.app.site import Choices
from facestats.cli.serve import settings_of
from facestats.composites.params import Render
from facestats.core.files import read_bytes
from facestats.core.fingerprint import sha256_file
from facestats.core.layout import CROPS, METADATA, REJECTED, REJECTED_INDEX
from facestats.errors import InputError, LabelError
from facestats.groups.bounds import check_bounds
from facestats.labels.csv_text import read_csv
from facestats.labels.manual import alone
from facestats.labels.rated_by_hand import HEADER, add_line, rows_by_hand, take_line
from photo_bytes import chunked
from services import with_a_child

NAME = '{"ImportId":"x"}'
ROW = dict(zip(HEADER, ("Zoë", "a.jpg", "", "4", "1", "2.000", "0"), strict=True))


@pytest.fixture(scope="module")
def root(built, tmp_path_factory):
    root = with_a_child(built, tmp_path_factory.mktemp("attacked") / "project")
    reasons = ("contradicts_ethnicity", "contradicts_gender")
    rename_faces(root, (f"{NAME}.jpg", "soft\u00adhyphen.jpg"), reasons=reasons)
    return root


def study(folder, names, monkeypatch):
    """A study of these photos without a server."""
    found = rating.Study([""], (1.0, 7.0), folder / "manual_ratings.csv")
    monkeypatch.setattr(rating, "read_study", lambda root: found)
    faces = FacesTable(pd.DataFrame({"filename": names, "image": names}))
    facts = SimpleNamespace(sha256_of=lambda face: None)
    shown = SimpleNamespace(faces=faces, facts=facts, version="1")
    return Rating(folder, Choices(consent="yes")), shown


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["soft\u00adhyphen.jpg", "a\u200bb.jpg", " blank.jpg", f"{NAME}.jpg"]
)
def test_a_photo_of_any_name_is_asked_for_once(tmp_path, monkeypatch, name):
    made, shown = study(tmp_path, [name, "z.jpg"], monkeypatch)
    answer, asked = made.begin(shown, "Ann", "", True), []
    while answer["face"] and len(asked) < 5:
        asked.append(answer["face"]["name"])
        answer = made.rate(shown, "Ann", "", asked[-1], 3.0, 1.0, False)
    assert sorted(asked) == sorted([name, "z.jpg"])
    undone = made.undo(shown, "Ann", "", asked[-1])
    assert undone["face"]["name"] == asked[-1]


def test_judgements_make_the_folder_of_their_file(tmp_path, monkeypatch):
    made, shown = study(tmp_path / "new/study", ["a.jpg"], monkeypatch)
    assert made.begin(shown, "Ann", "", True)["face"]["name"] == "a.jpg"
    made.rate(shown, "Ann", "", "a.jpg", 3.0, 1.0, False)
    assert rows_by_hand(tmp_path / "new/study/manual_ratings.csv")[0]["rating"] == "3"
    (tmp_path / "file").write_text("")
    made, shown = study(tmp_path / "file", ["a.jpg"], monkeypatch)
    with pytest.raises(InputError, match="can't be used as a folder"):
        made.begin(shown, "Ann", "", True)


def test_a_place_of_thousands_of_digits_is_none(tmp_path, monkeypatch):
    made, shown = study(tmp_path, ["a.jpg", "b.jpg"], monkeypatch)
    row = ROW | {"rater": "Ann", "order": "9" * 5000}
    (tmp_path / "manual_ratings.csv").write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    assert made.begin(shown, "Ann", "", True)["face"]["name"] == "b.jpg"
    made.rate(shown, "Ann", "", "b.jpg", 3.0, 1.0, False)
    assert rows_by_hand(tmp_path / "manual_ratings.csv")[1]["order"] == "2"


def test_no_rater_is_taken_for_a_line_of_a_survey():
    with pytest.raises(InputError, match="no name of a rater"):
        check_rater(NAME, set())


def test_how_another_rater_writes_the_name_is_not_told():
    with pytest.raises(InputError, match="whose name is 'ANN LEE' in other letters") as error:
        check_rater("ANN LEE", {"Ann  Lee", "Bo"})
    assert "Ann" not in str(error.value)
    assert check_rater("Bo", {"Ann  Lee", "Bo"}) == "Bo"


@pytest.mark.parametrize("sign", ["\u2028", "\u0085", "\r"])
def test_an_entry_of_the_journal_is_one_line(tmp_path, sign):
    entry = Entry("1", f"a{sign}b.jpg", "gender", "", "female", "", "", f"x{sign}y")
    journal = Journal(tmp_path)
    with journal.alone():
        journal.append(entry)
    assert journal.entries() == [entry]


@pytest.mark.parametrize("sign", ["\r", "\n", "\u2028"])
def test_a_judgement_is_one_record(tmp_path, sign):
    path = tmp_path / "manual_ratings.csv"
    path.write_text(",".join(HEADER) + "\n")
    add_line(path, HEADER, ROW | {"trait": f"a{sign}b"})
    add_line(path, HEADER, ROW)
    assert [row["rating"] for row in rows_by_hand(path)] == ["4", "4"]


@pytest.mark.parametrize("value", ["a\u0085b", "é", "a\u2028b"])
def test_lines_for_params_are_read_back_as_they_were(value):
    side = Wanted(parse_query([("attributes.smile", value)]), Render())
    lines, _ = params_lines([side], [SimpleNamespace(rows=[])])
    where = yaml.safe_load(lines)["composites"]["my_first"]["filter"]
    assert where["attributes"]["smile"] == [value]


@pytest.mark.parametrize("command", ["serve", "app"])
def test_a_port_that_is_none_is_refused(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--port", "99999"])
    assert ended.value.code == 2
    assert "'99999' is no port" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["bad..name", "a" * 64, "nosuch.invalid"])
def test_a_host_that_is_none_is_refused(host, root):
    words = ["serve", "--host", host, "--no-auth", "--root", str(root)]
    options = make_parser().parse_args(words)
    with pytest.raises(InputError, match=f"{host}:8000 can't be used"):
        settings_of(options)


def test_reading_a_folder_as_a_file_keeps_nothing_open(tmp_path):
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        with pytest.raises(IsADirectoryError):
            read_bytes(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == len(before)


FORMS = {
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "sep=;": lambda text: ("sep=;\n" + text.replace(",", ";")).encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "a mark": lambda text: text.encode("utf-8-sig"),
    "a mark and semicolons": lambda text: text.replace(",", ";").encode("utf-8-sig"),
    "numbers of rows": lambda text: "".join(
        f"{i or ''},{line}" for i, line in enumerate(text.splitlines(keepends=True))
    ).encode(),
    "columns in another order": lambda text: (
        "image,rater,trait,rating,order,seconds,repeat\na.jpg,Zoë,,3,1,1.0,0\n".encode()
    ),
    "quotes": lambda text: "".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) + "\r\n" for line in text.splitlines()
    ).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_judgement_stays_in_a_file_that_a_spreadsheet_has_saved(tmp_path, form):
    path = tmp_path / "manual_ratings.csv"
    path.write_bytes(FORMS[form](",".join(HEADER) + "\nZoë,a.jpg,,3,1,1.0,0\n"))
    new = ROW | {"image": "b.jpg", "order": "2"}
    add_line(path, HEADER, new)
    add_line(path, HEADER, new | {"image": "c.jpg"})
    assert path.read_bytes().startswith(BOM_UTF8) is ("a mark" in form)
    rows = rows_by_hand(path)
    assert [row["image"] for row in rows] == ["a.jpg", "b.jpg", "c.jpg"]
    assert {row["rater"] for row in rows} == {"Zoë"}
    assert rows[1] == new


@pytest.mark.parametrize(
    "data",
    [
        (",".join(HEADER) + "\nJürgen,a.jpg,,3,1,1.0,0\n").encode("cp1252"),
        (";".join(HEADER) + "\r\nJürgen;a.jpg;;3;1;1.0;0\r\n").encode("mac_roman"),
        ("Study of 2026\n" + ",".join(HEADER) + "\nJürgen,a.jpg,,3,1,1.0,0\n").encode(),
    ],
)
def test_a_file_of_judgements_that_would_lose_its_encoding_or_title_is_refused(tmp_path, data):
    """A guessed encoding made one rater two, and the next judgement made that permanent."""
    path = tmp_path / "manual_ratings.csv"
    path.write_bytes(data)
    row = dict(zip(HEADER, ("Jürgen", "a.jpg", "", "3", "1", "1.0", "0"), strict=True))
    for do in (
        rows_by_hand,
        partial(take_line, row=row),
        partial(add_line, header=HEADER, row=row),
    ):
        with pytest.raises(LabelError, match="is written anew, and would lose a part of it"):
            do(path)
    assert path.read_bytes() == data


@pytest.mark.parametrize("what", ["a pipe", "a device"])
def test_what_is_no_regular_file_is_not_read(tmp_path, what):
    path = tmp_path / "labels.csv"
    if what == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(LabelError, match="no regular file"):
        read_csv(path)
    folder = tmp_path / JOURNAL.parent
    folder.mkdir(parents=True)
    shutil.move(path, folder / JOURNAL.name)
    with pytest.raises(InputError, match=r"out of the project|no regular file"):
        Journal(tmp_path).entries()


@pytest.mark.timeout(120)  # http.cookies takes hours
def test_a_cookie_of_backslashes_is_read_at_once():
    gate = Gate((b"secret",))
    header = b'a="' + b"\\" * 2_000_000 + b'"'
    assert not gate.is_signed_in({b"cookie": header})
    session = gate.session(b"secret").encode()
    assert gate.is_signed_in({b"cookie": header + b"; %s=%s" % (COOKIE.encode(), session)})


@pytest.mark.parametrize("name", ["a\0.png", "a" * 300 + ".png", "../dvc.lock", "loop.png"])
def test_a_plot_that_is_none_is_not_found(tmp_path, name):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/loop.png").symlink_to("loop.png")
    assert plot_file(tmp_path, name) is None


@pytest.mark.parametrize("end", [2**70, 10**400])
def test_no_whole_number_is_too_large_for_a_bound(end):
    if end > 1e308:
        with pytest.raises(ValueError, match="no end of a range"):
            check_bounds([0, end])
    else:
        assert check_bounds([0, end]) == [0, end]


@pytest.mark.long
@pytest.mark.server
@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("POST", "/app/sign-in", {"Origin": "http://["}, b"token=x"),
        ("GET", "/app/plot/a%00.png", {}, None),
        ("GET", "/app/api/compose?pair=1&other=" + "%26" * 300, {}, None),
        ("GET", f"/app/api/faces?columns.yaw=0..{'9' * 400}", {}, None),
        ("GET", f"/app/api/faces?rating=0..{2**70}", {}, None),
        ("POST", "/v1/composite", {}, json.dumps({"filter": {"rating": [0, 10**400]}}).encode()),
        ("POST", "/v1/composite", {}, b'{"filter":{"gender":"\\ud800"}}'),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else "",
)
def test_an_odd_request_is_the_askers_mistake(service, method, path, headers, body):
    if path.startswith("/v1"):
        headers = {"Content-Type": "application/json"}
    answer = service.ask(method, path, body, headers) if body else service.get(path)
    assert answer.status in (200, 400, 403, 404, 422), answer.body


@pytest.mark.long
@pytest.mark.server
@pytest.mark.parametrize("link", ["the journal", "its folder", "the consents"])
def test_no_link_of_a_project_makes_the_pages_write_elsewhere(root, post, tmp_path, link):
    places = {"the journal": JOURNAL, "its folder": JOURNAL.parent}
    outside = tmp_path / "outside"
    place = root / places.get(link, "data/consents.csv")
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    if link == "its folder":
        outside.mkdir()
    else:
        outside.write_text("rater,time,sha256\n")
    before = outside.read_bytes() if outside.is_file() else None
    labels = (root / "data/manual_labels.csv").read_bytes()
    place.symlink_to(outside)
    given = {"face": "soft\u00adhyphen.jpg", "attribute": "gender", "who": "$(touch x)"}
    if link == "the consents":
        answer = post("/app/api/rate/begin", rater="Eve", trait="", agreed=True)
    else:
        answer = post("/app/api/label", label="female", before="", browser="b", **given)
    place.unlink()
    assert answer.status == 422, answer.body
    assert "leads out of the project folder" in answer.body.decode()
    assert (root / "data/manual_labels.csv").read_bytes() == labels
    assert (outside.read_bytes() == before) if before is not None else not any(outside.iterdir())


@pytest.mark.long
@pytest.mark.server
def test_a_picture_of_a_photo_without_a_face_is_no_file_of_ones_own(root, service, tmp_path):
    private = tmp_path / "private.jpg"
    shutil.copy(next((root / "data/raw").rglob("*.jpg"), None) or root / "params.yaml", private)
    index = root / REJECTED / REJECTED_INDEX
    entries = json.loads(index.read_text())
    index.unlink()
    more = [
        {"image": name, "picture": name}
        for name in ("one.jpg", "two.jpg", "pipe.jpg", "no\0ne.jpg")
    ]
    index.write_text(json.dumps([*entries, *more]))
    (root / REJECTED / "one.jpg").symlink_to(private)
    (root / REJECTED / "two.jpg").symlink_to(root / "params.yaml")
    os.mkfifo(root / REJECTED / "pipe.jpg")
    for name in ("one.jpg", "two.jpg", "pipe.jpg", "no%00ne.jpg"):
        assert service.get(f"/app/rejected/picture/{name}").status == 404


@pytest.mark.long
@pytest.mark.server
def test_photos_without_a_face_have_no_pictures_of_a_run_under_way(root, service):
    """Its pictures may show other people's photos under the same names."""
    table = root / METADATA / "faces.parquet"
    name, index = "own.jpg", root / REJECTED / REJECTED_INDEX
    entries = [*json.loads(index.read_text()), {"image": "bad/empty.jpg", "picture": name}]
    index.unlink()
    index.write_text(json.dumps(entries))
    shutil.copy(next((root / CROPS).glob("*.jpg")), root / REJECTED / name)
    assert service.get(f"/app/rejected/picture/{name}").status == 200
    written = table.read_bytes()
    table.unlink()
    table.write_bytes(written + b" ")
    try:
        assert service.get(f"/app/rejected/picture/{name}").status == 404
        assert b"/app/rejected/picture/" not in service.get("/app/rejected").body
    finally:
        table.write_bytes(written)


@pytest.mark.long
@pytest.mark.server
def test_odd_files_of_a_run_stop_no_page(root, service):
    def text(content):
        return lambda path: path.write_text(content)

    label = "/app/api/label?attribute=gender&list=proposed"
    face = next(path.name for path in (root / CROPS).glob("*.jpg"))
    odd = (
        ("data/manual_labels.csv", os.mkfifo, label),
        (JOURNAL, text("[" * 100_000 + "\n"), label),
        (JOURNAL.parent, text(""), label),
        (METADATA / "labels_template.csv", text("a\nb"), label),
        ("params.yaml", lambda path: path.symlink_to(path.name), "/app/label"),
        ("params.yaml", os.mkfifo, "/app/label"),
        ("metrics/attractiveness.json", lambda path: path.mkdir(), "/app/run"),
        (REJECTED / REJECTED_INDEX, os.mkfifo, "/app/rejected"),
        (METADATA / "faces.parquet", os.mkfifo, "/app/rejected"),
        (METADATA / "attributes_flags.parquet", os.mkfifo, f"/app/face/{quote(face)}"),
        (CROPS / face, os.mkfifo, f"/app/crop/{quote(face)}"),
    )
    for name, make, page in odd:
        path, kept = root / name, root / "kept"
        if path.exists():
            path.rename(kept)
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        for _ in range(3):  # more than threads
            assert service.get(page, Accept="text/html").status in (200, 404, 409, 422, 503), name
        path.rmdir() if path.is_dir() else path.unlink()
        if kept.exists():
            kept.rename(path)


@pytest.mark.long
@pytest.mark.server
def test_a_plot_that_declares_much_is_no_plot(root, service):
    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunked(b"IHDR", size) + chunked(b"IEND", b"")
    plot = next((root / "metrics").rglob("*.png"))
    plot.unlink()
    plot.write_bytes(bomb)
    assert service.get("/app/run").status == 200


@pytest.mark.long
@pytest.mark.server
def test_pages_answer_while_somebody_else_holds_the_lock_of_the_labels(root, service, post):
    given = {"face": "soft\u00adhyphen.jpg", "attribute": "gender", "browser": "b"}
    waiting = [
        threading.Thread(target=post, args=("/app/api/label",), kwargs={**given, "label": label})
        for label in ("female", "male", "female", "male")
    ]
    with alone(root / "data"):
        for thread in waiting:
            thread.start()
        time.sleep(0.5)
        assert service.get("/app/faces", Accept="text/html").status == 200
        assert all(thread.is_alive() for thread in waiting)  # the page did not wait for them
    for thread in waiting:
        thread.join(60)


@pytest.mark.long
@pytest.mark.server
def test_a_doubtful_label_of_ethnicity_is_not_told(service):
    name = "soft\u00adhyphen.jpg"
    page = service.get(f"/app/face/{quote(name)}", Accept="text/html").body.decode()
    assert "contradicts gender" in page
    assert "contradicts ethnicity" not in page


def test_flags_of_another_run_are_not_told(root):
    path = root / METADATA / "attributes_flags.parquet"
    name = pq.read_table(path)["filename"][0].as_py()
    models, content = SimpleNamespace(root=root), path.read_bytes()
    facts = PhotoFacts(models, sha256_file(path))
    assert facts.flags_of(name)
    assert name in facts.flagged(facts.flags_of(name)[0]["reason"])
    path.unlink()
    assert facts.flags_of(name) is None
    for other in (b"damaged", content):
        path.write_bytes(other)
        facts = PhotoFacts(models, sha256_file(root / "params.yaml"))
        assert facts.flags_of(name) is None
        assert facts.flagged("low_confidence") == []
