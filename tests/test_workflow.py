"""What GitHub runs on a pull request, and the dev container: their scripts, run here as they stand,
with programs that can't be had replaced.
"""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from dvc.cli.parser import get_main_parser

from facestats.core.files import read_json, write_json, write_text
from programs import run_program
from resources import ROOT

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
STEPS = WORKFLOW["jobs"]["changes"]["steps"]
SCRIPTS = {step["name"]: step["run"] for step in STEPS if "run" in step}
CONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
# Of the JSON schema of containers.dev: what may stand beside `image`; all else is refused there.
PROPERTIES = {
    "$schema",
    "name",
    "features",
    "overrideFeatureInstallOrder",
    "secrets",
    "forwardPorts",
    "portsAttributes",
    "otherPortsAttributes",
    "updateRemoteUserUID",
    "containerEnv",
    "containerUser",
    "mounts",
    "init",
    "privileged",
    "capAdd",
    "securityOpt",
    "remoteEnv",
    "remoteUser",
    "initializeCommand",
    "onCreateCommand",
    "updateContentCommand",
    "postCreateCommand",
    "postStartCommand",
    "postAttachCommand",
    "waitFor",
    "userEnvProbe",
    "hostRequirements",
    "customizations",
    "image",
    "appPort",
    "runArgs",
    "shutdownAction",
    "overrideCommand",
    "workspaceFolder",
    "workspaceMount",
}


