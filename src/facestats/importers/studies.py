"""Standardised sets of rating studies: CFD, the London set, 3DSK."""

from __future__ import annotations

import re

import pandas as pd

from facestats.errors import InputError
from facestats.importers.content import GENDERS, NO_PHOTO, Choices, Content, Dataset
from facestats.importers.tree import Tree, is_photo, listed
from facestats.labels.traits import trait_name

CFD_NAME = re.compile(
    r"CFD-([ABLWMI])([FM])-(\d+(?:-\d+)*)-(\d+)(?:-\d+)?-(N|A|F|HC|HO)\.jpg", re.IGNORECASE
)
CFD_RACES = {
    "A": "asian",
    "B": "black",
    "L": "latino",
    "W": "white",
    "M": "multiracial",
    "I": "indian",
}
CFD_MOODS = {"N": "neutral", "A": "angry", "F": "fear", "HC": "happy_closed", "HO": "happy_open"}
CFD_TRAITS = tuple(
    """
    Afraid Angry Babyfaced Disgusted Dominant Feminine Happy Masculine Prototypic Sad Surprised
    Threatening Trustworthy Unusual Warm Competent SocialStatus
    """.split()
)
# Whether a face is attractive was asked in two ways, which do not belong in one column: relative to
# others of the same race and gender, or not.
CFD_QUESTIONS = {"R013": "relative", "R013B": "absolute"}


def read_cfd(tree: Tree, _: Choices) -> Content:
    content, rows = Content({}, pd.DataFrame(), scale=(1.0, 7.0)), []
    for path in tree.files:
        name = path.rpartition("/")[2]
        match = CFD_NAME.fullmatch(name)
        if match and name not in content.photos:
            content.photos[name] = tree.one_of(tree.ending(name))
            race, gender, model, _photo, mood = match.groups()
            rows.append(
                {
                    "image": name,
                    "gender": GENDERS[gender.upper()],
                    "ethnicity": CFD_RACES[race.upper()],
                    "person": f"{race}{gender}-{model}".upper(),
                    "expression": CFD_MOODS[mood.upper()],
                }
            )
        elif is_photo(path) and not match:
            content.leave_out(
                "a photo whose name is not CFD-race-gender-model-photo-expression", [path]
            )
    labels = pd.DataFrame(
        rows, columns=["image", "gender", "ethnicity", "person", "expression"], dtype="str"
    )
    norms = _cfd_norms(tree, content)
    neutral = labels["expression"] == "neutral"
    # CFD-INDIA has the photo's number in the workbook's name of the model, too.
    with_photo = labels["image"].str.extract(r"CFD-(.+)-N\.", flags=re.IGNORECASE)[0].fillna("")
    keys = labels["person"].map(_cfd_key)
    keys = keys.where(keys.isin(norms.index), with_photo.map(_cfd_key)).where(neutral)
    content.leave_out(
        "a norming row without a neutral photo",
        [model for key, model in norms["Model"].items() if key not in set(keys.dropna())],
    )
    found = norms.reindex(keys).set_axis(labels.index)
    labels["age"] = found["age"]
    questions = [name for name in ("relative", "absolute") if found[name].notna().any()]
    if questions:
        labels["rating"] = found[questions[0]]
    if len(questions) > 1:
        labels["attractive_absolute"] = found["absolute"]
        content.notes.append(
            "attractiveness was asked in two ways: `rating` is relative to others of the same race "
            "and gender, `attractive_absolute` is not"
        )
    for name in CFD_TRAITS:
        if found[name].notna().any():
            labels[f"rating_{name.lower()}"] = found[name]
    content.labels = labels
    content.version = "3.0"
    return content


def _cfd_key(model: str) -> str:
    """`AF-200`, `IF601-519` and `IF-601-519` without dashes."""
    return re.sub(r"\W", "", model).upper()


def _cfd_norms(tree: Tree, content: Content) -> pd.DataFrame:
    """Norming data of all sheets by model, numbers of the neutral photo."""
    books = [
        path
        for path in tree.files
        if re.search(r"norming.*\.xlsx$", path.rpartition("/")[2], re.IGNORECASE)
    ]
    if not books:
        raise InputError(f"{tree.top}: the workbook of norming data is missing; get it, too")
    tables = []
    for book in books:
        for title, rows in tree.sheets(book).items():
            start = next(
                (i for i, row in enumerate(rows) if row and row[0] in ("Model", "Target")), None
            )
            if start is None:
                continue
            table = _cfd_sheet(tree, f"{book}, sheet {title}", rows, start, content)
            tables.append(table)
    if not tables:
        raise InputError(
            f"{tree.top / books[0]}: no sheet has a row that begins with 'Model'; get the workbook "
            "again"
        )
    norms = pd.concat(tables)
    return norms[~norms.index.duplicated()]


