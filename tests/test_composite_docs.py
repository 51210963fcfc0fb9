"""docs/composites.md: every option stands on it, its pictures are there and small, and made of
drawn faces.
"""

import re

from PIL import Image

from facestats.composites.params import Render
from facestats.groups.params import Filter
from facestats.pairs.params import Continuum, Difference
from resources import ROOT

PAGE = (ROOT / "docs/composites.md").read_text()
README = (ROOT / "README.md").read_text()


def test_every_option_stands_on_the_page():
    for section in (Filter, Render, Continuum, Difference):
        for name, field in section.model_fields.items():
            assert re.search(rf"[`{{ ]{field.alias or name}[`:]", PAGE), name


def test_the_pictures_are_there_small_and_in_use():
    used = set(re.findall(r"\(images/([^)]+)\)", PAGE))
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs/images").glob("*.jpg")}
    assert used <= set(sizes)
    assert set(sizes) - used <= set(re.findall(r"docs/images/([^)]+)", README))
    assert max(sizes.values()) <= 80_000
    assert sum(sizes.values()) < 700_000
    for name in sizes:
        with Image.open(ROOT / "docs/images" / name) as picture:
            picture.load()
            assert picture.width <= 1200
