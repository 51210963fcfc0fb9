"""What people import and type: one photo gets what the table gives it, and mistakes get a
message.
"""

import io
import json
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

import facestats
from facestats.__main__ import main
from facestats.core import tables
from facestats.core.fingerprint import sha256_file
from facestats.core.layout import EMBEDDINGS, FACES_TABLE, FINAL_TABLE
from facestats.errors import DoubtWarning, ImageError, InputError, ModelError
from facestats.geometry.columns import COLUMNS
from facestats.groups.filters import filter_faces
from facestats.groups.params import Filter
from facestats.importers.omi import import_omi
from facestats.serving import manifest
from project import Project
from resources import OMI

pytestmark = pytest.mark.slow
PHOTO = "data/raw/face_0001.jpg"
META = "data/processed/metadata"


@pytest.fixture
def here(built, monkeypatch):
    """The built project as the working directory, in a folder further down."""
    monkeypatch.chdir(built.folder / "data/raw")
    return built.folder


@pytest.fixture(scope="module")
def table(built):
    return pd.read_parquet(built.folder / META / "attributes_final.parquet").set_index("filename")


def test_a_photo_scored_alone_gets_what_the_table_gives_it(here, table):
    # the others have scores by models that never saw their rating
    by_main_model = table.index[~table["out_of_fold"] & ~table["geometric_out_of_fold"]]
    assert len(by_main_model) > 20
    # which faces the age model is sure of differs a little between processors
    scored = by_main_model[table.loc[by_main_model, "score_withheld"].isna()]
    assert len(scored) > 6
    for name in [*scored[:6], *scored.intersection(["bad/animated.gif.jpg"])]:
        row, name = table.loc[name], name.replace(".gif.jpg", ".gif").replace(".png.jpg", ".png")
        assert not row["out_of_fold"]
        assert not row["geometric_out_of_fold"]
        alone = facestats.score_image(here / "data/raw" / name)
        assert alone["geometric"] == pytest.approx(row["geometric_score"], abs=0.01)
        assert alone["combined"] == pytest.approx(row["combined_score"], abs=0.01)
        assert facestats.calculate_attractiveness_score(here / "data/raw" / name) == pytest.approx(
            alone["combined"]
        )
        assert alone["score"] == pytest.approx(row["attractiveness_score"], abs=0.01)
        assert alone["raw"] == pytest.approx(row["attractiveness_raw"], abs=0.01)
        assert 100 * alone["pct"] == pytest.approx(100 * row["attractiveness_pct"], abs=0.01)
        assert alone["decile"] == row["attractiveness"]