def _cfd_sheet(
    tree: Tree, where: str, rows: list[list[str]], start: int, content: Content
) -> pd.DataFrame:
    header, ids = rows[start], rows[start - 1] if start else []
    places = {name: place for place, name in reversed([*enumerate(header)]) if name}
    data = [
        row + [""] * (len(header) - len(row))
        for row in rows[start + 1 :]
        if row and re.fullmatch(r"[A-Z]{2}-?\d[\d-]*", row[0])
    ]
    named = pd.Series([row[0] for row in data], dtype="str")

    def numbers(name: str, low: float, high: float) -> pd.Series:
        if name not in places:
            return pd.Series(float("nan"), named.index)
        cells = pd.Series([row[places[name]] for row in data], dtype="str", name=name)
        return content.numbers(cells.replace({"NA": "", "N/A": "", ".": ""}), named, low, high)

    age = next((name for name in ("AgeRated", "Age") if name in places), "AgeRated")
    if "Attractive" not in places:
        raise InputError(
            f"{tree.top / where} has no column 'Attractive'; it has {listed([*places], 12)}"
        )
    question = ids[places["Attractive"]] if len(ids) > places["Attractive"] else ""
    kind = CFD_QUESTIONS.get(question.strip().upper(), "relative")
    rated = numbers("Attractive", 1, 7)
    nothing = pd.Series(float("nan"), named.index)
    columns = {
        "Model": named,
        "age": numbers(age, 0, 130),
        "relative": rated if kind == "relative" else nothing,
        "absolute": rated if kind == "absolute" else nothing,
        **{name: numbers(name, 1, 7) for name in CFD_TRAITS},
    }
    return pd.DataFrame(columns).set_index(named.map(_cfd_key))


LONDON_NAME = re.compile(r"X?(\d{3})_(\d{2})\.jpg", re.IGNORECASE)
LONDON_RATED = "03"  # number of the neutral front view


def read_london(tree: Tree, _: Choices) -> Content:
    info = tree.table(tree.table_named("london_faces_info.csv"), "face_id")
    content = Content({}, info, scale=(1.0, 7.0))
    gender = next((name for name in ("face_gender", "face_sex") if name in info), None)
    if gender is None:
        raise InputError(f"{tree.top}/london_faces_info.csv has no column 'face_gender'")
    content.version = "v5" if gender == "face_gender" else ""
    info = info.assign(key=info["face_id"].map(_digits)).drop_duplicates("key").set_index("key")
    rows = []
    for path in tree.files:
        name = path.rpartition("/")[2]
        match = LONDON_NAME.fullmatch(name)
        if match and name not in content.photos:
            content.photos[name] = tree.one_of(tree.ending(name))
            view = path.split("/")[-2] if "/" in path else ""
            rows.append((name, _digits(match[1]), match[2], view))
        elif is_photo(path) and not match:
            content.leave_out("a photo whose name is not 001_03.jpg", [path])
    labels = pd.DataFrame(rows, columns=["image", "key", "number", "view"])
    content.leave_out(
        NO_PHOTO, [info.loc[key, "face_id"] for key in info.index if key not in set(labels["key"])]
    )
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
    table = table.assign(rater=[f"r{number:04d}" for number in range(1, len(table) + 1)])
    front = labels[labels["number"] == LONDON_RATED].drop_duplicates("key").set_index("key")
    content.leave_out(
        "ratings of a face without its neutral front photo",
        [name for name in faces if _digits(name) not in front.index],
    )
    long = table.melt(["rater", "rater_sex", "rater_age"], faces, "face", "rating")
    long["image"] = long["face"].map(_digits).map(front["image"])
    long = long[long["image"].notna() & ~long["rating"].isin(["", "NA"])]
    long["rating"] = content.numbers(long["rating"], long["image"] + " by " + long["rater"], 1, 7)
    long = long.dropna(subset="rating").rename(columns={"rater_sex": "rater_gender"})
    return long[["image", "rater", "rating", "rater_gender", "rater_age"]]


SK_COLUMNS = ("face_id", "face_gender", "face_age", "rater_id", "rater_gender", "rater_age")


def read_3dsk(tree: Tree, choices: Choices) -> Content:
    path = tree.table_named("raw_3dsk_info.csv")
    table = tree.table(path, *SK_COLUMNS, "trait", "rating")
    content = Content({}, table, scale=(1.0, 7.0))
    faces = table.drop_duplicates("face_id").set_index("face_id")
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
    parts = [ratings[ratings["trait"] == name] for name in chosen]
    return pd.concat(parts, ignore_index=True)


DATASETS = (
    Dataset(
        "cfd",
        "Chicago Face Database",
        (
            r"(?:.*/)?CFD-[ABLWMI][FM]-[\d-]+-(?:N|A|F|HC|HO)\.jpg",
            r"[^/]*[Nn]orming[^/]*\.xlsx",
        ),
        read_cfd,
        "free for research, not commercial; must not be passed on, or used for face recognition",
        "https://www.chicagofaces.org/",
        "Ma, Correll & Wittenbrink 2015, The Chicago face database: A free stimulus set of faces "
        "and norming data, Behavior Research Methods (MR: 2021, India: Lakshmi et al. 2021)",
        "831 people",
        "gender, ethnicity (6), age as rated, mean ratings 1–7 of 18 traits, person, expression",
        "Images/CFD/AF-200/CFD-AF-200-228-N.jpg …, Images/CFD-MR/, Images/CFD-INDIA/, "
        "CFD 3.0 Norming Data and Codebook.xlsx",
        "from the name: `person`, `gender`, `ethnicity`, `expression`; of the workbook `AgeRated` "
        "is `age`, `Attractive` is `rating`, other traits are `rating_…`",
        "Ratings belong to the neutral photo. Attractiveness was asked in two ways: relative to "
        "the own group (`rating`) and absolute (`attractive_absolute`).",
    ),
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
        "rater, with `rater_gender` and `rater_age`",
        "Only neutral front views were rated. Both spellings of names (`001`, `X001`) are read.",
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
        "gender, age, ratings 1–7 of five traits by 2,000 raters, templates",
        "female/….jpg, male/….jpg, raw_3dsk_info.csv",
        "`att` is `attractive`, `dom` `dominant`, `health` `healthy`, `sexdim` "
        "`sexual_dimorphism`, `trust` `trustworthy`; raters with `rater_gender`, `rater_age`",
        "A rater rated one trait of one sex, so women's and men's ratings are by different people.",
    ),
)
