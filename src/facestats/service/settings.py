"""What a server is told when it starts: where it listens, who may ask, and how much."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from facestats.errors import InputError
from facestats.machine.threads import processors

MEGA = 1_000_000
LEAST_TOKEN = 16  # characters of a token
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Settings:
    """What a server is told when it starts.

    Attributes
    ----------
    root : Path
        The project folder whose models answer.
    host, port : str, int
        Where it listens.
    tokens : tuple of bytes
        Any of them lets a request in; none: no token is asked for.
    origins : tuple of str
        Web pages that may call it from a browser.
    hosts : tuple of str
        Host names that a request may be addressed to; empty: any.
    ethnicity : bool
        Whether a request may ask for ethnicity.
    precision : str or None
        What the encoder computes in; None: as the pipeline did.
    photo_bytes, request_bytes : int
        Largest size of a photo and of a request's body.
    photo_pixels : int
        Most pixels that a photo may declare.
    photos : int
        Most photos a request.
    queue : int
        Most photos that are worked on or wait.
    held_bytes : int
        Most bytes of bodies that are held at a time.
    body_seconds, answer_seconds : float
        Time limits for sending a body and for answering.
    batch_size : int
        Most photos a forward pass of the encoder.
    padding : bool
        Whether every pass has that shape; see `BatchEncoder`.
    threads : int
        Photos that are decoded at a time.
    watch_seconds : float
        Between two looks for new models.
    """

    root: Path
    host: str = "127.0.0.1"
    port: int = 8000
    tokens: tuple[bytes, ...] = ()
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    ethnicity: bool = False
    precision: str | None = None
    photo_bytes: int = 20 * MEGA
    photo_pixels: int = 100 * MEGA
    photos: int = 32
    request_bytes: int = 100 * MEGA
    queue: int = 128
    held_bytes: int = 1000 * MEGA
    body_seconds: float = 30.0
    answer_seconds: float = 20.0
    batch_size: int = 8
    padding: bool = True
    threads: int = field(default_factory=processors)
    watch_seconds: float = 2.0


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def check_access(host: str, tokens: tuple[bytes, ...], no_auth: bool) -> None:
    """Refuse to listen beyond this machine without a token.

    Raises
    ------
    InputError
        It would.
    """
    if not tokens and not no_auth and not is_loopback(host):
        raise InputError(
            f"--host {host} lets other machines in, and they could score faces: give --token-file "
            "FILE with a secret that requests must carry, or --no-auth if something in front of "
            "the server checks who asks"
        )


def read_tokens(path: Path) -> tuple[bytes, ...]:
    """The tokens of a file, one a line.

    Raises
    ------
    InputError
        The file can't be read, holds none, or one that is too short.
    """
    try:
        tokens = tuple(line.strip() for line in path.read_bytes().splitlines() if line.strip())
    except OSError as error:
        raise InputError(f"--token-file {path} can't be read: {error.strerror}") from None
    if not tokens:
        raise InputError(f"--token-file {path} is empty: write a secret into it, one a line")
    if min(map(len, tokens)) < LEAST_TOKEN or not all(token.isascii() for token in tokens):
        raise InputError(
            f"--token-file {path}: a token has at least {LEAST_TOKEN} ASCII characters; "
            "`openssl rand -hex 32` makes one"
        )
    return tokens