@pytest.mark.thorough
def test_a_new_run_is_noticed(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    before = facestats.score_image(PHOTO)["raw"]
    project.set_params({"mlp.calibration": "linear"})
    project.repro("serving")
    assert facestats.score_image(PHOTO)["raw"] != before


def test_path_bytes_picture_and_array_score_alike(here):
    path = here / PHOTO
    picture = Image.open(path)
    scores = [
        facestats.calculate_attractiveness_score(image)
        for image in (path, str(path), path.read_bytes(), picture, np.asarray(picture))
    ]
    assert scores == pytest.approx([scores[0]] * 5, abs=1e-6)
    assert 0 <= scores[0] <= 100


def test_the_combined_score_weighs_the_geometric_and_the_holistic_one(here):
    score = facestats.score_image(here / PHOTO)
    assert list(score) == [
        "raw",
        "score",
        "pct",
        "decile",
        "geometric",
        "combined",
        "withheld",
        "age_checked",
        "warnings",
    ]
    assert score["combined"] == pytest.approx(0.6 * score["geometric"] + 0.4 * score["score"])
    assert type(facestats.calculate_attractiveness_score(here / PHOTO)) is float


def test_the_final_table_has_all_that_a_user_filters_by(table):
    assert {
        "gender_final",
        "gender_source",
        "age_final",
        "yaw",
        "pitch",
        "roll",
        "frontal",
        *COLUMNS,
        "cluster",
        "pc1",
        "pc2",
        "attractiveness",
        "attractiveness_score",
        "geometric_score",
        "combined_score",
        "geometry_zscore",
        "rating",
        "rating_n",
    } < set(table.columns)
    assert table[["symmetry_score", "cluster", "yaw"]].notna().all(axis=None)
    assert (table["combined_score"].notna() == table["score_withheld"].isna()).all()


def test_measurements_are_those_of_the_table(here, table):
    measured, row = (
        facestats.measure_image(here / PHOTO, ethnicity=True),
        table.loc["face_0001.jpg"],
    )
    assert {*COLUMNS} < {*measured}
    for name in (*COLUMNS, "frontal", "yaw"):
        assert measured[name] == row[name] or (measured[name] is None and pd.isna(row[name])), name
    assert not any(name.startswith("skin") for name in facestats.measure_image(here / PHOTO))


def test_skin_colour_follows_the_tones_that_were_drawn(table):
    """The sample draws four tones, from fair to dark, under many lights."""
    angles = table.groupby("ethnicity_final")["skin_ita"].median()
    tones = [angles[name] for name in ("tone_a", "tone_b", "tone_c", "tone_d")]
    assert tones == sorted(tones, reverse=True)
    assert tones[0] > tones[-1] + 20
    assert (table["skin_missing"].isna() | table["skin_l"].isna()).all()


def test_an_embedding_is_the_one_of_the_table(here):
    rows = pd.read_parquet(here / "data/processed/embeddings/embeddings_clip.parquet").set_index(
        "filename"
    )
    embedding = facestats.get_clip_embedding(here / PHOTO)
    assert embedding.dtype == np.float32
    assert embedding @ rows.loc["face_0001.jpg", "embedding"] > 0.999999


def test_the_most_similar_face_is_the_face_itself(here):
    faces = facestats.find_similar(here / PHOTO, k=3)
    assert len(faces) == 3
    assert faces["filename"].iloc[0] == "face_0001.jpg"
    assert faces["similarity"].is_monotonic_decreasing
    with pytest.raises(InputError, match="k = 0"):
        facestats.find_similar(here / PHOTO, k=0)


def test_faces_are_found_by_a_name_and_by_words(here, capsys):
    by_name = facestats.find_similar(face="face_0001.jpg", k=3)
    by_photo = facestats.find_similar(here / PHOTO, k=4)
    assert by_name["filename"].tolist() == by_photo["filename"].tolist()[1:]
    by_words = facestats.find_similar(words="a person with glasses", k=3)
    assert by_words["similarity"].is_monotonic_decreasing
    vector = facestats.load().text.encode(["a person with glasses"])[0]
    names, embeddings, _ = tables.read_embeddings(here / EMBEDDINGS)
    assert by_words["filename"].iloc[0] == names[np.argmax(embeddings @ vector)]
    assert main(["similar", "--words", "a person with glasses", "-k", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [row["filename"] for row in answer["similar"]] == by_words["filename"].tolist()
    assert answer["words"] == "a person with glasses"
    names = tables.read_embeddings(here / EMBEDDINGS)[0]
    some = facestats.find_similar(face="face_0001.jpg", k=3, among=names[10:20])
    assert set(some["filename"]) <= {*names[10:20]}
    female = filter_faces(pd.read_parquet(here / FINAL_TABLE), Filter(gender="female"))
    arguments = ["similar", "--face", "face_0001.jpg", "-k", "999", "--json"]
    assert main([*arguments, "--filter", "gender=female"]) == 0
    answer = json.loads(capsys.readouterr().out)
    named = {row["filename"] for row in answer["similar"]}
    assert named == {*female.rows["filename"]} - {"face_0001.jpg"}
    assert main([*arguments, "--filter", "gender=nobody"]) == 2
    assert "the filter leaves no face: 0 faces of" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"fase_0001.jpg: no such face.*face_0001.jpg"):
        facestats.find_similar(face="fase_0001.jpg")
    for wrong in ({}, {"image": here / PHOTO, "words": "glasses"}):
        with pytest.raises(InputError, match="one is needed of an image, words, and"):
            facestats.find_similar(**wrong)
    with pytest.raises(InputError, match=r"words = '\\udce9' is not possible: it is no text"):
        facestats.find_similar(words="\udce9")
    with pytest.raises(InputError, match="words = ' ' is not possible"):
        facestats.find_similar(words=" ")


def test_ethnicity_is_left_out_unless_asked(here):
    attributes = facestats.infer_attributes(here / PHOTO)
    classes = ("gender", "beard", "glasses", "smile")
    assert {
        "age",
        "age_source",
        "age_bucket",
        *classes,
        *(f"{name}_source" for name in classes),
        *(f"{name}_probabilities" for name in classes),
        "warnings",
    } == set(attributes)
    assert (attributes["gender_source"], attributes["glasses_source"]) == ("model", "zeroshot")
    assert sum(attributes["gender_probabilities"].values()) == pytest.approx(1)
    assert "ethnicity" in facestats.infer_attributes(here / PHOTO, ethnicity=True)


def test_every_way_in_says_what_is_doubtful_about_a_photo(here, built, tmp_path):
    large = Image.open(here / PHOTO).convert("RGB").resize((400, 400), Image.Resampling.BICUBIC)
    photo = np.asarray(large.filter(ImageFilter.GaussianBlur(6)))
    blurred = ["the face is blurred"]

    def of_blur(texts):
        return [text.split(":")[0] for text in texts if "blurred" in text]

    assert of_blur(facestats.score_image(photo)["warnings"]) == blurred
    assert of_blur(facestats.infer_attributes(photo)["warnings"]) == blurred
    for function in (
        facestats.detect_landmarks,
        facestats.get_clip_embedding,
        facestats.calculate_attractiveness_score,
        facestats.find_similar,
    ):
        with pytest.warns(DoubtWarning, match=r"the face is blurred: sharpness 0\.00") as issued:
            result = function(photo)
        assert {warning.filename for warning in issued} == {__file__}
    assert of_blur(result.attrs["warnings"]) == blurred
    Image.fromarray(photo).save(tmp_path / "soft.png")
    assert (
        "warning: the face is blurred" in built.facestats("similar", tmp_path / "soft.png").stderr
    )
    line = json.loads(built.facestats("similar", tmp_path / "soft.png", "-k", "2", "--json").stdout)
    assert (len(line["similar"]), of_blur(line["warnings"])) == (2, blurred)


def test_landmarks_of_a_face_and_of_none(here):
    landmarks = facestats.detect_landmarks(here / PHOTO)
    assert landmarks.shape == (468, 3)
    assert ((landmarks[:, :2] > 0) & (landmarks[:, :2] < 1)).all()
    assert facestats.detect_landmarks(here / "data/raw/bad/no_face.jpg") is None


def test_an_image_without_a_face_cannot_be_scored(here):
    with pytest.raises(ImageError, match="no face found"):
        facestats.score_image(here / "data/raw/bad/no_face.jpg")
    with pytest.raises(InputError, match="no such file"):
        facestats.score_image("nowhere.jpg")


def test_filters_count_and_never_widen(here, table):
    women = facestats.filter_images(table.reset_index(), gender="female", age_range=(20, 60))
    expected = table[(table["gender_final"] == "female") & table["age_final"].between(20, 60)]
    assert sorted(women["filename"]) == sorted(expected.index)
    with pytest.raises(
        InputError,
        match=r"too few: \d+ faces of at least 500 \(left after each condition: all: 110, gender",
    ):
        facestats.filter_images(table.reset_index(), gender="female", min_results=500)


def test_crops_of_another_run_are_not_averaged(here, table):
    women = table.reset_index().query("gender_final == 'female'").head(4)
    path = here / "data/processed/preproc" / women["filename"].iloc[1]
    content = path.read_bytes()
    path.unlink()  # it may be a link into DVC's cache
    try:
        Image.open(io.BytesIO(content)).rotate(180).save(path, quality=95)
        with pytest.raises(ModelError, match=r"\.jpg is not the picture that was measured"):
            facestats.make_composite(women)
    finally:
        path.write_bytes(content)


def test_averages_of_one_run_hash_its_table_of_faces_once(here, table, monkeypatch):
    """They hashed it twice each: of 100,000 faces, half a gigabyte."""
    names, hashed = table.reset_index()[["filename"]], []
    monkeypatch.setattr(
        manifest, "sha256_file", lambda path: hashed.append(path.name) or sha256_file(path)
    )
    for some in (names.head(4), names.tail(4)):
        facestats.make_composite(some)
    assert hashed.count(FACES_TABLE.name) <= 1


def test_composites_of_table_rows_and_of_photos(here, table):
    women = table.reset_index().query("gender_final == 'female'")
    first = facestats.make_composite(women, n=5, seed=1)
    assert first.size == (96, 96)
    assert np.array_equal(first, facestats.make_composite(women, n=5, seed=1))
    assert not np.array_equal(first, facestats.make_composite(women, n=5, seed=2))
    photos = [here / f"data/raw/face_{i:04}.jpg" for i in (1, 3, 4)]
    named = pd.DataFrame({"filename": [p.name for p in photos]})
    difference = np.asarray(facestats.make_composite(photos), int) - np.asarray(
        facestats.make_composite(named), int
    )
    assert abs(difference).max() <= 1
    with pytest.raises(InputError, match="no face to average"):
        facestats.make_composite([])
    with pytest.raises(InputError, match="put a single one into a list"):
        facestats.make_composite("photo.jpg")
    with pytest.raises(InputError, match="align = 'wrap'"):
        facestats.make_composite(photos, align="wrap")


def test_without_models_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="dvc repro"):
        facestats.score_image("photo.jpg")
    with pytest.raises(ModelError, match=r"no models/serving\.json in"):
        facestats.load(tmp_path)


def test_score_prints_one_json_line_an_image(built):
    done = built.facestats("score", PHOTO, "data/raw/bad/empty.jpg", "nowhere.jpg", check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [line["image"] for line in lines] == [PHOTO, "data/raw/bad/empty.jpg", "nowhere.jpg"]
    assert set(lines[0]) == {
        "image",
        "raw",
        "score",
        "pct",
        "decile",
        "geometric",
        "combined",
        "withheld",
        "age_checked",
        "warnings",
    }
    assert "empty file" in lines[1]["error"]
    assert "no such file" in lines[2]["error"]
    assert built.facestats("score", PHOTO).returncode == 0
    assert built.facestats("score", check=False).returncode == 2


def test_similar_and_results_say_what_they_found(built):
    assert (
        built.facestats("similar", PHOTO, "-k", "2").stdout.splitlines()[0]
        == "1.0000  face_0001.jpg"
    )
    output = built.facestats("results").stdout
    assert "  report      data/processed/report.html  (" in output
    assert "data/processed/composites/women/composite.jpg  (8 faces)" in output
    assert "not built: too few faces match" in output
    assert "women_to_top/continuum.jpg  (3 pictures, women to top_rated)" in output
    assert "women_minus_top/difference.jpg  (women minus top_rated)" in output
    assert (
        "women_minus_nobody/difference.json  (not built: the composite impossible was not built)"
        in output
    )


def test_doctor_names_what_would_stop_dvc(project):
    assert (
        "problem: data/raw/bad/empty.jpg: empty file; a run leaves it out"
        in project.facestats("doctor").stdout
    )
    (project.folder / "data/raw/loop.jpg").symlink_to("loop.jpg")
    (project.folder / "data/labels/gone.csv").symlink_to("nowhere.csv")
    (project.folder / "data/manual_labels.csv").unlink()
    done = project.facestats("doctor", "--inputs", check=False)
    for link in ("data/raw/loop.jpg", "data/labels/gone.csv"):
        (project.folder / link).unlink()
    assert done.returncode == 1
    assert "data/raw/loop.jpg is a link to itself; remove it" in done.stdout
    assert "gone.csv is a link to nothing (nowhere.csv)" in done.stdout
    assert "data.manual_labels = data/manual_labels.csv: there is no such file" in done.stdout


def test_doctor_looks_at_folders_that_params_does_not_name_yet(project):
    (project.folder / "data/new").mkdir()
    (project.folder / "data/new/loop.jpg").symlink_to("loop.jpg")
    done = project.facestats(
        "doctor", "--inputs", "--images", "data/new", "--labels", "data/nowhere", check=False
    )
    assert done.returncode == 1
    assert "data/new/loop.jpg is a link to itself; remove it" in done.stdout
    assert "data.labels = data/nowhere: there is no such folder" in done.stdout
    assert project.facestats("doctor", "--inputs").returncode == 0


@pytest.mark.first_cases(1)
@pytest.mark.parametrize(
    ("folder", "expected"),
    [("data/nowhere", "no such folder"), ("data/empty", "is empty"), ("params.yaml", "is a file")],
)
def test_doctor_names_a_wrong_image_folder(project, folder, expected):
    (project.folder / "data/empty").mkdir()
    project.set_params({"data.images": folder})
    done = project.facestats("doctor", "--inputs", check=False)
    (project.folder / "data/empty").rmdir()
    assert done.returncode == 1
    assert f"data.images = {folder}" in done.stdout
    assert expected in done.stdout


@pytest.mark.first_cases(1)
@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("labels.csv", "where,gender\na,b\n", "no column `image`"),
        ("labels.csv", "image,rating\nface_0001.jpg,good\n", "line 2, column rating: found 'good'"),
    ],
)
def test_doctor_names_a_label_file_that_cannot_be_used(project, name, content, expected):
    (project.folder / "data/labels" / name).write_text(content)
    done = project.facestats("doctor", "--inputs", check=False)
    assert done.returncode == 1
    assert expected in done.stdout


