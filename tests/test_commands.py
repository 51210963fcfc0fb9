"""`python -m facestats`: its help, and what `doctor` says of the model hub and the row store."""

import argparse
import errno
import importlib
import os
import re
import shlex
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pyarrow as pa
import pytest

from documented import read
from facestats.__main__ import COMMANDS, make_parser
from facestats.cli import importing
from facestats.cli.doctor_surroundings import describe_hub, describe_rows, package_versions
from facestats.rows.place import PLACE, open_below
from facestats.rows.segments import write_segments
from resources import ROOT


def examples(name: str) -> list[str]:
    """The commands below `examples:` in a module's docstring, without what is said of them."""
    doc = importlib.import_module(f"facestats.cli.{name.replace('import', 'importing')}").__doc__
    block = re.search(r"^examples:\n((?:  .*\n)+)", doc, re.MULTILINE)
    assert block, f"{name} has no examples"
    return [re.split(r" {2,}| > ", line.strip())[0] for line in block[1].splitlines()]


@pytest.mark.long
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_can_be_typed(name):
    lines = examples(name)
    assert lines
    for line in lines:
        assert line.startswith(f"python -m facestats {name}")
        assert make_parser().parse_args(shlex.split(line)[3:]).command == name


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_ends_with_its_exit_codes(name):
    doc = importlib.import_module(f"facestats.cli.{name.replace('import', 'importing')}").__doc__
    codes = doc.rpartition("\n\nexit code: ")[2]
    assert re.fullmatch(r"0 [^0-9]+(, 1 [^0-9]+)?, 2 [^0-9]+\n", codes), codes


def test_the_page_of_the_datasets_names_every_option_of_import():
    parser = argparse.ArgumentParser(add_help=False)
    importing.add_arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings}
    rows = re.findall(r"^\| (`--.*?) \|", read("docs/datasets.md"), re.MULTILINE)
    assert options - set(re.findall(r"--\w+", " ".join(rows))) == set()


def test_the_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["--help"])
    output = capsys.readouterr().out
    assert all(re.search(rf"^    {name} ", output, re.MULTILINE) for name in COMMANDS)
    assert max(map(len, output.splitlines())) < 125


def test_doctor_knows_the_version_of_everything_that_is_pinned(tmp_path):
    pinned = [
        line.split("==")[0]
        for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    ]
    assert list(package_versions(ROOT)) == pinned
    (tmp_path / "requirements.txt").write_text(
        "nobody.knows==1.2  # a comment\npytest==0.1\n", encoding="utf-8"
    )
    assert package_versions(tmp_path) == {
        "nobody.knows": {"installed": None, "pinned": "1.2", "fits": False},
        "pytest": {"installed": pytest.__version__, "pinned": "0.1", "fits": False},
    }


@pytest.fixture
def hub(monkeypatch):
    """A server that knows no page, in the model hub's place; the other is nobody."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)

    class Nothing(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(404)

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Nothing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.long
def test_a_hub_that_answers_is_reached(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", hub)
    assert describe_hub() == f"model hub: {hub} answers"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "is not asked" in describe_hub()


@pytest.mark.long
@pytest.mark.usefixtures("hub")
def test_a_hub_that_is_not_there_is_said_and_no_error(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert "can't be reached (" in describe_hub()
    monkeypatch.setenv("HF_ENDPOINT", "no address")
    assert "can't be reached (unknown url type" in describe_hub()


def test_a_damaged_row_is_named(tmp_path, monkeypatch):
    store = tmp_path / "rows"
    monkeypatch.setenv(PLACE, str(store))
    assert list(describe_rows(tmp_path)) == ["row store: none yet; the first run makes it"]
    recipe = store / "embed" / ("0" * 32)
    (recipe / "files").mkdir(parents=True)
    with open_below(store, "embed", recipe.name) as folder:
        (name,) = write_segments(folder, pa.table({"key": ["a", "b"]}))
    segment = recipe / name
    (recipe / "files" / "d41d8cd98f00b204e9800998ecf8427e").touch()
    assert list(describe_rows(tmp_path)) == [f"row store: {store}, rows=2 recipes=1, sound"]
    segment.write_bytes(segment.read_bytes()[:-1] + b"?")
    (recipe / "files" / "d41d8cd98f00b204e9800998ecf8427e").write_bytes(b"?")
    lines = list(describe_rows(tmp_path))
    assert lines[0].endswith("rows=0 recipes=1, 2 damaged files")
    assert str(segment) in lines[1]
    assert "d41d8cd98f" in lines[2]
    assert "rows prune" in lines[-1]


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE])
def test_a_row_that_cannot_be_read_now_is_not_called_damaged(tmp_path, monkeypatch, number):
    store = tmp_path / "rows"
    monkeypatch.setenv(PLACE, str(store))
    (store / "embed" / ("0" * 32)).mkdir(parents=True)

    def fail(*_):
        raise OSError(number, os.strerror(number), "rows.parquet")

    monkeypatch.setattr("facestats.cli.doctor_surroundings.list_segments", fail)
    lines = list(describe_rows(tmp_path))
    assert lines[0].endswith("rows=0 recipes=1, not all read")
    assert lines[1:] == [
        f"  can't be read now, so nothing is known about it: rows.parquet ({os.strerror(number)})"
    ]
