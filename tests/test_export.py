"""`facestats export`: what other programs read is what the tables say."""

import io
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import yaml

from facestats import load, read_template
from facestats.__main__ import main
from facestats.attributes.model import AttributeModel
from facestats.attributes.training import train_classifier, train_regression
from facestats.core import tables
from facestats.core.files import csv_text, without_apostrophe
from facestats.core.layout import CLIP, EMBEDDINGS, FACES_TABLE
from facestats.core.stats.scale import to_pct, to_score
from facestats.errors import InputError
from facestats.export import excel, project
from facestats.export.card import USE
from facestats.export.columns import describe, read_faces, short_names, truths_as_words
from facestats.export.excel import check_fits, write_workbook
from facestats.export.figures import Figures, read_figures
from facestats.export.folder import check_target
from facestats.export.spss_stata import write_dta, write_sav
from facestats.faces.tables import FACES
from facestats.groups.tables import FINAL
from facestats.scores.calibration import Calibration
from facestats.serving.manifest import Manifest
from programs import run_program
from resources import blobs, text
from test_spreadsheets import FORMULAS, PLAIN

NO_FIGURES = Figures({}, {}, {})
TWO_MILLION = 2_000_000


def needs(*packages):
    for package in packages:
        pytest.importorskip(package, reason=f"{package} is in tests/requirements-servers.txt")


@pytest.fixture(scope="module")
def exported(built, tmp_path_factory):
    """The whole export of the small project."""
    needs("pyreadstat", "onnx")
    folder = tmp_path_factory.mktemp("exported") / "export"
    assert main(["export", str(folder), "--root", str(built.folder)]) == 0
    return folder


@pytest.fixture
def final(built):
    return tables.read_all(built.folder / FINAL.location, FINAL).sort_values("image")


def test_the_csv_file_is_the_table(exported, final):
    frame = pd.read_csv(exported / "faces.csv", dtype={"score_withheld": "str"})
    assert frame.columns[0] == "image"
    assert {*frame} == {*final}
    assert frame["image"].tolist() == final["image"].tolist()
    np.testing.assert_allclose(frame["rating"], final["rating"].to_numpy(float))
    text = (exported / "faces.csv").read_text()
    assert re.search(r",[1-9]\d?,", text)  # deciles without .0
    assert frame["frontal"].tolist() == final["frontal"].tolist()
    assert ",TRUE," in text  # R reads `True` as text
    assert not re.search(r",(True|False),", text)


def test_truths_are_words_that_r_reads():
    truths = pd.DataFrame({"a": pd.array([True, None, False], "boolean"), "b": [False, True, True]})
    assert csv_text(truths_as_words(truths)) == "a,b\nTRUE,FALSE\n,TRUE\nFALSE,TRUE\n"


def test_withheld_scores_stay_empty_with_their_reason(final, tmp_path):
    child = final["image"] == "face_0010.jpg"
    scores = ["attractiveness_raw", "attractiveness", "combined_score", "geometric_score"]
    final[scores] = final[scores].mask(child)
    final["score_withheld"] = final["score_withheld"].astype(object).mask(child, "may be under 18")
    tables.write(final, tmp_path / FINAL.location, FINAL)
    frame = read_faces(tmp_path)
    row = pd.read_csv(io.StringIO(csv_text(frame))).set_index("image").loc["face_0010.jpg"]
    assert row[scores].isna().all()
    assert row["score_withheld"] == "may be under 18"
    assert frame["combined_score"].notna().any()
    write_dta(tmp_path / "t.dta", frame, describe(frame, NO_FIGURES))
    row = pd.read_stata(tmp_path / "t.dta").set_index("image").loc["face_0010.jpg"]
    assert row[scores].isna().all()
    assert row["score_withheld"] == "may be under 18"


def test_the_workbook_has_the_table_and_the_codebook(exported, final):
    book = openpyxl.load_workbook(exported / "faces.xlsx")
    assert book.sheetnames == ["faces", "codebook"]
    rows = list(book["faces"].values)
    assert [row[0] for row in rows[1:]] == final["image"].tolist()
    kinds = {cell.data_type for row in book["faces"].iter_rows() for cell in row}
    assert kinds <= {"s", "n", "b"}  # no formula
    listed = pd.read_csv(exported / "codebook.csv")
    assert [row[0] for row in book["codebook"].values][1:] == listed["column"].tolist()


