"""Commands that take long, beside others of the same target: without --overwrite, what these have
written meanwhile stays.
"""

import pandas as pd
import pytest

import facestats.serving.batch as batch
import facestats.serving.loading as loading
from facestats.__main__ import main
from facestats.cli import transform
from facestats.errors import InputError
from facestats.export.folder import RECORD, whole


def test_a_second_export_does_not_replace_the_first(tmp_path):
    folder = tmp_path / "export"

    def late():
        with whole(folder) as temporary:
            (temporary / "faces.csv").write_text("late")
            with whole(folder) as first:
                (first / "embeddings.npy").write_text("first")

    with pytest.raises(InputError, match="is not empty"):
        late()
    assert {path.name for path in folder.iterdir()} == {"embeddings.npy", RECORD}
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    with whole(folder, overwrite=True) as asked:
        (asked / "faces.csv").write_text("asked")
    assert {path.name for path in folder.iterdir()} == {"faces.csv", RECORD}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_sheet_that_came_meanwhile_stays(tmp_path, overwrite):
    out = tmp_path / "out"

    def late():
        with transform._whole(out, out, overwrite) as folder:
            (folder / "b.jpg").write_text("late")
            (folder / "stimuli.csv").write_text("of b.jpg")
            (out / "stimuli.csv").write_text("of a.jpg")

    if overwrite:
        late()
        assert (out / "stimuli.csv").read_text() == "of b.jpg"
        return
    with pytest.raises(InputError, match=r"stimuli\.csv exists; name another --output"):
        late()
    assert [path.name for path in out.iterdir()] == ["stimuli.csv"]
    assert (out / "stimuli.csv").read_text() == "of a.jpg"


def test_a_table_of_scores_that_came_meanwhile_stays(tmp_path, monkeypatch, capsys):
    path = tmp_path / "scores.csv"

    def score_many(*_):
        path.write_text("first")
        return pd.DataFrame({"image": ["a.jpg"], "error": None, "withheld": None})

    monkeypatch.setattr(loading, "load_for", lambda *_: None)
    monkeypatch.setattr(batch, "score_many", score_many)
    command = ["score", "a.jpg", "--output", str(path)]
    assert main(command) == 2
    assert "scores.csv exists; name another --output" in capsys.readouterr().err
    assert path.read_text() == "first"
    assert main([*command, "--overwrite"]) == 0
    assert path.read_text().startswith("image,")
