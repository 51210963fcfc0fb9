"""Fixtures: the landmarker, and small copies of the project with their own DVC cache."""

from facestats.run.stage import run_stage  # noqa: F401  before any test imports it

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image

from apps import (  # noqa: F401  fixtures
    address,
    browser,
    consent,
    options,
    post,
    root,
    service,
    tab,
    table,
)
from cached import built_project
from clips import random_clip
from facestats.checkpoints.variants import fetch_clip
from facestats.core.stats.scale import reference_distribution
from facestats.faces.crop import PreprocessConfig, crop_face
from facestats.faces.landmarks import Landmarker
from facestats.machine import limits
from facestats.sample import write_sample
from facestats.scores.training import train_regressor
from programs import empty_folder, no_program_is_left  # noqa: F401  fixtures
from project import Project
from rated import QUICK, noisy_line
from resources import landmarker_dir, omi_images
from seeds import SEED, seed_of_run
from stages import call_stages, stages_of


@pytest.fixture(scope="session", autouse=True)
def private_site_cache(tmp_path_factory) -> Iterator[None]:
    """DVC's site cache of this process in a folder that only this user may enter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.mktemp("site")))
        yield


@pytest.fixture
def seed() -> int:
    """Of what a test chooses at random; it stands in the report of a test that fails."""
    print(f"{SEED}={seed_of_run()}")
    return seed_of_run()


@pytest.fixture(scope="session")
def landmarker() -> Landmarker:
    return Landmarker(landmarker_dir())


@pytest.fixture(scope="session")
def built(tmp_path_factory, request) -> Project:
    """A small project that has run once, the same for all workers of pytest: read it, and change
    copies of it.
    """
    return Project.at(_once(tmp_path_factory, request, "built", built_project))


@pytest.fixture(scope="session")
def unlabelled(built, tmp_path_factory, request) -> Project:
    """The small project as it is where nobody has labelled a face, made once for all workers: read
    it, and change copies of it.
    """

    def make(folder: Path) -> None:
        project = built.copy(folder)
        for path in (project.folder / "data/labels").glob("*.csv"):
            path.unlink()
        (project.folder / "data/labels/.gitkeep").touch()
        names = stages_of(project)
        call_stages(project, *names[names.index("labels") :])

    return Project.at(_once(tmp_path_factory, request, "unlabelled", make))


def _once(tmp_path_factory, request, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that one worker of pytest makes for all."""
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        folder = folder.parent  # each worker has a folder of its own in there
    folder, done = folder / name, folder / f"{name}.done"
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # another worker's attempt that failed
            make(folder)
            done.touch()
    return folder


@pytest.fixture
def project(built, tmp_path) -> Project:
    """A copy of the project that has run once."""
    return built.copy(tmp_path / "copy")


@pytest.fixture(scope="session")
def clip_source(tmp_path_factory):
    return random_clip(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="session")
def clip_models(tmp_path_factory, clip_source):
    """Fetched folders: the embedded variant, and one of the usual input size."""
    folders = {}
    for name, variant in (("tiny", "tiny"), ("patch32", str(clip_source))):
        folders[name] = tmp_path_factory.mktemp(name)
        fetch_clip(variant, None, folders[name])
    return folders


@pytest.fixture
def local(clip_source, tmp_path):
    """A copy of the local model to spoil."""
    return shutil.copytree(clip_source, tmp_path / "local")


@pytest.fixture(scope="session")
def drawn_paths(tmp_path_factory, request) -> list[Path]:
    """Drawn faces in pictures as large as the OMI ones, for machines that lack those."""
    return _drawn(tmp_path_factory, request, 40)


@pytest.fixture(scope="session")
def few_drawn_paths(tmp_path_factory, request) -> list[Path]:
    """Four of them: drawing forty takes seconds."""
    return _drawn(tmp_path_factory, request, 4)


def _drawn(tmp_path_factory, request, n: int) -> list[Path]:
    draw = partial(write_sample, n=n, size=512, seed=7, progress=False)
    folder = _once(tmp_path_factory, request, f"drawn-{n}", draw)
    return sorted((folder / "images").glob("face_*.jpg"))[:n]


@pytest.fixture(scope="session", params=["omi", "drawn"])
def photo_paths(request) -> list[Path]:
    """Forty photos of a face each."""
    return request.getfixturevalue("drawn_paths") if request.param == "drawn" else omi_images(40)


@pytest.fixture(scope="session")
def photos(photo_paths) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in photo_paths]


@pytest.fixture(scope="session")
def crops(photos, landmarker):
    return [crop_face(photo, PreprocessConfig(), landmarker) for photo in photos]


@pytest.fixture(scope="session")
def rated():
    """Features and ratings of 400 train and 100 val faces that lie around a line."""
    return *noisy_line(400, 0), *noisy_line(100, 1)


@pytest.fixture
def served(rated):
    """A trained regressor as the pipeline saves it."""
    model = train_regressor(*rated, **QUICK)
    model.scale, model.reference = (1.0, 7.0), reference_distribution(model.predict(rated[0]))
    return model


@pytest.fixture
def decodes_here(monkeypatch):
    """This process decodes all photos itself, as workers do; tests patch what it calls."""
    monkeypatch.setattr(limits, "_expendable", [limits.Limits(60, 1 << 32)])
