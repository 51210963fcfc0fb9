"""The section `landmarker` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from facestats.params.paths import PathText
from facestats.params.types import Section


class Landmarker(Section):
    source: PathText = "wheel"
    """`wheel`: out of the mediapipe wheel on your package index; or a folder with the .tflite
    files"""
