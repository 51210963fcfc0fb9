"""Output of commands and stages that fits every terminal and log, and never fails.

A terminal or log may take only ASCII or Latin-1, be closed or full, or be read by a `head` that has
ended. Names come from strangers: characters that would move the cursor, clear the screen, change
the direction of writing or be invisible are escaped as in JSON.
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

# Control characters except line ends and tabs, marks of the direction of writing, characters
# without width (except joiners, which scripts and emoji need), tags.
_UNSEEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
)
_ACTIVE = re.compile(rf"[{_UNSEEN}]|(?<!^)\r")  # a bar that shows progress begins with \r
_BREAKING = re.compile(rf"[{_UNSEEN}\t\n\r]")


def one_line(text: str) -> str:
    """A text on one line: its line ends, tabs and invisible characters are escaped."""
    return _BREAKING.sub(_escaped, text)


def visible(text: str) -> str:
    """A text of lines with its invisible and active characters escaped."""
    return _ACTIVE.sub(_escaped, text)


def with_words_escaped(text: str, words: Iterable[str]) -> str:
    """A text of lines in which no word of the command line begins a line of its own.

    Parameters
    ----------
    text : str
        A message that may name paths, or their parts.
    words : iterable of str
        The command line.
    """
    parts = {part for word in words for cut in ("[/=,]", "[/=, ]") for part in re.split(cut, word)}
    for part in sorted(parts, key=len, reverse=True):
        if part.strip() and _BREAKING.search(part):
            text = text.replace(part, one_line(part))
    return text


def print_line(text: str, file: TextIO | None = None) -> None:
    """Print a text on one line; see `one_line`."""
    print(one_line(text), file=file)


def shell_words(words: Iterable[str]) -> str:
    """Words as a command to type; characters that can't be typed as in bash, `$'e\\x1b.jpg'`."""
    return " ".join(
        f"$'{''.join(map(_typed, word))}'"
        if _BREAKING.search(word) or not is_utf8(word)
        else shlex.quote(word)
        for word in words
    )


def _typed(sign: str) -> str:
    if _BREAKING.match(sign) or not is_utf8(sign):
        return "".join(f"\\x{byte:02x}" for byte in sign.encode("utf-8", "surrogateescape"))
    return f"\\{sign}" if sign in "\\'" else sign


def is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8; a name of bytes that are no UTF-8 can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(match: re.Match) -> str:
    return "\\u007f" if match[0] == "\x7f" else json.dumps(match[0])[1:-1]


def secure_output() -> None:
    """Make standard output and standard error of this process accept any text.

    A program calls this first. File names are UTF-8 whatever the locale: if Python reads them
    otherwise, the program starts again in UTF-8 mode, and still prints in the locale's encoding.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        encoding = getattr(sys.stdout, "encoding", None) or "ascii"
        os.execve(
            sys.executable,
            # As an option, too: with -E or -I, Python ignores the environment, and would start
            # again for ever.
            [sys.executable, "-X", "utf8", *sys.orig_argv[1:]],
            {"PYTHONIOENCODING": encoding} | os.environ | {"PYTHONUTF8": "1"},
        )
    for number in range(3):
        # A file that is opened later would take the number of a closed one.
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _secure(sys.stdout, 1), _secure(sys.stderr, 2)
    with suppress(ImportError):
        import colorama

        # DVC uses it; its streams interpret names as commands to a terminal, and fail on some.
        colorama.init = colorama.reinit = lambda *_, **__: None


def end_quietly() -> None:
    """Let Ctrl-C end this program with one word, also while it is still importing."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            before(kind, error, trace)
            return
        print("interrupted", file=sys.stderr, flush=True)
        os._exit(130)

    sys.excepthook = hook


def plain_warnings() -> None:
    """Print warnings of old names in one line, without the place in the code."""
    before = warnings.showwarning

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, RenamedWarning):
            print(f"warning: {message}", file=sys.stderr, flush=True)
        else:
            before(message, category, *where, **more)

    warnings.showwarning = show


def hide_serial_mode() -> None:
    """Hide joblib's warning where shared memory is read-only: nothing here uses its processes."""
    warnings.filterwarnings("ignore", ".*joblib will operate in serial mode", UserWarning)


def print_json(content: Any, indent: int | None = None) -> None:
    """Print JSON, on one line or indented; characters that the output lacks are escaped."""
    encoding = codecs.lookup(getattr(sys.stdout, "encoding", None) or "utf-8").name
    print(
        json.dumps(content, indent=indent, ensure_ascii=not encoding.startswith("utf")), flush=True
    )


def unwritten() -> OSError | None:
    """Why standard output accepts no more; None if it does, or without `secure_output`."""
    return getattr(getattr(getattr(sys.stdout, "buffer", None), "raw", None), "error", None)


def print_unwritten() -> bool:
    """Warn on standard error if output was lost, as on a full disk; returns whether it was.

    A reader that has ended wants no more: that is no loss.
    """
    if sys.stdout is not None:
        sys.stdout.flush()
    error = unwritten()
    if error is None or error.errno == errno.EPIPE:
        return False
    print(f"warning: not all output could be written: {error.strerror}", file=sys.stderr)
    return True


class _Sink(io.RawIOBase):
    """A file that is written to as long as that works; later output is dropped."""

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
    """Plain signs instead of typographic ones, `\\u00f6` instead of other characters."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign) or json.dumps(sign)[1:-1] for sign in signs), error.end


codecs.register_error(_ESCAPE, _escape)