def test_the_spss_file_has_classes_with_labels_and_unknown_as_missing(exported, final):
    import pyreadstat

    frame, meta = pyreadstat.read_sav(exported / "faces.sav", apply_value_formats=True)
    assert frame["image"].tolist() == final["image"].tolist()
    known = final["gender_final"].mask(final["gender_final"] == "unknown")
    given = frame["gender_final"].astype(object)
    assert given.fillna("").tolist() == known.astype(object).fillna("").tolist()
    assert meta.column_names_to_labels["yaw"].startswith("yaw: head turned to a side, degrees")
    for column, ranges in meta.missing_ranges.items():
        assert "unknown" in meta.variable_value_labels[column].values()
        assert ranges == [{"lo": -1.0, "hi": -1.0}]
    np.testing.assert_allclose(frame["rating"], final["rating"].to_numpy(float))


def test_the_stata_file_has_labels_and_gaps(exported, final):
    with pd.read_stata(exported / "faces.dta", iterator=True) as reader:
        labels, frame = reader.variable_labels(), reader.read()
    assert frame["image"].tolist() == final["image"].tolist()
    assert labels["gender_final"].startswith("gender_final: the class that counts")
    assert {*frame["gender_final"].dropna()} == {*final["gender_final"]} - {"unknown"}
    assert {*frame["frontal"].dropna()} <= {"yes", "no"}
    assert frame["combined_score"].isna().tolist() == final["combined_score"].isna().tolist()


def test_the_codebook_says_what_each_column_is(exported, final, built):
    book = pd.read_csv(exported / "codebook.csv").set_index("column")
    assert set(book.index) == set(final)
    assert book["text"].notna().all()
    assert book.loc["yaw", ["unit", "source", "type"]].tolist() == [
        "degrees",
        "preprocess",
        "number",
    ]
    assert book.loc["canthal_tilt_mean", "unit"] == "degrees"
    assert book.loc["combined_score", "unit"] == "points, 0 to 100"
    assert book.loc["rating", "source"] == "labels"
    assert book.loc["attractiveness_raw", "source"] == "score"
    assert book.loc["geometric_score", "unit"] == "points, 0 to 100"
    assert book.loc["combined_score", "missing"] == final["combined_score"].isna().sum()
    codes = book.loc["split", "classes"]
    assert "1 = " in codes
    figures = read_figures(built.folder, Manifest.read(built.folder).parts)
    assert str(figures.of("gender_final")) == book.loc["gender_final", "held_out"]
    assert re.search(r"\(95 % .+ to .+\), on \d+ ", book.loc["gender_final", "held_out"])


def test_figures_are_cross_validated_where_there_are_some():
    def figure(value):
        return {"value": value, "low": value - 0.1, "high": value + 0.1}

    test = {"test": {"n": 6, "mlp": {"pearson": figure(0.3)}}}
    everywhere = {"why": None, "n": 54, "mlp": {"pearson": figure(0.5)}}
    names = {"": test, "attractive": test, "kind": test}
    both = Figures(names, {}, {"rating": everywhere, "rating_kind": {"why": "too few"}})
    assert str(both.of("attractiveness_score")) == (
        "Pearson r 0.5 (95 % 0.4 to 0.6), on 54 rated faces, cross-validated"
    )
    assert str(both.of("attractive_raw")) == str(both.of("attractiveness_score"))
    assert str(both.of("kind_raw")) == "Pearson r 0.3 (95 % 0.2 to 0.4), on 6 test faces"
    few = Figures({"": test}, {}, {"rating": {"why": "too few"}})
    assert "on 6 test faces" in str(few.of("attractiveness_raw"))
    assert str(few.of("yaw")) == ""


