"""Datasets made for ages: FairFace, UTKFace, AgeDB, AFAD, LAGENDA, Adience."""

from __future__ import annotations

import re

import pandas as pd

from facestats.errors import InputError, number_of
from facestats.importers.content import (
    COPY,
    GENDERS,
    NO_PHOTO,
    Choices,
    Content,
    Dataset,
    leave_unnamed,
    photos_by_tail,
)
from facestats.importers.tree import Tree, is_photo

# Classes of FairFace and the age that stands for them.
CLASSES = {
    "0-2": 1,
    "3-9": 6,
    "10-19": 14.5,
    "20-29": 24.5,
    "30-39": 34.5,
    "40-49": 44.5,
    "50-59": 54.5,
    "60-69": 64.5,
    "more than 70": 75,
}
RACES = (
    "White",
    "Black",
    "Latino_Hispanic",
    "East Asian",
    "Southeast Asian",
    "Indian",
    "Middle Eastern",
)
# What spreadsheets make of 3-9 and 10-19.
DATES = (
    ("3-9", r"0?9-mar|0?3[-. ]+sep|mar-0?9|sep-0?3|0?3[./]0?9[./].*"),
    ("10-19", r"19-oct|oct-19|19[. ]+okt|okt[. -]+19|10[./]19[./].*"),
)
MIDDLES = "ages are classes (`age_class`); `age` is the middle of the class"


def read_fairface(tree: Tree, _: Choices) -> Content:
    """FairFace: labels from its two CSV files, train and val."""
    parts = []
    for part in ("train", "val"):
        if paths := tree.ending(f"fairface_label_{part}.csv"):
            table = tree.table(tree.one_of(paths), "file", "age", "gender", "race")
            parts.append(table.assign(split_official=part))
    rows = pd.concat(parts, ignore_index=True)
    content = Content({}, rows, notes=[MIDDLES])
    content.photos = photos_by_tail(tree, rows["file"], content)
    if len(rows) and any(rows[name].str.fullmatch(r"\d+").all() for name in ("gender", "race")):
        raise InputError(
            f"{tree.top}: gender and race are numbers, which copies of FairFace on Hugging Face "
            "give different meanings (0 is male in one, female in another); get the authors' "
            "fairface_label_train.csv, or use `import csv` with the codes of your copy"
        )
    age = rows["age"].replace({"70+": "more than 70"})
    for name, date in DATES:
        age = age.mask(age.str.fullmatch(date, case=False), name)
    dated = (age != rows["age"]) & (rows["age"] != "70+")
    if dated.any():
        content.notes.append(
            f"{number_of(int(dated.sum()), 'age')} written as a date, as spreadsheets do with 3-9 "
            f"and 10-19, such as {rows.loc[dated, 'age'].iloc[0]}; read as the class"
        )
    known = content.codes(age, rows["file"], {name: name for name in CLASSES})
    content.labels = pd.DataFrame(
        {
            "image": rows["file"],
            "gender": content.codes(rows["gender"], rows["file"], GENDERS),
            "ethnicity": content.codes(rows["race"], rows["file"], {name: name for name in RACES}),
            "age": known.map(CLASSES),
            "split_official": rows["split_official"],
            "age_class": known,
        }
    )
    return content


UTK_END = r"_(\d{17}) ?\.?(?:jpg)?(?:\.chip)?(?:\.jpg)"
UTK_NAME = re.compile(r"(\d{1,4})_([01])_([0-4])" + UTK_END, re.IGNORECASE)
UTK_NO_RACE = re.compile(r"(\d{1,4})_(\d)" + UTK_END, re.IGNORECASE)
UTK_WHOLE = "the whole photo of a face that is there cut out, too"
UTK_RACES = ("white", "black", "asian", "indian", "other")
UTK_DOUBTFUL = "39_1_20170116174525125"  # people disagree about the gender


