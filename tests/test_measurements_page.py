"""docs/methods/measurements.md and the benchmark that writes it."""

import re

import numpy as np
import pytest

from facestats.geometry.definitions import MEASUREMENTS
from resources import ROOT
from shapes import symmetric_face

PAGE = ROOT / "docs/methods/measurements.md"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import measurements

    return measurements


def test_the_page_defines_what_the_code_measures(benchmark):
    page = PAGE.read_text(encoding="utf-8")
    assert benchmark.definitions() in page, "run `python -m benchmarks.measurements`"
    assert all(f"| `{measurement.name}` | " in page for measurement in MEASUREMENTS)


def test_both_pages_say_the_same_of_the_zscore():
    """r on the OMI faces, as `benchmarks.geometry` and `benchmarks.measurements` write it."""
    figures = [
        re.search(pattern, (ROOT / "docs/methods" / page).read_text(encoding="utf-8"))[1]
        for page, pattern in (
            ("geometry.md", r"\| z-score[^|]*\| (-?[\d.]+) \|"),
            ("measurements.md", r"r with `attractive` on the 745 OMI faces: (-?[\d.]+)"),
        )
    ]
    assert float(figures[0]) == pytest.approx(float(figures[1]), abs=0.006), "run both benchmarks"


@pytest.mark.long
def test_only_a_picture_that_is_turned_changes(benchmark):
    rgb = (
        np.random.default_rng(0)
        .integers(0, 255, (64, 64, 3), dtype=np.uint8)
        .repeat(4, axis=0)
        .repeat(4, axis=1)
    )
    face = 0.5 + 0.12 * symmetric_face()
    face[:, 2] = 0.6 * (
        (face[:, 0] - 0.5) ** 2 + (face[:, 1] - 0.5) ** 2
    )  # a dome whose top is nearest
    same = benchmark.turned(rgb, face, 0, 0)
    assert np.abs(same.astype(int) - rgb)[8:-8, 8:-8].mean() < 12
    assert (
        np.abs(same.astype(int) - rgb).mean()
        < 0.2 * np.abs(benchmark.turned(rgb, face, 20, 0).astype(int) - rgb).mean()
    )
