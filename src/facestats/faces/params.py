"""The section `preprocess` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from facestats.params.types import Section

MOST_MEGABYTES = 4096  # of a photo's file, whatever the limit


class Preprocess(Section):
    size: Annotated[int, Field(ge=32, le=4096)] = 512
    """side of a face crop, pixels"""
    margin: Annotated[float, Field(ge=0, le=2)] = 0.3
    """space around the face on each side, as a share of the face's height"""
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    """JPEG quality of the crops, 1-100"""
    align: Literal["eyes", "none"] = "eyes"
    """eyes: turn the face so that the eyes lie level | none: leave it as it stands in the photo"""
    on_no_face: Literal["reject", "center_crop"] = "reject"
    """reject: a photo without a face is left out, with the reason | center_crop: its middle
    is used"""
    max_megabytes: Annotated[int, Field(ge=1, le=MOST_MEGABYTES)] = 256
    """size up to which a photo's file is read, MB; a larger one is left out, with the reason"""
    max_pixels: Annotated[int, Field(ge=1_000_000, le=178_956_970)] = 178_956_970
    """pixels of 8-bit RGB that a photo may have, or what takes as much memory (12 bytes each); a
    larger one is left out, with the reason"""
    max_seconds: Annotated[float, Field(ge=1, le=3600)] = 60
    """seconds of a processor that a photo may take; one that takes longer is left out, with the
    reason, and tried anew in the next run"""
    store: Literal["files", "shards"] = "files"
    """files: a file for each crop | shards: 1,024 tar shards, for more than some 100,000 photos"""

    def cutting(self) -> dict[str, Any]:
        """What decides a crop and its row: all but where it is kept."""
        return self.model_dump(exclude={"store"})
