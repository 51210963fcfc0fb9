"""Label and Rate over a real socket: what they write and refuse, and that nothing is lost."""

import csv
import json
import re
import threading
from urllib.parse import quote

import pandas as pd
import pytest

from apps import HOSTILE, HTML, csrf, pages
from facestats.core.layout import FINAL_TABLE, METADATA
from services import CHILD

pytestmark = [pytest.mark.long, pytest.mark.server]


@pytest.fixture(scope="module")
def options():
    return "--repeats", "0.2"


def labels_of(root):
    """The labels by hand, by face."""
    with (root / "data/manual_labels.csv").open() as file:
        return {row["filename"].removeprefix("'"): row for row in csv.DictReader(file)}


def ratings_of(root):
    with (root / "data/manual_ratings.csv").open() as file:
        return [*csv.DictReader(file)]


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_label_is_written_and_taken_back(service, root, post, name):
    before = (root / "data/manual_labels.csv").read_bytes()
    given = {"face": name, "attribute": "gender", "who": "<b>Zoë</b>", "browser": "one"}
    answer = post("/app/api/label", label="female", before="", **given)
    assert answer.status == 200, answer.body
    assert labels_of(root)[name]["gender"] == "female"
    (face,) = service.get(f"/app/api/label?attribute=gender&face={quote(name)}").json["faces"]
    assert (face["name"], face["by_hand"]) == (name, "female")
    page = service.get(f"/app/face/{quote(name)}", **HTML).body.decode()
    assert "Labelled by hand as gender female, which counts from the next run on." in page
    entry = service.get("/app/api/label?attribute=gender").json["changes"][0]
    assert (entry["who"], entry["old"], entry["new"]) == ("<b>Zoë</b>", "", "female")
    other = post("/app/api/label", label="male", before="", **given)
    assert (other.status, other.code) == (409, "changed_meanwhile")
    assert labels_of(root)[name]["gender"] == "female"
    assert post("/app/api/label/undo", id=entry["id"], who="", browser="one").status == 200
    assert (root / "data/manual_labels.csv").read_bytes() == before
    assert post("/app/api/label/undo", id=entry["id"], who="", browser="one").status == 422


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": "femal"}, "did you mean 'female'?"),
        ({"label": "unknown", "new": True}, "no answer"),
        ({"label": "x" * 101, "new": True}, "100 characters"),
        ({"label": "Female", "new": True}, "there already"),
        ({"attribute": "age", "label": "230"}, "age: found '230', expected a number from 0 to 130"),
        ({"attribute": "rating", "label": "7"}, "no such attribute"),
        ({"attribute": "ethnicity", "label": "a"}, "no such attribute"),
        ({"face": "nobody.jpg"}, "no face of that filename"),
        ({"label": 3}, "expected a text"),
        ({"who": "two\nlines"}, "one line"),
    ],
)
def test_what_is_no_label_is_refused(root, post, change, said):
    before = (root / "data/manual_labels.csv").read_bytes()
    given = {"face": CHILD, "attribute": "gender", "label": "male", "before": "", "browser": "x"}
    answer = post("/app/api/label", **(given | change))
    assert answer.status in (404, 422)
    assert said in answer.json["error"]["message"]
    assert (root / "data/manual_labels.csv").read_bytes() == before


def test_another_target_and_a_new_class_are_labelled(service, root, post):
    page = service.get("/app/label", **HTML).body.decode()
    assert "glasses" in page
    given = {"face": CHILD, "attribute": "glasses", "before": "", "browser": "x", "who": ""}
    assert post("/app/api/label", label="=cmd", new=True, **given).status == 200
    assert "'=cmd" in (root / "data/manual_labels.csv").read_text()
    answer = service.get(f"/app/api/label?attribute=glasses&face={CHILD}").json
    assert answer["faces"][0]["by_hand"] == "=cmd"
    assert "=cmd" in answer["classes"]
    post("/app/api/label/undo", id=answer["changes"][0]["id"], browser="x")


def test_the_file_and_the_command_are_for_whoever_runs_it(service, root):
    for path, file in (("label", "manual_labels"), ("rate", "manual_ratings")):
        page = service.get(f"/app/{path}", **HTML).body.decode()
        fold = page.partition("<summary>For whoever runs")[2].partition("</details>")[0]
        assert page.count("dvc repro") == fold.count("dvc repro") == 1
        assert f"<code>data/{file}.csv</code>" in fold
        assert f"<code>{root.name}</code>" in fold


