"""Fixtures: the landmarker, and small copies of the project with their own DVC cache."""

import pytest

from facestats.faces.landmarks import Landmarker
from project import Project
from resources import landmarker_dir


@pytest.fixture(scope="session")
def landmarker() -> Landmarker:
    return Landmarker(landmarker_dir())


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Project:
    """A small project that has run once; tests that change it put it back."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.add_drawn_faces(n=100, seed=7)
    project.commit("a small project")
    project.repro()
    project.commit("run")
    return project


@pytest.fixture
def project(built) -> Project:
    """The project that has run once, put back afterwards (from DVC's cache, nothing is computed twice)."""
    yield built
    built.restore()