def read_utkface(tree: Tree, _: Choices) -> Content:
    """UTKFace: age, gender and race from the names of the files."""
    content, rows, copies = Content({}, pd.DataFrame()), [], []
    chips = {_utk_face(name) for name in tree.by_name if ".chip." in name.lower()}
    for name in sorted(tree.by_name):
        paths = sorted(tree.by_name[name], key=lambda path: (path.count("/"), path))
        if is_photo(name) and ".chip." not in name.lower() and _utk_face(name) in chips:
            content.leave_out(UTK_WHOLE, paths)
            continue
        whole, short = UTK_NAME.fullmatch(name), UTK_NO_RACE.fullmatch(name)
        if whole:
            age, gender, race = whole[1], int(whole[2]), UTK_RACES[int(whole[3])]
        elif short:
            age, race, gender = short[1], None, int(short[2])
            if name.startswith(UTK_DOUBTFUL) or gender > 1:
                gender = None
            content.leave_out("the race, for it is missing in the file's name", [name])
            if gender is None:
                content.leave_out("the gender, for the file's name leaves it open", [name])
        else:
            if is_photo(name):
                content.leave_out("a photo whose name is not age_gender_race_date", paths)
            continue
        content.photos[name] = tree.one_of(paths)
        copies += paths[1:]
        word = None if gender is None else ("male", "female")[gender]
        rows.append((name, word, race, int(age)))
    content.leave_out(COPY, copies)
    labels = pd.DataFrame(rows, columns=["image", "gender", "ethnicity", "age"])
    labels["age"] = content.numbers(labels["age"], labels["image"], 0)
    noise = (labels["age"] == 0) | (labels["age"] >= 110)
    if noise.any():
        content.notes.append(
            f"{number_of(int(noise.sum()), 'age')} of 0, or 110 and more; many such are wrong"
        )
    content.labels = labels
    return content


def _utk_face(name: str) -> str:
    """`age_gender_race_date` of a file's name, which a photo and its cut-out share."""
    return name.partition(".")[0].removesuffix("jpg").strip()


AGEDB_NAME = re.compile(r"(\d+)_(.+)_(\d+)_([fm])\.jpe?g", re.IGNORECASE)


def read_agedb(tree: Tree, _: Choices) -> Content:
    """AgeDB: person, age and gender from the names of the files."""
    content, rows = Content({}, pd.DataFrame()), []
    for path in tree.files:
        name = path.rpartition("/")[2]
        match = AGEDB_NAME.fullmatch(name)
        if match and name in content.photos:
            content.leave_out(COPY, [path])
        elif match:
            content.photos[name] = tree.one_of(tree.by_name[name])
            rows.append((name, GENDERS[match[4].lower()], match[3], match[2]))
        elif is_photo(name):
            content.leave_out("a photo whose name is not number_name_age_gender", [path])
    labels = pd.DataFrame(rows, columns=["image", "gender", "age", "person"])
    labels["age"] = content.numbers(labels["age"], labels["image"], 0)
    content.labels = labels
    return content


AFAD_PATH = re.compile(r"(?:.*/)?((\d+)/(111|112)/(\d+)-(\d+)\.jpe?g)", re.IGNORECASE)


def read_afad(tree: Tree, _: Choices) -> Content:
    """AFAD: age and gender from the folders, the person from the name of the file."""
    content, rows, named = Content({}, pd.DataFrame()), [], []
    for path in tree.files:
        if re.fullmatch(r"(?:.*/)?AFAD-(?:Full|Lite)\.txt", path):
            named += re.findall(r"^(?:.*/)?(\d+/11[12]/[^/\n]+)$", tree.text(path), re.MULTILINE)
        match = AFAD_PATH.fullmatch(path)
        if match and match[1] not in content.photos:
            content.photos[match[1]] = tree.one_of(tree.ending(match[1]))
            gender = "male" if match[3] == "111" else "female"
            rows.append((match[1], gender, "Asian", match[2], match[4]))
        elif match:
            content.leave_out(COPY, [path])
        elif is_photo(path):
            content.leave_out("a photo that is not at age/gender/id-number.jpg", [path])
    absent = [image for image in dict.fromkeys(named) if image not in content.photos]
    content.leave_out(NO_PHOTO, absent)
    columns = ["image", "gender", "ethnicity", "age", "person"]
    labels = pd.DataFrame(rows, columns=columns)
    labels["age"] = content.numbers(labels["age"], labels["image"], 0)
    content.labels = labels
    return content


