"""Files that are called like photos that go, for `forget`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from facestats.core.shard_removal import sidecar_of

# A million pictures take too long to read: their names alone are compared.
PICTURES = frozenset(
    """
    .jpg .jpeg .jpe .jfif .png .apng .gif .bmp .tif .tiff .webp .avif .heic .heif .jxl .jp2 .psd
    .dng .cr2 .cr3 .nef .arw .raf .orf .rw2 .mp4 .m4v .mov .avi .mkv .webm
    """.split()
)
_SHORTEST_START = 3  # characters of a photo's name that pictures made of it begin with
_SEPARATE = re.compile(r"[^\w]|_")


def called_like(paths: Collection[Path], images: Collection[str], photos: Path) -> dict[Path, str]:
    """Files that have the path of a photo below some folder, and pictures that have its name.

    Those that have the path of a photo that stays are none. Photos, which are not hidden, are left
    to `forget_traces.called_alike`.
    """
    by_path = {_folded(str(PurePosixPath(image).with_suffix(""))): image for image in images}
    by_name = {path.rpartition("/")[2]: image for path, image in by_path.items()}
    staying = {
        _folded(path.relative_to(photos).with_suffix("").as_posix())
        for path in paths
        if path.suffix.lower() in PICTURES
        and path.is_relative_to(photos)
        and not is_hidden(path, photos)
    } - by_path.keys()
    found = {}
    for path in paths:
        is_picture = path.suffix.lower() in PICTURES
        if is_picture and path.is_relative_to(photos) and not is_hidden(path, photos):
            continue
        name = _folded(sidecar_of(path.name))
        name = name.lstrip("._") if name.startswith(".") else name  # `._a.jpg` of a Mac
        ends = [*(match.start() for match in _SEPARATE.finditer(name)), len(name)]
        starts = [start for end in ends if (start := name[:end]) in by_name]
        exact = [one for one in starts if name == one or name[len(one)] == "."]
        above = [*map(_folded, path.parent.parts)]
        for start in starts if is_picture else exact:
            tails = ["/".join([*above[at:], start]) for at in range(len(above) + 1)]
            of_path = next((by_path[tail] for tail in tails if tail in by_path), None)
            of_name = by_name[start] if is_picture and _is_telling(start, exact) else None
            image = of_path or of_name
            if image and not any(tail in staying and "/" in tail for tail in tails[:-1]):
                found[path] = image
                break
    return found


def _is_telling(start: str, exact: list[str]) -> bool:
    """Whether a picture of this beginning is one of the photo: `1_a.png` may be of any."""
    return start in exact or len(start) >= _SHORTEST_START


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def is_hidden(path: Path, photos: Path) -> bool:
    """Whether a file below the folder of photos is none, for it, or a folder, is hidden."""
    return any(part.startswith(".") for part in path.relative_to(photos).parts)
