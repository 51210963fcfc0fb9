"""Two people: an office whose project has run, a bare git repository, and colleagues who clone
it.
"""

from pathlib import Path

from documented import run_documented
from programs import run_program
from project import Project

# Enough for photos, rows, a model and a metric; the others cost the time of `dvc`, and nothing new.
STAGES = (
    "fetch_clip",
    "fetch_landmarker",
    "preprocess",
    "embed",
    "labels",
    "split",
    "train_attribute",
    "zeroshot",
    "attributes",
    "age_check",
    "train_attractiveness",
)
DOCUMENT = "docs/sharing.md"
CLEAN = "Data and pipelines are up to date."


def open_office(built: Project, folder: Path, *stages: str) -> Project:
    """A copy of the small project with these stages (none: all), pushed to the git repository
    `hub.git` beside it.
    """
    office = built.copy(folder / "office")
    if stages:
        office.keep_stages(*stages)
    office.commit("stages")
    run_program(["git", "init", "-q", "--bare", "-b", "main", hub(office)], check=True)
    office.git("remote", "add", "origin", str(hub(office)))
    office.git("push", "-q", "-u", "origin", "main")
    return office


def copy_office(office: Project, folder: Path) -> Project:
    """A copy of the office with a git repository of its own."""
    copy = office.copy(folder)
    copy.git("remote", "set-url", "origin", str(hub(copy)))
    return copy


def hub(office: Project) -> Path:
    return office.folder.parent / "hub.git"


def document(project: Project, name: str, **places: str) -> str:
    """Run a block of docs/sharing.md; `places` by their key in `_PLACES`."""
    return run_documented(
        project, DOCUMENT, name, {_PLACES[key]: str(value) for key, value in places.items()}
    )


def colleague(office: Project, folder: Path) -> Project:
    """Someone with a clone, and nothing of DVC's."""
    folder.mkdir(parents=True)
    run_program(["git", "clone", "-q", str(hub(office)), str(folder / "repo")], check=True)
    return Project.at(folder)


_PLACES = {
    "storage": "/srv/facestats",
    "numbers": "/srv/facestats-numbers",
    "hub": "git@example.org:us/facestats.git",
    "endpoint": "https://s3.example.org",
    "server": "localhost:2222/srv/facestats",
    "user": "user you",
    "key": "~/.ssh/id_ed25519",
    "name": "facestats\ncd facestats",
}
