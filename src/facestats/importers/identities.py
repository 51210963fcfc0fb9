"""Datasets of known people: CelebA, LFW, IMDB-WIKI."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pandas as pd

from facestats.errors import InputError
from facestats.importers.content import (
    NO_PHOTO,
    Choices,
    Content,
    Dataset,
    add_photo,
    photos_by_tail,
)
from facestats.importers.matlab import read_struct
from facestats.importers.tree import Tree, is_photo, naming

CELEBA_SPLITS = {"0": "train", "1": "val", "2": "test"}
# What is of use beside gender; `Attractive` is a class that a machine helped to set, no rating.
CELEBA_ATTRIBUTES = tuple(
    """
    Young Attractive Eyeglasses Smiling Wearing_Hat No_Beard Heavy_Makeup Bald Blurry
    """.split()
)
YES_NO = {"1": "yes", "-1": "no", "0": "no"}


def read_celeba(tree: Tree, choices: Choices) -> Content:
    """CelebA: attributes, persons and split from its lists."""
    content = Content({}, pd.DataFrame())
    rows = _celeba_attributes(tree, content)
    image = rows["image"]
    splits = _celeba_column(tree, "list_eval_partition", "partition")
    person = _celeba_column(tree, "identity_CelebA", "identity")
    # The whole photos of img_celeba/ have the same names.
    aligned = {"img_align_celeba", "img_celeba"} <= {
        part for folder in tree.folders for part in folder.split("/")
    }
    tails = {name: f"img_align_celeba/{name}" if aligned else name for name in image}
    found = photos_by_tail(tree, tails.values(), content)
    content.photos = {name: found[tail] for name, tail in tails.items() if tail in found}
    labels = {
        "image": image,
        "gender": content.codes(rows["Male"], image, {"1": "male", "-1": "female", "0": "female"}),
    }
    if person is None:
        content.notes.append(
            "identity_CelebA.txt is not there: photos of one person may straddle splits"
        )
    else:
        labels["person"] = image.map(person)
    if splits is None:
        content.notes.append("list_eval_partition is not there: no official split")
    else:
        labels["split_official"] = content.codes(
            image.map(splits).fillna("").rename("partition"), image, CELEBA_SPLITS
        )
    for name in _attributes(choices, [*rows.columns[1:]], CELEBA_ATTRIBUTES, "CelebA"):
        if name in rows:
            labels[name.lower()] = content.codes(rows[name], image, YES_NO)
    content.labels = pd.DataFrame(labels)
    return content


def _attributes(
    choices: Choices, there: list[str], usual: tuple[str, ...], title: str
) -> tuple[str, ...]:
    """The attributes to take: those chosen, by their names in whatever case, or the usual ones.

    Raises
    ------
    InputError
        The dataset has no such attribute.
    """
    if not choices.traits:
        return usual
    words = {name.lower().replace(" ", "_"): name for name in there}
    chosen = []
    for name in choices.traits:
        word = name.lower().replace(" ", "_")
        if word not in words:
            raise InputError(
                f"--trait {name}: {title} has no such attribute; it has {', '.join(there)}"
            )
        chosen.append(words[word])
    return tuple(dict.fromkeys(chosen))


def _celeba_attributes(tree: Tree, content: Content) -> pd.DataFrame:
    """The attributes: text with a count in its first line, or Kaggle's CSV."""
    path = tree.table_named("list_attr_celeba.txt", "list_attr_celeba.csv")
    if path.endswith(".csv"):
        return tree.table(path, "image_id", "Male").rename(columns={"image_id": "image"})
    lines = [line.split() for line in tree.text(path).split("\n") if line.strip()]
    header = next((line for line in lines[:2] if len(line) > 1), [])
    rows = lines[lines.index(header) + 1 :] if header else []
    count = lines[0][0] if lines and len(lines[0]) == 1 else ""
    # As text: Python makes no number of thousands of digits.
    if count.isdecimal() and count.lstrip("0") != (str(len(rows)) if rows else ""):
        content.notes.append(
            f"{path}: its first line promises {count[:20]} rows, and it has {len(rows)}"
        )
    return tree.frame(path, ["image", *header], rows, ["Male"])


def _celeba_column(tree: Tree, name: str, column: str) -> pd.Series | None:
    paths = [path for suffix in (".txt", ".csv") for path in tree.ending(name + suffix)]
    if not paths:
        return None
    path = paths[0]
    if path.endswith(".csv"):
        table = tree.table(path, "image_id", column)
        return table.drop_duplicates("image_id").set_index("image_id")[column]
    rows = [line.split()[:2] for line in tree.text(path).split("\n") if len(line.split()) > 1]
    return pd.Series(dict(rows), dtype="str")


LFW_NAME = re.compile(r"(.+)_(\d{4})\.jpg", re.IGNORECASE)
LFW_ATTRIBUTES = ("Smiling", "Eyeglasses", "Mustache", "Bald", "Youth", "Senior")


