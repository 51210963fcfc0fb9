"""Datasets whose faces were rated for attractiveness: SCUT-FBP5500, MEBeauty."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict

import pandas as pd

from facestats.errors import InputError
from facestats.importers.content import NO_PHOTO, Choices, Content, Dataset, add_photo
from facestats.importers.tree import Tree, is_photo, plain_path
from facestats.labels.traits import MAIN, trait_name

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
    """SCUT-FBP5500: gender and ethnicity from the names of the files, ratings from its tables."""
    content, rows = Content({}, pd.DataFrame(), scale=(1.0, 5.0), trait=MAIN), []
    for path in tree.files:
        name = path.rpartition("/")[2]
        if match := SCUT_NAME.fullmatch(name):
            kind = match[1].lower()
            image = f"{kind if len(kind) == 3 else kind.upper()}{match[2]}.jpg"
            if add_photo(tree, content, image, path):
                rows.append((image, *SCUT_KINDS[kind]))
        elif is_photo(path):
            content.leave_out("a photo whose name is not AF1.jpg or fty1.jpg", [path])
        if name.lower().endswith(".pts"):
            with tree.open(path) as file:
                count = int.from_bytes(file.read(4), "little")
            if count != SCUT_FACES:
                content.leave_out(f"landmarks without {SCUT_FACES} points", [path])
    labels = pd.DataFrame(rows, columns=["image", "gender", "ethnicity"])
    first = next(iter(content.photos), "AF1.jpg")
    content.version = "v1" if first[:1] in "fm" else "v2"
    means, official, folds = _scut_lists(tree)
    if means:
        scores = pd.Series(means, dtype="str").rename("rating")
        missing = [name for name in means if name not in content.photos]
        content.leave_out(NO_PHOTO, missing)
        cells = labels["image"].map(scores).fillna("").rename("rating")
        labels["rating"] = content.numbers(cells, labels["image"], 1, 5)
        for column, known in (("split_official", official), ("fold", folds)):
            if known:
                labels[column] = labels["image"].map(known)
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
    rated = {*means} if content.ratings is None else {*means, *content.ratings["image"]}
    content.leave_out("a photo without ratings", [*content.photos.keys() - rated])
    content.labels = labels
    return content


SCUT_LIST = re.compile(
    r"(?:.*/)?(?:All_labels\.txt|[^/]*60%training[^/]*/(train|test)\.txt"
    r"|(?:cross_validation_)?([1-5])/(train|test)_\2\.txt)"
)


def _scut_lists(tree: Tree) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Mean scores, the official split, and the fold of five in whose test list a photo stands.

    The split is that of 60 to 40; in v1, which has none, that of the first fold.
    """
    means: dict[str, str] = {}
    official: dict[str, str] = {}
    first: dict[str, str] = {}
    folds: dict[str, str] = {}
    for path in tree.files:
        match = SCUT_LIST.fullmatch(path)
        for line in tree.text(path).split("\n") if match else ():
            name, _, score = line.strip().rpartition(" ")
            if not (match and name):
                continue
            part, fold, part_of_fold = match.groups()
            means[name] = score
            if part:
                official[name] = part
            if fold == "1":
                first[name] = part_of_fold
            if part_of_fold == "test":
                folds[name] = fold
    return means, official or first, folds


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
SPLITS = ("train", "test", "val")
# Files of the official split, the newest first; another set of files has other parts.
MEB_SPLITS = ("{}_2022.txt", "{}.txt", "{}_universal_scores.csv")
MEB_TRAITS = {"attractive": "generic", "date": "date"}  # the question asked, by the file's name


def read_mebeauty(tree: Tree, choices: Choices) -> Content:
    """MEBeauty: gender and ethnicity from the folders, ratings from its tables."""
    content = Content({}, pd.DataFrame(), scale=(1.0, 10.0))
    for path in tree.files:
        match = MEB_PATH.fullmatch(path)
        if match and is_photo(path) and "original_images/" in f"/{path}":
            image = match[1]
            add_photo(tree, content, image, path)
    labels = pd.DataFrame({"image": list(content.photos)}, dtype="str")
    labels["gender"] = [image.split("/")[0] for image in content.photos]
    groups = pd.Series([image.split("/")[1] for image in content.photos], dtype="str")
    labels["ethnicity"] = groups.replace("mideastern", "middle-eastern")
    names = _MebNames(tree, content.photos)
    content.ratings = _meb_ratings(tree, content, names, choices)
    content.trait = trait_name([*choices.traits, MAIN][0])
    official, means, twice = {}, {}, []
    for name in MEB_SPLITS:
        lists = {part: tree.ending("scores/" + name.format(part)) for part in SPLITS}
        for part, found in lists.items():
            for key, score in _meb_scores(tree, tree.one_of(found)) if found else ():
                if image := names.find(key):
                    twice += [image] if official.get(image, part) != part else []
                    official[image], means[image] = part, score
        if official:
            break
    content.leave_out("the split of a photo that two lists name", dict.fromkeys(twice))
    if official:
        official |= dict.fromkeys(twice, "")
        labels["split_official"] = labels["image"].map(official)
    if content.ratings is None:
        if not means:
            raise InputError(
                f"{tree.top}: scores/generic_scores_all_2022.xlsx is missing; get the whole dataset"
            )
        cells = labels["image"].map(means).fillna("").rename("rating")
        labels["rating"] = content.numbers(cells, labels["image"], 1, 10)
        content.notes.append("generic_scores_all_2022.xlsx is not there: means without raters")
    rated = {*means} if content.ratings is None else {*content.ratings["image"]}
    content.leave_out("a photo without ratings", [*content.photos.keys() - rated])
    content.labels = labels
    return content