def program(path: Path, script: str) -> None:
    write_text(path, f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


def run_step(
    name: str, folder: Path, temporary: Path, **environment: str
) -> subprocess.CompletedProcess:
    """A step's script as GitHub runs it; programs in `temporary / "bin"` go first."""
    temporary.mkdir(exist_ok=True)
    script = temporary / "step.sh"
    script.write_text(SCRIPTS[name], encoding="utf-8")
    return run_program(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
        folder,
        os.environ
        | {
            "PATH": f"{temporary / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "RUNNER_TEMP": str(temporary),
            "GITHUB_STEP_SUMMARY": str(temporary / "summary.md"),
            "GITHUB_OUTPUT": str(temporary / "output.txt"),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        | environment,
    )


def test_every_script_is_bash_and_calls_what_there_is():
    for name, script in SCRIPTS.items():
        assert "${{" not in script, (
            name
        )  # values come in by the environment, so that a script is what it looks like
        assert run_program(["bash", "-n", "-c", script]).returncode == 0, name
        for target in re.findall(r"^ *make (\w+)$", script, re.MULTILINE):
            assert re.search(
                rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
            )
        for arguments in re.findall(r"\.venv/bin/dvc ([^|;>\n]+)", script):
            get_main_parser().parse_args(shlex.split(arguments))
    assert len(SCRIPTS) == 6


def test_only_the_comment_may_write_and_forks_do_without():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert WORKFLOW["jobs"]["changes"]["permissions"] == {
        "contents": "read",
        "pull-requests": "write",
    }
    assert (
        "pull_request_target" not in WORKFLOW[True]
    )  # YAML reads `on` as true; that trigger gives a fork's code a token that writes
    cml, comment = STEPS[-2:]
    assert "head.repo.full_name == github.repository" in cml["if"]
    assert comment["if"] == "steps.cml.outcome == 'success'"
    assert cml["continue-on-error"] is comment["continue-on-error"] is True


def test_the_base_is_built_first_and_its_outcome_lies_below_the_pull_request(tmp_path):
    repo, temporary = tmp_path / "repo", tmp_path / "temporary"
    git = ["git", "-C", str(repo), "-c", "user.name=t", "-c", "user.email=t@example.org"]

    def commit(message: str, **files: str) -> str:
        for name, text in files.items():
            write_text(
                repo
                / {
                    "lock": "dvc.lock",
                    "card": "docs/model_card.md",
                    "metrics": "metrics/summary.json",
                }.get(name, f"{name}.yaml"),
                text,
            )
        run_program([*git, "add", "-A"], check=True)
        run_program([*git, "commit", "-qm", message], check=True)
        return run_program([*git, "rev-parse", "HEAD"], check=True).stdout.strip()

    run_program(["git", "init", "-q", "-b", "main", repo], check=True)
    fork = commit(
        "where the pull request left",
        params="old",
        lock="elsewhere",
        card="elsewhere",
        metrics="elsewhere",
    )
    base = commit("another change in between", other="new")
    run_program([*git, "checkout", "-q", "-b", "change", fork], check=True)
    head = commit("the change", params="new", lock="the author's", metrics="the author's")
    program(
        temporary / "bin/make",
        'for out in dvc.lock docs/model_card.md metrics/summary.json; do echo "$1 with '
        '$(cat params.yaml) $(ls)" > $out; done',
    )
    done = run_step(
        "Build what the pull request starts from", repo, temporary, BASE=base, HEAD=head
    )
    assert done.returncode == 0, done.stderr
    assert run_program([*git, "rev-parse", "HEAD"], check=True).stdout.strip() == head
    assert (repo / "params.yaml").read_text() == "new"
    for name in ("dvc.lock", "docs/model_card.md", "metrics/summary.json"):
        assert (repo / name).read_text().startswith("repro with old")
        assert (
            "other.yaml" not in (repo / name).read_text()
        )  # what came into main since is no change of the pull request


@pytest.mark.slow
def test_the_report_names_stale_stages_and_shows_metrics_and_plots(project, tmp_path):
    temporary = tmp_path / "temporary"
    program(temporary / "bin/make", "exit 0")
    (project.folder / ".venv/bin").mkdir(parents=True)
    program(
        project.folder / ".venv/bin/dvc",
        f'exec {shlex.quote(project.environment["PATH"].split(os.pathsep)[0])}/python -m dvc "$@"',
    )
    project.git("tag", "built-here")
    project.set_params({"mlp.dropout": 0.3, "composites.women.filter.n": 7})
    done = run_step(
        "Say which stages are stale",
        project.folder,
        temporary,
        **project.environment | {"PATH": f"{temporary / 'bin'}:{project.environment['PATH']}"},
    )
    stale = re.findall(r"^(\S+):$", done.stdout, re.MULTILINE)
    assert stale == ["train_attractiveness", "crossvalidate", "select@women", "report"], (
        done.stderr
    )  # what follows from them DVC finds when it runs
    program(
        temporary / "bin/make",
        'echo "Running stage \'select@women\':"; echo "> python stages/…"; echo "Running '
        "stage 'evaluate':\"",
    )
    assert run_step("Rebuild them", project.folder, temporary).returncode == 0
    summary = read_json(project.folder / "metrics/summary.json")
    write_json(
        project.folder / "metrics/summary.json",
        summary | {"pearson": summary["pearson"] | {"mlp": 0.9876}},
    )
    done = run_step(
        "Write the report",
        project.folder,
        temporary,
        **project.environment | {"PATH": f"{temporary / 'bin'}:{project.environment['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    words, report = (
        (project.folder / "words.md").read_text(),
        (project.folder / "report.md").read_text(),
    )
    assert report.startswith(words)
    assert "train_attractiveness:" in words
    assert "with what follows from them: `select@women` `evaluate`\n" in words
    assert re.search(
        r"^\| metrics/summary\.json +\| pearson\.mlp +\|.*\| 0\.988 ", words, re.MULTILINE
    ), words
    assert "](" not in words  # a summary can't show pictures of the runner
    plots = re.findall(r"!\[\w+\]\((\S+)\)", report)
    assert {Path(plot).stem for plot in plots} >= {
        "predicted_vs_actual",
        "learning_curve",
        "error_by_group",
    }
    assert all((project.folder / plot).is_file() for plot in plots)
    assert (temporary / "summary.md").read_text() == words


def test_the_comment_goes_without_plots_where_they_cannot_be_hosted(tmp_path):
    program(
        tmp_path / "temporary/bin/cml", f'echo "$@" >> {tmp_path}/said; [ "${{@: -1}}" = words.md ]'
    )
    assert run_step("Comment", tmp_path, tmp_path / "temporary").returncode == 0
    assert (tmp_path / "said").read_text().splitlines() == [
        "comment update --target=pr report.md",
        "comment update --target=pr words.md",
    ]


def test_the_dev_container_is_as_its_schema_wants_it_and_has_a_python_that_will_do():
    assert CONTAINER.keys() <= PROPERTIES
    assert all(value is None or isinstance(value, str) for value in CONTAINER["remoteEnv"].values())
    assert all(
        re.fullmatch(r"\d+([tgmk]b)?", CONTAINER["hostRequirements"][name])
        for name in ("memory", "storage")
    )
    assert CONTAINER["hostRequirements"].keys() <= {"cpus", "memory", "storage", "gpu"}
    assert CONTAINER["hostRequirements"]["cpus"] >= 1
    python = tuple(map(int, re.search(r":\d+-(\d+)\.(\d+)-\w+$", CONTAINER["image"]).groups()))
    low, high = re.search(
        r"\((\d+, \d+)\) <= v <= \((\d+, \d+)\)", (ROOT / "Makefile").read_text(encoding="utf-8")
    ).groups()
    assert tuple(map(int, low.split(","))) <= python <= tuple(map(int, high.split(",")))
    assert CONTAINER["postCreateCommand"] == "make setup"
    interpreter = CONTAINER["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert CONTAINER["remoteEnv"]["PATH"].startswith(interpreter.removesuffix("/python") + ":")
