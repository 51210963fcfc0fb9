"""Standardised sets of rating studies: the London set, 3DSK."""

from __future__ import annotations

import re

import pandas as pd

from facestats.errors import InputError, number_of
from facestats.importers.content import COPY, GENDERS, NO_PHOTO, Choices, Content, Dataset
from facestats.importers.tree import Tree, is_photo
from facestats.labels.traits import MAIN, trait_name

LONDON_NAME = re.compile(r"X?(\d{3})_(\d{2})\.jpg", re.IGNORECASE)
LONDON_RATED = "03"  # number of the neutral front view


def read_london(tree: Tree, _: Choices) -> Content:
    """The Face Research Lab London Set: labels and single ratings from its CSV files."""
    info = tree.table(tree.table_named("london_faces_info.csv"), "face_id")
    content = Content({}, info, scale=(1.0, 7.0), trait=MAIN)
    gender = next((name for name in ("face_gender", "face_sex") if name in info), None)
    if gender is None:
        raise InputError(f"{tree.top}/london_faces_info.csv has no column 'face_gender'")
    content.version = "v5" if gender == "face_gender" else ""
    info = info.assign(key=info["face_id"].map(_digits)).drop_duplicates("key").set_index("key")
    rows = []
    for path in tree.files:
        name = path.rpartition("/")[2]
        match = LONDON_NAME.fullmatch(name)
        if match and name in content.photos:
            tree.one_of([content.photos[name], path])
            content.leave_out(COPY, [path])
        elif match:
            content.photos[name] = path
            view = path.split("/")[-2] if "/" in path else ""
            rows.append((name, _digits(match[1]), match[2], view))
        elif is_photo(path):
            content.leave_out("a photo whose name is not 001_03.jpg", [path])
    labels = pd.DataFrame(rows, columns=["image", "key", "number", "view"], dtype="str")
    content.leave_out(
        NO_PHOTO, [info.loc[key, "face_id"] for key in info.index if key not in set(labels["key"])]
    )
    unknown = ~labels["key"].isin(info.index)
    content.leave_out(
        "the gender, age and ethnicity of a face that london_faces_info.csv does not name",
        labels.loc[unknown, "image"],
    )
    _check_templates(tree, content)
    known = info.reindex(labels["key"]).set_axis(labels.index)
    labels["gender"] = content.codes(known[gender].fillna(""), labels["image"], GENDERS)
    if "face_eth" in known:
        labels["ethnicity"] = known["face_eth"].replace("", None)
    if "face_age" in known:
        ages = known["face_age"].fillna("").replace("NA", "")
        labels["age"] = content.numbers(ages, labels["image"], 0)
    labels["person"] = labels["key"]
    if paths := tree.ending("london_faces_ratings.csv"):
        content.ratings = _london_ratings(tree, tree.one_of(paths), labels, content)
    else:
        content.notes.append("london_faces_ratings.csv is not there: no ratings")
    content.labels = labels.drop(columns=["key", "number"])
    return content


def _digits(name: str) -> str:
    """The number in `X001`, `001` or `1`, with three digits."""
    return re.sub(r"\D", "", name).zfill(3)


def _london_ratings(tree: Tree, path: str, labels: pd.DataFrame, content: Content) -> pd.DataFrame:
    table = tree.table(path, "rater_sex", "rater_age")
    faces = [name for name in table.columns if re.fullmatch(r"X?\d+", name)]
    if not faces:
        raise InputError(f"{tree.top / path} has no column of a face, such as X001")
    names = [f"r{number:04d}" for number in range(1, len(table) + 1)]
    table = table.assign(rater=pd.Series(names, table.index, dtype="str"))
    front = labels[labels["number"] == LONDON_RATED].drop_duplicates("key").set_index("key")
    content.leave_out(
        "ratings of a face without its neutral front photo",
        [name for name in faces if _digits(name) not in front.index],
    )
    about = ["rater_sex", "rater_age", *(["rater_sexpref"] if "rater_sexpref" in table else [])]
    long = table.melt(["rater", *about], faces, "face", "rating")
    long["image"] = long["face"].map(_digits).map(front["image"])
    long = long[long["image"].notna() & ~long["rating"].isin(["", "NA"])]
    who = long["image"].astype("str") + " by " + long["rater"]
    long["rating"] = content.numbers(long["rating"], who, 1, 7)
    long = long.dropna(subset="rating").rename(columns={"rater_sex": "rater_gender"})
    return long[["image", "rater", "rating", "rater_gender", *about[1:]]]


TEMPLATE_POINTS = 189


def _check_templates(tree: Tree, content: Content) -> None:
    """Count the templates beside the photos, which stay there, and note those that are broken."""
    paths = [path for path in tree.files if path.lower().endswith(".tem")]
    broken = []
    for path in paths:
        with tree.open(path) as file:
            if file.readline(20).strip() != str(TEMPLATE_POINTS).encode():
                broken.append(path)
    content.leave_out(f"a template without {TEMPLATE_POINTS} points", broken)
    if paths:
        content.notes.append(
            f"{number_of(len(paths), 'template')} (.tem) beside the photos, not copied: "
            "facestats.read_template reads them"
        )