def test_doctor_names_what_is_no_file(project):
    os.mkfifo(project.folder / "data/raw/pipe.jpg")
    (project.folder / "data/raw").joinpath(os.fsdecode(b"bad\xff.jpg")).write_bytes(b"")
    done = project.facestats("doctor", "--inputs", check=False)
    for path in (
        project.folder / "data/raw/pipe.jpg",
        project.folder / "data/raw" / os.fsdecode(b"bad\xff.jpg"),
    ):
        path.unlink()
    assert done.returncode == 1
    assert "pipe.jpg is no regular file" in done.stdout
    assert "bad\\xff.jpg has a name that is not valid UTF-8" in done.stdout


@pytest.mark.skipif(not OMI.is_dir(), reason=f"the OMI dataset is not at {OMI}")
class TestImportOmi:
    def test_labels_are_those_of_the_dataset(self, tmp_path):
        counts = import_omi(OMI, tmp_path)
        assert (
            counts["images"] == counts["labels"] == len(list((tmp_path / "raw").iterdir())) == 745
        )
        labels = pd.read_csv(tmp_path / "labels/labels.csv").set_index("image")
        assert labels.loc["1.jpg"].to_dict() == {
            "gender": "male",
            "ethnicity": "white",
            "age": 50.40425532,
            "rating": 46.55263158,
        }
        assert labels.loc["2.jpg", ["gender", "ethnicity"]].tolist() == ["female", "middle-eastern"]
        ratings = pd.read_csv(tmp_path / "labels/ratings.csv")
        assert np.allclose(ratings.groupby("image")["rating"].mean(), labels["rating"].sort_index())
        assert (ratings["rating_type"] == "repeat").sum() == 4918
        assert ratings["rater"].isna().all()

    @pytest.mark.thorough
    def test_it_goes_under_dvc_and_says_what_comes_next(self, tmp_path):
        project = Project(tmp_path)
        project.commit("before")
        done = project.facestats("import", "omi", str(OMI), "--into", "data/omi")
        assert (
            "dvc exp run -S data.images=data/omi/raw -S data.labels=data/omi/labels" in done.stdout
        )
        staged = project.git("diff", "--cached", "--name-only").stdout.split()
        assert {"data/omi/raw.dvc", "data/omi/labels.dvc", "data/omi/.gitignore"} == set(staged)
        again = project.facestats("import", "omi", str(OMI), "--into", "data/omi", check=False)
        assert again.returncode == 2
        assert "is not empty" in again.stderr

    def test_another_folder_is_refused(self, tmp_path):
        with pytest.raises(InputError, match=r"not the OMI dataset: \S+\.csv is missing"):
            import_omi(tmp_path, tmp_path / "out")


