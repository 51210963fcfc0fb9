"""Scores over HTTP: what a server answers over a real socket, to good requests and bad ones."""

import io
import json
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import facestats
from facestats.core.fingerprint import sha256_file
from facestats.core.layout import METADATA, SERVING
from facestats.geometry.columns import SKIN
from facestats.scores.regressor import load_regressor
from facestats.serving.types import Score
from resources import png_that_declares
from services import BOUNDARY, CHILD, Service, multipart, serving, with_a_child, with_a_score

pytestmark = [pytest.mark.long, pytest.mark.server]
TOKEN = "a-token-of-the-tests-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
REGRESSOR = "models/attractiveness_regressor.pt"
BODY_SECONDS = 4


@pytest.fixture(scope="module")
def root(built, tmp_path_factory):
    return with_a_child(built, tmp_path_factory.mktemp("served") / "project")


@pytest.fixture(scope="module")
def service(root, tmp_path_factory):
    options = ("--body-seconds", str(BODY_SECONDS), "--queue", "40", "--answer-seconds", "60")
    with serving(root, tmp_path_factory.mktemp("service"), *options) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(root, tmp_path_factory):
    """A server that asks for a token and allows ethnicity and one web page."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "token").write_text(f"another-token-0123456789\n{TOKEN}\n")
    options = ("--token-file", str(folder / "token"), "--allow-ethnicity")
    options += ("--allow-origin", "https://example.org", "--allow-host", "faces.example.org")
    with serving(root, folder, *options) as running:
        yield running


@pytest.fixture(scope="module")
def table(root):
    return pd.read_parquet(root / METADATA / "attributes_final.parquet").set_index("filename")


@pytest.fixture(scope="module")
def photos(root, table):
    """Bytes of photos of grown-ups."""
    folder = root / json.loads((root / SERVING).read_text())["images"]
    names = table["image"][(table.index != CHILD) & ~table["image"].str.startswith("bad/")]
    return [path.read_bytes() for path in with_a_score(root, (folder / name for name in names), 12)]


@pytest.fixture(scope="module")
def childs_photo(root):
    folder = root / json.loads((root / SERVING).read_text())["images"]
    return (folder / CHILD).read_bytes()


@pytest.fixture(scope="module")
def photo(photos):
    return photos[0]


@pytest.fixture(scope="module")
def expected(root, photo):
    return facestats.load(root).score(photo)


def check_right(service: Service, photo: bytes, expected: Score) -> None:
    """The server still gives the right score."""
    answer = service.post("/v1/score", photo)
    assert answer.status == 200
    assert_same(answer.json, expected)


def assert_same(found: dict, expected: Score) -> None:
    numbers = ("raw", "score", "pct", "geometric", "combined")
    assert expected.score is not None
    for name, value in expected.to_dict().items():
        if name in numbers and value is not None:
            assert found[name] == pytest.approx(value, abs=0.01), name
        else:
            assert found[name] == value, name


def without_id(answer) -> dict:
    return {name: value for name, value in answer.json.items() if name != "request_id"}


def test_a_score_over_a_socket_is_that_of_the_library(service, root, photos):
    models = facestats.load(root)
    for photo in photos[:4]:
        as_field = service.post("/v1/score", photo)
        as_body = service.ask("POST", "/v1/score", photo, {"Content-Type": "image/jpeg"})
        assert as_field.status == as_body.status == 200
        assert_same(as_field.json, models.score(photo))
        assert without_id(as_field) == without_id(as_body)
        assert "not the worth of a person" in as_field.json["meta"]["about"]


def test_a_childs_face_gets_no_score(service, childs_photo):
    answer = service.post("/v1/score", childs_photo)
    assert answer.status == 200
    assert answer.json["withheld"] == "labelled as under 18"
    assert [answer.json[name] for name in ("raw", "score", "pct", "decile", "combined")] == [
        None
    ] * 5


@pytest.mark.thorough
def test_answers_are_the_same_to_the_bit_whatever_the_load(service, photos):
    alone = [without_id(service.post("/v1/analyze?k=3", photo)) for photo in photos]
    with ThreadPoolExecutor(16) as pool:
        many = list(pool.map(lambda n: service.post("/v1/analyze?k=3", photos[n % 12]), range(48)))
    assert {answer.status for answer in many} == {200}
    assert [without_id(answer) for answer in many] == [alone[n % 12] for n in range(48)]
    together = service.post("/v1/analyze?k=3", *photos, field="images").json["results"]
    assert together == [
        {name: value for name, value in one.items() if name != "meta"} for one in alone
    ]


def test_one_pass_gives_what_each_route_gives(service, root, photo):
    models, whole = facestats.load(root), service.post("/v1/analyze?k=2", photo).json
    crop = models.crop(photo)
    assert_same(whole["score"], models.score(photo))
    assert whole["errors"] == {}
    for path, part in (("attributes", "attributes"), ("landmarks", "landmarks")):
        answer = service.post(f"/v1/{path}", photo).json
        assert whole[part] == {name: answer[name] for name in whole[part]}
    assert "ethnicity" not in whole["attributes"]
    assert whole["measurements"] == models.measurements(photo)
    answered = {name: value for name, value in whole["attributes"].items() if name != "warnings"}
    inferred = models.attributes(photo).to_dict()
    assert set(answered) == set(inferred) - {"warnings"}
    assert answered["gender"] == inferred["gender"]
    assert answered["age"] == pytest.approx(inferred["age"], abs=0.01)
    assert np.allclose(whole["embedding"], models.embed(crop), atol=1e-5)
    assert service.post("/v1/embedding", photo).json["embedding"] == whole["embedding"]
    assert np.allclose(whole["landmarks"]["landmarks"], crop.photo_landmarks, atol=1e-6)
    similar = service.post("/v1/similar?k=2", photo).json["similar"]
    assert whole["similar"] == similar
    assert [each["filename"] for each in similar] == models.similar(photo, 2)["filename"].tolist()


def test_a_bad_photo_among_several_is_an_entry(service, photos, photo, expected):
    answer = service.post("/v1/score", photo, b"no picture", photos[1], field="images")
    first, bad, last = answer.json["results"]
    assert answer.status == 200
    assert_same(first, expected)
    assert bad["error"]["code"] == "not_an_image"
    assert last["score"] is not None
    assert service.post("/v1/score", photo, field="images").json["results"] == [first]


def test_words_find_faces(service, root):
    answered = service.get("/v1/search?text=a+photo+of+a+woman&k=5").json["similar"]
    assert len(answered) == 5
    assert [each["similarity"] for each in answered] == sorted(
        (each["similarity"] for each in answered), reverse=True
    )
    assert service.ask("POST", "/v1/search?text=a+photo+of+a+woman&k=5").json["similar"] == answered


def test_faces_are_listed_filtered_and_sorted(service, table, root):
    shown = service.get("/v1/faces?limit=500&flags=keep&copies=keep").json
    assert shown["total"] == len(table) == len(shown["faces"])
    assert not any(column.startswith(("ethnicity", "skin")) for column in shown["faces"][0])
    old = table[(table["age_final"] >= 40) & (table["gender_final"] == "female")]
    query = "gender=female&age_from=40&flags=keep&copies=keep&sort=-age_final&limit=3&offset=1"
    page = service.get(f"/v1/faces?{query}").json
    assert page["total"] == len(old)
    assert [face["age_final"] for face in page["faces"]] == pytest.approx(
        old["age_final"].sort_values(ascending=False).iloc[1:4].tolist()
    )
    name = table.index[0]
    assert service.get(f"/v1/faces/{name}").json["face"]["filename"] == name
    crop = service.get(f"/v1/faces/{name}/crop")
    assert crop.headers["content-type"] == "image/jpeg"
    assert crop.body == (root / "data/processed/preproc" / name).read_bytes()


def test_a_composite_has_the_pixels_that_the_library_draws(service, root, table, monkeypatch):
    options = {"filter": {"gender": "female", "n": 8, "min_results": 4}, "format": "png"}
    answer = service.ask("POST", "/v1/composite", json.dumps(options).encode())
    assert answer.status == 200
    picture = np.asarray(Image.open(io.BytesIO(answer.body)))
    monkeypatch.chdir(root)
    faces = facestats.filter_images(table.reset_index(), gender="female")
    drawn = facestats.make_composite(faces, n=8)
    assert answer.headers["x-composite-faces"] == str(drawn.info["facestats"].n)
    assert np.array_equal(picture, np.asarray(drawn))
    for options, code in (
        ({"filter": {"gender": "nobody"}}, "invalid_request"),
        ({"filter": {"n": 0}}, "invalid_request"),
        ({"filter": {"ethnicity": "asian"}}, "ethnicity_not_allowed"),
        ({"filter": {"columns": {"skin_ita": ["q0", "q0.3"]}}}, "ethnicity_not_allowed"),
        ({"filter": {"attributes": {"skin_ita_class": "dark"}}}, "ethnicity_not_allowed"),
        ({"filter": {"gender": "female"}, "render": {"outlines": True}}, "invalid_request"),
        ({"path": "/etc/passwd"}, "invalid_request"),
    ):
        refused = service.ask("POST", "/v1/composite", json.dumps(options).encode())
        assert (refused.status, refused.code) == (422, code)
    assert service.ask("POST", "/v1/composite", b"{").code == "malformed_body"


def test_the_models_in_use_are_described(service, root):
    facts = service.get("/v1/model").json
    metrics = json.loads((root / "metrics/attractiveness.json").read_text())
    assert facts["trained"] is True
    assert facts["metrics"]["attractiveness"] == metrics
    manifest = json.loads((root / SERVING).read_text())
    assert facts["meta"]["weights_sha256"] == manifest["clip"]["weights_sha256"]
    assert facts["parts"]["regressor"] is None
    assert str(root) not in json.dumps(facts)


def jpeg(width: int = 64, height: int = 64) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "grey").save(out, "JPEG")
    return out.getvalue()


def animation(photo: bytes) -> bytes:
    """The photo as the first frame of a WebP."""
    first, out = Image.open(io.BytesIO(photo)).convert("RGB"), io.BytesIO()
    first.save(
        out, "WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", first.size)]
    )
    return out.getvalue()


def chunks(size: int):
    """A body of so many bytes without Content-Length."""
    for _ in range(size // 2**20):
        yield bytes(2**20)


IMAGE = {"Content-Type": "image/jpeg"}
REFUSED = {
    "a JPEG that ends in the middle": (
        lambda photo: ("/v1/score", photo[: len(photo) // 2], IMAGE),
        (422, "unusable_photo"),
    ),
    "a picture that would be huge": (
        lambda photo: ("/v1/score", png_that_declares(60_000, 60_000), IMAGE),
        (413, "too_many_pixels"),
    ),
    "no face": (lambda photo: ("/v1/score", jpeg(), IMAGE), (422, "no_face")),
    "a tiny picture": (lambda photo: ("/v1/score", jpeg(8, 8), IMAGE), (422, "unusable_photo")),
    "100 small files": (
        lambda photo: ("/v1/score", *_form(*[("images", jpeg())] * 100)),
        (413, "too_many_photos"),
    ),
    "a body of 1 GB without Content-Length": (
        lambda photo: ("/v1/score", chunks(2**30), IMAGE),
        (413, "photo_too_large"),
    ),
    "a multipart body of 1 GB": (
        lambda photo: (
            "/v1/score",
            _then(_form(("x", b""))[0][:-30], chunks(2**30)),
            {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
        ),
        (413, "request_too_large"),
    ),
    "a wrong Content-Length": (
        lambda photo: ("/v1/score", photo, IMAGE | {"Content-Length": str(10**12)}),
        (413, "request_too_large"),
    ),
    "no field image": (
        lambda photo: ("/v1/score", *_form(("photo", photo))),
        (400, "no_photo"),
    ),
    "two photos in the field of one": (
        lambda photo: ("/v1/score", *_form(("image", photo), ("image", photo))),
        (400, "one_photo"),
    ),
    "a multipart body that ends too early": (
        lambda photo: ("/v1/score", _form(("image", photo))[0][:-8], _form()[1]),
        (400, "malformed_body"),
    ),
    "multipart without a boundary": (
        lambda photo: ("/v1/score", photo, {"Content-Type": "multipart/form-data"}),
        (400, "malformed_body"),
    ),
    "JSON by its type": (
        lambda photo: (
            "/v1/score",
            b'{"path": "/etc/passwd"}',
            {"Content-Type": "application/json"},
        ),
        (415, "unsupported_type"),
    ),
    "JSON where an image should be": (
        lambda photo: ("/v1/score", b'{"url": "http://localhost/x.jpg"}', IMAGE),
        (415, "not_an_image"),
    ),
    "no body": (lambda photo: ("/v1/score", b"", IMAGE), (400, "no_photo")),
    "10,000 words": (
        lambda photo: ("/v1/search?text=" + "face+" * 10_000, None, {}),
        (422, "invalid_request"),
    ),
    "more words than the text tower reads": (
        lambda photo: ("/v1/search?text=" + "face+" * 150, None, {}),
        (422, "invalid_request"),
    ),
    "k=0": (lambda photo: ("/v1/similar?k=0", photo, IMAGE), (422, "invalid_request")),
    "k=1e9": (lambda photo: ("/v1/similar?k=1e9", photo, IMAGE), (422, "invalid_request")),
    "ethnicity that is not allowed": (
        lambda photo: ("/v1/attributes?ethnicity=true", photo, IMAGE),
        (422, "ethnicity_not_allowed"),
    ),
    "an unknown route": (lambda photo: ("/v1/path", b"", {}), (404, "no_such_route")),
    "a foreign Host": (
        lambda photo: ("/v1/score", photo, IMAGE | {"Host": "attacker.example"}),
        (400, "unknown_host"),
    ),
    "two lengths": (
        lambda photo: (
            "/v1/score",
            b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
            IMAGE | {"Content-Length": "5", "Transfer-Encoding": "chunked"},
        ),
        (400, "two_lengths"),
    ),
}


def _form(*fields: tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    body, kind = multipart(*fields)
    return body, {"Content-Type": kind}


def _then(first: bytes, rest):
    yield first
    yield from rest


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_has_its_status_and_changes_nothing(service, photo, expected, name):
    make, (status, code) = REFUSED[name]
    path, body, headers = make(photo)
    answer = service.ask("POST", path, body, headers)
    assert (answer.status, answer.code) == (status, code)
    check_right(service, photo, expected)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/faces/unknown.jpg",
        "/v1/faces/unknown.jpg/crop",
        "/v1/faces/../../../../etc/passwd",
        "/v1/faces/..%2f..%2fserving.json/crop",
        "/v1/faces/%2fetc%2fpasswd/crop",
        "/v1/faces/../metadata/faces.parquet/crop",
        "/v1/faces/%00/crop",
    ],
)
def test_a_filename_is_looked_up_and_never_a_path(service, path):
    answer = service.get(path)
    assert (answer.status, answer.code) == (404, "unknown_face")


def test_an_animation_is_its_first_frame(service, photo):
    still = Image.open(io.BytesIO(photo)).convert("RGB")
    out = io.BytesIO()
    still.save(out, "PNG")
    frame = service.ask("POST", "/v1/score", animation(photo), {"Content-Type": "image/webp"})
    assert frame.status == 200
    assert without_id(frame) == without_id(service.post("/v1/score", out.getvalue()))


def test_a_slow_sender_is_cut_off(service, photo, expected):
    with service.connect() as slow, service.connect() as silent:
        silent.sendall(b"POST /v1/score HTTP/1.1\r\nHost: loc")
        head = "POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        slow.sendall(f"{head}Content-Length: 100000\r\n\r\n".encode())
        slow.sendall(photo[:100])
        check_right(service, photo, expected)  # meanwhile
        answer = slow.recv(65_536)
        while b"request_id" not in answer and (more := slow.recv(65_536)):
            answer += more  # the body may come after the head
        assert silent.recv(1) == b""  # closed
    assert answer.startswith(b"HTTP/1.1 400")
    assert f"the body did not arrive within {BODY_SECONDS} s".encode() in answer


def test_a_client_that_hangs_up_stops_costing(service, photos, photo, expected):
    body, kind = multipart(*(("images", each) for each in (photos * 3)[:32]))
    with service.connect() as gone:
        head = f"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        gone.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(0.05)
    check_right(service, photo, expected)
    wait_for(lambda: any(line.get("status") == 499 for line in service.lines()))
    assert b"facestats_queued_photos 0.0" in service.get("/metrics").body


def test_more_photos_than_may_wait_are_told_to_come_back(service, photos, photo, expected):
    many = (photos * 3)[:32]
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda _: service.post("/v1/score", *many, field="images"), range(6))
        )
    assert {answer.status for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.code == "too_busy"
    assert refused.headers["retry-after"] == "1"
    check_right(service, photo, expected)


def test_the_folder_of_the_models_may_vanish(service, root, photo, expected):
    models = root / "models"
    models.rename(root / "gone")
    try:
        time.sleep(3)  # it looks for new models every 2 s
        check_right(service, photo, expected)
        assert service.get("/readyz").status == 200
    finally:
        (root / "gone").rename(models)


def test_new_models_are_picked_up_whole(service, root, photo, expected):
    """Files are replaced in DVC's order: the model first, the manifest long after it."""
    old, manifest = (root / REGRESSOR).read_bytes(), (root / SERVING).read_text()
    model = load_regressor(root / REGRESSOR)
    assert model is not None
    model.y_mean += 0.25
    try:
        model.save(root / REGRESSOR)
        time.sleep(3)
        check_right(service, photo, expected)
        content = json.loads(manifest)
        content["parts"]["regressor"][REGRESSOR] = sha256_file(root / REGRESSOR)
        (root / SERVING).write_text(json.dumps(content))
        new = facestats.load(root).score(photo)
        assert new.raw != pytest.approx(expected.raw, abs=0.01)
        seen = []

        def is_new() -> bool:
            seen.append(service.post("/v1/score", photo).json["raw"])
            return seen[-1] == pytest.approx(new.raw, abs=1e-3)

        wait_for(is_new)
        assert all(min(abs(raw - expected.raw), abs(raw - new.raw)) < 1e-3 for raw in seen)
    finally:
        (root / REGRESSOR).write_bytes(old)
        (root / SERVING).write_text(manifest)
    facestats.load(root)
    wait_for(
        lambda: (
            service.post("/v1/score", photo).json["raw"] == pytest.approx(expected.raw, abs=1e-3)
        )
    )