def read_lfw(tree: Tree, choices: Choices) -> Content:
    """Labeled Faces in the Wild: persons from the folders, the split from its lists."""
    content, rows = Content({}, pd.DataFrame()), []
    for path in tree.files:
        parts = path.rsplit("/", 2)
        match = LFW_NAME.fullmatch(parts[-1])
        if match and len(parts) > 1 and parts[-2] == match[1]:
            image = f"{parts[-2]}/{parts[-1]}"
            if add_photo(tree, content, image, path):
                rows.append((image, match[1], int(match[2])))
        elif is_photo(path):
            content.leave_out("a photo that is not Name/Name_0001.jpg", [path])
    labels = pd.DataFrame(rows, columns=["image", "person", "number"])
    parts = {"train": "peopleDevTrain.txt", "test": "peopleDevTest.txt"}
    people = {part: tree.ending(name) for part, name in parts.items()}
    official = {
        line.split("\t")[0]: part
        for part, paths in people.items()
        for line in (tree.text(paths[0]).split("\n") if paths else [])
        if "\t" in line
    }
    if official:
        labels["split_official"] = labels["person"].map(official)
    if folds := _lfw_folds(tree):
        labels["fold"] = labels["person"].map(folds)
    if paths := tree.ending("lfw_attributes.txt"):
        labels = _with_lfw_attributes(tree, paths[0], labels, choices)
        content.leave_out(
            "the gender and attributes of a photo that lfw_attributes.txt does not name",
            labels.loc[labels["gender"].isna(), "image"],
        )
    elif choices.traits:
        raise InputError(f"{tree.top}: --trait needs lfw_attributes.txt, which is missing; get it")
    content.labels = labels.drop(columns="number")
    return content


def _lfw_folds(tree: Tree) -> dict[str, str]:
    """The fold of each person: people.txt has the number of folds, then each with its size."""
    paths = tree.ending("people.txt")
    folds, fold = {}, 0
    for line in tree.text(paths[0]).split("\n")[1:] if paths else ():
        person, tab, _ = line.partition("\t")
        if tab:
            folds[person] = str(fold)
        elif line.strip():
            fold += 1
    return folds


def _with_lfw_attributes(
    tree: Tree, path: str, labels: pd.DataFrame, choices: Choices
) -> pd.DataFrame:
    """Margins of classifiers, of which above 0 is yes."""
    lines = [line for line in tree.text(path).split("\n") if line.strip()]
    header = next((line for line in lines if "person\t" in line), "")
    names = header.lstrip("#").strip().split("\t")
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    table = tree.frame(path, names, rows, ["person", "imagenum", "Male"])
    with naming(tree.top / path):
        key = table["person"].str.replace(" ", "_") + "_" + table["imagenum"]
        known = table.set_index(key)
        known = known[~known.index.duplicated()]
        margins = known.reindex(labels["person"] + "_" + labels["number"].astype(str))
        male = pd.to_numeric(margins["Male"]).to_numpy()
        nothing = np.isnan(male)
        labels["gender"] = pd.Series(np.where(male > 0, "male", "female"), labels.index).mask(
            nothing
        )
        for name in _attributes(choices, names[2:], LFW_ATTRIBUTES, "LFW"):
            if name in margins:
                values = pd.to_numeric(margins[name]).to_numpy()
                words = pd.Series(np.where(values > 0, "yes", "no"), labels.index)
                labels[name.lower().replace(" ", "_")] = words.mask(np.isnan(values))
    return labels


FACE_SCORE = 1.0  # below it, the detector of the authors saw no clear face
FIELDS = tuple("dob photo_taken full_path gender name face_score second_face_score".split())


def read_imdbwiki(tree: Tree, _: Choices) -> Content:
    """IMDB-WIKI: age at the photo, gender and person from its MATLAB files."""
    content, parts = Content({}, pd.DataFrame()), []
    files = {*tree.files}
    for name in ("imdb", "wiki"):
        if paths := tree.ending(f"{name}.mat"):
            path = tree.one_of(paths)
            rows = _matlab(tree, path, name)
            folder = path.rpartition("/")[0]
            beside = [f"{folder}/{file}" if folder else file for file in rows["file"]]
            if not files.intersection(beside):  # the table lies elsewhere
                tails = [tree.ending(f"{name}_crop/{file}") for file in rows["file"]]
                beside = [found[0] if found else "" for found in tails]
            rows["path"] = beside
            rows["image"] = f"{name}_crop/" + rows["file"]
            parts.append(rows)
    rows = _one_person_for_both(pd.concat(parts, ignore_index=True))
    doubtful = (
        ("a photo without a clear face (face_score below 1)", ~(rows["face_score"] >= FACE_SCORE)),
        ("a photo with a second face", rows["second_face_score"].notna()),
        ("a photo whose age is not from 0 to 100", ~rows["age"].between(0, 100)),
        ("a photo of a person of unknown gender", rows["gender"].isna()),
    )
    for reason, bad in doubtful:
        content.leave_out(reason, rows.loc[bad.reindex(rows.index), "image"])
        rows = rows[~bad.reindex(rows.index)]
    there = rows["path"].isin(files)
    content.leave_out(NO_PHOTO, rows.loc[~there, "image"])
    rows = rows[there]
    content.photos = dict(zip(rows["image"], rows["path"], strict=True))
    content.labels = rows[["image", "gender", "age", "person"]]
    content.notes.append(
        "age is the year of the photo minus that of birth, taken in the middle of the year; many "
        "are wrong"
    )
    return content


