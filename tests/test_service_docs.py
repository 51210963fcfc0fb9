"""docs/service.md and the files that deploy the service fit the code, and run as written."""

import configparser
import json
import re
import shlex
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

import facestats
from documented import block, read
from facestats.__main__ import make_parser
from programs import run_program
from resources import ROOT
from services import serving, with_a_score

PAGE = "docs/service.md"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
ENTRY = ROOT / "deploy/entrypoint.sh"


@pytest.fixture(scope="module")
def instructions():
    """Instruction and argument of each line of the Dockerfile."""
    lines = re.sub(r"\\\n", " ", DOCKERFILE).splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line and not line.startswith("#")]


@pytest.mark.long
@pytest.mark.server
def test_the_pages_commands_work_as_written_and_name_every_route(built, tmp_path):
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    photos = with_a_score(built.folder, sorted((built.folder / "data/raw").glob("face_*.jpg")), 2)
    shutil.copy(photos[0], tmp_path / "photo.jpg")
    shutil.copy(photos[1], tmp_path / "other.jpg")
    with serving(built.folder, tmp_path / "service") as service:
        document = service.get("/openapi.json").json
        routes = {
            f"{method.upper()} {path}"
            for path, methods in document["paths"].items()
            for method in methods
        }
        own = {"GET /openapi.json"}  # a document does not name itself
        assert set(re.findall(r"`((?:GET|POST) /[^`]*)`", read(PAGE))) == routes | own
        assert all(service.get(path.split()[1]).status == 200 for path in own)

        def here(text: str) -> str:
            assert "localhost:8000" in text
            return text.replace("localhost:8000", f"localhost:{service.port}")

        for line in here(block("README.md", "curl").text).splitlines():
            done = run_program([*shlex.split(line), "-sS", "--fail"], tmp_path, check=True)
            assert json.loads(done.stdout)["meta"]
        pytest.importorskip("httpx")
        names: dict = {}
        exec(here(block(PAGE, "flask").text), names)
        score = names["calculate_attractiveness_score"](np.asarray(Image.open(photos[0])))
        models = facestats.load(built.folder)
        picture = np.asarray(Image.open(photos[0]))
        assert score == pytest.approx(models.score(picture).combined, abs=0.01)


def test_every_flag_of_the_deployed_commands_exists():
    serve = make_parser()
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(ROOT / "deploy/facestats.service")
    assert set(unit.sections()) == {"Unit", "Service", "Install"}
    words = shlex.split(unit["Service"]["ExecStart"])
    assert words[0].endswith("/bin/facestats")
    assert serve.parse_args(words[1:]).token_file
    assert int(unit["Service"]["TimeoutStopSec"]) > 30
    (scrape,) = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["scrape_configs"]
    assert scrape["static_configs"][0]["targets"] == ["127.0.0.1:8000"]
    proxy = (ROOT / "deploy/nginx.conf").read_text()
    assert proxy.count("{") == proxy.count("}")
    assert "proxy_set_header Host localhost;" in proxy  # one that a server on loopback answers to
    assert "proxy_request_buffering off;" in proxy
    assert "client_max_body_size 100m;" in proxy


def test_the_dockerfile_keeps_the_rules_of_hadolint(instructions):
    names = [name for name, _ in instructions]
    assert set(names) <= set(
        "FROM ENV RUN WORKDIR COPY USER VOLUME EXPOSE HEALTHCHECK ENTRYPOINT CMD".split()
    )
    assert names[0] == "FROM"
    assert [names.count(name) for name in ("FROM", "ENTRYPOINT", "CMD", "HEALTHCHECK")] == [1] * 4
    arguments = dict(instructions)
    assert re.fullmatch(r"python:3\.1[12]-slim", arguments["FROM"])  # DL3006, DL3007: a tag
    assert arguments["WORKDIR"].startswith("/")  # DL3000
    assert arguments["USER"] not in ("root", "0")  # DL3002
    assert names.index("USER") > max(at for at, name in enumerate(names) if name == "RUN")
    for name in ("ENTRYPOINT", "CMD"):  # DL3025: JSON
        assert all(isinstance(word, str) for word in json.loads(arguments[name]))
    commands = [argument for name, argument in instructions if name == "RUN"]
    for command in commands:
        assert "sudo" not in command  # DL3004
        assert not re.search(r"(^|&&)\s*cd ", command)  # DL3003
        if "apt-get install" in command:
            assert "--yes" in command  # DL3014
            assert "--no-install-recommends" in command  # DL3015
            assert "apt-get update" in command
            assert "rm -rf /var/lib/apt/lists/*" in command  # DL3009
    assert "PIP_NO_CACHE_DIR=1" in arguments["ENV"]  # DL3042
    torch = re.search(r"^torch==(\S+)", read("requirements.txt"), re.MULTILINE)
    assert torch
    assert f"torch=={torch[1]}" in " ".join(commands)  # DL3013: pinned


def test_every_source_of_a_copy_is_there_and_sent_to_the_builder(instructions):
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    for name, argument in instructions:
        if name == "COPY":
            *sources, _ = argument.split()
            for source in sources:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in sent, f"{source} is not in .dockerignore"


def test_the_entry_point_is_run_as_written(instructions, tmp_path):
    arguments = dict(instructions)
    shell, script = json.loads(arguments["ENTRYPOINT"])
    assert (shell, script) == ("/bin/sh", "/app/entrypoint.sh")
    assert run_program(["sh", "-n", ENTRY]).returncode == 0
    output = tmp_path / "said"
    for program in ("python", "dvc"):
        (tmp_path / program).write_text(f'#!/bin/sh\necho "{program} $*" >> {output}\n')
        (tmp_path / program).chmod(0o755)
    words = [shell, ENTRY, *json.loads(arguments["CMD"])]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "FACESTATS_PROJECT": str(tmp_path)}
    run_program(words, tmp_path, environment, check=True)
    run_program(words, tmp_path, environment | {"FACESTATS_PULL": "1"}, check=True)
    started, pulled, again = output.read_text().splitlines()
    assert pulled.startswith("dvc pull")
    assert started == again
    assert started.startswith("python -m facestats serve")
    options = make_parser().parse_args(shlex.split(started)[3:])
    assert (options.host, options.root) == ("0.0.0.0", str(tmp_path))
    assert options.token_file