def test_the_log_has_a_line_a_request_and_no_photo(service, photo):
    answer = service.post("/v1/score", photo, **{"X-Request-ID": "of-the-test.1"})
    assert answer.headers["x-request-id"] == "of-the-test.1"
    wait_for(lambda: any(line.get("request_id") == "of-the-test.1" for line in service.lines()))
    (line,) = [line for line in service.lines() if line.get("request_id") == "of-the-test.1"]
    assert set(line) == {"time", "route", "method", "status", "ms", "queue", "request_id"}
    assert (line["route"], line["status"]) == ("/v1/score", 200)
    assert (
        service.get("/readyz", **{"X-Request-ID": "a b\tc" * 50}).headers["x-request-id"].isalnum()
    )
    assert "secret" not in service.log.read_text()  # the name of every file that tests send
    assert list(service.temporary.rglob("*")) == []


def test_figures_for_prometheus(service, photo):
    service.post("/v1/score", photo)
    service.post("/v1/score", photo, field="other")
    text = service.get("/metrics").body.decode()
    for start in (
        'facestats_requests_total{route="/v1/score",status="200"}',
        'facestats_request_seconds_bucket{le="0.005",route="/v1/score"}',
        "facestats_queued_photos",
        "facestats_batch_photos_bucket",
        'facestats_rejected_photos_total{reason="no_photo"}',
        "facestats_model_info{faces=",
    ):
        assert any(line.startswith(start) for line in text.splitlines()), start


