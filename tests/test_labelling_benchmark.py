"""The labelling benchmark: rounds by the pipeline's functions, and the figures in its page."""

import numpy as np
import pandas as pd
import pytest

from facestats.errors import InputError
from facestats.params.project import load_params
from resources import ROOT, blobs


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import labelling

    return labelling


@pytest.mark.thorough
@pytest.mark.long
def test_both_ways_label_in_rounds_and_never_see_the_held_out_faces(benchmark, monkeypatch):
    x, labels = blobs({"cat": 140, "dog": 160}, spread=1.5)
    x = np.column_stack([x, np.random.default_rng(0).normal(0, 0.5, (300, 12)).astype(np.float32)])
    settings = load_params(ROOT / "params.yaml").attributes.targets["gender"]
    settings = settings.model_copy(update={"C": 1.0})  # `auto` searches in each of 36 trainings
    trained = []
    train = benchmark.train
    monkeypatch.setattr(benchmark, "train", lambda x, *rest: trained.append(x) or train(x, *rest))
    for choose in (benchmark.by_loop, benchmark.by_chance):
        trained.clear()
        accuracy = benchmark.label_in_rounds(x, labels.to_numpy(str), 1, choose, settings)
        assert list(accuracy) == [*range(25, 225, 25), 225]
        assert accuracy[225] > 0.85
        seen = {row.tobytes() for rows in trained for row in rows}
        assert len(seen) == 225
        assert all(len({row.tobytes() for row in rows}) == len(rows) for rows in trained)
        assert benchmark.label_in_rounds(
            x, labels.to_numpy(str), 1, choose, settings
        ) == pytest.approx(accuracy)


def test_too_few_different_faces_are_an_error_and_no_endless_round(benchmark):
    settings = load_params(ROOT / "params.yaml").attributes.targets["gender"]
    with pytest.raises(InputError, match="only 1 faces are proposed, 25 are needed"):
        benchmark.label_in_rounds(
            np.ones((300, 4), np.float32),
            np.repeat(["a", "b"], 150),
            0,
            benchmark.by_loop,
            settings,
        )


def test_the_figures_replace_the_old_ones_in_their_page(benchmark, tmp_path):
    from benchmarks.labelling_report import END, START, compare, plot, tables_of, write_block

    gain = {"by the loop": 0.02, "at random": 0.0}
    results = pd.DataFrame(
        [
            (
                "gender",
                chosen,
                seed,
                labels,
                0.6 + labels / 1000 + gain[chosen] + seed / 100 * (chosen == "at random"),
            )
            for chosen in gain
            for seed in (0, 1, 2)
            for labels in (25, 50, 90)
        ],
        columns=["question", "chosen", "seed", "labels", "accuracy"],
    )
    row = compare(results, (25, 50)).iloc[0]
    assert row[["loop", "random", "difference"]].tolist() == pytest.approx([64.5, 63.5, 1.0])
    assert row["high"] - row["difference"] == pytest.approx(4.302653 / np.sqrt(3))
    page = tmp_path / "labelling.md"
    with pytest.raises(InputError, match=r"labelling\.md: expected the lines"):
        write_block(page, "new")
    page.write_text(f"before\n{START}\nof last time\n{END}\nafter\n")
    write_block(page, tables_of(results, (25, 50), "3 faces"))
    text = page.read_text()
    assert "of last time" not in text
    assert text.startswith(f"before\n{START}\n3 faces, 3 seeds.")
    assert text.endswith(f"not told apart from chance at 25, 50 labels.\n{END}\nafter\n")
    assert "| 25 | 64.5 ± 0.0 | 63.5 ± 1.0 | +1.0 (−1.5 to +3.5) |" in text
    plot(results, (25, 50), tmp_path / "images/labelling.png")
    assert (tmp_path / "images/labelling.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_has_its_two_markers(benchmark):
    from benchmarks.labelling_report import END, START

    text = (ROOT / "docs/methods/labelling.md").read_text()
    assert text.count(START) == text.count(END) == 1
