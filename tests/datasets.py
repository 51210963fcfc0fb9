"""Small datasets, each in the layout of the real one, malformed names included."""

import json
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
from scipy.io import savemat


def put(folder: Path, *paths: str) -> None:
    """Files whose bytes are their own names: no two are equal."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"photo " + path.rpartition("/")[2].encode())


def write(folder: Path, path: str, text: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text, encoding="utf-8", newline="")


def workbook(path: Path, **sheets: list[list]) -> None:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title.replace("__", "-").replace("_", " "))
        for row in rows:
            sheet.append(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


def fairface(folder):
    put(folder, "train/1.jpg", "train/2.jpg", "train/3.jpg", "val/1.jpg", "val/2.jpg")
    header = "file,age,gender,race,service_test\n"
    rows = (
        "train/1.jpg,50-59,Male,East Asian,True\n"
        "train/2.jpg,9-Mar,Female,Latino_Hispanic,False\n"
        "train/3.jpg,more than 70,Female,White,False\n"
        "train/4.jpg,20-29,Female,White,False\n"
    )
    write(folder, "fairface_label_train.csv", header + rows)
    write(
        folder,
        "fairface_label_val.csv",
        header + "val/1.jpg,3-9,Male,Black,False\nval/2.jpg,many,Male,Indian,True\n",
    )


def utkface(folder):
    names = (
        "1_0_0_20161219140530307.jpg.chip.jpg",
        "100_1_2_20170110183726390.jpg.chip.jpg",
        "61_1_20170109142408075.jpg.chip.jpg",
        "39_1_20170116174525125.jpg.chip.jpg",
        "61_3_20170109150557335.jpg.chip.jpg",
        "24_0_1_20170116220224657 .jpg.chip.jpg",
        "55_0_0_20170116232725357jpg.chip.jpg",
        "notes.jpg",
    )
    put(folder, *(f"UTKFace/{name}" for name in names), f"crop_part1/{names[0]}")
    put(folder, "part1/7_1_3_20170109150557336.jpg")
    write(folder, "landmark_list_part1.txt", "1_0_0_20161219140530307.jpg 1 2 3 4\n")


def agedb(folder):
    put(folder, "AgeDB/0_MariaCallas_35_f.jpg", "AgeDB/1_MariaCallas_40_f.jpg")
    put(folder, "AgeDB/2_Léa Seydoux2_30_f.jpg", "AgeDB/3_JohnDoe_m.jpg")


def afad(folder):
    put(folder, "AFAD-Full/15/111/638660-0.jpg", "AFAD-Full/15/112/7-1.jpg")
    put(folder, "AFAD-Full/40/112/7-2.jpg", "AFAD-Full/15/111/Thumbs.db")
    put(folder, "AFAD-Full/15/111/odd.jpg")
    write(folder, "AFAD-Full/AFAD-Full.txt", "./15/111/638660-0.jpg\n")


def lagenda(folder):
    put(
        folder, "LAGENDA/lagenda_benchmark_images/a1.jpg", "LAGENDA/lagenda_benchmark_images/b2.jpg"
    )
    write(
        folder,
        "LAGENDA/lagenda_annotation.csv",
        "img_name,age,gender,face_x0,face_y0,face_x1,face_y1,"
        "person_x0,person_y0,person_x1,person_y1\n"
        "a1.jpg,31,F,0,0,10,10,0,0,50,50\n"
        "a1.jpg,60,M,20,20,60,70,0,0,90,90\n"
        "b2.jpg,-1,-1,5,5,9,9,-1,-1,-1,-1\n"
        "c3.jpg,20,M,5,5,9,9,-1,-1,-1,-1\n",
    )


def adience(folder):
    header = "user_id\toriginal_image\tface_id\tage\tgender\tx\ty\n"
    rows = {
        0: "30601258@N03\to1.jpg\t1\t(25, 32)\tf\t0\t414\n",
        1: "30601258@N03\to2.jpg\t2\tNone\tu\t0\t414\n",
        2: "x@N1\to3.jpg\t3\t35\tm\t0\t1\n",
        3: "x@N1\tgone.jpg\t4\t(4, 6)\tm\t0\t1\n",
        4: "",
    }
    for fold, text in rows.items():
        write(folder, f"fold_{fold}_data.txt", header + text)
    put(folder, "faces/30601258@N03/coarse_tilt_aligned_face.1.o1.jpg")
    put(folder, "faces/30601258@N03/coarse_tilt_aligned_face.2.o2.jpg")
    put(folder, "faces/x@N1/coarse_tilt_aligned_face.3.o3.jpg")


def scut(folder):
    root = folder / "SCUT-FBP5500_v2"
    names = ["AF1.jpg", "AM2.jpg", "CF3.jpg", "CM152.jpg"]
    put(root, *(f"Images/{name}" for name in names))
    for name in names:
        points = b"" if name == "CM152.jpg" else np.ones(172, "<f4").tobytes()
        path = root / f"facial landmark/{name[:-4]}.pts"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((len(points) // 8).to_bytes(4, "little") + points)
    header = ["Rater", "Filename", "Rating", "original Rating"]
    asian = [[1, "AF1.jpg", 3, None], [2, "AF1.jpg", 4, 2], [1, "AM2.jpg", 2, None]]
    other = [[1, "CF3.jpg", 5, None], [2, "CM152.jpg", "six", None]]
    workbook(
        root / "All_Ratings.xlsx",
        Asian=[header, *asian],
        Caucasian=[header, *other],
        ALL=[header, *asian, *other],
        Notes=[["nothing"]],
    )
    split = "train_test_files/split_of_60%training and 40%testing"
    write(root, "train_test_files/All_labels.txt", "AF1.jpg 3.500000\nAM2.jpg 2.000000\n")
    write(root, f"{split}/train.txt", "AF1.jpg 3.500000\nCF3.jpg 5.000000\n")
    write(root, f"{split}/test.txt", "AM2.jpg 2.000000\n")


def scut_v1(folder):
    put(folder, "Images/fty1.jpg", "Images/mtw2.jpg")
    write(folder, "data/1/train_1.txt", "fty1.jpg 4.316667\n")
    write(folder, "data/1/test_1.txt", "mtw2.jpg 2.100000\n")


def mebeauty(folder):
    vietnamese = unicodedata.normalize("NFD", "pexels-nguyễn-1.jpg")
    put(
        folder,
        f"original_images/female/asian/{vietnamese}",
        "original_images/female/black/11.jpg",
        "original_images/male/black/11.jpg",
        "original_images/male/mideastern/a unsplash (1).png",
        "cropped_images/images_crop_align_mtcnn/male/black/11.jpg",
    )
    root = "/home/ubuntu/ME-beautydatabase/images"
    rows = [
        ["mean", "image", "path", "malecm39", "A1B2"],
        [6, "x", f"{root}/female/asian/pexels-nguyễn-1.jpg", 5, "7"],
        [4, "11", f"{root}/female/black/11.jpg", 4, None],
        [3, "11", f"{root}/male/black/11.jpg", "2", 40],
        [3, "gone", f"{root}/male/black/gone.jpg", 2, 4],
        [3, "nowhere", None, 2, 4],
    ]
    workbook(folder / "scores/generic_scores_all_2022.xlsx", Sheet1=rows, Лист1=[["?", 1]])
    crops = "./cropped_images/images_crop_align_mtcnn"
    write(
        folder,
        "scores/train_2022.txt",
        f"{crops}/female/asian/pexels-nguyễn-1.jpg 6.0\n"
        f'"{crops}/male/mideastern/a unsplash (1).png" 7.22\n',
    )
    write(folder, "scores/test_2022.txt", f"{crops}/male/black/11.jpg 3.0\n")


def us10k(folder):
    put(folder, "Face Images/Ann_Lee_5_oval.jpg", "Face Images/Google_1_Bo_2_oval.jpg")
    put(folder, "Face Images/None_3_oval.jpg")
    put(folder, "Publication Friendly 49-Face Database/49 Face Images/Ann_Lee_5_oval.jpg")
    names = ["Filename", "Image #", "Age", "Attractive", "Gender", "Race"]
    base = folder / "Full Attribute Scores"
    workbook(
        base / "demographic & others labels/demographic-others-labels.xlsx",
        All_Data=[names],
        Final_Values=[
            names,
            ["Ann_Lee_5_oval.jpg", 1, 3, 3.5, 0, 6],
            ["Google_1_Bo_2_oval.jpg", 2, 1, 2, 1, 9],
        ],
        StDev_Values=[names],
    )
    workbook(
        base / "psychology attributes/psychology-attributes.xlsx",
        Final_Values=[
            ["Filename", "Image #", "catch", "catchAns", "trustworthy", "subage"],
            ["Ann_Lee_5_oval.jpg", 1, 5, 5, 6.5, 30],
        ],
    )


def cfd(folder):
    root = folder / "CFD Version 3.0"
    put(
        root,
        "Images/CFD/AF-200/CFD-AF-200-228-N.jpg",
        "Images/CFD/AF-200/CFD-AF-200-229-HC.jpg",
        "Images/CFD-MR/MM-300/CFD-MM-300-001-N.jpg",
        "Images/CFD-INDIA/IF601/CFD-IF-601-519-N.jpg",
        "Images/CFD/AF-200/poster.jpg",
    )

    def sheet(question, *rows):
        titles = [["Chicago Face Database"], [], [], [], [], []]
        ids = ["", "", "", "", "R001", question, "R099", ""]
        names = [
            "Model", "EthnicitySelf", "AgeSelf", "AgeRated", "Afraid", "Attractive",
            "Trustworthy", None,
        ]  # fmt: skip
        return [*titles, ids, names, ["", "", "", "", "M", "M", "M", "SD"], *rows]

    workbook(
        root / "CFD 3.0 Norming Data and Codebook.xlsx",
        CFD_U__S__Norming=sheet(
            "R013",
            ["AF-200", "A", "NA", 32.5, 1.9, 4.1, 3.5, 1.2],
            ["WM-999", "W", "NA", 40, 2, 3, 3, 1],
        ),
        CFD__MR=sheet("R013", ["MM-300", "M", None, 25, 2, 5.5, 4, 1]),
        CFD__I_INDIA=sheet("R013B", ["IF601-519", "I", 22, 23, 2, 2.5, 3, 1]),
        Codebook=[["R013", "relative"]],
    )


def london(folder):
    put(
        folder, "neutral_front/001_03.jpg", "neutral_front/002_03.jpg", "neutral_front/._001_03.jpg"
    )
    put(folder, "smiling_front/001_08.jpg", "neutral_front/001_03.tem")
    write(
        folder,
        "london_faces_info.csv",
        "face_id,face_age,face_gender,face_eth\n001,24,female,white\n002,NA,male,east_asian/white\n"
        "003,30,male,black\n",
    )
    rows = ["rater_sex,rater_sexpref,rater_age,X001,X002,X003", "female,men,22.5,3,7,1"]
    write(folder, "london_faces_ratings.csv", "\r".join([*rows, "male,women,30,1,x,2"]) + "\r")


def london_older(folder):
    london(folder)
    write(
        folder,
        "london_faces_info.csv",
        "face_id,face_age,face_sex,face_eth\nX001,24,female,white\nX002,31,male,\n",
    )


def sk(folder):
    put(folder, "female/agata.jpg", "female/agata.tem", "male/alex.jpg", "male/nobody.jpg")
    write(
        folder,
        "raw_3dsk_info.csv",
        "face_id,face_gender,face_age,rater_id,rater_gender,rater_age,trait,rating\n"
        "alex,male,20,R1,male,36.4,dom,1\nalex,male,20,R2,female,20,att,7\n"
        "agata,female,29,R3,female,21,att,2\nagata,female,29,R4,male,22,att,9\n"
        "gone,female,29,R3,female,21,att,2\n",
    )


def celeba(folder):
    root = folder / "celeba"
    put(root, *(f"img_align_celeba/img_align_celeba/00000{i}.jpg" for i in (1, 2, 3)))
    write(
        root,
        "list_attr_celeba.txt",
        "4\nAttractive Male Young Bald \n000001.jpg -1  1  1 -1\n000002.jpg  1 -1  1 -1  \n"
        "000003.jpg  1 -1 -1 -1\n000004.jpg  1 -1 -1 -1\n",
    )
    write(root, "list_eval_partition.txt", "000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n")
    write(root, "identity_CelebA.txt", "000001.jpg 2880\n000002.jpg 2937\n000003.jpg 2937\n")


def celeba_kaggle(folder):
    put(folder, "img_align_celeba/img_align_celeba/000001.jpg")
    write(folder, "list_attr_celeba.csv", "image_id,Male,Young\n000001.jpg,-1,1\n")
    write(folder, "list_eval_partition.csv", "image_id,partition\n000001.jpg,2\n")


def lfw(folder):
    root = folder / "lfw_home/lfw_funneled"
    put(root, "Aaron_Eckhart/Aaron_Eckhart_0001.jpg", "Zach_P/Zach_P_0001.jpg")
    put(root, "Zach_P/Zach_P_0002.jpg", "Zach_P/cover.jpg")
    write(root, "pairs.txt", "10\t300\n")
    write(root, "peopleDevTrain.txt", "1\nZach_P\t2\n")
    write(root, "peopleDevTest.txt", "1\nAaron_Eckhart\t1\n")
    write(
        folder,
        "lfw_attributes.txt",
        "# lfw_attributes.txt v1.2\n#\tperson\timagenum\tMale\tAsian\tSmiling\n"
        "Aaron Eckhart\t1\t1.56\t-1.9\t-0.2\nZach P\t1\t-2\t-0.9\t1.9\n",
    )


def imdbwiki(folder):
    def array(values):
        cells = np.empty((1, len(values)), dtype=object)
        cells[0, :] = [np.array([value]) for value in values]
        return cells

    def meta(names, who, people):
        n = len(names)
        dob = [[723671.0] * (n - 1) + [300.0]]  # 13 May 1981; and the first year of all
        return {
            "dob": np.array(dob),
            "photo_taken": np.array([[2009] * n], dtype=np.uint16),
            "full_path": array(names),
            "gender": np.array([[1.0, 0.0, np.nan, 1.0][:n]]),
            "name": array(["A B", "C D", "E F", "G H"][:n]),
            "face_score": np.array([[4.3, 2.0, 3.0, 2.5][:n]]),
            "second_face_score": np.array([[np.nan] * n]),
            **({who: people} if who else {}),
        }

    wiki = [f"17/{i}_1981-05-05_2009.jpg" for i in range(4)]
    put(folder, *(f"wiki_crop/{name}" for name in wiki))
    data = meta(wiki, "", None)
    data["name"][0, 1] = np.array(["Q R"])
    savemat(folder / "wiki_crop/wiki.mat", {"wiki": data})
    imdb = [f"01/nm{i}_rm1_1981-5-13_2009.jpg" for i in range(3)]
    put(folder, f"imdb_crop/{imdb[0]}")
    data = meta(imdb, "celeb_id", np.array([[6488.0, 7.0, 8.0]]))
    data["second_face_score"] = np.array([[np.nan, np.nan, 1.5]])
    data["gender"] = np.array([[0.0, 0.0, 0.0]])
    savemat(folder / "imdb_crop/imdb.mat", {"imdb": data})


def ffhq(folder):
    put(folder, *(f"images1024x1024/00000/0000{i}.png" for i in range(4)))
    put(folder, "thumbnails128x128/00000/00000.png")

    def face(gender, age, left):
        box = {"top": 400, "left": left, "width": 200, "height": 200}
        features = {
            "gender": gender,
            "age": age,
            "glasses": "NoGlasses",
            "smile": 0.5,
            "makeup": {"eyeMakeup": gender == "female", "lipMakeup": False},
        }
        return {"faceRectangle": box, "faceAttributes": features}

    features = {
        "00000": [face("female", 30.0, 412)],
        "00001": [],
        "00002": [face("male", 60.0, 800), face("female", 8.0, 420)],
        "00009": [face("male", 60.0, 400)],
    }
    for number, faces in features.items():
        write(folder, f"ffhq-features-dataset/json/{number}.json", json.dumps(faces))
    write(folder, "ffhq-features-dataset/json/00003.json", "{")
    v2 = {
        "0": {"category": "training", "metadata": {"license": "CC BY 2.0"}},
        "1": {"category": "validation", "metadata": {}},
    }
    write(folder, "ffhq-dataset-v2.json", json.dumps(v2))


def omi(folder):
    put(folder, "images/1.jpg", "images/2.jpg")
    header = "stimulus,gender,age,attractive,trustworthy,asian,middle-eastern,hispanic,islander,"
    write(
        folder,
        "attribute_means.csv",
        header + "native,black,white\n1,20,25,41,60,1,2,3,4,5,6,7\n2,80,30,42,50,9,2,3,4,5,6,7\n",
    )
    rows = "1,trustworthy,60,normal\n1,attractive,50,normal\n2,attractive,30,repeat\n"
    with zipfile.ZipFile(folder / "attribute_ratings.zip", "w") as archive:
        archive.writestr("a.csv", "stimulus,attribute,rating,rating_type\n" + rows)


MAKERS = {
    "omi": omi,
    "fairface": fairface,
    "utkface": utkface,
    "agedb": agedb,
    "afad": afad,
    "lagenda": lagenda,
    "adience": adience,
    "scut": scut,
    "mebeauty": mebeauty,
    "10kus": us10k,
    "cfd": cfd,
    "london": london,
    "3dsk": sk,
    "celeba": celeba,
    "lfw": lfw,
    "imdbwiki": imdbwiki,
    "ffhq": ffhq,
}