def test_landmarks_are_the_same_in_all_files(exported, built):
    side = load(built.folder).serving["crop"]["size"]
    faces = tables.read(built.folder / FACES.location, FACES)
    faces = faces[faces["landmarks"].notna()].set_index("image")
    wide = pd.read_csv(exported / "landmarks/landmarks.csv").set_index("image")
    assert set(wide.index) == set(faces.index)
    image = wide.index[3]
    expected = np.asarray(faces.loc[image, "landmarks"]).reshape(-1, 3) * side
    given = wide.loc[image].drop("filename").to_numpy(float).reshape(-1, 3)
    np.testing.assert_allclose(given, expected, atol=1e-3)
    name = faces.loc[image, "filename"]
    template = read_template(exported / "landmarks/tem" / Path(name).with_suffix(".tem"))
    np.testing.assert_allclose(template.points, expected[:, :2], atol=1e-3)
    blocks = (exported / "landmarks/landmarks.tps").read_text().split("LM=468\n")[1:]
    (block,) = [block for block in blocks if block.endswith(f"ID={image}\n")]
    points = np.array([line.split() for line in block.splitlines()[:468]], dtype=float)
    np.testing.assert_allclose(points, [[x, side - y] for x, y, _ in expected], atol=1e-3)


def test_embeddings_are_those_of_the_table(exported, built):
    names, expected, _ = tables.read_embeddings(
        built.folder / "data/processed/embeddings/embeddings_clip.parquet"
    )
    np.testing.assert_array_equal(np.load(exported / "embeddings/embeddings.npy"), expected)
    listed = pd.read_csv(exported / "embeddings/embeddings_names.csv")
    assert listed["filename"].tolist() == list(names)
    assert listed["row"].tolist() == list(range(len(names)))


def session(data):
    onnxruntime = pytest.importorskip("onnxruntime")
    return onnxruntime.InferenceSession(data)


@pytest.mark.long
def test_the_regressors_graph_gives_what_the_regressor_gives(served, rated):
    needs("onnx", "onnxruntime")
    from facestats.export.graph import regressor_graph

    x = np.concatenate([rated[0], 3 * rated[2] - 2 * rated[2].mean(axis=0)])
    y = np.array([2.0, 2.5, 4.0, 4.2, 6.5])
    for calibration in (
        Calibration(),
        Calibration("linear", np.array([4.0]), np.array([3.8]), 1.3),
        Calibration("isotonic", np.array([2.0, 3.0, 4.0, 4.001, 6.0]), y, 0.9),
    ):
        for slopes in (served.slopes, None):
            served.calibration, served.slopes, kept = calibration, slopes, served.slopes
            raw, score, pct = session(regressor_graph(served)).run(
                ["raw", "score", "pct"], {"embedding": x}
            )
            expected = served.predict(x)
            np.testing.assert_allclose(raw, expected, atol=1e-5)
            np.testing.assert_allclose(score, to_score(expected, served.scale), atol=1e-4)
            np.testing.assert_allclose(pct, to_pct(expected, served.reference), atol=1e-5)
            served.slopes = kept


@pytest.mark.parametrize("counts", [{"cat": 60, "dog": 40}, {"cat": 40, "dog": 30, "owl": 30}])
def test_an_attributes_graph_gives_what_its_model_gives(counts):
    needs("onnx", "onnxruntime")
    from facestats.export.graph import attribute_graph

    x, labels = blobs(counts, spread=2.0)
    model = train_classifier("animal", x, labels, 5, 1.0, "balanced").model
    assert model.calibration is not None
    shares, answer = session(attribute_graph(model)).run(
        ["probabilities", "answer"], {"embedding": x}
    )
    np.testing.assert_allclose(shares, model.predict_proba(x), atol=1e-5)
    assert [model.classes[number] for number in answer] == model.predict(x).tolist()
    years = text([str(30 + 5 * row[0]) for row in x])
    regression = train_regression("age", x, years, 5, 1.0).model
    (value,) = session(attribute_graph(regression)).run(["value"], {"embedding": x})
    np.testing.assert_allclose(value, regression.predict(x), atol=1e-5)


