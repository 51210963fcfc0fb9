"""What commands and stages print: it reaches every terminal and log, and never fails.

A terminal or log may take ASCII or Latin-1 only, be closed, full, or read by a `head` that has
gone. Names come from strangers: what would move the cursor, clear the screen, turn letters round or
not be seen at all is shown as JSON escapes it.
"""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO

from facestats.errors import RenamedWarning

_ESCAPE = "facestats.escape"
_PLAIN = {
    "…": "...",
    "→": "->",
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "x",
    "·": "-",
    "≥": ">=",
    "≤": "<=",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "\u00a0": " ",
}

# Control characters but line ends and tabs, marks that turn the direction of writing, what has no
# width (but joiners, which scripts and emoji need), tags.
_UNSEEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
)
_ACTIVE = re.compile(rf"[{_UNSEEN}]|(?<!^)\r")  # a bar that shows progress begins with \r
_BREAKING = re.compile(rf"[{_UNSEEN}\t\n\r]")


def one_line(text: str) -> str:
    """A text that may hold a stranger's names, on one line.

    Line ends, tabs and all that is not seen are escaped.
    """
    return _BREAKING.sub(_escaped, text)


def visible(text: str) -> str:
    """A text of lines in which nothing moves a cursor, turns letters round or goes unseen."""
    return _ACTIVE.sub(_escaped, text)


def print_line(text: str, file: TextIO | None = None) -> None:
    """Print one line, whatever the names in it hold; see `one_line`."""
    print(one_line(text), file=file)


def shell_words(words: Iterable[str]) -> str:
    """Words as a command to be typed.

    One with characters that can't be typed as bash writes it, `$'e\\x1b.jpg'`.
    """
    return " ".join(
        f"$'{''.join(map(_typed, word))}'"
        if _BREAKING.search(word) or not _is_utf8(word)
        else shlex.quote(word)
        for word in words
    )


def _typed(sign: str) -> str:
    if _BREAKING.match(sign) or not _is_utf8(sign):
        return "".join(f"\\x{byte:02x}" for byte in sign.encode("utf-8", "surrogateescape"))
    return f"\\{sign}" if sign in "\\'" else sign


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(match: re.Match) -> str:
    return "\\u007f" if match[0] == "\x7f" else json.dumps(match[0])[1:-1]


def secure_output() -> None:
    """Make standard output and standard error of this process take everything.

    First thing in a program.

    File names are UTF-8, whatever the locale: where Python takes them for something else, the
    program starts again in UTF-8 mode, and prints in the locale's encoding all the same.
    """
    if sys.getfilesystemencoding() != "utf-8":
        encoding = getattr(sys.stdout, "encoding", None) or "ascii"
        os.execve(
            sys.executable,
            [sys.executable, *sys.orig_argv[1:]],
            {"PYTHONIOENCODING": encoding} | os.environ | {"PYTHONUTF8": "1"},
        )
    for number in range(3):
        # a file that is opened later would take the place of one that is closed
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _secure(sys.stdout, 1), _secure(sys.stderr, 2)
    with suppress(ImportError):
        import colorama

        # DVC's, whose streams take names for commands to a terminal, and fail on some
        colorama.init = colorama.reinit = lambda *_, **__: None


def end_quietly() -> None:
    """Have Ctrl-C end this program in one word, also while it is still importing."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            before(kind, error, trace)
            return
        print("interrupted", file=sys.stderr, flush=True)
        os._exit(130)

    sys.excepthook = hook


def plain_warnings() -> None:
    """Print warnings of renamed things in one line, without the place in the code."""
    before = warnings.showwarning

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, RenamedWarning):
            print(f"warning: {message}", file=sys.stderr, flush=True)
        else:
            before(message, category, *where, **more)

    warnings.showwarning = show


def print_json(content: Any, indent: int | None = None) -> None:
    """Print JSON, on one line or indented, that any reader of JSON understands.

    Characters that the output has no place for are escaped as JSON does it.
    """
    encoding = codecs.lookup(getattr(sys.stdout, "encoding", None) or "utf-8").name
    print(
        json.dumps(content, indent=indent, ensure_ascii=not encoding.startswith("utf")), flush=True
    )


def unwritten() -> OSError | None:
    """Why standard output no longer takes anything.

    None while it does, or where nobody has secured it.
    """
    return getattr(getattr(getattr(sys.stdout, "buffer", None), "raw", None), "error", None)


def print_unwritten() -> bool:
    """Say on standard error that output is lost, as on a full disk; returns whether.

    A reader that has gone wants no more, which is no loss.
    """
    if sys.stdout is not None:
        sys.stdout.flush()
    error = unwritten()
    if error is None or error.errno == errno.EPIPE:
        return False
    print(f"warning: not all output could be written: {error.strerror}", file=sys.stderr)
    return True


class _Sink(io.RawIOBase):
    """A file that is written to as long as that works; what comes later is dropped."""

    def __init__(self, number: int):
        self._number = number
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, data: Any) -> int | None:
        if self.error is None:
            try:
                return os.write(self._number, data)
            except BlockingIOError:
                return None
            except OSError as error:
                self.error = error
        return len(data)


class _Text(io.TextIOWrapper):
    """Text on its way to a terminal or log."""

    def write(self, text: str) -> int:
        return super().write(visible(text))


def _secure(stream: Any, number: int) -> io.TextIOWrapper:
    encoding = "utf-8"
    if stream is not None:
        stream.flush()
        encoding = stream.encoding
    sink = _Sink(number)
    return _Text(
        io.BufferedWriter(sink), encoding, _ESCAPE, line_buffering=number == 2 or sink.isatty()
    )


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Plain signs in the place of typographic ones, `\\u00f6` in that of other characters."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign) or json.dumps(sign)[1:-1] for sign in signs), error.end


codecs.register_error(_ESCAPE, _escape)
