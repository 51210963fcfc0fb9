"""A model hub on this machine for `snapshot_download`: folders as repositories, or refusals."""

import hashlib
import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"
# How the hub refuses: status, X-Error-Code, X-Error-Message.
REFUSALS = {
    "gated": (
        403,
        "GatedRepo",
        "Access to model org/small is restricted and you are not in the authorized list.",
    ),
    "gated, not logged in": (
        401,
        "GatedRepo",
        "Access to model org/small is restricted. Please log in.",
    ),
    "misspelt": (404, "RepoNotFound", "Sorry, we have no page of that address"),
    "misspelt or private": (401, "RepoNotFound", "Invalid username or password."),
    "no such revision": (404, "RevisionNotFound", "Invalid rev id: v9"),
    "token": (401, None, "Invalid credentials in Authorization header"),
    "forbidden": (403, None, "Your token lacks the right to read gated repositories"),
    "disabled": (403, None, "Access to this resource is disabled."),
    "too many": (429, None, "We had to rate limit your IP"),
    "maintenance": (503, None, "Back at noon"),
    "no hub": (404, None, None),
}


class Hub:
    """The repository org/small.

    Attributes
    ----------
    folder : its files; None: there are none.
    refusal : a key of `REFUSALS` by which every question is answered; None: all is given.
    refuse_files : refuse files alone, as the hub does where a repository is gated.
    page : answer with an HTML page, as a hotel's network does.
    cut : give half of the bytes of this file.
    served : files that were given, in order.
    """

    def __init__(self, folder: Path | None):
        self.folder, self.refusal, self.refuse_files, self.page, self.cut = (
            folder,
            None,
            False,
            False,
            None,
        )
        self.served: list[str] = []

    def names(self) -> list[str]:
        return sorted(
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file()
        )

    def files(self) -> list[dict]:
        return [
            {
                "type": "file",
                "path": name,
                "size": (self.folder / name).stat().st_size,
                "oid": hashlib.sha1(name.encode()).hexdigest(),
            }
            for name in self.names()
        ]


@contextmanager
def serving(hub: Hub):
    """The address of a server that answers as `hub` says."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    disable_nagle_algorithm = True  # see tests/faulty_s3.py

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub, path = self.hub, self.path.split("?")[0]
        if hub.page:
            return self.give(200, b"<html>please log in to the network</html>")
        if hub.refusal and (not hub.refuse_files or "/resolve/" in path):
            status, code, message = REFUSALS[hub.refusal]
            return self.give(status, b"{}", X_Error_Code=code, X_Error_Message=message)
        if path.startswith("/api/models/org/small/tree/"):
            return self.give(200, json.dumps(hub.files()).encode())
        if path.startswith("/api/models/org/small"):
            return self.give(
                200,
                json.dumps(
                    {
                        "id": "org/small",
                        "sha": COMMIT,
                        "siblings": [{"rfilename": name} for name in hub.names()],
                    }
                ).encode(),
            )
        name = path.partition(f"/resolve/{COMMIT}/")[2]
        if not name or not (hub.folder / name).is_file():
            return self.give(404, b"{}", X_Error_Code="EntryNotFound")
        if self.command == "GET":
            hub.served.append(name)
        body = (hub.folder / name).read_bytes()
        return self.give(
            200,
            body,
            ETag=f'"{hashlib.sha1(name.encode()).hexdigest()}"',
            X_Repo_Commit=COMMIT,
            cut=name == hub.cut,
        )

    def give(self, status: int, body: bytes, cut: bool = False, **headers: str | None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[: len(body) // 2] if cut else body)
