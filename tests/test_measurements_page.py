"""docs/measurements.md, and the benchmarks that write it and docs/methods/measurements.md."""

import re

import numpy as np
import pandas as pd
import pytest

from facestats.geometry.measurements import MEASUREMENTS
from resources import ROOT
from shapes import symmetric_face

PAGE = ROOT / "docs/measurements.md"


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import measurement_claims, measurement_page, measurements, turned_pictures

    return measurements, measurement_page, measurement_claims, turned_pictures


def rows(page: str, head: str) -> list[list[str]]:
    """The cells of the table that begins with a header."""
    lines = page[page.index(head) :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip(" *") for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_page_defines_what_the_code_measures(benchmarks):
    page = PAGE.read_text(encoding="utf-8")
    assert benchmarks[1].definitions() in page, "run `python -m benchmarks.measurements`"
    assert all(f"| `{measurement.name}` | " in page for measurement in MEASUREMENTS)
    assert all(measurement.source and measurement.landmarks for measurement in MEASUREMENTS)


def test_every_source_is_in_the_list_of_sources():
    _, _, listed = PAGE.read_text(encoding="utf-8").partition("## Sources")
    for measurement in MEASUREMENTS:
        for author, year in re.findall(r"(\w+)(?: et al\.| & \w+)? (\d{4})", measurement.source):
            assert re.search(rf"{author}\b[^*]* {year}", listed), (author, year)


def test_tables_are_empty_beyond_the_pose_that_was_measured():
    page = PAGE.read_text(encoding="utf-8")
    measured = {row[0].strip("`"): row[1:3] for row in rows(page, "| measurement | yaw")}
    for one in MEASUREMENTS:
        if np.isfinite(one.max_yaw):
            limits = [f"{one.max_yaw:.0f}°", f"{one.max_pitch:.0f}°"]
            assert measured[one.name] == limits, "run `python -m benchmarks.measurements`"


@pytest.mark.long
def test_a_limit_lies_where_a_turn_moves_by_one_standard_deviation(monkeypatch):
    """Fwhr moves by 0.05 a degree of yaw to one side and half as much to the other; the left tilt
    by 0.04, the right one by half as much, and what a photo shows is nine tenths of the turn.
    """
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.turned_measurements import VIEWS, limits

    views = pd.DataFrame(
        [(face, turn, nod) for face in (0, 1) for turn, nod in VIEWS],
        columns=["face", "turn", "nod"],
    )
    views = views.assign(yaw=0.9 * views["turn"], pitch=0.9 * views["nod"])
    views = views.assign(**{one.name: 1.0 + views["face"] for one in MEASUREMENTS})
    turn = views["turn"]
    views["fwhr"] += np.where(turn > 0, 0.05, 0.025) * turn
    views["canthal_tilt_left"] += 0.04 * turn
    views["canthal_tilt_right"] += 0.02 * turn
    spread = pd.Series(1.0, index=[one.name for one in MEASUREMENTS])
    found = limits(views, spread)
    assert found.loc["fwhr"].tolist() == [18, 27]  # 20° show as 18°; pitch: all of 30°
    assert found.loc["canthal_tilt_left", "max_yaw"] == 22  # 25° show as 22.5°
    assert found.loc["canthal_tilt_right", "max_yaw"] == 22  # the worse of both sides
    assert found.loc["nasal_index"].tolist() == [36, 27]
    assert limits(views, 2 * spread).loc["fwhr", "max_yaw"] == 36


def test_each_claim_has_its_verdict(benchmarks):
    page = PAGE.read_text(encoding="utf-8")
    claims = benchmarks[2].CLAIMS
    found = rows(page, "| claim | of ")
    assert len(found) == sum(bool(claim.women) + bool(claim.men) for claim in claims)
    for row in found:
        sign = 1 if row[2].startswith("+") else -1
        bounds = [re.match(r"(\S+) \((\S+) to (\S+)\)", cell) for cell in row[3:5]]
        intervals = [tuple(map(float, match.groups())) for match in bounds if match]
        near = any(abs(end) < 0.005 for _, *ends in intervals for end in ends)
        assert near or benchmarks[2].verdict(sign, intervals) == row[5], row
    assert {"golden_deviation", "fwhr", "canthal_tilt_mean", "symmetry_score"} <= {
        claim.column for claim in claims
    }


def test_a_verdict_needs_both_sets(benchmarks):
    verdict = benchmarks[2].verdict
    up, down, flat = (0.3, 0.1, 0.5), (-0.3, -0.5, -0.1), (0.1, -0.1, 0.3)
    assert verdict(1, [up, up]) == verdict(-1, [down, down]) == "yes"
    assert verdict(1, [up, flat]) == verdict(-1, [flat, down]) == "in one set"
    assert verdict(1, [flat, flat]) == "no"
    assert verdict(1, [flat, down]) == verdict(-1, [up, up]) == "the opposite"
    assert verdict(1, [up, down]) == "mixed"


def test_intervals_are_fishers(benchmarks):
    """R = 0.5 of 28 faces: z = 0.5493 ± 1.96 / 5."""
    x = pd.Series(np.random.default_rng(0).normal(size=28))
    noise = pd.Series(np.random.default_rng(1).normal(size=28))
    x, noise = (x - x.mean()) / x.std(), noise - noise.mean()
    noise -= x * (noise @ x) / (x @ x)
    y = 0.5 * x + np.sqrt(0.75) * noise / noise.std()
    assert benchmarks[0].correlation(x, y) == pytest.approx((0.5, 0.156, 0.736), abs=0.001)
    assert np.isnan(benchmarks[0].correlation(x[:9], y[:9])).all()


def test_both_pages_say_the_same_of_the_zscore():
    """r on the OMI faces, as `benchmarks.geometry` and `benchmarks.head_pose` write it."""
    figures = [
        re.search(pattern, (ROOT / "docs/methods" / page).read_text(encoding="utf-8"))[1]
        for page, pattern in (
            ("geometry.md", r"\| z-score[^|]*\| (-?[\d.]+) \|"),
            ("measurements.md", r"r with `attractive` on the 745 OMI faces: (-?[\d.]+)"),
        )
    ]
    assert float(figures[0]) == pytest.approx(float(figures[1]), abs=0.006), "run both benchmarks"


@pytest.mark.long
def test_only_a_picture_that_is_turned_changes(benchmarks):
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
    same = benchmarks[3].turned(rgb, face, 0, 0)
    assert np.abs(same.astype(int) - rgb)[8:-8, 8:-8].mean() < 12
    assert (
        np.abs(same.astype(int) - rgb).mean()
        < 0.2 * np.abs(benchmarks[3].turned(rgb, face, 20, 0).astype(int) - rgb).mean()
    )
