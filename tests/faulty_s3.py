"""A bucket between which and its user stands a proxy that fails as it is told."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Fault = Callable[[str, str], str | None]  # of a method and an object's key

_ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>told so</Message></Error>"
_ANSWERS = {
    "busy": (503, "SlowDown"),
    "broken": (500, "InternalError"),
    "denied": (403, "AccessDenied"),
    "skewed": (403, "RequestTimeTooSkewed"),
    "full": (507, "QuotaExceeded"),
}


@dataclass
class Faults:
    """What the proxy at `address` does: each request is noted, and fails as `fault` says.

    `busy`, `broken`, `denied`, `skewed`, `full`: an answer of that kind; `cut`: the connection ends
    amid the request; `unanswered`: it ends when the request is done; `half`: it ends amid the
    answer; `slow`: the answer takes `delay` seconds; None: all is well.
    """

    address: str
    fault: Fault = lambda method, key: None
    delay: float = 1.0
    requests: list[tuple[str, str]] = field(default_factory=list)

    def fail(self, method: str, what: str, times: int = 10**9) -> None:
        """Let the next requests with this method fail."""
        left = [times]

        def fault(asked: str, key: str) -> str | None:
            if asked != method or not left[0]:
                return None
            left[0] -= 1
            return what

        self.fault = fault


@contextmanager
def through_faults(server: str) -> Iterator[Faults]:
    """A proxy before an S3 server."""
    faults = Faults("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 ms for the client's ACK

        def handle_one(self) -> None:
            key = urlsplit(self.path).path.partition("/our-bucket/")[2]
            faults.requests.append((self.command, key))
            what = faults.fault(self.command, key)
            length = int(self.headers.get("Content-Length", 0))
            if what == "cut":
                self.rfile.read(length // 2)
                self.close_connection = True
                return
            body = self.rfile.read(length)
            if what in _ANSWERS:
                status, code = _ANSWERS[what]
                self.answer(status, {}, _ERROR.format(code).encode())
                return
            if what == "slow":
                time.sleep(faults.delay)
            connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=60)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content, headers = answer.read(), dict(answer.getheaders())
            connection.close()
            if what == "unanswered":
                self.close_connection = True
                return
            self.answer(answer.status, headers, content, what == "half")

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_one

        def answer(self, status: int, headers: dict, content: bytes, half: bool = False) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            length = headers.get("Content-Length", len(content))
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if half else content)
            self.close_connection = self.close_connection or half

        def log_message(self, *_) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_) -> None:  # whoever asked has gone
            pass

    proxy = Server(("127.0.0.1", 0), Handler)
    faults.address = f"http://127.0.0.1:{proxy.server_address[1]}"
    serving = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield faults
    finally:
        proxy.shutdown()
        serving.join()
        proxy.server_close()
