"""A server of `facestats serve` or `facestats app` that tests ask over a real socket."""

import http.client
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pytest

import facestats
import warm
from facestats.age.tables import AGE_CHECK
from facestats.core import tables
from facestats.core.fingerprint import sha256_file
from facestats.core.layout import COMPOSITES_MANIFEST, METADATA, METRICS_MANIFEST, SERVING
from facestats.core.manifests import models_sha256
from programs import start_program
from project import Project
from servers import free_port

PATIENCE = 120  # seconds that a busy machine may take to start one
CHILD = "face_0001.jpg"
BOUNDARY = "a-boundary-of-the-tests"


@dataclass(frozen=True)
class Answer:
    """Status, headers by lower-case name, and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """That of the error; the envelope has nothing else, and no path of the server."""
        content = self.json
        assert set(content) == {"error", "request_id"}
        assert set(content["error"]) == {"code", "message"}
        assert content["request_id"] == self.headers["x-request-id"]
        text = content["error"]["message"]
        assert "/tmp" not in text, text
        assert "Traceback" not in text, text
        return content["error"]["code"]


@dataclass(frozen=True)
class Service:
    """A running server: its port, its process, its log and the folder of its temporary files."""

    port: int
    process: Any
    log: Path
    temporary: Path

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # it has answered already
                connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, *photos: bytes, field: str = "image", **headers: str) -> Answer:
        """Photos as multipart fields of one name."""
        body, kind = multipart(*((field, photo) for photo in photos))
        return self.ask("POST", path, body, {"Content-Type": kind, **headers})

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def lines(self) -> list[dict[str, Any]]:
        """Lines of the log."""
        written = self.log.read_text().splitlines()
        return [json.loads(line) for line in written if line.startswith("{")]


def multipart(*fields: tuple[str, bytes]) -> tuple[bytes, str]:
    """A multipart body and its Content-Type."""
    parts = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="secret.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in fields
    )
    return parts + f"--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}"


def with_a_score(root: Path, photos: Iterable[Path], n: int) -> list[Path]:
    """The first photos of whom the age model says by their pixels alone that they are grown-ups:
    on processors with other instructions it is a little less sure of some.
    """
    models = facestats.load(root)
    return list(islice((path for path in photos if models.score(path).score is not None), n))


@contextmanager
def serving(root: Path, folder: Path, *options: str, command: str = "serve") -> Iterator[Service]:
    """A server of a project; its log and temporary files go to `folder`."""
    pytest.importorskip("fastapi", reason="needs the extra facestats[serve]")
    port, log, temporary = free_port(), folder / "log", folder / "temporary"
    temporary.mkdir(parents=True)
    with open(log, "wb") as out, open(folder / "errors", "wb") as errors:
        environment = os.environ | {"TMPDIR": str(temporary)}
        process = start(root, port, out, errors, environment, *options, command=command)
    service = Service(port, process, log, temporary)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            assert process.poll() is None, (folder / "errors").read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                if service.get("/readyz").status == 200:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        yield service
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)


def start(
    root: Path,
    port: int,
    out: IO,
    errors: IO,
    environment: dict[str, str],
    *options: str,
    command: str = "serve",
) -> Any:
    words = [warm.python(), "-m", "facestats", command, "--root", root, "--port", str(port)]
    return start_program([*words, *options], root, environment, out, errors)


def with_a_child(built: Project, folder: Path) -> Path:
    folder = built.copy(folder).folder
    path = folder / METADATA / AGE_CHECK.name
    ages = tables.read(path, AGE_CHECK)
    child = ages["filename"] == CHILD
    ages.loc[child, ["score_withheld", "age_checked"]] = "labelled as under 18", "label"
    tables.write(ages, path, AGE_CHECK)
    manifest = json.loads((folder / SERVING).read_text())
    manifest["parts"]["ages"] = {path.relative_to(folder).as_posix(): sha256_file(path)}
    (folder / SERVING).write_text(json.dumps(manifest))
    for name in (COMPOSITES_MANIFEST, METRICS_MANIFEST):
        facts = json.loads((folder / name).read_text())
        facts["models_sha256"] = models_sha256(manifest["parts"])
        (folder / name).write_text(json.dumps(facts))
    return folder
