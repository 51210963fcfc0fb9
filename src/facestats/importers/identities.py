"""Datasets of known people or of a model's labels: CelebA, LFW, IMDB-WIKI, FFHQ."""

from __future__ import annotations

import json
import re
from datetime import date

import numpy as np
import pandas as pd

from facestats.importers.content import NO_PHOTO, Choices, Content, Dataset, photos_by_tail
from facestats.importers.tree import Tree, is_photo, naming

CELEBA_SPLITS = {"0": "train", "1": "val", "2": "test"}
# What is of use beside gender; `Attractive` is a class that a machine helped to set, no rating.
CELEBA_ATTRIBUTES = tuple(
    """
    Young Attractive Eyeglasses Smiling Wearing_Hat No_Beard Heavy_Makeup Bald Blurry
    """.split()
)
YES_NO = {"1": "yes", "-1": "no", "0": "no"}


def read_celeba(tree: Tree, _: Choices) -> Content:
    rows = _celeba_attributes(tree)
    content = Content({}, rows)
    image = rows["image"]
    splits = _celeba_column(tree, "list_eval_partition", "partition")
    person = _celeba_column(tree, "identity_CelebA", "identity")
    tails = photos_by_tail(tree, image, content)
    content.photos = tails
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
    for name in CELEBA_ATTRIBUTES:
        if name in rows:
            labels[name.lower()] = content.codes(rows[name], image, YES_NO)
    content.labels = pd.DataFrame(labels)
    return content


def _celeba_attributes(tree: Tree) -> pd.DataFrame:
    """The attributes: text with a count in its first line, or Kaggle's CSV."""
    path = tree.table_named("list_attr_celeba.txt", "list_attr_celeba.csv")
    if path.endswith(".csv"):
        return tree.table(path, "image_id", "Male").rename(columns={"image_id": "image"})
    lines = [line.split() for line in tree.text(path).split("\n") if line.strip()]
    header = next((line for line in lines[:2] if len(line) > 1), [])
    rows = lines[lines.index(header) + 1 :] if header else []
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


def read_lfw(tree: Tree, _: Choices) -> Content:
    content, rows = Content({}, pd.DataFrame()), []
    for path in tree.files:
        parts = path.rsplit("/", 2)
        match = LFW_NAME.fullmatch(parts[-1])
        if match and len(parts) > 1 and parts[-2] == match[1]:
            image = f"{parts[-2]}/{parts[-1]}"
            content.photos[image] = tree.one_of(tree.ending(image))
            rows.append((image, match[1], int(match[2])))
        elif is_photo(path):
            content.leave_out("a photo that is not Name/Name_0001.jpg", [path])
    labels = pd.DataFrame(rows, columns=["image", "person", "number"]).drop_duplicates("image")
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
    if paths := tree.ending("lfw_attributes.txt"):
        labels = _with_lfw_attributes(tree, paths[0], labels)
    content.labels = labels.drop(columns="number")
    return content


def _with_lfw_attributes(tree: Tree, path: str, labels: pd.DataFrame) -> pd.DataFrame:
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
        for name in LFW_ATTRIBUTES:
            if name in margins:
                values = pd.to_numeric(margins[name]).to_numpy()
                words = pd.Series(np.where(values > 0, "yes", "no"), labels.index)
                labels[name.lower()] = words.mask(np.isnan(values))
    return labels


FACE_SCORE = 1.0  # below it, the detector of the authors saw no clear face


