"""docs/troubleshooting.md has every message that a user can meet, and none that there is not."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from messages import find_messages, strings
from resources import ROOT

PAGE = ROOT / "docs/troubleshooting.md"
ROW = re.compile(r"^\| ((?:`[^`]+`(?:, )?)+)( \(DVC\))? \|", re.MULTILINE)

# Messages that the page leaves out, each with the reason.
LEFT_OUT = {
    # nobody meets them: a caller of the library's inner functions would, or they are caught and said in other words
    "the weights do not add up to 1",
    "train has … features, val …",
    "…: no rated faces",
    "…: features have the shape … and ratings …; expected (n, d) and (n,)",
    "…: features or ratings are not finite",
    "a …, expected a …",
    "vectors of different lengths, expected … numbers each",
    "vectors of … numbers, expected …",
    "found a matrix of the shape …, expected … columns",
    "…: column … has … rows, the table …",
    # what pydantic puts before a message, and the code takes away
    "Value error, ",
    # without a fixed part that could be searched for; what stands around them is on the page
    "… is …; remove it",
    "… is … on … (…)",
    "and … more",
    "…: can't be read (…). …",
    # `doctor` and the log of a stage say that all is well
    "…: one column a rater (…: ……)",
    "model hub: … answers",
    "row store: …, rows=… recipes=…, …",
    "row store: none yet; the first run makes it",
    "…: centre square",
}


def quotes(dvc: bool) -> list[str]:
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    return [
        quoted
        for cell, of_dvc in rows
        if bool(of_dvc) == dvc
        for quoted in re.findall("`([^`]+)`", cell)
    ]


def pattern(quoted: str) -> re.Pattern:
    """What a quote covers: its words in this order, anything where it has `…`."""
    return re.compile(
        ".*".join(re.escape(part.strip(" ")) for part in quoted.split("…")), re.DOTALL
    )


def parts(message: str) -> list[str]:
    """The fixed parts of a message that say enough to be found."""
    found = [part.strip(" '") for part in message.split("…")]
    return [part for part in found if len(part) >= 6]


def test_every_message_is_on_the_page():
    messages = find_messages()
    assert len(messages) > 300
    covers = [pattern(quoted) for quoted in quotes(dvc=False)]
    missing = [
        f"{where}: {text}"
        for where, text in messages
        if text not in LEFT_OUT and not any(cover.search(text) for cover in covers)
    ]
    assert missing == [], (
        "no row of docs/troubleshooting.md has these: add the words that a reader would search for, and the way out"
    )


def test_nothing_is_left_out_that_is_gone():
    assert LEFT_OUT - {message.text for message in find_messages()} == set()


def test_no_row_covers_by_accident():
    assert [
        quoted for quoted in quotes(dvc=False) if not any(len(part) >= 8 for part in parts(quoted))
    ] == []


@pytest.fixture(scope="module")
def ours() -> str:
    return "\n".join(
        text
        for folder in ("src/facestats", "stages")
        for path in (ROOT / folder).rglob("*.py")
        for text in strings(path)
    )


@pytest.fixture(scope="module")
def dvcs() -> str:
    folders = [Path(find_spec(name).origin).parent for name in ("dvc", "omegaconf")]
    return "\n".join(
        text
        for path in [
            *(
                folders[0] / name
                for name in (
                    "rwlock.py",
                    "lock.py",
                    "exceptions.py",
                    "output.py",
                    "data_cloud.py",
                    "repo/reproduce.py",
                    "repo/trie.py",
                    "utils/serialize/_yaml.py",
                    "repo/experiments/queue/celery.py",
                )
            ),
            folders[1] / "dictconfig.py",
        ]
        for text in strings(path)
    )


@pytest.mark.parametrize("dvc", [False, True])
def test_every_quoted_message_is_in_the_source(dvc, ours, dvcs):
    checked = [part for quoted in quotes(dvc) for part in parts(quoted)]
    assert len(checked) > (5 if dvc else 250)
    assert [part for part in checked if part not in (dvcs if dvc else ours)] == []


def test_the_way_out_of_the_parameters_is_linked_and_there():
    for page in re.findall(r"\]\(([\w.]+\.md)", PAGE.read_text(encoding="utf-8")):
        assert (ROOT / "docs" / page).is_file()
