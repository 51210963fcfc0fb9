"""10k US Adult Faces: 2,222 of its photos were rated."""

from __future__ import annotations

import re

import pandas as pd

from facestats.errors import InputError, number_of
from facestats.importers.ages import MIDDLES
from facestats.importers.content import NO_PHOTO, Choices, Content, Dataset
from facestats.importers.tree import Tree, is_photo
from facestats.labels.traits import MAIN

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
US_EMOTIONS = ("neutral", "happy", "sad", "anger", "fear", "surprise", "disgust")
# Further columns of numbers, with the ends of their scales.
US_FURTHER = {
    "Common": (1, 5),
    "Memorable": (1, 5),
    "Image quality": (1, 5),
    "Famous": (0, 2),
    "Facial hair": (0, 2),
    "Makeup": (0, 2),
    "Teeth": (0, 2),
}
US_DROPPED = ("catch", "catchAns", "subage", "subrace", "submale", "Filename", "Image #")


def read_10kus(tree: Tree, _: Choices) -> Content:
    """The 10k US Adult Faces Database: labels and ratings from its workbooks."""
    content = Content({}, pd.DataFrame(), scale=(1.0, 5.0), trait=MAIN)
    content.notes.append(MIDDLES)
    _add_photos(tree, content)
    table, answers = _us_sheets(tree, "demographic-others-labels")
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
    if "Emotion" in table:
        emotions = {str(place): word for place, word in enumerate(US_EMOTIONS)}
        labels["emotion"] = content.codes(code("Emotion"), names, emotions)
    for header, ends in US_FURTHER.items():
        if header in table:
            labels[header.lower().replace(" ", "_")] = content.numbers(table[header], names, *ends)
    content.ratings = _us_answers(answers, content)
    if psychology := [path for path in tree.files if "psychology-attributes" in path]:
        traits, _no_answers = _us_sheets(tree, "psychology-attributes", psychology)
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


def _add_photos(tree: Tree, content: Content) -> None:
    for path in tree.files:
        name = path.rpartition("/")[2]
        if is_photo(path) and re.search(r"_oval\.jpg$", name, re.IGNORECASE):
            if name in content.photos:
                content.leave_out("a copy of another file of the dataset", [path])
            else:
                content.photos[name] = tree.one_of(
                    [path for path in tree.ending(name) if "49 Face" not in path] or [path]
                )
        elif is_photo(path):
            content.leave_out("a photo whose name does not end in _oval.jpg", [path])


def _us_answers(answers: pd.DataFrame | None, content: Content) -> pd.DataFrame | None:
    """The single answers on attractiveness, a dozen a photo; raters have no names."""
    if answers is None or "Attractive" not in answers:
        content.notes.append("no sheet 'All Data': mean ratings, without single answers")
        return None
    nameless = answers[(answers["Filename"] == "") & (answers["Attractive"] != "")]
    content.leave_out(
        "an answer without the photo's name", (f"row {i + 2}" for i in nameless.index)
    )
    named: pd.DataFrame = answers[answers["Filename"].isin(content.photos)]
    rating = content.numbers(named["Attractive"], named["Filename"], 1, 5)
    frame = pd.DataFrame({"image": named["Filename"], "rater": "", "rating": rating})
    return frame.dropna(subset="rating")


def _us_sheets(
    tree: Tree, stem: str, paths: list[str] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The sheets `Final Values` and `All Data` of a workbook, or the former as CSV."""
    paths = paths or [path for path in tree.files if stem in path.rpartition("/")[2]]
    books = [path for path in paths if path.endswith(".xlsx")]
    if books:
        sheets = tree.sheets(books[0])
        rows, every = sheets.get("Final Values"), sheets.get("All Data")
        if not rows:
            raise InputError(f"{tree.top / books[0]} has no sheet 'Final Values'")
        answers = tree.frame(books[0], every[0], every[1:]) if every else None
        return tree.frame(books[0], rows[0], rows[1:], ["Filename"]), (
            answers if answers is not None and "Filename" in answers else None
        )
    tables = [path for path in paths if path.endswith(".csv")]
    if not tables:
        raise InputError(f"{tree.top}: {stem}.xlsx is missing; get the whole dataset")
    return tree.table(tables[0], "Filename"), None


DATASETS = (
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
        "is `rating`; psychology attributes are `trait_…` (1–9); `emotion`, `common`, "
        "`memorable` and others as they are; sheet `All Data` is ratings.csv, without "
        "raters' names",
        "Only 2,222 photos have labels.",
    ),
)
