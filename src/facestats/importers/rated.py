"""Datasets rated for attractiveness on the web: SCUT-FBP5500, MEBeauty, 10k US Adult Faces."""

from __future__ import annotations

import re
import shlex
import unicodedata

import pandas as pd

from facestats.errors import InputError, number_of
from facestats.importers.content import NO_PHOTO, Choices, Content, Dataset
from facestats.importers.tree import Tree, is_photo

SCUT_NAME = re.compile(r"(AF|AM|CF|CM|fty|ftw|mty|mtw)(\d+)\.jpg", re.IGNORECASE)
SCUT_KINDS = {
    "af": ("female", "asian"),
    "am": ("male", "asian"),
    "cf": ("female", "caucasian"),
    "cm": ("male", "caucasian"),
    "fty": ("female", "asian"),
    "ftw": ("female", "caucasian"),
    "mty": ("male", "asian"),
    "mtw": ("male", "caucasian"),
}
SCUT_FACES = 86  # points of a face in a .pts


def read_scut(tree: Tree, _: Choices) -> Content:
    content, rows = Content({}, pd.DataFrame(), scale=(1.0, 5.0)), []
    for path in tree.files:
        name = path.rpartition("/")[2]
        match = SCUT_NAME.fullmatch(name)
        if match and name not in content.photos:
            content.photos[name] = tree.one_of(tree.ending(name))
            rows.append((name, *SCUT_KINDS[match[1].lower()]))
        elif not match and is_photo(path):
            content.leave_out("a photo whose name is not AF1.jpg or fty1.jpg", [path])
        if name.lower().endswith(".pts"):
            with tree.open(path) as file:
                count = int.from_bytes(file.read(4), "little")
            if count != SCUT_FACES:
                content.leave_out(f"landmarks without {SCUT_FACES} points", [path])
    labels = pd.DataFrame(rows, columns=["image", "gender", "ethnicity"])
    first = next(iter(content.photos), "AF1.jpg")
    content.version = "v1" if first[:1] in "fm" else "v2"
    means, official = _scut_lists(tree)
    if means:
        scores = pd.Series(means, dtype="str").rename("rating")
        missing = [name for name in means if name not in content.photos]
        content.leave_out(NO_PHOTO, missing)
        cells = labels["image"].map(scores).fillna("").rename("rating")
        labels["rating"] = content.numbers(cells, labels["image"], 1, 5)
        if official:
            labels["split_official"] = labels["image"].map(official)
    if paths := tree.ending("All_Ratings.xlsx"):
        content.ratings = ratings = _scut_ratings(tree, tree.one_of(paths), content)
        if not means:
            absent = sorted({*ratings["image"]} - content.photos.keys())
            content.leave_out(NO_PHOTO, absent)
    elif not means:
        raise InputError(
            f"{tree.top}: All_Ratings.xlsx and train_test_files/All_labels.txt are missing; get "
            "the whole dataset"
        )
    else:
        content.notes.append("All_Ratings.xlsx is not there: mean ratings, without raters")
    content.labels = labels
    return content


def _scut_lists(tree: Tree) -> tuple[dict[str, str], dict[str, str]]:
    """Mean scores, and the official split of 60 to 40: in v1 the first of five folds."""
    means: dict[str, str] = {}
    official: dict[str, str] = {}
    lists = [(path, "") for path in tree.ending("All_labels.txt")]
    for part in ("train", "test"):
        for path in tree.files:
            folder, _, name = path.rpartition("/")
            if (name == f"{part}.txt" and "60%training" in folder) or (
                name == f"{part}_1.txt" and folder.rpartition("/")[2] == "1"
            ):
                lists.append((path, part))
    for path, part in lists:
        for line in tree.text(path).split("\n"):
            name, _, score = line.strip().rpartition(" ")
            if name:
                means[name] = score
                if part:
                    official[name] = part
    return means, official