BOX = ("face_x0", "face_y0", "face_x1", "face_y1")


def read_lagenda(tree: Tree, _: Choices) -> Content:
    """LAGENDA: of each photo the largest face of its annotation."""
    path = tree.table_named("lagenda_annotation.csv")
    rows = tree.table(path, "img_name", "age", "gender", *BOX)
    content = Content({}, rows)
    boxes = rows[list(BOX)].apply(pd.to_numeric, errors="coerce").astype("float64")
    wide, high = boxes["face_x1"] - boxes["face_x0"], boxes["face_y1"] - boxes["face_y0"]
    area = (wide * high).where(boxes.ge(0).all(axis=1), -1)
    rows = rows.assign(area=area).sort_values("area", ascending=False, kind="stable")
    hidden = rows["area"] <= 0
    content.leave_out("a person without a box of the face", rows.loc[hidden, "img_name"])
    rows = rows[~hidden]
    first = ~rows["img_name"].duplicated()
    content.leave_out(
        "a further face of a photo, for only its largest is read", rows.loc[~first, "img_name"]
    )
    rows = rows[first & (rows["img_name"] != "")]
    content.photos = photos_by_tail(tree, rows["img_name"], content)
    content.labels = pd.DataFrame(
        {
            "image": rows["img_name"],
            "gender": content.codes(rows["gender"], rows["img_name"], GENDERS, empty=["-1"]),
            "age": _ages(content, rows["age"], rows["img_name"]),
        }
    )
    return content


def _ages(content: Content, cells: pd.Series, names: pd.Series) -> pd.Series:
    """Ages, or the middle of a range such as `25;32` or `(25, 32)`; `-1` and `None` are none."""
    text = cells.str.strip().replace({"-1": "", "-1.0": "", "None": ""})
    ends = text.str.extract(r"^\(?(\d+)\s*[;,]\s*(\d+)\)?$").astype(float)
    middle = ends.mean(axis=1, skipna=False)
    ages = content.numbers(text.mask(middle.notna(), "").rename("age"), names, 0)
    return ages.fillna(middle)


ADIENCE = ("user_id", "original_image", "face_id", "age", "gender")
ADIENCE_PHOTOS = ("coarse_tilt_aligned_face", "landmark_aligned_face")


def read_adience(tree: Tree, _: Choices) -> Content:
    """Adience: labels from the lists of its five folds."""
    folds = []
    for fold in range(5):
        path = tree.table_named(f"fold_{fold}_data.txt")
        folds.append(tree.table(path, *ADIENCE).assign(fold=str(fold)))
    rows = pd.concat(folds, ignore_index=True)
    content = Content({}, rows, notes=[MIDDLES])
    absent, names = [], []
    for user, original, face in rows[["user_id", "original_image", "face_id"]].to_numpy():
        tails = [f"{user}/{kind}.{face}.{original}" for kind in ADIENCE_PHOTOS]
        tail = next((tail for tail in tails if tree.ending(tail)), None)
        names.append(tail or "")
        if tail:
            content.photos[tail] = tree.one_of(tree.ending(tail))
        else:
            absent.append(tails[0])
    content.leave_out(NO_PHOTO, absent)
    leave_unnamed(tree, content, content.photos.values())
    there = pd.Series(names, rows.index, dtype="str") != ""
    rows, image = rows[there], [name for name in names if name]
    name = pd.Series(image, rows.index, dtype="str")
    content.labels = pd.DataFrame(
        {
            "image": name,
            "gender": content.codes(rows["gender"], name, GENDERS, empty=["u"]),
            "age": _ages(content, rows["age"], name),
            "person": rows["user_id"],
            "age_class": rows["age"].replace("None", ""),
            "fold": rows["fold"],
        }
    )
    return content