def test_pages_load_nothing_from_elsewhere(service):
    for path in ("/docs", "/docs/docs.js", "/docs/docs.css"):
        page = service.get(path)
        assert page.status == 200
        assert "http:" not in page.body.decode()
        assert "https:" not in page.body.decode()
        assert page.headers["content-security-policy"].startswith("default-src 'self'")


@pytest.mark.parametrize("path", ["/docs", "/v1/faces", "/healthz", "/metrics", "/v1/nothing"])
def test_no_page_of_another_origin_embeds_an_answer(service, path):
    assert service.get(path).headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/v1/score", "/v1/faces", "/v1/model", "/metrics"])
def test_without_the_token_nothing_is_told(guarded, path):
    method = "POST" if path == "/v1/score" else "GET"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
        answer = guarded.ask(method, path, b"" if method == "POST" else None, headers)
        assert (answer.status, answer.code) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert guarded.get(path).status == 200


def test_with_the_token_all_is_told(guarded, photo, expected):
    assert_same(guarded.post("/v1/score", photo, **BEARER).json, expected)
    assert guarded.get("/healthz", Host="faces.example.org").status == 200
    assert guarded.get("/healthz", Host="other.example.org").status == 400


def guarded_measurements(guarded, photo, query: str) -> dict:
    return guarded.post(f"/v1/analyze{query}", photo, **BEARER).json["measurements"]


