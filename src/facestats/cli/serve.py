"""Answer over HTTP: POST /v1/score with a photo, and more at /docs. Models come
from a project folder that `dvc repro` or `dvc pull` has filled, and new ones are
picked up without a restart.

Needs the extra: pip install 'facestats[serve]'

examples:
  python -m facestats serve
  python -m facestats serve --root /srv/faces --port 8080 --precision bfloat16
  python -m facestats serve --host 0.0.0.0 --token-file /etc/facestats/token

exit code: 0 ended by SIGTERM or Ctrl-C, 2 wrong usage or no models
"""

from __future__ import annotations

import argparse
import socket
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from facestats.core.layout import SERVING
from facestats.errors import InputError, ModelError

if TYPE_CHECKING:
    from facestats.service.settings import Settings

_PORTS = 65_535
HELP = "answer over HTTP"
PACKAGES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


def _port(text: str) -> int:
    if not (text.isdecimal() and len(text) <= len(str(_PORTS)) and int(text) <= _PORTS):
        raise argparse.ArgumentTypeError(f"{text!a} is no port; they go from 1 to {_PORTS}")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root", help="project folder whose models answer (default: the nearest upwards)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8000, help="port (default: %(default)s)")
    parser.add_argument(
        "--token-file", metavar="FILE", help="secrets, one a line; each request must carry one"
    )
    parser.add_argument(
        "--no-auth", action="store_true", help="listen beyond this machine without a token"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further host name that requests may be addressed to; may be repeated",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="URL",
        help="a web page's origin that may call from a browser; may be repeated",
    )
    parser.add_argument(
        "--allow-ethnicity", action="store_true", help="let requests ask for ethnicity"
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "auto"),
        help="of the encoder (default: that of the run)",
    )
    parser.add_argument(
        "--no-padding",
        action="store_true",
        help="small forward passes for few photos, if a check at the start finds that they give "
        "the same bits: a few clients get answers sooner",
    )
    numbers = (
        ("--max-megabytes", 20, "MB a photo"),
        ("--max-megapixels", 100, "megapixels a photo"),
        ("--max-photos", 32, "photos a request"),
        ("--max-request-megabytes", 100, "MB a request"),
        ("--queue", 128, "photos that wait or are worked on; more get 429"),
        ("--body-seconds", 30, "time limit for sending a body"),
        ("--answer-seconds", 20, "time limit for an answer; 503 after it"),
        ("--batch-size", 8, "photos a forward pass of the encoder"),
        ("--threads", None, "photos decoded at a time (default: one a processor)"),
    )
    for name, default, text in numbers:
        shown = "" if default is None else " (default: %(default)s)"
        parser.add_argument(name, type=_from_one, default=default, metavar="N", help=text + shown)


def _from_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 on")
    return int(text)


def check_packages(command: str) -> None:
    """Raise `InputError` where the extra is not installed."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"`{command}` needs {', '.join(missing)}: install them with "
            "`python -m pip install 'facestats[serve]'`"
        )


def _check_port(host: str, port: int) -> None:
    """Raise `InputError` where the server can't listen, as where another program does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host.strip("[]"), port))
        except (OSError, UnicodeError) as error:  # the latter where the name is too long
            why = getattr(error, "strerror", None) or "it is no name of a host"
            raise InputError(
                f"{host}:{port} can't be used ({why}); choose with --host and --port"
            ) from None


def settings_of(options: argparse.Namespace) -> Settings:
    """What the server is told.

    Raises
    ------
    InputError
        It would let other machines in without a token, or the address can't be used.
    ModelError
        The project folder has no models.
    """
    from facestats.machine.threads import processors
    from facestats.service.settings import MEGA, Settings, check_access, read_tokens

    tokens = read_tokens(Path(options.token_file)) if options.token_file else ()
    check_access(options.host, tokens, options.no_auth)
    _check_port(options.host, options.port)
    root = Path(options.root or ".").expanduser().resolve()
    if options.root is None:
        root = next((each for each in (root, *root.parents) if (each / SERVING).is_file()), root)
    if not (root / SERVING).is_file():
        raise ModelError(
            f"no {SERVING.as_posix()} in {root}: run `dvc repro` (or `dvc pull`) there, or "
            "name the project folder with --root"
        )
    return Settings(
        root,
        options.host,
        options.port,
        tokens,
        tuple(options.allow_origin),
        tuple(options.allow_host),
        options.allow_ethnicity,
        options.precision,
        photo_bytes=options.max_megabytes * MEGA,
        photo_pixels=options.max_megapixels * MEGA,
        photos=options.max_photos,
        request_bytes=options.max_request_megabytes * MEGA,
        queue=options.queue,
        body_seconds=options.body_seconds,
        answer_seconds=options.answer_seconds,
        batch_size=options.batch_size,
        padding=not options.no_padding,
        threads=options.threads or processors(),
    )


def run(options: argparse.Namespace) -> int:
    check_packages("serve")
    from facestats.service.server import serve

    serve(settings_of(options))
    return 0
