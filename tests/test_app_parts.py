"""Parts of the pages without a server: what DVC says, the gate, pictures, colours, the command."""

import asyncio
import io
import re
import threading
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="needs the extra facestats[serve]")

from facestats.__main__ import main
from facestats.age.check import AgeCheck
from facestats.app import dvc_says, pictures
from facestats.app.dvc_says import DvcSays, read_experiments, read_status
from facestats.app.gate import CSRF, Gate
from facestats.app.page_entrance import static_files
from facestats.app.pictures import SIDE, Pictures, crops_of
from facestats.app.site import Choices, Site
from facestats.cli import app as command
from facestats.core.layout import CROPS, SERVING
from facestats.service.errors import ServiceError
from facestats.service.models import TABLE_SHA256
from facestats.service.schemas import about_scores
from servers import free_port

TOKENS = (b"one-token-of-two-01234", b"another-token-56789012")


def patiently(ask, state="asking", seconds=30):
    end = time.monotonic() + seconds
    while (answer := ask()).state == state:
        assert time.monotonic() < end
        time.sleep(0.005)
    return answer


# What DVC says


def test_stale_stages_have_their_reasons_in_few_words():
    text = """{"embed": [{"changed deps": {"src/facestats/clip": "modified",
        "src/facestats/core": "modified", "params.yaml": {"clip.precision": "modified"}}}],
        "dvc.yaml:score": ["changed command"], "report": [{"changed outs": {"a.html": "deleted"}}],
        "select@new": [{"changed deps": {"src/facestats/core": "modified", "params.yaml": "new"}}],
        "data/raw.dvc": [{"changed outs": {"data/raw": "modified"}}], "idle": []}"""
    assert read_status(text, {"embed", "score", "report", "idle"}) == [
        {"stage": "embed", "reasons": ["changed code", "params.yaml: clip.precision"]},
        {"stage": "score", "reasons": ["changed command"]},
        {"stage": "report", "reasons": ["a.html: deleted"]},
        {"stage": "select@new", "reasons": ["never run"]},
        {"stage": "data/raw.dvc", "reasons": ["data/raw: modified"]},
    ]
    assert read_status("{}", ()) == []


def test_experiments_show_metrics_and_the_parameters_that_differ():
    text = (
        "Experiment,rev,typ,Created,parent,State,r,data.images,mlp.hidden,seed,data/raw\n"
        ",workspace,baseline,,,,0.512345,raw,64,0,ab0\n"
        ",main,baseline,2026-01-01,,,0.4,raw,64,0,ab1\n"
        "odd-cat,89abcde,branch_base,2026-01-02,,Failed,,raw,128,0,ab2\n"
    )
    assert read_experiments(text) == {
        "head": ["experiment", "Created", "State", "r", "mlp.hidden"],
        "rows": [
            ["workspace", "", "", "0.5123", "64"],
            ["main", "2026-01-01", "", "0.4", "64"],
            ["odd-cat", "2026-01-02", "Failed", "", "128"],
        ],
        "left_out": 0,
    }
    assert read_experiments("")["rows"] == []


@pytest.fixture
def project(tmp_path):
    (tmp_path / ".dvc").mkdir()
    return tmp_path


def test_dvc_is_asked_once_beside_the_page_and_again_after_a_change(project, monkeypatch):
    go, asked = threading.Event(), []

    def run(root, words):
        asked.append(words)
        assert go.wait(30)
        return "{}"

    monkeypatch.setattr(dvc_says, "_run", run)
    dvc = DvcSays(project)
    assert [dvc.stale().state for _ in range(3)] == ["asking"] * 3
    go.set()
    assert patiently(dvc.stale).content == []
    assert dvc.stale().state == "done"
    assert len(asked) == 1
    (project / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    assert dvc.stale().state == "asking"
    patiently(dvc.stale)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (".dvc/cache/files/md5/ab/c.dir", '[{"md5": "' + "0" * 32 + '", "relpath": "../../x"}]'),
        ("dvc.lock", "schema: '2.0'\nstages: {a: {cmd: b, outs: [{path: ../x, md5: ../y}]}}\n"),
    ],
)
def test_dvc_is_not_asked_where_it_would_be_led_astray(project, monkeypatch, file, content):
    path = project / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    monkeypatch.setattr(dvc_says, "_run", lambda *words: pytest.fail("DVC was asked"))
    for ask in (DvcSays(project).stale, DvcSays(project).experiments):
        answer = patiently(ask)
        assert answer.state == "failed"
        assert "`python -m facestats doctor --cache` names what to mend" in answer.why
        assert str(project) not in answer.why