def _meb_key(path: str) -> str:
    """`female/asian/name.jpg` of whatever path a table writes; '' if it has none."""
    match = MEB_PATH.fullmatch(path.strip())
    return match[1] if match else ""


class _MebNames:
    """Finds the photos that tables name, in whatever case and form of Unicode."""

    def __init__(self, tree: Tree, photos: dict[str, str]):
        self.tree, self.photos = tree, photos
        self.alike: dict[str, list[str]] = defaultdict(list)
        for image in photos:
            self.alike[plain_path(image)].append(image)

    def find(self, key: str) -> str | None:
        """The photo of a name as it is written, or else the only one that is spelt alike.

        Raises
        ------
        InputError
            Several are, and differ.
        """
        if key in self.photos:
            return key
        alike = self.alike.get(plain_path(key), [])
        if alike:
            self.tree.one_of([self.photos[image] for image in alike])
        return alike[0] if alike else None


def _meb_scores(tree: Tree, path: str) -> list[tuple[str, str]]:
    """Paths and scores; in the text files, a path with blanks stands in quotes."""
    if path.endswith(".csv"):
        table = tree.table(path, "image", "score")
        pairs = zip(table["image"].map(_meb_key), table["score"], strict=True)
        return [pair for pair in pairs if pair[0]]
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


def _meb_ratings(
    tree: Tree, content: Content, names: _MebNames, choices: Choices
) -> pd.DataFrame | None:
    """Judgements of the chosen questions; None if the usual one's workbook is not there."""
    chosen = [trait_name(name) for name in choices.traits] or ["attractive"]
    tables = []
    for trait in chosen:
        if trait not in MEB_TRAITS:
            raise InputError(
                f"--trait {trait}: MEBeauty has no such question; it has {', '.join(MEB_TRAITS)}"
            )
        stem = f"{MEB_TRAITS[trait]}_scores_all"
        found = tree.ending(f"{stem}_2022.xlsx") or tree.ending(f"{stem}.xlsx")
        if found:
            table = _meb_judgements(tree, content, tree.one_of(found), names)
            tables.append(table.assign(trait=trait) if choices.traits else table)
        elif choices.traits:
            raise InputError(f"{tree.top}: {stem}_2022.xlsx is missing; get the whole dataset")
    return pd.concat(tables, ignore_index=True) if tables else None


def _meb_judgements(tree: Tree, content: Content, path: str, photos: _MebNames) -> pd.DataFrame:
    """Judgements of a workbook, one column a rater."""
    sheets = [rows for rows in tree.sheets(path).values() if rows and "path" in rows[0]]
    if not sheets:
        raise InputError(
            f"{tree.top / path}: no sheet has the columns 'image' and 'path' in its first row"
        )
    header, cells = sheets[0][0], sheets[0][1:]
    table = tree.frame(path, header, cells, ["image", "path"], repeats=True)
    names, places = table.columns, range(len(table.columns))
    places = [place for place in places if names[place] not in ("mean", "image", "path")]
    nameless = [p for p in places if not names[p] or names[p].startswith("Unnamed")]
    content.leave_out(
        "a column of ratings without a rater's name",
        (f"column {p + 1}" for p in nameless if (table.iloc[:, p] != "").any()),
    )
    written, shown = table["path"], table["image"]
    empty = (written == "") & (table != "").any(axis=1)
    content.leave_out("a row of the ratings without a path", shown[empty])
    image = written.map(_meb_key).map(photos.find)
    content.leave_out(NO_PHOTO, written[image.isna() & (written != "")])
    there = image.notna()
    raters = [p for p in places if p not in nameless]
    parts = [
        pd.DataFrame({"image": image, "rater": names[p], "rating": table.iloc[:, p]})[there]
        for p in raters
    ]
    long = pd.concat(parts, ignore_index=True)
    long = long[long["rating"].str.strip() != ""]
    who = long["image"] + " by " + long["rater"]
    long["rating"] = content.numbers(long["rating"], who, 1, 10)
    long = long.dropna(subset="rating")
    again = long.duplicated(["image", "rater"])
    content.leave_out("a rater's second rating of a photo", who[again[again].index])
    return long[~again]


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
        "all sheets are ratings.csv; the 60:40 split is `split_official` (v1 has none: the first "
        "fold's); `fold` is that in whose test list a photo stands",
        "Reading the workbook takes half a minute. Without it the means of All_labels.txt are "
        "taken. `CM152.pts` holds no landmarks. 750 faces are in 10k US Adult Faces, too.",
    ),
    Dataset(
        "mebeauty",
        "MEBeauty",
        (
            r"original_images/(?:female|male)/[a-z]+/[^/]+",
            r"scores/[^/]+\.(?:xlsx|txt|csv)",
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
        "the lists are `split_official`; `--trait attractive date` also takes "
        "date_scores_all_2022.xlsx, on whether one would go on a date",
        "Rows without a path or a photo are counted and named. Names are compared in composed "
        "Unicode. A photo in two lists has no official split.",
        has_traits=True,
    ),
)