SK_COLUMNS = ("face_id", "face_gender", "face_age", "rater_id", "rater_gender", "rater_age")


def read_3dsk(tree: Tree, choices: Choices) -> Content:
    """3DSK: labels and single ratings of the chosen traits from its CSV file."""
    path = tree.table_named("raw_3dsk_info.csv")
    table = tree.table(path, *SK_COLUMNS, "trait", "rating")
    content = Content({}, table, scale=(1.0, 7.0))
    faces = table.drop_duplicates("face_id").set_index("face_id")
    _check_templates(tree, content)
    by_name: dict[str, str] = {}
    for photo in tree.files:
        if not is_photo(photo):
            continue
        folder, _, name = photo.rpartition("/")
        image = f"{folder.rpartition('/')[2]}/{name}" if folder else name
        stem = name.rpartition(".")[0]
        if stem not in faces.index:
            content.leave_out("a photo that raw_3dsk_info.csv does not name", [photo])
        elif stem in by_name:
            tree.one_of([by_name[stem], photo])
            content.leave_out("a copy of another file of the dataset", [photo])
        else:
            by_name[stem] = photo
            content.photos[image] = photo
    images = {name.rpartition("/")[2].rpartition(".")[0]: name for name in content.photos}
    content.leave_out(NO_PHOTO, [name for name in faces.index if name not in images])
    faces = faces[faces.index.isin(images.keys())]
    names = pd.Series([images[name] for name in faces.index], faces.index, dtype="str")
    content.labels = pd.DataFrame(
        {
            "image": names,
            "gender": content.codes(faces["face_gender"], names, GENDERS),
            "age": content.numbers(faces["face_age"], names, 0),
            "person": names.index,
        }
    )
    content.ratings = _with_traits(
        pd.DataFrame(
            {
                "image": table["face_id"].map(images),
                "rater": table["rater_id"],
                "rating": content.numbers(
                    table["rating"], table["face_id"] + " by " + table["rater_id"], 1, 7
                ),
                "trait": table["trait"].map(trait_name),
                "rater_gender": table["rater_gender"],
                "rater_age": table["rater_age"],
            }
        ).dropna(subset=["image", "rating"]),
        choices,
        content,
    )
    return content


def _with_traits(ratings: pd.DataFrame, choices: Choices, content: Content) -> pd.DataFrame:
    """The chosen traits, the first of them first; by default all, attractiveness first."""
    there = sorted(ratings["trait"].unique(), key=lambda name: (name != "attractive", name))
    chosen = [trait_name(name) for name in choices.traits] or there
    missing = [name for name in chosen if name not in there]
    if missing:
        raise InputError(f"--trait {missing[0]}: nobody rated that; there are {', '.join(there)}")
    content.leave_out(
        "ratings of traits that were not chosen", [name for name in there if name not in chosen]
    )
    content.trait = [*chosen, ""][0]
    parts = [ratings[ratings["trait"] == name] for name in chosen]
    return pd.concat(parts or [ratings], ignore_index=True)


DATASETS = (
    Dataset(
        "london",
        "Face Research Lab London Set",
        (r"london_faces_info\.csv",),
        read_london,
        "CC BY 4.0",
        "https://creativecommons.org/licenses/by/4.0/",
        "DeBruine & Jones 2017, Face Research Lab London Set, doi:10.6084/m9.figshare.5047666",
        "102 people",
        "gender, ethnicity, age, ratings 1–7 of 2,513 raters, person, view",
        "neutral_front/001_03.jpg …, london_faces_info.csv, london_faces_ratings.csv",
        "`face_gender` (older: `face_sex`), `face_age`, `face_eth`; each line of the ratings is a "
        "rater, with `rater_gender`, `rater_age` and `rater_sexpref`",
        "Only neutral front views were rated. Both spellings of names (`001`, `X001`) are read. "
        "Templates (.tem) are counted and stay in DIR: `facestats.read_template` reads them.",
    ),
    Dataset(
        "3dsk",
        "3DSK",
        (r"raw_3dsk_info\.csv",),
        read_3dsk,
        "CC BY 4.0; photographs of 3d.sk, for educational use",
        "https://creativecommons.org/licenses/by/4.0/",
        "DeBruine & Jones 2020, 3DSK face set with webmorph templates, doi:10.17605/OSF.IO/A3947",
        "100",
        "gender, age, ratings 1–7 of five traits by 2,000 raters",
        "female/….jpg, male/….jpg, raw_3dsk_info.csv",
        "`att` is `attractive`, `dom` `dominant`, `health` `healthy`, `sexdim` "
        "`sexual_dimorphism`, `trust` `trustworthy`; raters with `rater_gender`, `rater_age`",
        "A rater rated one trait of one sex, so women's and men's ratings are by different people. "
        "Templates (.tem) are counted and stay in DIR: `facestats.read_template` reads them.",
        has_traits=True,
    ),
)