def test_other_pipelines_have_a_graph_too_or_say_that_they_have_none():
    needs("onnx", "onnxruntime")
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from facestats.export.graph import UnknownKindError, attribute_graph

    x, labels = blobs({"cat": 40, "dog": 30, "owl": 30}, spread=2.0)
    classes = ["cat", "dog", "owl"]
    last = OneVsRestClassifier(LogisticRegression())
    pipeline = make_pipeline(StandardScaler(), PCA(2, whiten=True), last).fit(x, labels)
    model = AttributeModel("animal", "classification", pipeline, classes=classes)
    (shares,) = session(attribute_graph(model)).run(["probabilities"], {"embedding": x})
    np.testing.assert_allclose(shares, pipeline.predict_proba(x), atol=1e-5)
    model.pipeline = GaussianNB().fit(x, labels)
    with pytest.raises(UnknownKindError, match="gaussian"):
        attribute_graph(model)


def test_the_models_heads_give_the_projects_answers(exported, built):
    needs("onnxruntime")
    models = load(built.folder)
    x = np.load(exported / "embeddings/embeddings.npy")
    raw, score = session(str(exported / "model/attractiveness.onnx")).run(
        ["raw", "score"], {"embedding": x}
    )
    expected = models.regressor.predict(x)
    np.testing.assert_allclose(raw, expected, atol=1e-5)
    np.testing.assert_allclose(score, to_score(expected, models.regressor.scale), atol=1e-5)
    for name, model in models.parts.get("classifiers").items():
        if model.trained:
            head = session(str(exported / f"model/{name}.onnx"))
            given = head.run(None, {"embedding": x})[0]
            wanted = model.predict_proba(x) if model.classes else model.predict(x)
            np.testing.assert_allclose(given, wanted, atol=1e-5)


def test_the_models_arrays_need_only_safetensors(exported, built):
    from safetensors.numpy import load_file

    facts = json.loads((exported / "model/model.json").read_text())
    arrays = load_file(exported / "model/attractiveness.safetensors")
    models = load(built.folder)
    np.testing.assert_array_equal(arrays["x_mean"], models.regressor.x_mean.numpy())
    assert facts["heads"]["attractiveness"]["scale"] == list(models.regressor.scale)
    assert facts["age_check"]["min_age"] == 18
    for name in facts["heads"]:
        assert (exported / f"model/{name}.safetensors").is_file()