def _scut_ratings(tree: Tree, path: str, content: Content) -> pd.DataFrame:
    """All sheets that have raters, without what a sheet repeats of another."""
    tables = []
    for rows in tree.sheets(path).values():
        header = rows[0] if rows else []
        if "Filename" in header:
            tables.append(tree.frame(path, header, rows[1:], ["Rater", "Filename", "Rating"]))
    if not tables:
        raise InputError(f"{tree.top / path}: no sheet has a column 'Filename'")
    table = pd.concat(tables, ignore_index=True)[["Rater", "Filename", "Rating"]]
    table = table[table["Filename"] != ""].drop_duplicates(["Rater", "Filename"])
    rating = content.numbers(table["Rating"], table["Filename"], 1, 5)
    frame = pd.DataFrame({"image": table["Filename"], "rater": table["Rater"], "rating": rating})
    return frame.dropna(subset="rating")


MEB_PATH = re.compile(r"(?:.*/)?((?:female|male)/[a-z]+/[^/]+)", re.IGNORECASE)
MEB_SPLITS = ("train", "test", "val")


def read_mebeauty(tree: Tree, _: Choices) -> Content:
    content = Content({}, pd.DataFrame(), scale=(1.0, 10.0))
    paths: dict[str, str] = {}
    for path in tree.files:
        match = MEB_PATH.fullmatch(path)
        if match and is_photo(path) and "original_images/" in f"/{path}":
            image = match[1]
            content.photos[image] = path
            paths[_plain_key(image)] = image
    labels = pd.DataFrame({"image": list(content.photos)}, dtype="str")
    labels["gender"] = [image.split("/")[0] for image in content.photos]
    groups = pd.Series([image.split("/")[1] for image in content.photos], dtype="str")
    labels["ethnicity"] = groups.replace("mideastern", "middle-eastern")
    content.ratings = _meb_ratings(tree, content, paths)
    official, means = {}, {}
    for part in MEB_SPLITS:
        for name in (f"{part}_2022.txt", f"{part}.txt"):
            found = tree.ending(f"scores/{name}")
            if found:
                for key, score in _meb_scores(tree, found[0]):
                    if image := paths.get(key):
                        official[image], means[image] = part, score
                break
    if official:
        labels["split_official"] = labels["image"].map(official)
    if content.ratings is None:
        if not means:
            raise InputError(
                f"{tree.top}: scores/generic_scores_all_2022.xlsx is missing; get the whole dataset"
            )
        cells = labels["image"].map(means).fillna("").rename("rating")
        labels["rating"] = content.numbers(cells, labels["image"], 1, 10)
        content.notes.append("generic_scores_all_2022.xlsx is not there: means without raters")
    content.labels = labels
    return content


def _plain_key(path: str) -> str:
    """A path for comparison: Unicode composed, in small letters."""
    return unicodedata.normalize("NFC", path).lower()


def _meb_key(path: str) -> str:
    """`female/asian/name.jpg` of whatever path a table writes; '' if it has none."""
    match = MEB_PATH.fullmatch(path.strip())
    return _plain_key(match[1]) if match else ""


def _meb_scores(tree: Tree, path: str) -> list[tuple[str, str]]:
    """Paths and scores; a path with blanks stands in quotes."""
    rows = []
    for line in tree.text(path).split("\n"):
        name, _, score = line.strip().rpartition(" ")
        if name.startswith(('"', "'")):
            try:
                name = shlex.split(name)[0]
            except ValueError:
                name = name.strip("\"'")
        rows.append((_meb_key(name), score))
    return [row for row in rows if row[0]]


