"""The Chicago Face Database: photos with expressions, and a workbook of norms."""

from __future__ import annotations

import re

import pandas as pd

from facestats.errors import InputError
from facestats.importers.content import COPY, GENDERS, Choices, Content, Dataset
from facestats.importers.tree import Tree, is_photo, listed
from facestats.labels.traits import trait_name

CFD_NAME = re.compile(
    r"CFD-([ABLWMI])([FM])-(\d+)-(\d+)(?:-\d+)?-(N|A|F|HC|HO)\.jpg", re.IGNORECASE
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
CFD_OLDER = {"Babyface": "Babyfaced"}  # names of version 2
# Beginnings of the names of some sixty measurements, in pixels or as ratios of them.
CFD_MEASURES = re.compile(
    r"(?!.*prob$)(luminance|nose|lip|face|eye|forehead|upper|pupil|bottomlip|midcheek|midbrow|midface"
    r"|cheek|heart|chin|fwhr|hair)"
)
# Whether a face is attractive was asked in two ways, which do not belong in one column: relative to
# others of the same race and gender, or not.
CFD_QUESTIONS = {"R013": "relative", "R013B": "absolute"}
MOST = 1e6  # of a measurement


def read_cfd(tree: Tree, choices: Choices) -> Content:
    """The Chicago Face Database: labels from the names of the files, means from its workbook."""
    content, rows = Content({}, pd.DataFrame(), scale=(1.0, 7.0)), []
    for path in tree.files:
        name = path.rpartition("/")[2]
        match = CFD_NAME.fullmatch(name)
        if match and name in content.photos:
            tree.one_of([content.photos[name], path])
            content.leave_out(COPY, [path])
        elif match:
            content.photos[name] = path
            race, gender, model, photo, mood = match.groups()
            rows.append(
                {
                    "image": name,
                    "gender": GENDERS[gender.upper()],
                    "ethnicity": CFD_RACES[race.upper()],
                    "person": f"{race}{gender}-{model}".upper(),
                    "expression": CFD_MOODS[mood.upper()],
                    "with_photo": _cfd_key(f"{race}{gender}{model}{photo}"),
                }
            )
        elif is_photo(path):
            content.leave_out(
                "a photo whose name is not CFD-race-gender-model-photo-expression", [path]
            )
    columns = ["image", "gender", "ethnicity", "person", "expression", "with_photo"]
    labels = pd.DataFrame(rows, columns=columns, dtype="str")
    norms = _cfd_norms(tree, content)
    neutral = labels["expression"] == "neutral"
    # CFD-INDIA has the photo's number in the workbook's name of the model, too.
    with_photo = labels.pop("with_photo")
    keys = labels["person"].map(_cfd_key)
    keys = keys.where(keys.isin(norms.index), with_photo).where(neutral)
    content.leave_out(
        "a neutral photo without a norming row",
        labels.loc[neutral & ~keys.isin(norms.index), "image"],
    )
    content.leave_out(
        "a norming row without a neutral photo",
        [model for key, model in norms["Model"].items() if key not in set(keys.dropna())],
    )
    means = norms.reindex(keys).set_axis(labels.index)
    labels["age"] = means["age"].fillna(means.groupby(labels["person"])["age"].transform("min"))
    questions = [name for name in CFD_QUESTIONS.values() if means[name].notna().any()]
    means["Attractive"] = means[questions[0] if questions else "relative"]
    rated, measured = _cfd_choice(choices, [*norms.columns])
    if rated:
        labels["rating"] = means[rated[0]]
    if len(questions) > 1 and "Attractive" in rated:
        labels["attractive_absolute"] = means["absolute"]
        content.notes.append(
            "attractiveness was asked in two ways: `rating` is relative to others of the same race "
            "and gender, `attractive_absolute` is not"
        )
    for name in rated[1:]:
        if means[name].notna().any():
            labels[f"rating_{name.lower()}"] = means[name]
    for name in measured:
        labels[f"measured_{_cfd_word(name)}"] = means[name]
    content.labels, content.trait = labels, trait_name([*rated, ""][0])
    return content


def _cfd_choice(choices: Choices, there: list[str]) -> tuple[list[str], list[str]]:
    """The chosen traits, the first for `rating`, and measurements; `measurements` is all of them.

    Raises
    ------
    InputError
        The workbook has no such column.
    """
    if not choices.traits:
        return ["Attractive", *CFD_TRAITS], []
    traits = {_cfd_word(name): name for name in ("Attractive", *CFD_TRAITS)}
    measures = {_cfd_word(name): name for name in there if CFD_MEASURES.match(_cfd_word(name))}
    rated, measured = [], []
    for name in choices.traits:
        word = _cfd_word(trait_name(name))
        if word in traits:
            rated.append(traits[word])
        elif word == "measurements":
            measured += [*measures.values()]
        elif word in measures:
            measured.append(measures[word])
        else:
            listed = ", ".join([*traits, "measurements", *measures])
            raise InputError(f"--trait {name}: the workbook has no such column; it has {listed}")
    return rated, [*dict.fromkeys(measured)]


def _cfd_word(name: str) -> str:
    """`NoseWidth` and `Nose_Width` as `nosewidth`."""
    return re.sub(r"[\W_]", "", name).lower()


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
    tables, other = [], []
    for book in books:
        for title, rows in tree.sheets(book).items():
            start = next(
                (i for i, row in enumerate(rows) if row and row[0] in ("Model", "Target")), None
            )
            if start is None:
                continue
            if "Attractive" in rows[start]:
                tables.append(_cfd_sheet(rows, start, content))
            else:  # that of the codebook may begin so, too
                other.append((f"{book}, sheet {title}", rows[start]))
    if other and not tables:
        where, header = other[0]
        raise InputError(
            f"{tree.top / where} has no column 'Attractive'; it has "
            f"{listed([name for name in header if name], 12)}"
        )
    if not tables:
        raise InputError(
            f"{tree.top / books[0]}: no sheet has a row that begins with 'Model'; get the workbook "
            "again"
        )
    content.version = next(iter(re.findall(r"CFD (\d[\d.]*\d)", " ".join(books))), "")
    norms = pd.concat(tables)
    again = norms.index.duplicated()
    content.leave_out("a norming row of a model whom an earlier sheet has", norms["Model"][again])
    return norms[~again]


def _cfd_sheet(rows: list[list[str]], start: int, content: Content) -> pd.DataFrame:
    """Numbers of a sheet by model, from the row of the names on."""
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
    older = {name: old for old, name in CFD_OLDER.items() if old in places}
    question = ids[places["Attractive"]] if len(ids) > places["Attractive"] else ""
    kind = CFD_QUESTIONS.get(question.strip().upper(), "relative")
    rated = numbers("Attractive", 1, 7)
    nothing = pd.Series(float("nan"), named.index)
    columns = {
        "Model": named,
        "age": numbers(age, 0, 130),
        "relative": rated if kind == "relative" else nothing,
        "absolute": rated if kind == "absolute" else nothing,
        **{name: numbers(older.get(name, name), 1, 7) for name in CFD_TRAITS},
        **{
            name: numbers(name, -MOST, MOST)
            for name in places
            if CFD_MEASURES.match(_cfd_word(name))
        },
    }
    return pd.DataFrame(columns).set_index(named.map(_cfd_key))


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
        "is `age`, `Attractive` is `rating`, other traits are `rating_…`; `--trait` chooses among "
        "them and some sixty measurements (`NoseWidth`, or `measurements` for all), each "
        "`measured_…`",
        "Ratings belong to the neutral photo, the age to all of the model's. Attractiveness is "
        "relative to the own group (`rating`) or absolute (`attractive_absolute`). Of two norming "
        "rows on one model, the first counts.",
        has_traits=True,
    ),
)