def test_dvc_that_fails_or_takes_too_long_is_told(project, monkeypatch):
    assert DvcSays(project / "no").stale().why == "the folder is no DVC project"
    monkeypatch.setattr(dvc_says.sys, "executable", str(project / "python"))
    (project / "python").write_text("#!/bin/sh\necho 'ERROR: Unable to acquire lock' >&2; exit 255")
    (project / "python").chmod(0o755)
    assert patiently(DvcSays(project).stale).why == "DVC is busy: a run is under way"
    (project / "python").write_text(f"#!/bin/sh\necho 'ERROR: {project}/x is odd' >&2; exit 1")
    assert patiently(DvcSays(project).experiments).why == "/x is odd"
    (project / "python").write_text("#!/bin/sh\nsleep 60")
    monkeypatch.setattr(dvc_says, "SECONDS", 0.2)
    assert patiently(DvcSays(project).stale).why == "DVC gave no answer within 0.2 s"


# The gate


def test_a_cookie_belongs_to_a_token():
    gate = Gate(TOKENS)
    session = gate.session_of(f" {TOKENS[1].decode()}\n")
    assert session is not None
    assert gate.is_signed_in({b"cookie": f"a=b; facestats_app={session}".encode()})
    assert Gate(TOKENS).is_signed_in({b"cookie": f"facestats_app={session}".encode()})  # restarted
    assert not Gate(TOKENS[:1]).is_signed_in({b"cookie": f"facestats_app={session}".encode()})
    for cookie in (b"", b"facestats_app=", b"facestats_app=" + TOKENS[0], b";;=;\xff"):
        assert not gate.is_signed_in({b"cookie": cookie})
    assert gate.session_of("wrong") is gate.session_of("") is gate.session_of("é") is None


@pytest.mark.parametrize(
    ("headers", "right"),
    [
        ({}, True),
        ({b"origin": b"http://localhost:8000"}, True),
        ({b"origin": b"https://localhost:8000"}, True),  # nginx speaks TLS, this server does not
        ({b"origin": b"http://localhost:8001"}, False),
        ({b"origin": b"http://evil.localhost:8000"}, False),
        ({b"origin": b"null"}, False),
        ({b"sec-fetch-site": b"same-origin"}, True),
        ({b"sec-fetch-site": b"none"}, False),
        ({b"sec-fetch-site": b"same-site"}, False),
    ],
)
def test_what_changes_something_comes_from_a_page_of_this_server(headers, right):
    gate, host = Gate(()), {b"host": b"localhost:8000"}
    if right:
        gate.check_origin(host | headers)
    else:
        with pytest.raises(ServiceError, match="only a page of this server"):
            gate.check_origin(host | headers)


def test_the_token_of_pages_is_new_with_each_server():
    gate = Gate(())
    gate.check_token({CSRF.encode(): gate.csrf.encode()})
    for given in (b"", gate.csrf.encode()[:-1], Gate(()).csrf.encode()):
        with pytest.raises(ServiceError, match="reload the page"):
            gate.check_token({CSRF.encode(): given})


# The run that is shown


def test_pages_show_the_run_in_use(tmp_path, monkeypatch):
    table = pd.DataFrame({"filename": ["a.jpg", "b.jpg"], "image": ["a.jpg", "b.jpg"]})
    table.attrs[TABLE_SHA256] = "of a file"

    def run(models, faces):
        made = SimpleNamespace(models=models, models_of_table=models, faces=faces)
        made.table = lambda: made.faces
        return made

    def models(sha256):
        manifest = SimpleNamespace(parts={"faces": {"faces.parquet": sha256}})
        return SimpleNamespace(root=tmp_path, parts=SimpleNamespace(manifest=manifest))

    state = SimpleNamespace(settings=SimpleNamespace(threads=1, ethnicity=False))
    old = models("a")
    current = [run(old, table)]
    state.run = lambda: current[0]
    site = Site(state, Choices(), Gate(()), ())

    async def look():
        first = await site.shown()
        current[0] = run(old, table)  # looked at again, and nothing was new
        same = await site.shown()
        current[0] = run(models("b"), table.iloc[:1])
        return first, same, await site.shown()

    first, same, new = asyncio.run(look())
    assert same is first
    assert (len(first.faces), len(new.faces)) == (2, 1)
    assert new.version != first.version
    assert new.facts.models is current[0].models


# Pictures