def test_ethnicity_is_not_taken_back_where_it_is_not_shown(root, post):
    line = {"id": "e1", "filename": CHILD, "column": "ethnicity", "old": "", "new": "a"}
    line |= {"who": "", "when": "2026-01-01T00:00:00+00:00", "browser": "x"}
    journal = root / "data/interim/app/labelled.jsonl"
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("a") as file:
        file.write(json.dumps(line) + "\n")
    answer = post("/app/api/label/undo", id="e1", browser="x")
    assert "--allow-ethnicity" in answer.json["error"]["message"]


def test_proposals_come_in_their_order_until_somebody_is_unsure(service, root, post):
    template = pd.read_csv(root / METADATA / "labels_template.csv")["filename"].tolist()
    faces = service.get("/app/api/label?attribute=gender").json["faces"]
    names = [face["name"] for face in faces]
    assert names == [name for name in template if name in names]
    assert names
    given = {"face": names[0], "attribute": "gender", "browser": "x", "who": "", "before": ""}
    assert post("/app/api/label", label="", **given).status == 200
    left = service.get("/app/api/label?attribute=gender").json["faces"]
    assert [face["name"] for face in left] == names[1:]
    assert names[0] not in labels_of(root)


def test_people_at_once_lose_no_label_and_no_rating(service, root, post):
    names = pd.read_parquet(root / FINAL_TABLE)["filename"].tolist()[-8:]
    post("/app/api/rate/begin", rater="zed", trait="", agreed=True)
    post("/app/api/rate/begin", rater="amy", trait="", agreed=True)
    problems = []

    def label(mine):
        for name in mine:
            given = {"face": name, "attribute": "gender", "before": "", "browser": mine[0]}
            if post("/app/api/label", label="male", **given).status != 200:
                problems.append(name)

    def rate(rater):
        answer = post("/app/api/rate/begin", rater=rater, trait="", agreed=False).json
        for _ in range(4):
            face = answer["face"]["name"]
            given = {"rater": rater, "trait": "", "face": face, "rating": 3, "seconds": 1.25}
            answer = post("/app/api/rate", **given).json

    jobs = [(label, names[::2]), (label, names[1::2]), (rate, "zed"), (rate, "amy")]
    threads = [threading.Thread(target=job, args=(who,)) for job, who in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert problems == []
    assert {name: labels_of(root)[name]["gender"] for name in names} == dict.fromkeys(names, "male")
    orders = {who: [r["order"] for r in ratings_of(root) if r["rater"] == who] for who in "za"}
    for who in ("zed", "amy"):
        own = [row for row in ratings_of(root) if row["rater"] == who]
        assert [row["order"] for row in own] == ["1", "2", "3", "4"], orders
        assert len({row["image"] for row in own}) == 4


def test_a_rater_agrees_rates_all_and_some_twice(service, root, post):
    name = '"Ann" <i>&\N{GRINNING FACE}'
    page = service.get("/app/rate", **HTML).body.decode()
    assert "&lt;script&gt;" in page
    assert not re.search(r"<script(?![^>]*\ssrc=)", page)
    assert post("/app/api/rate/begin", rater=name, trait="", agreed=False).json["agreed"] is False
    given = {"rater": name, "trait": "", "seconds": 0.5}
    assert post("/app/api/rate", face=CHILD, rating=3, **given).status == 422
    answer = post("/app/api/rate/begin", rater=name, trait="", agreed=True).json
    seen, total = [], answer["total"]
    outside = post("/app/api/rate", face=answer["face"]["name"], rating=999, **given)
    assert (outside.status, "is no answer" in outside.json["error"]["message"]) == (422, True)
    while answer["face"]:
        face = answer["face"]["name"]
        seen.append(face)
        assert len(seen) <= total
        judged = {"face": face, "repeat": answer["repeat"], "rating": 2 + len(seen) % 3}
        answer = post("/app/api/rate", **judged, **given).json
    rows = [row for row in ratings_of(root) if row["rater"] == name]
    again = [row["image"] for row in rows if row["repeat"] == "1"]
    assert len(rows) == total == len(seen)
    assert len(again) == round(0.2 * (total - len(again))) > 0
    assert len({row["image"] for row in rows}) == total - len(again)
    assert CHILD not in seen
    assert seen != sorted(seen)
    consents = (root / "data/consents.csv").read_text()
    assert consents.splitlines()[0] == "rater,time,sha256"
    assert post("/app/api/rate/begin", rater=name, trait="", agreed=False).json["face"] is None


def test_a_rater_skips_and_takes_back_their_last_judgement(root, post):
    given = {"rater": "Ida", "trait": ""}
    first = post("/app/api/rate/begin", agreed=True, **given).json
    assert (first["done"], first["last"]) == (0, None)
    skipped = first["face"]["name"]
    answer = post("/app/api/rate/skip", face=skipped, **given).json
    before = (root / "data/manual_ratings.csv").read_bytes()
    judged = []
    for rating in (2, 3):
        judged.append(answer["face"]["name"])
        answer = post("/app/api/rate", face=judged[-1], rating=rating, seconds=1, **given).json
    assert (answer["done"], answer["last"]) == (2, judged[1])
    post("/app/api/rate/begin", rater="other", trait="", agreed=True)
    assert post("/app/api/rate/undo", face=judged[0], **given).status == 422
    undone = post("/app/api/rate/undo", face=judged[1], **given).json
    assert (undone["face"]["name"], undone["done"], undone["last"]) == (judged[1], 1, judged[0])
    again = post("/app/api/rate", face=judged[1], rating=4, seconds=1, **given).json
    own = [row for row in ratings_of(root) if row["rater"] == "Ida"]
    assert [(row["rating"], row["order"]) for row in own] == [("2", "1"), ("4", "2")]
    seen = []
    while again["face"] and not again["repeat"]:
        seen.append(again["face"]["name"])
        again = post("/app/api/rate", face=seen[-1], rating=3, seconds=1, **given).json
    assert seen[-1] == skipped
    while again["last"]:  # the file is as it was
        again = post("/app/api/rate/undo", face=again["last"], **given).json
    assert (root / "data/manual_ratings.csv").read_bytes() == before


@pytest.mark.parametrize("name", ["", "mean", "NA", "x" * 101, "a\tb", "ZED "])
def test_what_is_no_rater_is_refused(post, name):
    post("/app/api/rate/begin", rater="zed", trait="", agreed=True)
    answer = post("/app/api/rate/begin", rater=name, trait="", agreed=True)
    assert (answer.status, answer.code) == (422, "invalid_request")


def test_nothing_is_written_without_the_pages_token(service, root):
    rate = "/app/api/rate"
    for path in ("/app/api/label", "/app/api/label/undo", rate, f"{rate}/begin", f"{rate}/undo"):
        assert service.ask("POST", path, b"{}", {}).code == "stale_page"


def test_a_killed_server_loses_no_label(root, consent, tmp_path):
    names = pd.read_parquet(root / FINAL_TABLE)["filename"].tolist()[:2]
    for at, name in enumerate(names):
        with pages(root, tmp_path / str(at), "--read-only" if at > 1 else "--no-browser") as one:
            headers = {"Content-Type": "application/json", "X-CSRF-Token": csrf(one)}
            body = {"face": name, "attribute": "age", "label": "41,5", "before": "", "browser": "k"}
            answer = one.ask("POST", "/app/api/label", json.dumps(body).encode(), headers)
            assert answer.status == 200, answer.body
            one.process.kill()
            one.process.wait(30)
    labels = labels_of(root)
    assert [labels[name]["age"] for name in names] == ["41.5", "41.5"]


@pytest.mark.thorough
def test_a_server_that_only_shows_writes_nothing(root, consent, tmp_path):
    with pages(root, tmp_path, "--read-only", "--consent", str(consent)) as quiet:
        headers = {"Content-Type": "application/json", "X-CSRF-Token": csrf(quiet)}
        for path in ("/app/api/label", "/app/api/label/undo", "/app/api/rate/undo"):
            assert quiet.ask("POST", path, b"{}", headers).code == "read_only"
        for path in ("/app/label", "/app/rate"):
            assert "--read-only" in quiet.get(path, **HTML).body.decode()
