"""The built-in sample: procedurally drawn faces with labels and simulated ratings.

`traits` says what a face is, `draw` draws it (with `frame`, `layout`, `palette`, `light`, `head`,
`skin`, `hair`, `features` and `extras`), `raters` rates it, `bad_files` adds what real folders hold
besides faces, and `build` writes all of it.
"""

from facestats.sample.build import write_sample
from facestats.sample.draw import Drawing, draw_face
from facestats.sample.traits import Traits, draw_traits

__all__ = ["Drawing", "Traits", "draw_face", "draw_traits", "write_sample"]