def test_thumbnails_are_kept_up_to_a_size(tmp_path, monkeypatch):
    made = []
    models = SimpleNamespace(root=tmp_path)
    (tmp_path / CROPS).mkdir(parents=True)
    for name in "abc":
        pixels = np.random.default_rng(ord(name)).integers(0, 255, (400, 400, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / CROPS / f"{name}.jpg")
    facts = SimpleNamespace(models=models, hash_of=lambda name: np.zeros(32, np.uint8))
    monkeypatch.setattr(pictures, "shows", lambda data, hash_: made.append(data) or True)
    shown = Pictures(1)
    first = shown.thumbnail(facts, "a.jpg")
    assert Image.open(io.BytesIO(first)).size == (SIDE, SIDE)
    assert shown.thumbnail(facts, "a.jpg") is first
    assert len(made) == 1
    monkeypatch.setattr(pictures, "KEPT_BYTES", len(first) * 3 // 2)
    shown.thumbnail(facts, "b.jpg")
    assert (len(shown._kept), shown._bytes) == (1, len(shown._kept[next(iter(shown._kept))]))
    Image.new("RGB", (400, 400)).save(tmp_path / CROPS / "b.jpg")  # a new run
    assert len(shown.thumbnail(facts, "b.jpg")) < len(first)
    assert shown.thumbnail(facts, "missing.jpg") is None


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/passwd", "a/../../b.jpg"])
def test_a_forged_name_leads_nowhere(tmp_path, name):
    assert crops_of(SimpleNamespace(root=tmp_path), name) is None


# Colours


def schemes() -> dict[str, dict[str, str]]:
    """Values of the tokens, light and dark."""
    text = static_files()["tokens.css"][0].decode()
    light, dark = text.split("@media")
    read = {"light": dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))}
    read["dark"] = read["light"] | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", dark))
    return read


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    lights = sorted(linear(colour) @ [0.2126, 0.7152, 0.0722] for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


# Machado, Oliveira & Fernandes 2009, of linear RGB: who lacks one kind of cones.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear RGB."""
    xyz = (
        np.array(
            [
                [0.4124, 0.3576, 0.1805],
                [0.2126, 0.7152, 0.0722],
                [0.0193, 0.1192, 0.9505],
            ]
        )
        @ np.clip(rgb, 0, 1)
        / [0.9505, 1, 1.089]
    )
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_paper(scheme):
    colours = schemes()[scheme]
    for name in ("ink", "soft", "accent", "bad", "good"):
        for paper in ("paper", "panel"):
            assert contrast(colours[name], colours[paper]) >= 4.5, (name, paper)
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", BLINDNESS)
def test_classes_are_told_apart_whatever_colours_one_sees(scheme, kind):
    colours = schemes()[scheme]
    classes = [colours[f"class-{i}"] for i in range(8)]
    assert min(contrast(one, colours["paper"]) for one in classes) >= 3
    seen = [lab(np.asarray(BLINDNESS[kind]) @ linear(one)) for one in classes]
    near = [np.linalg.norm(seen[i] - seen[j]) for i in range(8) for j in range(i)]
    assert min(near) >= 20  # of CIELAB; 2 can be seen side by side


# The command


@pytest.mark.long
def test_the_command_opens_the_browser_when_the_pages_are_there(tmp_path, monkeypatch, capsys):
    (tmp_path / SERVING).parent.mkdir()
    (tmp_path / SERVING).write_text("{}")
    opened, port = [], free_port()
    monkeypatch.setattr(command.webbrowser, "open", opened.append)
    monkeypatch.setattr("facestats.service.server.serve", lambda settings, app: app)
    monkeypatch.setattr(
        command.socket, "create_connection", lambda *_: SimpleNamespace(close=lambda: None)
    )
    words = ["app", "--root", str(tmp_path), "--port", str(port)]
    assert main(words) == 0
    assert f"FaceStats is at http://localhost:{port}/" in capsys.readouterr().out
    for thread in threading.enumerate():
        if thread.name.endswith("(_open_browser)"):
            thread.join(10)
    assert opened == [f"http://localhost:{port}/"]
    assert main([*words, "--no-browser"]) == 0
    assert len(opened) == 1
    assert main([*words, "--allow-origin", "https://example.org"]) == 2
    assert "--allow-origin is for `serve`" in capsys.readouterr().err
    assert main([*words, "--host", "0.0.0.0"]) == 2
    assert "give --token-file FILE" in capsys.readouterr().err


def test_a_port_that_another_program_has_is_told(tmp_path, capsys):
    import socket

    (tmp_path / SERVING).parent.mkdir()
    (tmp_path / SERVING).write_text("{}")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["app", "--root", str(tmp_path), "--port", port, "--no-browser"]) == 2
    assert "can't be used (Address already in use); choose with --host" in capsys.readouterr().err


def test_without_its_packages_app_names_the_command(monkeypatch, capsys):
    monkeypatch.setattr("facestats.cli.serve.find_spec", lambda name: None)
    assert main(["app"]) == 2
    assert "`app` needs fastapi" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (AgeCheck(18, bound=3.0), "Faces that may be under age get no score."),
        (AgeCheck(18, why="no model"), "labelled as under 18 get no score; the age of others was"),
        (AgeCheck(None), "Nobody's age was checked: children get scores, too."),
    ],
)
def test_what_scores_are_says_whose_age_was_checked(check, words):
    assert words in about_scores(check)
