"""Fixtures: the landmarker, and small copies of the project with their own DVC cache."""

from facestats.run.stage import run_stage  # noqa: F401  before any test imports it

import contextlib
import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from filelock import FileLock
from PIL import Image

import warm
from cached import built_project
from clips import random_clip
from facestats.checkpoints.variants import fetch_clip
from facestats.core.stats.scale import reference_distribution
from facestats.faces.crop import PreprocessConfig, crop_face
from facestats.faces.landmarks import Landmarker
from facestats.sample import write_sample
from facestats.scores.training import train_regressor
from programs import LIMIT, empty_folder, no_program_is_left  # noqa: F401  fixtures
from project import Project
from rated import QUICK, noisy_line
from resources import SEED, landmarker_dir, omi_images

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # every stage would compile what it imports
sys.dont_write_bytecode = False  # and every run of pytest these tests, 10 s of a processor
os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # threads that wait take no processor from the other worker's: a third less for `zeroshot`

# Files that take longest, the longest first: with short ones at the end, pytest's workers end
# together.
LONG = (
    "test_kills.py",
    "test_runs.py",
    "test_staleness.py",
    "test_row_runs.py",
    "test_sharing.py",
    "test_links.py",
    "test_documented_readme.py",
    "test_sharing_servers.py",
    "test_experiments.py",
    "test_full_disk.py",
    "test_service_fuzz.py",
    "test_service.py",
    "test_package.py",
    "test_forget.py",
    "test_queue_after_a_kill.py",
    "test_preprocess.py",
    "test_library.py",
    "test_documented.py",
    "test_stale.py",
    "test_faults.py",
    "test_doubts.py",
    "test_warm.py",
    "test_rows_of_two_users.py",
    "test_labelling_benchmark.py",
    "test_budget.py",
    "test_service_docs.py",
    "test_serving_runs.py",
    "test_paths.py",
    "test_output.py",
    "test_landmarks.py",
    "test_zeroshot.py",
    "test_growth.py",
    "test_pretrain.py",
    "test_regressor.py",
)

# Where tests have their folders: copies of projects, thousands of files each, cost a file system on
# a disk 3 % of the processors and waits.
MEMORY = "/dev/shm"
ROOM = 4 << 30  # bytes; four workers take less than 2

SLOW = (
    2 * LIMIT
)  # seconds, of a test that drives real DVC; that of the others stands in pyproject.toml


def pytest_configure(config: pytest.Config) -> None:
    """Start the warm parent, one for all workers; it ends with this process."""
    if not hasattr(config, "workerinput"):
        if has_room(MEMORY) and "TMPDIR" not in os.environ:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)
        warm.start()


def has_room(folder: str) -> bool:
    """Whether projects of tests may lie in a folder that is memory: twice what they take is left,
    there and of all memory, and programs may run from it.
    """
    with contextlib.suppress(OSError):
        facts = os.statvfs(folder)
        free = min(facts.f_bavail * facts.f_frsize, psutil.virtual_memory().available / 2)
        return free > ROOM and os.access(folder, os.W_OK) and not facts.f_flag & os.ST_NOEXEC
    return False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))
    for item in items:
        if {"built", "project"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("long")
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW))


@pytest.fixture(scope="session", autouse=True)
def private_site_cache(tmp_path_factory) -> Iterator[None]:
    """DVC's site cache of this process in a folder that only this user may enter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.mktemp("site")))
        yield


def pytest_collection_finish() -> None:
    """Turn the garbage collector on again, which `run_stage`'s module has turned off.

    It never looks at modules: each look takes 0.5 s, and more in a fork, which copies them then.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def pytest_report_header() -> str:
    return f"{SEED}={seed_of_run()}"


def seed_of_run() -> int:
    return int(os.environ.get(SEED, 0))


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
    draw = partial(write_sample, n=40, size=512, seed=7, progress=False)
    folder = _once(tmp_path_factory, request, "drawn", draw)
    return sorted((folder / "images").glob("face_*.jpg"))


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