def _meb_ratings(tree: Tree, content: Content, paths: dict[str, str]) -> pd.DataFrame | None:
    """Judgements of the workbook, one column a rater."""
    found = [
        path
        for name in ("generic_scores_all_2022.xlsx", "generic_scores_all.xlsx")
        for path in tree.ending(name)
    ]
    if not found:
        return None
    sheets = [rows for rows in tree.sheets(found[0]).values() if rows and "path" in rows[0]]
    if not sheets:
        raise InputError(
            f"{tree.top / found[0]}: no sheet has the columns 'image' and 'path' in its first row"
        )
    table = tree.frame(found[0], sheets[0][0], sheets[0][1:], ["image", "path"])
    raters = [name for name in table.columns if name not in ("mean", "image", "path", "")]
    raters = [name for name in dict.fromkeys(raters) if not name.startswith("Unnamed")]
    empty = table["path"] == ""
    content.leave_out("a row of the ratings without a path", table.loc[empty, "image"])
    table = table[~empty]
    keys = table["path"].map(_meb_key)
    image = keys.map(paths)
    content.leave_out(NO_PHOTO, table.loc[image.isna(), "path"])
    table = table.loc[image.notna(), ~table.columns.duplicated()].assign(image=image)
    long = table.melt("image", raters, "rater", "rating")
    long = long[long["rating"].str.strip() != ""]
    long["rating"] = content.numbers(long["rating"], long["image"] + " by " + long["rater"], 1, 10)
    long = long.dropna(subset="rating").drop_duplicates(["image", "rater"])
    return long[["image", "rater", "rating"]]


US_FILES = "target-filenames.txt"
US_AGES = {"1": 18.0, "2": 25.0, "3": 37.5, "4": 52.5, "5": 65.0}
US_CLASSES = {"1": "below 20", "2": "20-30", "3": "30-45", "4": "45-60", "5": "above 60"}
US_RACES = {
    "0": "other",
    "1": "white",
    "2": "black",
    "3": "east asian",
    "4": "south asian",
    "5": "hispanic",
    "6": "middle-eastern",
}
US_DROPPED = ("catch", "catchAns", "subage", "subrace", "submale", "Filename", "Image #")


def read_10kus(tree: Tree, _: Choices) -> Content:
    content = Content({}, pd.DataFrame(), scale=(1.0, 5.0))
    content.notes.append(MIDDLE_NOTE)
    for path in tree.files:
        name = path.rpartition("/")[2]
        if is_photo(path) and re.search(r"_oval\.jpg$", name, re.IGNORECASE):
            if name in content.photos:
                content.leave_out("a copy of another file of the dataset", [path])
            else:
                content.photos[name] = tree.one_of(
                    [path for path in tree.ending(name) if "49 Face" not in path] or [path]
                )
    table = _us_values(tree, "demographic-others-labels")
    names = table["Filename"]
    table = table[names != ""]
    there = table["Filename"].isin(content.photos)
    content.leave_out(NO_PHOTO, table.loc[~there, "Filename"])
    table = table[there]
    names = table["Filename"]

    def code(header: str) -> pd.Series:
        cells = table[header] if header in table else pd.Series("", table.index, dtype="str")
        return cells.str.replace(r"[.,]0+$", "", regex=True).rename(header)

    age = code("Age")
    labels = pd.DataFrame(
        {
            "image": names,
            "gender": content.codes(code("Gender"), names, {"0": "female", "1": "male"}),
            "ethnicity": content.codes(code("Race"), names, US_RACES),
            "age": content.codes(age, names, US_CLASSES).map(
                {word: US_AGES[key] for key, word in US_CLASSES.items()}
            ),
            "age_class": age.map(US_CLASSES),
        }
    )
    if "Attractive" in table:
        labels["rating"] = content.numbers(table["Attractive"], names, 1, 5)
    if psychology := [path for path in tree.files if "psychology-attributes" in path]:
        traits = _us_values(tree, "psychology-attributes", psychology)
        traits = traits.drop_duplicates("Filename").set_index("Filename").reindex(names)
        for name in traits.columns:
            if name not in US_DROPPED and name:
                cells = traits[name].fillna("").set_axis(names.index)
                # Their scale is 1 to 9, not that of `rating`.
                labels[f"trait_{name.lower().replace(' ', '_')}"] = content.numbers(
                    cells, names, 1, 9
                )
    unlabelled = len(content.photos) - names.nunique()
    if unlabelled:
        content.notes.append(f"{number_of(unlabelled, 'photo')} without labels")
    content.labels = labels
    return content


MIDDLE_NOTE = "ages are classes (`age_class`); `age` is the middle of the class"