def read_imdbwiki(tree: Tree, _: Choices) -> Content:
    content, parts = Content({}, pd.DataFrame()), []
    for name in ("imdb", "wiki"):
        if paths := tree.ending(f"{name}.mat"):
            rows = _matlab(tree, paths[0], name)
            folder = paths[0].rpartition("/")[0]
            rows["path"] = [f"{folder}/{path}" if folder else path for path in rows["file"]]
            rows["image"] = f"{name}_crop/" + rows["file"]
            parts.append(rows)
    rows = pd.concat(parts, ignore_index=True)
    doubtful = (
        ("a photo without a clear face (face_score below 1)", ~(rows["face_score"] >= FACE_SCORE)),
        ("a photo with a second face", rows["second_face_score"].notna()),
        ("a photo whose age is not from 0 to 100", ~rows["age"].between(0, 100)),
        ("a photo of a person of unknown gender", rows["gender"].isna()),
    )
    for reason, bad in doubtful:
        content.leave_out(reason, rows.loc[bad.reindex(rows.index), "image"])
        rows = rows[~bad.reindex(rows.index)]
    there = rows["path"].isin(set(tree.files))
    content.leave_out(NO_PHOTO, rows.loc[~there, "image"])
    rows = rows[there]
    content.photos = dict(zip(rows["image"], rows["path"], strict=True))
    content.labels = rows[["image", "gender", "age", "person"]]
    content.notes.append(
        "age is the year of the photo minus that of birth, taken in the middle of the year; many "
        "are wrong"
    )
    return content


def _matlab(tree: Tree, path: str, name: str) -> pd.DataFrame:
    import io

    from scipy.io import loadmat

    with naming(tree.top / path, "IMDB-WIKI"):
        meta = loadmat(io.BytesIO(tree.read(path)))[name][0, 0]

        def column(key: str) -> np.ndarray:
            return np.asarray(meta[key]).reshape(-1)

        born = [date.fromordinal(max(int(day) - 366, 1)) for day in column("dob")]
        taken = column("photo_taken").astype(int)
        late = np.array([(day.month, day.day) > (7, 1) for day in born])
        gender = pd.Series(column("gender").astype(float))
        who = "celeb_id" if name == "imdb" else "name"
        persons = [str(_inner(value)).removesuffix(".0") for value in column(who)]
        return pd.DataFrame(
            {
                "file": [str(_inner(value)) for value in column("full_path")],
                "gender": gender.map({0.0: "female", 1.0: "male"}),
                "age": taken - np.array([day.year for day in born]) - late,
                "face_score": column("face_score").astype(float),
                "second_face_score": column("second_face_score").astype(float),
                "person": [f"{name}:{person}" if person else None for person in persons],
            }
        )


def _inner(value: object) -> object:
    """What an array of one element, perhaps nested, holds; '' of an empty one."""
    while isinstance(value, np.ndarray):
        if not value.size:
            return ""
        value = value.reshape(-1)[0]
    return value


FFHQ_PHOTO = re.compile(r"\d{5}\.(png|jpe?g|webp)", re.IGNORECASE)
MIDDLE = 0.5


def read_ffhq(tree: Tree, _: Choices) -> Content:
    content = Content({}, pd.DataFrame())
    numbers: dict[str, str] = {}
    for path in tree.files:
        name = path.rpartition("/")[2]
        if FFHQ_PHOTO.fullmatch(name) and not path.startswith("thumbnails128x128/"):
            number = name[:5]
            if number in numbers:
                content.leave_out("a further file of one number", [path])
                continue
            numbers[number] = path
            content.photos[name] = path
    features = {
        path.rpartition("/")[2][:5]: path
        for path in tree.files
        if re.fullmatch(r"\d{5}\.json", path.rpartition("/")[2])
    }
    rows = []
    for number, path in sorted(features.items()):
        if number not in numbers:
            content.leave_out(NO_PHOTO, [path])
            continue
        face = _ffhq_face(tree, path, content)
        if face:
            rows.append({"image": numbers[number].rpartition("/")[2], **face})
    tree.read_files.clear()  # 70,000 files of one face each
    content.leave_out("a photo without features", sorted(set(numbers) - set(features)))
    labels = pd.DataFrame(rows, columns=["image", *_FFHQ_COLUMNS])
    labels["model_age"] = content.numbers(labels["model_age"], labels["image"], 0)
    content.labels = labels.merge(_ffhq_split(tree, content), on="image", how="outer")
    content.notes.append(
        "the features are guesses of a model: their columns begin with model_, and none is "
        "gender or age"
    )
    return content


