"""Look at a run and use it in a browser: faces with filters, one face, search by photo
or words, figures. The pages stand on the service of `facestats serve`, whose routes
/v1/... answer beside them. Nothing is sent to any other host.

Needs the extra: pip install 'facestats[serve]'

examples:
  python -m facestats app
  python -m facestats app --root /srv/faces --port 8080 --no-browser
  python -m facestats app --consent consent.txt --repeats 0.1
  python -m facestats app --host 0.0.0.0 --token-file /etc/facestats/token --read-only

exit code: 0 ended by SIGTERM or Ctrl-C, 2 wrong usage or no models
"""

from __future__ import annotations

import argparse
import socket
import threading
import time
import webbrowser
from pathlib import Path

from facestats.cli import serve
from facestats.errors import InputError

HELP = "look at a run and use it in a browser"
LONGEST_CONSENT = 20_000  # characters
_PATIENCE = 120  # seconds until the pages must answer for the browser to be opened


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-browser", action="store_true", help="do not open the browser")
    parser.add_argument("--read-only", action="store_true", help="switch labelling and rating off")
    parser.add_argument(
        "--consent",
        type=Path,
        metavar="FILE",
        help="text, in UTF-8, that raters agree to; without it the page Rate asks nobody",
    )
    parser.add_argument(
        "--repeats",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the faces that a rater judges twice, from 0 (default) to 1",
    )
    serve.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    serve.check_packages("app")
    from facestats.app.application import make_application
    from facestats.service.server import serve as run_server

    settings = serve.settings_of(options)
    if settings.origins:
        raise InputError("--allow-origin is for `serve`: other sites may not use these pages")
    choices = _choices(options)
    host = "localhost" if settings.host in ("0.0.0.0", "::", "127.0.0.1", "::1") else settings.host
    address = f"http://{host}:{settings.port}/"
    print(f"FaceStats is at {address} (Ctrl-C ends it)", flush=True)
    if not options.no_browser:
        threading.Thread(
            target=_open_browser, args=(settings.host, settings.port, address), daemon=True
        ).start()
    run_server(settings, make_application(settings, choices))
    return 0


def _choices(options: argparse.Namespace):
    """What the pages are told; raises `InputError` where the consent can't be read."""
    from facestats.app.site import Choices

    if not 0 <= options.repeats <= 1:
        raise InputError(f"--repeats {options.repeats:g}: expected a share from 0 to 1")
    text = None
    if options.consent is not None:
        try:
            text = options.consent.read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--consent {options.consent} can't be read ({error})") from None
        if not text or len(text) > LONGEST_CONSENT:
            raise InputError(
                f"--consent {options.consent}: expected a text of 1 to {LONGEST_CONSENT} characters"
            )
    return Choices(options.read_only, text, options.repeats)


def _open_browser(host: str, port: int, address: str) -> None:
    end = time.monotonic() + _PATIENCE
    reached = "127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host.strip("[]")
    while time.monotonic() < end:
        try:
            socket.create_connection((reached, port), 1).close()
        except OSError:
            time.sleep(0.1)
            continue
        webbrowser.open(address)
        return