def test_a_photo_on_its_side_scores_as_the_upright_one(here):
    upright = Image.open(here / PHOTO)
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(out, "PNG", exif=exif)
    assert facestats.score_image(out.getvalue())["score"] == pytest.approx(
        facestats.score_image(upright)["score"], abs=1e-6
    )


def test_every_table_for_people_names_the_photo_and_the_face(built):
    metadata = built.folder / "data/processed/metadata"
    faces = (
        pd.read_parquet(metadata / "faces.parquet", columns=["image", "filename"])
        .dropna()
        .set_index("filename")["image"]
    )
    named = (
        "attributes_final",
        "attributes",
        "attributes_with_predictions",
        "attributes_with_manual",
        "attributes_clean",
        "attributes_flags",
        "attributes_with_meta",
        "attributes_with_clusters",
        "attractiveness_scores",
        "attractiveness_with_attributes",
        "labels",
    )
    tables = {name: pd.read_parquet(metadata / f"{name}.parquet") for name in named}
    for path in [
        metadata / "labels_template.csv",
        *built.folder.glob("data/interim/members/*/members.csv"),
    ]:
        tables[path.parent.name] = pd.read_csv(path)
    assert len(tables) > len(named) + 2
    for name, table in tables.items():
        assert table["image"].tolist() == faces.reindex(table["filename"]).tolist(), name
    assert (
        (metadata / "labels_template.csv")
        .read_bytes()
        .startswith(b"\xef\xbb\xbfid,image,filename,")
    )