_FFHQ_COLUMNS = ("model_gender", "model_age", "model_glasses", "model_smile", "model_makeup")


def _ffhq_face(tree: Tree, path: str, content: Content) -> dict | None:
    """Features of the face nearest to the middle of the photo."""
    try:
        faces = json.loads(tree.read(path, most=4 << 20))
        if not faces:
            content.leave_out("features without a face", [path])
            return None
        if len(faces) > 1:
            content.leave_out("a further face in the features", [path])
        if len(faces) > 1:
            boxes = [face["faceRectangle"] for face in faces]
            reach = max(box["left"] + box["width"] for box in boxes)
            size = 1024 if reach > 128 else 128
            faces = [faces[int(np.argmin([_off_middle(box, size) for box in boxes]))]]
        found = faces[0]["faceAttributes"]
        makeup = found.get("makeup") or {}
        return {
            "model_gender": found.get("gender"),
            "model_age": found.get("age"),
            "model_glasses": found.get("glasses"),
            "model_smile": found.get("smile"),
            "model_makeup": _answer(makeup.get("eyeMakeup")),
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        content.leave_out("features that can't be read", [path])
        return None


def _answer(value: object) -> str | None:
    return ("yes" if value else "no") if isinstance(value, bool) else None


def _off_middle(box: dict, size: int) -> float:
    x, y = box["left"] + box["width"] / 2, box["top"] + box["height"] / 2
    return (x / size - MIDDLE) ** 2 + (y / size - MIDDLE) ** 2


def _ffhq_split(tree: Tree, content: Content) -> pd.DataFrame:
    """The official split, and each photo's own licence."""
    by_number = {name[:5]: name for name in content.photos}
    paths = tree.ending("ffhq-dataset-v2.json")
    rows = []
    if paths:
        with naming(tree.top / paths[0], "FFHQ"):
            known = json.loads(tree.read(paths[0]))
            for key, facts in known.items():
                image = by_number.get(f"{int(key):05d}")
                if image:
                    split = {"training": "train", "validation": "test"}[facts["category"]]
                    rows.append((image, split, facts["metadata"].get("license", "")))
    else:
        rows = [(image, None, None) for image in sorted(content.photos)]
    table = pd.DataFrame(rows, columns=["image", "split_official", "licence"], dtype="str")
    return table if paths else table[["image"]]


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
        "`attractive` is a class, not a rating. Kaggle's copy has no identities.",
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
        "the folder is `person`; margins above 0 in lfw_attributes.txt are yes or male",
        "The attributes are a model's, not people's.",
    ),
    Dataset(
        "imdbwiki",
        "IMDB-WIKI",
        (r"(?:imdb_crop/)?imdb\.mat|(?:wiki_crop/)?wiki\.mat",),
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
    Dataset(
        "ffhq",
        "FFHQ with features",
        (r"(?:.*/)?(?:images1024x1024/)?(?:\d{5}/)?\d{5}\.png", r"\d{5}\.json"),
        read_ffhq,
        "photos: CC BY, CC BY-NC or public domain, each its own; metadata and features: "
        "CC BY-NC-SA 4.0",
        "https://github.com/NVlabs/ffhq-dataset",
        "Karras, Laine & Aila 2019, A style-based generator architecture for generative "
        "adversarial networks, CVPR; features: https://github.com/DCGM/ffhq-features-dataset",
        "70,000",
        "a model's gender, age, glasses, smile, makeup; official split",
        "images1024x1024/00000/00000.png … (or flat), ffhq-features-dataset/json/00000.json …, "
        "perhaps ffhq-dataset-v2.json",
        "`gender age glasses smile` and eye `makeup` as `model_…`; `category` is "
        "`split_official` (validation is test); `licence` of each photo",
        "The features are guesses of a model, so they are no `gender` and `age`. 529 files are "
        "empty, 70 have several faces, of which the one nearest to the middle is taken.",
    ),
)