DATASETS = (
    Dataset(
        "fairface",
        "FairFace",
        (r"fairface_label_(?:train|val)\.csv",),
        read_fairface,
        "CC BY 4.0",
        "https://creativecommons.org/licenses/by/4.0/",
        "Kärkkäinen & Joo 2021, FairFace: Face attribute dataset for balanced race, gender, and "
        "age, WACV",
        "97,698",
        "gender, ethnicity (7), age class, official split",
        "fairface_label_train.csv and fairface_label_val.csv beside train/1.jpg … and val/1.jpg …",
        "`file` is `image`; `race` is `ethnicity`; `age` is `age_class`, its middle is `age`",
        "No identities. The official split has no test set: `val` is used for it. Ages that a "
        "spreadsheet has turned into dates (`9-Mar`) are read as classes. Copies that code gender "
        "and race as numbers differ in their meaning: give them to `import csv`.",
    ),
    Dataset(
        "utkface",
        "UTKFace",
        (r"(?:.*/)?\d+_[01]_[0-4]_\d{17} ?\.?(?:jpg)?(?:\.chip)?\.jpg",),
        read_utkface,
        "research only, not commercial; the photos belong to their owners",
        "https://susanqq.github.io/UTKFace/",
        "Zhang, Song & Qi 2017, Age progression/regression by conditional adversarial "
        "autoencoder, CVPR",
        "23,708",
        "gender, ethnicity (5), age",
        "UTKFace/age_gender_race_date.jpg.chip.jpg, also crop_part1/ and part1/ to part3/",
        "from the name: `age`, `gender` (0 male, 1 female), `ethnicity` (0 white, 1 black, "
        "2 asian, 3 indian, 4 other)",
        "Names without a race are taken with an empty `ethnicity`, and named. Copies in "
        "crop_part1/ count once, and whole photos (part1/ to part3/) only where there is no "
        "cut-out. Ages of 0, or 110 and more, are often wrong.",
    ),
    Dataset(
        "agedb",
        "AgeDB",
        (r"(?:.*/)?\d+_[^/]+_\d+_[fm]\.jpg",),
        read_agedb,
        "research only, not commercial",
        "https://ibug.doc.ic.ac.uk/resources/agedb/",
        "Moschoglou et al. 2017, AgeDB: the first manually collected, in-the-wild age database, "
        "CVPR Workshops",
        "16,488",
        "gender, age, person",
        "AgeDB/number_Name_age_gender.jpg",
        "from the name: `person`, `age`, `gender` (f, m)",
    ),
    Dataset(
        "afad",
        "AFAD",
        (r"(?:.*/)?\d+/11[12]/\d+-\d+\.jpg",),
        read_afad,
        "academic research only",
        "https://github.com/afad-dataset/tarball",
        "Niu et al. 2016, Ordinal regression with multiple output CNN for age estimation, CVPR",
        "165,501",
        "gender, ethnicity, age, person",
        "AFAD-Full/age/111 or 112/id-number.jpg",
        "from the path: `age`, `gender` (111 male, 112 female), `person` (id); `ethnicity` is "
        "Asian",
    ),
    Dataset(
        "lagenda",
        "LAGENDA",
        (r"lagenda_annotation\.csv",),
        read_lagenda,
        "research only; photos of Open Images",
        "https://wildchlamydia.github.io/lagenda/",
        "Kuprashevich & Tolstykh 2023, MiVOLO: Multi-input transformer for age and gender "
        "estimation",
        "67,159 photos",
        "gender, age",
        "lagenda_annotation.csv and lagenda_benchmark_images/….jpg",
        "`img_name` is `image`; `age`, `gender` (M, F); -1 is unknown",
        "Each row is a face. Only the largest of a photo is labelled, the others are counted as "
        "left out, as are persons without a box of the face.",
    ),
    Dataset(
        "adience",
        "Adience",
        (r"fold_0_data\.txt",),
        read_adience,
        "research only; photos under Creative Commons licences of their own",
        "https://talhassner.github.io/home/projects/Adience/Adience-data.html",
        "Eidinger, Enbar & Hassner 2014, Age and gender estimation of unfiltered faces, IEEE TIFS",
        "19,370",
        "gender, age class, person, fold",
        "fold_0_data.txt … fold_4_data.txt and faces/user_id/coarse_tilt_aligned_face.….jpg",
        "`age` `(25, 32)` is `age_class`, its middle is `age`; `gender` u is unknown; `user_id` "
        "is `person`",
        "`user_id` is the album's owner: different people may share one `person`.",
    ),
)