def _us_values(tree: Tree, stem: str, paths: list[str] | None = None) -> pd.DataFrame:
    """The sheet `Final Values` of a workbook, or that sheet as CSV."""
    paths = paths or [path for path in tree.files if stem in path.rpartition("/")[2]]
    books = [path for path in paths if path.endswith(".xlsx")]
    if books:
        sheets = tree.sheets(books[0])
        rows = sheets.get("Final Values")
        if not rows:
            raise InputError(f"{tree.top / books[0]} has no sheet 'Final Values'")
        return tree.frame(books[0], rows[0], rows[1:], ["Filename"])
    tables = [path for path in paths if path.endswith(".csv")]
    if not tables:
        raise InputError(f"{tree.top}: {stem}.xlsx is missing; get the whole dataset")
    return tree.table(tables[0], "Filename")


DATASETS = (
    Dataset(
        "scut",
        "SCUT-FBP5500",
        (
            r"(?:.*/)?(?:AF|AM|CF|CM|fty|ftw|mty|mtw)\d+\.jpg",
            r"All_Ratings\.xlsx|All_labels\.txt|train_1\.txt",
        ),
        read_scut,
        "research only, not commercial",
        "https://github.com/HCIILAB/SCUT-FBP5500-Database-Release",
        "Liang et al. 2018, SCUT-FBP5500: A diverse benchmark dataset for multi-paradigm facial "
        "beauty prediction, ICPR",
        "5,500",
        "gender, ethnicity (2), ratings 1–5 of 60 raters, official split",
        "Images/AF1.jpg … (v1: fty1.jpg …), All_Ratings.xlsx, train_test_files/",
        "from the name: `gender` (F, M), `ethnicity` (A, C; v1: y, w); `Rater Filename Rating` of "
        "all sheets are ratings.csv; the 60:40 split is `split_official`",
        "Reading the workbook takes half a minute. Without it the means of All_labels.txt are "
        "taken. `CM152.pts` holds no landmarks. 750 faces are in 10k US Adult Faces, too.",
    ),
    Dataset(
        "mebeauty",
        "MEBeauty",
        (
            r"original_images/(?:female|male)/[a-z]+/[^/]+",
            r"scores/[^/]+\.(?:xlsx|txt)",
        ),
        read_mebeauty,
        "research only, not commercial; the terms of about half of the photos bar machine learning",
        "https://github.com/fbplab/MEBeauty-database",
        "Lebedeva, Guo & Ying 2022, MEBeauty: a multi-ethnic facial beauty dataset in-the-wild, "
        "Neural Computing and Applications",
        "2,547",
        "gender, ethnicity (6), ratings 1–10 of 360 raters, official split",
        "original_images/gender/ethnicity/….jpg, scores/generic_scores_all_2022.xlsx, "
        "scores/train_2022.txt …",
        "folders are `gender` and `ethnicity`; each further column of the workbook is a rater; "
        "the lists are `split_official`",
        "Rows without a path or a photo are counted and named. Names are compared in composed "
        "Unicode.",
    ),
    Dataset(
        "10kus",
        "10k US Adult Faces",
        (r"(?:.*/)?[^/]+_oval\.jpg", r"demographic-others-labels[^/]*\.(?:xlsx|csv)"),
        read_10kus,
        "research only; must not be passed on",
        "https://www.wilmabainbridge.com/facememorability2.html",
        "Bainbridge, Isola & Oliva 2013, The intrinsic memorability of face photographs, JEP "
        "General",
        "10,168",
        "of 2,222: gender, ethnicity (7), age class, mean rating 1–5, 20 traits",
        "Face Images/…_oval.jpg, demographic-others-labels.xlsx, perhaps "
        "psychology-attributes.xlsx",
        "sheet `Final Values`: `Gender` (0 female, 1 male), `Race`, `Age` are codes; `Attractive` "
        "is `rating`; psychology attributes are `trait_…` (1–9)",
        "Only 2,222 photos have labels. Single answers have no raters' names and are not read.",
    ),
)