def _one_person_for_both(rows: pd.DataFrame) -> pd.DataFrame:
    """A person of Wikipedia who is in IMDB, too, by the same name: else splits would share them."""
    imdb = rows[rows["person"].str.startswith("imdb:", na=False) & (rows["name"] != "")]
    known = imdb.drop_duplicates("name").set_index("name")["person"]
    same = rows["person"].str.startswith("wiki:", na=False) & rows["name"].isin(known.index)
    return rows.assign(person=rows["person"].mask(same, rows["name"].map(known)))


def _matlab(tree: Tree, path: str, name: str) -> pd.DataFrame:
    who = "celeb_id" if name == "imdb" else "name"
    column = read_struct(tree, path, name, tuple(dict.fromkeys((*FIELDS, who))))
    with naming(tree.top / path, "IMDB-WIKI"):
        days = column["dob"].astype(float)
        days = np.where(np.isfinite(days), days, 0)  # the first year of all: an impossible age
        last = date.max.toordinal()
        born = [date.fromordinal(int(np.clip(day - 366, 1, last))) for day in days]
        taken = column["photo_taken"].astype(int)
        late = np.array([(day.month, day.day) > (7, 1) for day in born])
        gender = pd.Series(column["gender"].astype(float))
        persons = [str(value).removesuffix(".0") for value in column[who]]
        return pd.DataFrame(
            {
                "file": column["full_path"].astype(str),
                "gender": gender.map({0.0: "female", 1.0: "male"}),
                "age": taken - np.array([day.year for day in born]) - late,
                "face_score": column["face_score"].astype(float),
                "second_face_score": column["second_face_score"].astype(float),
                "person": [f"{name}:{person}" if person else None for person in persons],
                "name": [str(value).strip().casefold() for value in column["name"]],
            }
        )


DATASETS = (
    Dataset(
        "celeba",
        "CelebA",
        (r"list_attr_celeba\.(?:txt|csv)",),
        read_celeba,
        "research only, not commercial",
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        "Liu et al. 2015, Deep learning face attributes in the wild, ICCV",
        "202,599",
        "gender, nine attributes, person, official split",
        "img_align_celeba/000001.jpg …, list_attr_celeba.txt, list_eval_partition.txt, "
        "identity_CelebA.txt; or Kaggle's .csv",
        "`Male` is `gender`; identity is `person`; the partition is `split_official`; `Young "
        "Attractive Eyeglasses Smiling Wearing_Hat No_Beard Heavy_Makeup Bald Blurry` are yes or "
        "no, in lower case",
        "`attractive` is a class, not a rating. Kaggle's copy has no identities. `--trait` takes "
        "others of the 40 attributes instead.",
        has_traits=True,
    ),
    Dataset(
        "lfw",
        "Labeled Faces in the Wild",
        (r"(?:.*/)?([^/]+)/\1_\d{4}\.jpg",),
        read_lfw,
        "research only; no licence is stated",
        "http://vis-www.cs.umass.edu/lfw/",
        "Huang et al. 2007, Labeled Faces in the Wild, University of Massachusetts 07-49",
        "13,233",
        "person; gender and attributes where lfw_attributes.txt is there; official split",
        "lfw/Name/Name_0001.jpg, perhaps peopleDevTrain.txt, peopleDevTest.txt, lfw_attributes.txt",
        "the folder is `person`; margins above 0 in lfw_attributes.txt are yes or male; people.txt "
        "gives `fold`",
        "The attributes are a model's, not people's. `--trait` takes others of the 73 instead of "
        "the usual six.",
        has_traits=True,
    ),
    Dataset(
        "imdbwiki",
        "IMDB-WIKI",
        (r"(?:.*/)?(?:imdb|wiki)\.mat",),
        read_imdbwiki,
        "academic research only",
        "https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/",
        "Rothe, Timofte & Van Gool 2018, Deep expectation of real and apparent age from a single "
        "image without facial landmarks, IJCV",
        "523,051",
        "gender, age, person",
        "imdb_crop/imdb.mat with imdb_crop/00/….jpg, wiki_crop/wiki.mat with wiki_crop/00/….jpg",
        "`gender` (0 female, 1 male); `age` from `dob` and `photo_taken`; `celeb_id` or `name` is "
        "`person`",
        "Photos without a clear face, with a second face, of an impossible age or of unknown "
        "gender are left out and counted.",
    ),
)