def test_ethnicity_only_where_it_is_allowed_and_asked_for(guarded, photo):
    plain = guarded.post("/v1/attributes", photo, **BEARER).json
    asked = guarded.post("/v1/attributes?ethnicity=true", photo, **BEARER).json
    assert "ethnicity" not in plain
    assert "ethnicity_probabilities" in asked
    row = guarded.get("/v1/faces?limit=1", **BEARER).json["faces"][0]
    shown = guarded.get("/v1/faces?limit=1&ethnicity=true", **BEARER).json["faces"][0]
    assert set(shown) - set(row) == {
        "ethnicity_final",
        "ethnicity_source",
        *SKIN,
        "skin_ita_class",
        "skin_missing",
    }
    assert not any(name.startswith("skin") for name in guarded_measurements(guarded, photo, ""))
    asked = guarded_measurements(guarded, photo, "?ethnicity=true")
    assert {*SKIN} < {*asked}
    query = "/v1/faces?ethnicity_class=asian"
    assert guarded.get(query, **BEARER).code == "invalid_request"


def test_web_pages_of_named_origins_alone_may_ask(guarded, service):
    asks = {"Access-Control-Request-Method": "POST"}
    allowed = guarded.ask("OPTIONS", "/v1/score", headers=asks | {"Origin": "https://example.org"})
    assert allowed.headers["access-control-allow-origin"] == "https://example.org"
    refused = guarded.ask("OPTIONS", "/v1/score", headers=asks | {"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in refused.headers
    closed = service.get("/healthz", Origin="https://example.org")
    assert "access-control-allow-origin" not in closed.headers


def test_sigterm_lets_requests_end_and_begins_none(guarded, photos):
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(
            guarded.post("/v1/analyze", *(photos * 2), field="images", **BEARER)
        )
    )
    asking.start()
    wait_for(lambda: b"facestats_queued_photos 0.0" not in guarded.get("/metrics", **BEARER).body)
    guarded.process.send_signal(signal.SIGTERM)
    asking.join(60)
    assert answers[0].status == 200
    assert all("error" not in each for each in answers[0].json["results"])
    assert guarded.process.wait(40) == 0
    with (
        pytest.raises(ConnectionRefusedError),
        socket.create_connection(("127.0.0.1", guarded.port), timeout=5),
    ):
        pass


def wait_for(condition, seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)
