"""docs/first_study.ipynb: it runs on a project as it stands, and shows nobody's face."""

import json

import matplotlib
import matplotlib.pyplot as plt
import pytest

from resources import ROOT

NOTEBOOK = json.loads((ROOT / "docs/first_study.ipynb").read_text(encoding="utf-8"))
CELLS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_outputs_are_stripped():
    for cell in NOTEBOOK["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
        assert "attachments" not in cell


def test_the_notebook_is_valid():
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbformat.validate(NOTEBOOK)


@pytest.mark.thorough
def test_the_notebook_draws_the_figures_of_a_paper(built, tmp_path, monkeypatch, capsys):
    for name in ("data", "metrics"):
        (tmp_path / name).symlink_to(built.folder / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: None)
    with matplotlib.rc_context():
        plt.switch_backend("agg")
        names: dict = {}
        for number, source in enumerate(CELLS):
            exec(compile(source, f"cell {number}", "exec"), names)
        plt.close("all")
    figures = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert figures == [*(f"figure_{i}.pdf" for i in range(1, 5)), "table_1.csv"]
    for name in figures[:4]:
        data = (tmp_path / "figures" / name).read_bytes()
        assert data.startswith(b"%PDF")
        assert b"/Type3" not in data
        assert b"/FontFile2" in data  # embedded
    assert "no face found" in capsys.readouterr().out
