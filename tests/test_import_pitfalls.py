"""What is odd about each dataset: codings, other versions, halves, and scales."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

import datasets
from datasets import MAKERS, put, workbook, write
from facestats.core.photo_files import face_filename
from facestats.errors import InputError, LabelError
from facestats.importers.content import Choices
from facestats.importers.registry import DATASETS, KNOWN
from facestats.importers.run import _readable, import_dataset
from facestats.labels.joining import join_labels
from test_import_datasets import bring, table


def imported(tmp_path, name, into="data", **choices):
    """The import of `tmp_path/s`, its labels, and what was left out."""
    done = import_dataset(DATASETS[name], KNOWN, tmp_path / "s", tmp_path / into, **choices)
    return done, table(tmp_path / into), done.left_out


def joined(into, **choices):
    """What the pipeline makes of the label files, all faces being found."""
    raw = into / "raw"
    images = [path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file()]
    faces = pd.DataFrame({"image": images, "filename": [face_filename(image) for image in images]})
    done = join_labels(faces, into / "labels", into / "none.csv", "auto", **choices)
    return done.table.set_index("image"), done


@pytest.mark.long
@pytest.mark.parametrize("name", MAKERS)
def test_the_pipeline_takes_every_label_as_it_was_written(tmp_path, name):
    done, into = bring(tmp_path, name)
    found, joint = joined(into)
    written = table(into)
    for column in written.columns[(written != "").any()].difference(["rating"]):
        if column == "age":
            ages = pd.to_numeric(written["age"])
            assert found.loc[written.index, "age"].equals(ages.astype("float64"))
        elif not column.startswith("rating_"):
            assert [*found.loc[written.index, column].fillna("")] == [*written[column]]
    if done.dataset["rating_scale"]:
        assert list(joint.scale) == done.dataset["rating_scale"]
        assert found["rating"].notna().any()


def test_fairface_numbers_as_codes_are_not_guessed_and_unknown_races_are_named(tmp_path):
    put(tmp_path / "s", "val/1.jpg", "val/2.JPG", "val/3.jpg", "val/spare.jpg")
    head = "file,age,gender,race,service_test\n"
    rows = "val/1.jpg,Oct-19,Male,Martian,True\nval/2.jpg,70+,Female,Middle Eastern,False\n"
    more = "val/3.jpg,03.09.2024,Female,Black,False\n"
    write(tmp_path / "s", "fairface_label_val.csv", head + rows + more)
    _, labels, left_out = imported(tmp_path, "fairface")
    assert labels["age_class"].to_dict() == {
        "val/1.jpg": "10-19", "val/2.jpg": "more than 70", "val/3.jpg": "3-9"
    }  # fmt: skip
    assert labels["ethnicity"].tolist() == ["", "Middle Eastern", "Black"]
    assert left_out == {
        "race has an unknown code": ["val/1.jpg: Martian"],
        "a photo without labels": ["val/spare.jpg"],
    }
    coded = "val/1.jpg,2,0,3,True\n"
    write(tmp_path / "s", "fairface_label_val.csv", head + coded)
    with pytest.raises(InputError, match="gender and race are numbers, which copies"):
        imported(tmp_path, "fairface", "other")


def test_utkface_takes_no_face_twice(tmp_path):
    name = "26_1_3_20170104235913204.jpg"
    put(tmp_path / "s", f"UTKFace/{name}.chip.jpg", f"part1/{name}", "part2/30_0_0_" + name[7:])
    put(tmp_path / "s", f"utkface_aligned_cropped/UTKFace/{name}.chip.jpg")
    _, labels, left_out = imported(tmp_path, "utkface")
    assert labels.index.tolist() == [f"{name}.chip.jpg", "30_0_0_" + name[7:]]
    assert labels.loc[f"{name}.chip.jpg"].tolist() == ["female", "indian", "26"]
    assert left_out == {
        "a copy of another file of the dataset": [
            f"utkface_aligned_cropped/UTKFace/{name}.chip.jpg"
        ],
        "the whole photo of a face that is there cut out, too": [f"part1/{name}"],
    }


def test_copies_and_absent_photos_of_agedb_and_afad_are_counted(tmp_path):
    put(tmp_path / "s", "AgeDB/5_Ann_30_f.jpg", "AgeDB/AgeDB/5_Ann_30_f.jpg")
    _, labels, left_out = imported(tmp_path, "agedb")
    assert len(labels) == 1
    assert left_out == {"a copy of another file of the dataset": ["AgeDB/AgeDB/5_Ann_30_f.jpg"]}
    shutil.rmtree(tmp_path / "s")
    put(tmp_path / "s", "AFAD-Lite/20/112/7-0.jpg")
    write(tmp_path / "s", "AFAD-Lite/AFAD-Lite.txt", "./20/112/7-0.jpg\r\n./21/111/8-0.jpg\r\n")
    _, labels, left_out = imported(tmp_path, "afad", "afad")
    assert labels.loc["20/112/7-0.jpg"].tolist() == ["female", "Asian", "20", "7"]
    assert left_out == {"no such photo": ["21/111/8-0.jpg"]}


def test_lagenda_reads_no_person_without_a_face(tmp_path):
    put(tmp_path / "s", "lagenda_benchmark_images/a.jpg", "lagenda_benchmark_images/b.jpg")
    head = "img_name,age,gender,face_x0,face_y0,face_x1,face_y1,person_x0\n"
    rows = "a.jpg,9,F,-1,-1,-1,-1,0\na.jpg,40,M,5,5,30,30,0\nb.jpg,7,F,-1,-1,-1,-1,3\n"
    write(tmp_path / "s", "lagenda_annotation.csv", head + rows)
    _, labels, left_out = imported(tmp_path, "lagenda")
    assert labels.loc["a.jpg"].tolist() == ["male", "40"]
    assert left_out["a person without a box of the face"] == ["a.jpg", "b.jpg"]
    assert left_out["a photo without labels"] == ["lagenda_benchmark_images/b.jpg"]


def test_adience_takes_the_other_set_of_photos_and_single_ages(tmp_path):
    head = "user_id\toriginal_image\tface_id\tage\tgender\n"
    for fold in range(5):
        rows = f"u@N0\tp{fold}.jpg\t{fold}\t(8, 12)\tm\n"
        write(tmp_path / "s", f"fold_{fold}_data.txt", head + rows)
        put(tmp_path / "s", f"aligned/u@N0/landmark_aligned_face.{fold}.p{fold}.jpg")
    put(tmp_path / "s", "aligned/u@N0/landmark_aligned_face.9.p9.jpg")
    _, labels, left_out = imported(tmp_path, "adience")
    row = labels.loc["u@N0/landmark_aligned_face.3.p3.jpg"]
    assert row[["gender", "age", "age_class", "fold"]].tolist() == ["male", "10.0", "(8, 12)", "3"]
    assert left_out == {"a photo without labels": ["aligned/u@N0/landmark_aligned_face.9.p9.jpg"]}


def test_scut_has_its_official_folds_and_split(tmp_path):
    datasets.scut(tmp_path / "s")
    root = tmp_path / "s/SCUT-FBP5500_v2"
    folds = "train_test_files/5_folders_cross_validations_files"
    for k, (train, test) in enumerate((("AF1", "AM2"), ("AM2", "AF1")), 1):
        for part, name in (("train", train), ("test", test)):
            write(root, f"{folds}/cross_validation_{k}/{part}_{k}.txt", f"{name}.jpg 3.0\n")
    write(root, "~$All_Ratings.xlsx", "Excel is open")
    _, labels, left_out = imported(tmp_path, "scut")
    assert labels["fold"].to_dict() == {
        "AF1.jpg": "2", "AM2.jpg": "1", "CF3.jpg": "", "CM152.jpg": ""
    }  # fmt: skip
    assert labels.loc["AF1.jpg", "split_official"] == "train"  # of 60:40, not of fold 2
    assert left_out["a photo without ratings"] == ["CM152.jpg"]
    assert left_out["hidden files of a system"] == ["SCUT-FBP5500_v2/~$All_Ratings.xlsx"]
    (root / "All_Ratings.xlsx").unlink()
    for path in (root / "train_test_files").glob("[sA]*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    _, labels, _ = imported(tmp_path, "scut", "folds")
    assert labels.loc["AF1.jpg", ["rating", "split_official"]].tolist() == ["3.0", "train"]


class TestMEBeauty:
    ROOT = "/home/ubuntu/ME-beautydatabase/images"

    def test_a_photo_is_the_one_whose_name_is_written(self, tmp_path):
        MAKERS["mebeauty"](tmp_path / "s")
        other = "original_images/female/black/11.JPG"
        (tmp_path / "s" / other).write_bytes(b"another face")
        imported(tmp_path, "mebeauty")
        ratings = table(tmp_path / "data", "ratings")
        assert "female/black/11.jpg" in ratings.index
        assert "female/black/11.JPG" not in ratings.index
        (tmp_path / "s" / other).with_name("11.jpg").rename(
            (tmp_path / "s" / other).with_name("11.Jpg")
        )
        with pytest.raises(InputError, match="two files of one name that differ"):
            imported(tmp_path, "mebeauty", into="other")

    @pytest.mark.long
    def test_second_questions_and_second_answers(self, tmp_path):
        put(tmp_path / "s", "original_images/female/asian/1.jpg")
        put(tmp_path / "s", "original_images/male/indian/2.jpg")
        rows = [
            ["mean", "image", "path", "A1", None, "A1"],
            [6, "1", f"{self.ROOT}/female/asian/1.jpg", 5, 3, 7],
        ]
        workbook(tmp_path / "s/scores/generic_scores_all_2022.xlsx", Sheet1=rows)
        rows = [["image", "path", "B1.xlsx"], ["2", f"{self.ROOT}/male/indian/2.jpg", 9]]
        workbook(tmp_path / "s/scores/date_scores_all_2022.xlsx", Sheet1=rows)
        _, _, left_out = imported(tmp_path, "mebeauty")
        ratings = table(tmp_path / "data", "ratings").reset_index()
        assert ratings.to_numpy().tolist() == [["female/asian/1.jpg", "A1", "5"]]
        assert left_out == {
            "a column of ratings without a rater's name": ["column 5"],
            "a rater's second rating of a photo": ["female/asian/1.jpg by A1"],
            "a photo without ratings": ["male/indian/2.jpg"],
        }
        both = Choices(traits=("attractive", "date"))
        imported(tmp_path, "mebeauty", "both", choices=both)
        ratings = table(tmp_path / "both", "ratings")
        assert ratings["trait"].to_dict() == {
            "female/asian/1.jpg": "attractive", "male/indian/2.jpg": "date"
        }  # fmt: skip
        assert joined(tmp_path / "both")[0].loc["male/indian/2.jpg", "rating_date"] == 9
        with pytest.raises(InputError, match="no such question; it has attractive, date"):
            imported(tmp_path, "mebeauty", "o", choices=Choices(traits=("kind",)))

    def test_one_set_of_lists_is_the_split_and_what_two_lists_name_has_none(self, tmp_path):
        names = ["a.jpg", "b (1).jpg", "c.jpg"]
        put(tmp_path / "s", *(f"original_images/male/black/{name}" for name in names))
        lines = [f'"/home/u/crop/male/black/{name}" 4.5\n' for name in names]
        write(tmp_path / "s", "scores/train_2022.txt", lines[0] + lines[1])
        write(tmp_path / "s", "scores/test_2022.txt", lines[1])
        write(tmp_path / "s", "scores/val.txt", lines[2])  # of the older set
        _, labels, left_out = imported(tmp_path, "mebeauty")
        assert labels["split_official"].tolist() == ["train", "", ""]
        assert labels["rating"].tolist() == ["4.5", "4.5", ""]
        assert left_out["the split of a photo that two lists name"] == ["male/black/b (1).jpg"]

    def test_the_universal_scores_alone_are_enough(self, tmp_path):
        put(tmp_path / "s", "original_images/female/caucasian/11.jpg")
        rows = "image,score\nimages/female/caucasian/11.jpg,6.64\n"
        write(tmp_path / "s", "scores/train_universal_scores.csv", rows)
        _, labels, _ = imported(tmp_path, "mebeauty")
        assert labels.loc["female/caucasian/11.jpg"].tolist() == [
            "female", "caucasian", "6.64", "train"
        ]  # fmt: skip


def test_10kus_single_answers_and_a_table_with_decimal_commas(tmp_path):
    put(tmp_path / "s", "Face Images/Ann_Lee_5_oval.jpg", "Annotations/1.jpg")
    names = ["Filename", "Image #", "Attractive", "Gender", "Race", "Age", "Emotion", "Facial hair"]
    answers = [["Ann_Lee_5_oval.jpg", 1, score, 0, 1, 2, 1, 0] for score in (3, 4, 3)]
    workbook(
        tmp_path / "s/demographic-others-labels.xlsx",
        All_Data=[names, *answers, ["Nobody_oval.jpg", 2, 1, 0, 1, 2, 1, 0]],
        Final_Values=[names, ["Ann_Lee_5_oval.jpg", 1, 3.3333, 0, 1, 2, 1, 0.5]],
    )
    _, labels, left_out = imported(tmp_path, "10kus")
    row = labels.loc["Ann_Lee_5_oval.jpg"]
    assert row[["gender", "ethnicity", "age", "emotion", "facial_hair", "rating"]].tolist() == [
        "female", "white", "25.0", "happy", "0.5", "3.3333"
    ]  # fmt: skip
    assert table(tmp_path / "data", "ratings")["rating"].tolist() == ["3", "4", "3"]
    assert left_out == {"a photo whose name does not end in _oval.jpg": ["Annotations/1.jpg"]}
    (tmp_path / "s/demographic-others-labels.xlsx").unlink()
    rows = "Filename;Image #;Age;Attractive;Gender;Race\nAnn_Lee_5_oval.jpg;1;5,0;2,75;1,0;6\n"
    write(tmp_path / "s", "demographic-others-labels.csv", rows)
    _, labels, _ = imported(tmp_path, "10kus", "csv")
    assert labels.loc["Ann_Lee_5_oval.jpg"].tolist() == [
        "male", "middle-eastern", "65.0", "2.75", "above 60"
    ]  # fmt: skip


class TestCFD:
    IDS = ("R005", "R013", "R040", "M001", "M002")
    NAMES = ("Model", "AgeRated", "FemaleProb", "Attractive", "Dominant", "NoseWidth", "fWHR2")

    def make(self, folder, **sheets):
        book = folder / "CFD 3.0 Norming Data and Codebook.xlsx"
        workbook(book, **sheets, Codebook=[["Variables"], ["Model", "the model's name"]])

    def sheet(self, *rows, question="R013"):
        return [["title"], ["", "", "", question], [*self.NAMES, None], ["M"] * 3, *rows]

    def test_a_replicate_belongs_to_its_model_and_a_second_row_is_named(self, tmp_path):
        root = tmp_path / "s"
        put(
            root,
            "Images/CFD/WM-029/CFD-WM-029-023-N.jpg",
            "Images/CFD/WM-029/CFD-WM-029-024-2-HC.jpg",
            "Images/CFD-INDIA/IM601/CFD-IM-601-519-N.jpg",
            "Images/CFD/BF-001/CFD-BF-001-025-N.jpg",
        )
        self.make(
            root,
            US=self.sheet(["WM-029", 30, 0.1, 3, 4, 200, 1.9]),
            India_US=self.sheet(["IM601-519", 25, 0.1, 3.5, 4.5, 210, 2.1]),
            India=self.sheet(["IM601-519", 27, 0.1, 5, 2, 210, 2.1]),
        )
        done, labels, left_out = imported(tmp_path, "cfd")
        assert labels.loc["CFD-WM-029-024-2-HC.jpg", ["person", "rating"]].tolist() == [
            "WM-029", ""
        ]  # fmt: skip
        assert labels.loc["CFD-IM-601-519-N.jpg", ["age", "rating", "person"]].tolist() == [
            "25.0", "3.5", "IM-601"
        ]  # fmt: skip
        assert left_out == {
            "a norming row of a model whom an earlier sheet has": ["IM601-519"],
            "a neutral photo without a norming row": ["CFD-BF-001-025-N.jpg"],
        }
        assert done.dataset["version"] == "3.0"
        assert not labels.columns.str.startswith("measured_").any()

    def test_traits_and_measurements_are_chosen(self, tmp_path):
        put(tmp_path / "s", "Images/CFD/WM-029/CFD-WM-029-023-N.jpg")
        self.make(tmp_path / "s", US=self.sheet(["WM-029", 30, 0.1, 3, 4, 200, 1.9]))
        for traits, expected in {
            ("dominant", "attractive", "nose_width"): {
                "rating": "4", "rating_attractive": "3", "measured_nosewidth": "200"
            },
            ("measurements",): {"measured_nosewidth": "200", "measured_fwhr2": "1.9"},
        }.items():  # fmt: skip
            choices = Choices(traits=traits)
            _, labels, _ = imported(tmp_path, "cfd", "-".join(traits), choices=choices)
            row = labels.iloc[0].drop(["gender", "ethnicity", "age", "person", "expression"])
            assert row.to_dict() == expected
        with pytest.raises(InputError, match="no such column; it has attractive, afraid"):
            imported(tmp_path, "cfd", "o", choices=Choices(traits=("charm",)))

    def test_version_2_has_other_names(self, tmp_path):
        put(tmp_path / "s", "CFD-WM-029-023-N.jpg")
        names = ["Target", "Race", "Gender", "Age", "Attractive", "Babyface", "Nose_Width"]
        rows = [names, ["WM-029", "W", "M", 31.5, 2.5, 1.5, 190]]
        workbook(tmp_path / "s/CFD 2.0.3 Norming Data and Codebook.xlsx", Data=rows)
        done, labels, _ = imported(tmp_path, "cfd")
        assert labels.iloc[0][["age", "rating", "rating_babyfaced"]].tolist() == [
            "31.5", "2.5", "1.5"
        ]  # fmt: skip
        assert done.dataset["version"] == "2.0.3"

    def test_moved_columns_are_an_error(self, tmp_path):
        put(tmp_path / "s", "CFD-WM-029-023-N.jpg")
        self.make(tmp_path / "s", US=[["Model", "Attraktiv"], ["WM-029", 3]])
        with pytest.raises(InputError, match="no column 'Attractive'; it has Model, Attraktiv"):
            imported(tmp_path, "cfd")
        assert not (tmp_path / "data").exists()


def test_london_names_faces_without_facts_and_broken_templates(tmp_path):
    datasets.london(tmp_path / "s")
    put(tmp_path / "s", "neutral_front/099_03.jpg", "copies/neutral_front/001_03.jpg")
    write(tmp_path / "s", "neutral_front/002_03.tem", "189\r\n1.0\t2.0\r\n")
    done, labels, left_out = imported(tmp_path, "london")
    assert labels.loc["099_03.jpg", "gender"] == ""
    (unknown,) = [reason for reason in left_out if "london_faces_info.csv does not name" in reason]
    assert left_out[unknown] == ["099_03.jpg"]
    assert left_out["a copy of another file of the dataset"] == ["neutral_front/001_03.jpg"]
    assert left_out["a template without 189 points"] == ["neutral_front/001_03.tem"]
    assert any(note.startswith("2 templates (.tem)") for note in done.notes)
    ratings = table(tmp_path / "data", "ratings")
    assert ratings.loc["002_03.jpg", ["rating", "rater_gender", "rater_sexpref"]].tolist() == [
        "7.0", "female", "men"
    ]  # fmt: skip


class TestCelebA:
    def test_whole_photos_are_not_the_aligned_ones(self, tmp_path):
        put(tmp_path / "s", "Img/img_align_celeba/000001.jpg")
        write(tmp_path / "s", "Img/img_celeba/000001.jpg", "the whole photo")
        text = "202599\nMale Young Goatee\n000001.jpg  1 -1  1\n"
        write(tmp_path / "s", "Anno/list_attr_celeba.txt", text)
        write(tmp_path / "s", "Eval/list_eval_partition.txt", "000001.jpg 1\n")
        done, labels, left_out = imported(tmp_path, "celeba")
        assert (tmp_path / "data/raw/000001.jpg").read_text() == "photo 000001.jpg"
        assert labels.loc["000001.jpg"].to_dict() == {
            "gender": "male", "split_official": "val", "young": "no"
        }  # fmt: skip
        assert left_out == {"a photo without labels": ["Img/img_celeba/000001.jpg"]}
        assert any("promises 202599 rows, and it has 1" in note for note in done.notes)

    def test_attributes_are_chosen(self, tmp_path):
        datasets.celeba(tmp_path / "s")
        _, labels, _ = imported(tmp_path, "celeba", choices=Choices(traits=("bald",)))
        assert [*labels] == ["gender", "person", "split_official", "bald"]
        with pytest.raises(InputError, match="no such attribute; it has Attractive, Male"):
            imported(tmp_path, "celeba", "o", choices=Choices(traits=("Nice",)))


def test_lfw_folds_and_chosen_attributes(tmp_path):
    put(tmp_path / "s", "lfw/Ann/Ann_0001.jpg", "lfw/Bo_Li/Bo_Li_0001.jpg")
    put(tmp_path / "s", "copy/Ann/Ann_0001.jpg")
    write(tmp_path / "s", "people.txt", "2\n1\nAnn\t1\n1\nBo_Li\t1\n")
    head = "# v1.2\n#\tperson\timagenum\tMale\tBlack Hair\n"
    write(tmp_path / "s", "lfw_attributes.txt", head + "Bo Li\t1\t0.5\t-0.1\n")
    choices = Choices(traits=("Black Hair",))
    _, labels, left_out = imported(tmp_path, "lfw", choices=choices)
    assert labels.loc["Bo_Li/Bo_Li_0001.jpg"].to_dict() == {
        "gender": "male", "person": "Bo_Li", "fold": "2", "black_hair": "no"
    }  # fmt: skip
    assert labels.loc["Ann/Ann_0001.jpg", ["gender", "fold", "black_hair"]].tolist() == [
        "", "1", ""
    ]  # fmt: skip
    assert len(left_out["a copy of another file of the dataset"]) == 1
    (nameless,) = [reason for reason in left_out if "lfw_attributes.txt does not name" in reason]
    assert left_out[nameless] == ["Ann/Ann_0001.jpg"]


@pytest.mark.long
def test_imdbwiki_reads_both_halves_wherever_they_lie(tmp_path):
    def meta(paths, days, **more):
        n = len(paths)
        cells = np.empty((1, n), dtype=object)
        cells[0, :] = [np.array([path]) for path in paths]
        names = np.empty((1, n), dtype=object)
        names[0, :] = [np.array(["Ann Lee"])] * n
        return {
            "dob": np.array([days]), "photo_taken": np.full((1, n), 2010), "full_path": cells,
            "gender": np.ones((1, n)), "name": names, "face_score": np.full((1, n), 2.0),
            "second_face_score": np.full((1, n), np.nan), **more,
        }  # fmt: skip

    s = tmp_path / "s"
    put(s, "a/imdb_crop/imdb_crop/01/x.jpg", "b/wiki_crop/wiki_crop/02/y.jpg")
    # Born on 1 July and on 2 July 1980; unknown; and no face.
    days = [723363.0, 723364.0, np.nan, 723363.0]
    paths = ["01/x.jpg", "01/x2.jpg", "01/x3.jpg", "01/x4.jpg"]
    put(s, *(f"a/imdb_crop/imdb_crop/{path}" for path in paths))
    score = np.array([[2.0, 2.0, 2.0, -np.inf]])
    data = meta(paths, days, celeb_id=np.array([[7.0, 8, 9, 10]]), face_score=score)
    savemat(s / "a/imdb_crop/imdb_crop/imdb.mat", {"imdb": data})
    savemat(s / "b/wiki_crop/wiki_crop/wiki.mat", {"wiki": meta(["02/y.jpg"], [723363.0])})
    _, labels, left_out = imported(tmp_path, "imdbwiki")
    assert labels["age"].to_dict() == {
        "imdb_crop/01/x.jpg": "30", "imdb_crop/01/x2.jpg": "29", "wiki_crop/02/y.jpg": "30"
    }  # fmt: skip
    assert labels.loc["wiki_crop/02/y.jpg", "person"] == "imdb:7"  # by the name
    assert left_out == {
        "a photo without a clear face (face_score below 1)": ["imdb_crop/01/x4.jpg"],
        "a photo whose age is not from 0 to 100": ["imdb_crop/01/x3.jpg"],
    }


def test_ffhq_features_and_pictures_of_several_sizes(tmp_path):
    s = tmp_path / "s/ffhq"
    put(s, "images1024x1024/00000/00000.png", "in-the-wild-images/00000/00000.png")
    put(s, "thumbnails128x128/00000/00000.png", "thumbnails128x128/00000/00001.png")
    face = {
        "gender": "male",
        "age": 40.0,
        "emotion": {"anger": 0.1, "happiness": 0.9},
        "facialHair": {"moustache": 0.0, "beard": 0.6, "sideburns": 0.1},
        "hair": {"bald": 0.05, "hairColor": [{"color": "gray", "confidence": 0.99}]},
        "headPose": {"pitch": -1.5, "roll": 2.0, "yaw": 3.5},
        "makeup": {"eyeMakeup": False, "lipMakeup": False},
    }
    box = {"top": 1, "left": 1, "width": 9, "height": 9}
    for number in ("00000", "00001"):
        faces = [{"faceRectangle": box, "faceAttributes": face}]
        write(s, f"ffhq-features-dataset/json/{number}.json", json.dumps(faces))
    _, labels, left_out = imported(tmp_path, "ffhq")
    row = labels.loc["00000.png"].to_dict()
    assert {name: row[f"model_{name}"] for name in ("emotion", "hair_color", "beard", "yaw")} == {
        "emotion": "happiness", "hair_color": "gray", "beard": "0.6", "yaw": "3.5"
    }  # fmt: skip
    assert [*labels.index] == ["00000.png", "00001.png"]  # of which one is a thumbnail alone
    assert len(left_out["a further file of one number"]) == 2
    assert not {"gender", "age"} & {*labels}


class TestOMI:
    def test_a_trait_without_judgements_is_not_rated_by_those_of_another(self, tmp_path):
        datasets.omi(tmp_path / "s")
        rows = "stimulus,attribute,rating,rating_type\n1,attractive,99,normal\n"
        (tmp_path / "s/attribute_ratings.zip").unlink()
        write(tmp_path / "s", "attribute_ratings.csv", rows)  # unpacked by a browser
        done, _, _ = imported(
            tmp_path, "omi", choices=Choices(traits=("trustworthy", "attractive"))
        )
        found, _ = joined(tmp_path / "data")
        assert found["rating"].to_dict() == {"1.jpg": 60, "2.jpg": 50}
        assert any("no single judgements of trustworthy" in note for note in done.notes)

    @pytest.mark.long
    def test_a_single_other_trait_keeps_its_name_when_a_dataset_is_added(self, tmp_path):
        datasets.omi(tmp_path / "s")
        imported(tmp_path, "omi", choices=Choices(traits=("trustworthy",)))
        MAKERS["3dsk"](tmp_path / "sk")
        import_dataset(DATASETS["3dsk"], KNOWN, tmp_path / "sk", tmp_path / "data", append=True)
        ratings = table(tmp_path / "data", "ratings")
        assert ratings.loc["1.jpg", "trait"] == "trustworthy"


class TestScales:
    @pytest.mark.long
    def test_means_of_one_dataset_stand_beside_judgements_of_another(self, tmp_path):
        _, into = bring(tmp_path, "omi")
        MAKERS["cfd"](tmp_path / "cfd")
        import_dataset(DATASETS["cfd"], KNOWN, tmp_path / "cfd", into, append=True)
        found, joint = joined(into)
        rated = found["rating"].dropna()
        assert "cfd has no single judgements: 2 ratings of labels.csv taken" in joint.report()
        assert {*joint.judgements["filename"]} == {face_filename("1.jpg")}
        level = [100 * (value - 1) / 6 for value in (4.1, 5.5)]  # of CFD, which has more faces
        assert rated["cfd/CFD-AF-200-228-N.jpg"] == pytest.approx(level[0], abs=1e-3)
        assert rated["cfd/CFD-MM-300-001-N.jpg"] == pytest.approx(level[1], abs=1e-3)
        assert rated["1.jpg"] == pytest.approx(sum(level) / 2, abs=1e-3)
        assert found.loc["1.jpg", "rating_n"] == 1
        assert found.loc["cfd/CFD-AF-200-229-HC.jpg", "rating_n"] == 0

    @pytest.mark.long
    def test_means_outside_the_scale_are_named_beside_judgements(self, tmp_path):
        _, into = bring(tmp_path, "omi")
        MAKERS["cfd"](tmp_path / "cfd")
        import_dataset(DATASETS["cfd"], KNOWN, tmp_path / "cfd", into, append=True)
        path = into / "labels/labels.csv"
        path.write_text(path.read_text().replace("51.6667", "516.667"))
        with pytest.raises(LabelError, match=r"has the rating 516\.667 in .*labels\.csv"):
            joined(into)

    @pytest.mark.long
    def test_dropped_raters_do_not_bring_back_means_of_their_judgements(self, tmp_path):
        _, into = bring(tmp_path, "3dsk")
        MAKERS["cfd"](tmp_path / "cfd")
        import_dataset(DATASETS["cfd"], KNOWN, tmp_path / "cfd", into, append=True)
        path = into / "labels/labels.csv"
        labels = pd.read_csv(path)
        labels.loc[labels["image"] == "male/alex.jpg", "rating"] = 2.0
        labels.to_csv(path, index=False)
        found, _ = joined(into, drop_raters=["R2", "R3"])
        assert np.isnan(found.loc["male/alex.jpg", "rating"])
        assert found["rating"].notna().sum() == 2

    @pytest.mark.long
    def test_a_table_is_added_only_with_its_scale(self, tmp_path):
        _, into = bring(tmp_path, "omi")
        put(tmp_path / "own", "a.jpg")
        write(tmp_path / "own", "t.csv", "image,score\na.jpg,4\n")
        columns = {"image": "image", "rating": "score"}

        def add(source, target, **more):
            return import_dataset(DATASETS["csv"], KNOWN, tmp_path / source, target, **more)

        with pytest.raises(InputError, match="the scale of the ratings of csv is not known"):
            add("own", into, append=True, choices=Choices(columns=columns))
        add("own", into, append=True, choices=Choices(columns=columns, scale=(1.0, 7.0)))
        assert table(into).loc["csv/a.jpg", "rating"] == "50.0"
        add("own", tmp_path / "first", choices=Choices(columns=columns))
        with pytest.raises(InputError, match="ratings that are there is not known"):
            import_dataset(
                DATASETS["omi"], KNOWN, tmp_path / "source", tmp_path / "first", append=True
            )
        beyond = Choices(columns=columns, scale=(1.0, 3.0))
        assert (
            "score is no number from 1 to 3" in add("own", tmp_path / "b", choices=beyond).left_out
        )


class TestOwn:
    def test_a_folder_around_the_subfolders_is_no_class(self, tmp_path):
        put(tmp_path / "s", "people/Women/2020/1.jpg", "people/men/2.jpg")
        choices = Choices(subfolders="gender")
        done, labels, _ = imported(tmp_path, "folder", choices=choices)
        assert labels["gender"].to_dict() == {"Women/2020/1.jpg": "female", "men/2.jpg": "male"}
        assert done.notes == ["all subfolders lie in people/, which is taken for DIR"]

    def test_names_of_another_machine_and_of_another_system_are_found(self, tmp_path):
        put(tmp_path / "s", "pics/a/1.JPG", "pics/b/1.JPG", "pics/a/Zoe\u0308.jpg")
        rows = (
            "file,sex\nC:\\study\\a\\1.jpg,f\nC:\\study\\b\\1.jpg,m\nC:\\study\\a\\Zo\u00eb.jpg,f\n"
        )
        write(tmp_path / "s", "t.csv", rows)
        columns = {"image": "file", "gender": "sex"}
        done, labels, _ = imported(tmp_path, "csv", choices=Choices(columns=columns))
        assert labels["gender"].to_dict() == {
            "pics/a/1.JPG": "f", "pics/b/1.JPG": "m", "pics/a/Zoe\u0308.jpg": "f"
        }  # fmt: skip
        assert done.notes == ["photos are found without C:/study/, with which all names begin"]


@pytest.mark.parametrize(
    "name", ["AFAD-Full.tar.xzaa", "img_celeba.7z.001", "part.z01", "LFW.tgz", "SCUT.ZIP"]
)
def test_parts_of_archives_are_to_be_unpacked(tmp_path, name):
    write(tmp_path / "s", name, "packed")
    with pytest.raises(InputError, match="unpack it first"):
        imported(tmp_path, "afad")


@pytest.mark.parametrize("name", MAKERS)
class TestHalves:
    @pytest.mark.long
    @pytest.mark.first_cases(6)
    def test_tables_without_photos(self, tmp_path, name):
        MAKERS[name](tmp_path / "s")
        for path in [*(tmp_path / "s").rglob("*")]:
            if path.suffix in (".jpg", ".png"):
                path.unlink()
        with pytest.raises(InputError, match=r"holds no photo|is missing") as error:
            imported(tmp_path, name)
        assert DATASETS[name].title in str(error.value)
        assert not (tmp_path / "data").exists()

    @pytest.mark.long
    @pytest.mark.first_cases(6)
    def test_photos_with_empty_tables(self, tmp_path, name):
        MAKERS[name](tmp_path / "s")
        tables = [p for p in (tmp_path / "s").rglob("*") if p.suffix in (".csv", ".txt")]
        for path in tables:
            path.write_text(path.read_text().partition("\n")[0] + "\n")
        if name in ("fairface", "lagenda", "adience", "3dsk", "celeba", "lfw"):
            with pytest.raises(InputError, match=r"fit none of .* there, such as|has no column"):
                imported(tmp_path, name)
            assert not (tmp_path / "data").exists()
        else:  # names, folders or a workbook say enough
            done, labels, _ = imported(tmp_path, name)
            assert done.images >= len(labels)


def test_a_message_names_a_missing_file_as_people_write_it():
    written = {dataset.name: [*map(_readable, dataset.markers)] for dataset in KNOWN.values()}
    assert written["fairface"] == ["fairface_label_train.csv"]
    assert written["scut"] == ["AF1.jpg", "All_Ratings.xlsx"]
    assert written["mebeauty"] == ["original_images/female/a/…", "scores/….xlsx"]
    assert written["cfd"] == ["CFD-AF-d-N.jpg", "…Norming….xlsx"]
    assert written["lfw"] == ["…/…_0001.jpg"]
    assert not any(set(text) & set("()[]|?*\\") for texts in written.values() for text in texts)