@pytest.mark.thorough
@pytest.mark.slow
def test_the_lines_of_use_run_without_facestats(exported, built, tmp_path):
    needs("onnxruntime")
    page = (exported / "model/README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert lines == USE
    assert len([line for line in lines.splitlines() if line]) <= 20
    place = shutil.copytree(exported / "model", tmp_path / "model")
    models = load(built.folder)
    names, embeddings, _ = tables.read_embeddings(built.folder / EMBEDDINGS)
    crop = built.folder / "data/processed/preproc" / names[0]
    shutil.copyfile(crop, place / "face.jpg")
    blocked = "import sys; sys.modules['facestats'] = None\n"
    done = run_program([sys.executable, "-c", blocked + lines], place, check=True)
    (line,) = [text for text in done.stdout.splitlines() if text.startswith("attractiveness ")]
    given = json.loads(line.removeprefix("attractiveness ").replace("'", '"'))
    assert given["raw"] == pytest.approx(models.regressor.predict(embeddings[:1])[0], abs=1e-3)


def test_the_readme_is_a_model_card_of_the_hub(exported):
    from huggingface_hub import ModelCard

    card = ModelCard((exported / "model/README.md").read_text(encoding="utf-8"))
    assert card.data.license == "other"
    results = {(one.task_name, one.metric_type): one for one in card.data.eval_results}
    assert ("gender", "balanced_accuracy") in results
    for words in ("what the raters of this project said", "**Children**", "may be under 18"):
        assert words in card.text
    front = yaml.safe_load((exported / "model/README.md").read_text().split("---")[1])
    assert front["model-index"][0]["results"][0]["metrics"][0].keys() >= {"type", "name", "value"}


def frame_of(**columns):
    n = len(next(iter(columns.values())))
    return pd.DataFrame({"image": [f"{i}.jpg" for i in range(n)], **columns})


@pytest.fixture
def odd():
    """Formulas, other scripts, texts that are too long, gaps, and names that are no variables."""
    long = "ü" * 40_000
    n = len(FORMULAS)
    return frame_of(
        note=text(FORMULAS),
        long=text([long] + ["x"] * (n - 1)),
        **{
            "Größe in cm": [1.5] * n,
            "class": text(["женщина", None] + ["unknown"] * (n - 2)),
            "a" * 40: [1.0] * n,
            "a" * 40 + "b": [np.inf] + [np.nan] * (n - 1),
            "年齢": [2.0] * n,
            "flag": pd.array([True, None] + [False] * (n - 2), dtype="boolean"),
            "n": pd.array([None] + [3] * (n - 1), dtype="Int64"),
        },
    )


def test_short_names_are_unique_variables():
    names = ["Größe in cm", "年齢", "年", "class", "str8", "a" * 40, "a" * 40 + "b", "A" * 40, "2x"]
    short = short_names(names)
    assert short["Größe in cm"] == "Groe_in_cm"
    assert short["class"] == "class_"
    assert short["2x"] == "v_2x"
    assert len({one.casefold() for one in short.values()}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,31}", one) for one in short.values())


def test_no_cell_of_the_workbook_is_a_formula(tmp_path):
    texts = [one for one in [*FORMULAS, *PLAIN, "a\x01b"] if one]
    write_workbook(tmp_path / "t.xlsx", {"faces": frame_of(note=text(texts))})
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx")["faces"]
    cells = [row[1] for row in sheet.iter_rows(min_row=2)]
    assert {cell.data_type for cell in cells} == {"s"}
    back = [without_apostrophe(cell.value) for cell in cells]
    assert back[:-1] == [one.replace("\r", "\n") for one in texts[:-1]]  # as XML has it
    assert back[-1] == "a\ufffdb"


def test_spss_and_stata_take_whatever_a_table_holds(odd, tmp_path):
    needs("pyreadstat")
    import pyreadstat

    columns = describe(odd, NO_FIGURES)
    by_name = {one.name: one for one in columns}
    write_sav(tmp_path / "t.sav", odd, columns)
    frame, meta = pyreadstat.read_sav(tmp_path / "t.sav")
    assert frame.columns.tolist() == [one.short for one in columns]
    assert meta.column_labels[3].startswith("Größe in cm: ")
    assert frame["long_"][0].endswith("…")
    assert len(frame["long_"][0].encode()) <= 32_767
    labels = meta.variable_value_labels["class_"]
    assert labels == {1.0: "женщина", -1.0: "unknown"}
    assert frame["n"].isna().tolist() == odd["n"].isna().tolist()
    write_dta(tmp_path / "t.dta", odd, columns)
    frame = pd.read_stata(tmp_path / "t.dta")
    assert frame["long_"][0] == odd["long"][0]  # a strL has room for it
    assert frame["class_"].astype(object).dropna().tolist() == ["женщина"]
    assert frame["note"].tolist() == FORMULAS
    assert frame[by_name["a" * 40 + "b"].short].isna().all()


def test_a_text_of_40_000_characters_is_cut_in_a_workbook(odd, tmp_path):
    write_workbook(tmp_path / "t.xlsx", {"faces": odd})
    value = openpyxl.load_workbook(tmp_path / "t.xlsx")["faces"]["C2"].value
    assert len(value) == excel.LONGEST
    assert value.endswith("…")


def test_an_excel_sheet_of_2_million_rows_is_refused_before_anything_is_written(
    built, tmp_path, monkeypatch
):
    with pytest.raises(InputError, match=r"2,000,000 rows .* export CSV: --formats csv"):
        check_fits(TWO_MILLION, 70)
    monkeypatch.setattr(excel, "MOST_ROWS", 5)
    code = main(["export", str(tmp_path / "out"), "--root", str(built.folder), "--only=tables",
                 "--formats=xlsx"])  # fmt: skip
    assert code == 2
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_alone(built, tmp_path, capsys):
    folder = tmp_path / "out"
    command = ["export", str(folder), "--root", str(built.folder), "--only", "embeddings"]
    assert main(command) == 0
    assert main(command) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    (folder / "mine.txt").write_text("mine")
    assert main([*command, "--overwrite"]) == 2
    assert "mine.txt, which no export wrote" in capsys.readouterr().err
    assert (folder / "mine.txt").read_text() == "mine"
    with pytest.raises(InputError, match="is no folder"):
        check_target(folder / "mine.txt", True)


def test_a_table_of_another_run_is_not_exported(built, tmp_path, capsys):
    root = built.copy(tmp_path / "copy").folder
    path = root / "data/processed/composites.json"
    facts = json.loads(path.read_text())
    facts["files"]["data/processed/metadata/attributes_final.parquet"] = "0" * 64
    path.write_text(json.dumps(facts))
    command = ["export", str(tmp_path / "out"), "--root", str(root), "--only", "tables"]
    assert main([*command, "--formats", "csv"]) == 2
    assert "attributes_final.parquet is not the one that" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ("landmarks", FACES_TABLE),
        ("embeddings", EMBEDDINGS),
        ("models", CLIP / "model.safetensors"),
    ],
)
def test_what_a_run_replaces_meanwhile_is_not_exported(
    built, tmp_path, capsys, monkeypatch, part, path
):
    root = built.copy(tmp_path / "copy").folder
    table = root / path
    write = getattr(project, f"write_{part}")

    def write_and_replace(*arguments):
        n = write(*arguments)
        table.unlink()  # a link into DVC's cache, maybe
        table.write_bytes(b"the next run's")
        return n

    monkeypatch.setattr(project, f"write_{part}", write_and_replace)
    only = part.replace("models", "model")
    command = ["export", str(tmp_path / "out"), "--root", str(root), "--only", only]
    assert main(command) == 2
    assert f"{table.name} is not the one that" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_named_with_its_extra(built, tmp_path, monkeypatch, capsys):
    for package, option in (("pyreadstat", "--only=tables"), ("onnx", "--only=model")):
        monkeypatch.setitem(sys.modules, package, None)
        assert main(["export", str(tmp_path / "out"), "--root", str(built.folder), option]) == 2
        said = capsys.readouterr().err
        assert f"needs the package {package}" in said
        assert "pip install 'facestats[export]'" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [("--only=table", "table is none of .* Did you mean tables"), ("--formats=,", "at least one")],
)
def test_unknown_parts_are_named(option, message, built, tmp_path, capsys):
    assert main(["export", str(tmp_path / "x"), "--root", str(built.folder), option]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_the_parts_are_those_that_the_help_names():
    from facestats.cli import export

    assert all(re.search(rf"^{part}\b", export.__doc__, re.MULTILINE) for part in project.PARTS)


@pytest.mark.parametrize("record", ['{"files": 5}', "{}", '{"files": [1]}'])
def test_a_damaged_record_names_nothing(tmp_path, record):
    (tmp_path / "faces.csv").write_text("1")
    (tmp_path / "export.json").write_text(record)
    with pytest.raises(InputError, match=r"faces\.csv, which no export wrote"):
        check_target(tmp_path, overwrite=True)


def test_figures_of_another_run_are_left_out_of_the_codebook(project, monkeypatch, capsys):
    """Which `git checkout` without `dvc checkout` leaves beside the models."""

    def held_out(*options) -> str:
        arguments = ("mine", "--only", "tables", "--formats", "csv", *options)
        assert main(["export", *arguments, "--root", str(project.folder)]) == 0
        book = pd.read_csv(project.folder / "mine/codebook.csv").set_index("column")
        return book.loc["attractiveness_score", "held_out"]

    monkeypatch.chdir(project.folder)
    assert re.search(r"Pearson r \S+ \(95 % .+ to .+\); .*, on \d+ ", held_out())
    assert "WARNING" not in capsys.readouterr().out
    path = project.folder / "metrics/attractiveness.json"
    text = path.read_text()
    path.unlink()
    path.write_text(text.replace("\n", " \n", 1))
    why = "no held-out figures: metrics/attractiveness.json is not the one that metrics/run.json"
    assert held_out("--overwrite").startswith(why)
    assert f"  WARNING: {why}" in capsys.readouterr().out
