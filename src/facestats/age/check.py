"""Who may be too young to get a score.

By hand, by label, by a label of a copy of the picture, or by a trained age model.

An age model is never sure. What it says of a face that it was not trained on is off, so a face
counts as adult only where the one-sided 95 % bound of its age is. What prompts say of an age
(zero-shot) counts for nothing here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import ceil, isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.core.files import read_json, write_json
from facestats.core.stats.identity import BY_MODEL as MODEL
from facestats.core.stats.intervals import exact_share
from facestats.errors import InputError, ModelError, number_of

SURE = 0.95  # of the model's bound
# Left-out faces that the bound is made of: those whose predicted age is nearest to where it
# decides.
NEAR = 100
STEP = 0.25  # years
MIN_FACES = 20  # fewer have no quantile of 0.95
MOST_ADULTS = 0.2  # share of labelled adults beyond which the model withholds too much to be of use
MANUAL, LABEL, COPY = "manual", "label", "copy"
OTHER_KIND = (
    "drawing",
    "photograph",
)  # doubts: the face is none of the kind of picture that the age model learned from
MADE_BY = "`dvc repro age_check`"


@dataclass(frozen=True)
class AgeCheck:
    """How the age of a face without a label is checked.

    Attributes
    ----------
    min_age : int, optional
        Faces that may be younger get no score, years; None: nothing is checked.
    required : bool
        A face whose age can't be checked is an error.
    bound : float, optional
        Years that the model's prediction may be above the age (one-sided, 95 %); None: there is no
        model, or nobody knows how far it is off.
    n : int
        Left-out faces that the bound was made of.
    why : str, optional
        Why no model is used, be there a bound or not; None where one is.
    """

    min_age: int | None
    required: bool = False
    bound: float | None = None
    n: int = 0
    why: str | None = None

    @property
    def by_model(self) -> bool:
        return self.why is None

    def may_be_under(self, predicted: np.ndarray) -> np.ndarray:
        """Which faces may be too young by what the age model predicts (n,): bool (n,)."""
        if self.bound is None or self.min_age is None:
            raise ValueError("no model checks ages here; see `by_model`")
        return np.asarray(predicted, dtype=float) - self.bound < self.min_age

    def reason(self, source: str) -> str:
        """Why a face that may be too young by this source gets no score."""
        reasons = {
            MANUAL: f"said by hand to be under {self.min_age}",
            LABEL: f"labelled as under {self.min_age}",
            COPY: f"a copy of the picture is labelled as under {self.min_age}",
            MODEL: f"may be under {self.min_age}: the age model can't rule it out",
        }
        return f"{reasons[source]} (score.min_age)"

    def not_checked(self, why: str | None = None) -> str:
        """What to say of a face whose age nothing could tell.

        `why` the model can't, where it could tell that of others.
        """
        if self.min_age is None:
            return "age was not checked: score.min_age is null"
        return f"age was not checked, so this may be the score of a child: {why or self.why}"


def check_faces(
    check: AgeCheck, labels: pd.DataFrame, predicted: pd.Series, copies: pd.Series
) -> pd.DataFrame:
    """Hold every face's age against `score.min_age`.

    Parameters
    ----------
    labels : DataFrame
        `age` and `age_source` by filename, n rows; null where nobody said an age.
    predicted : Series
        By the same names, ages by the model; null for faces that it says nothing about.
    copies : Series
        By the same names, the group of copies of one picture.

    Returns
    -------
    DataFrame
        In the schema `age.tables.AGE_CHECK`, in the order of `labels`.
    """
    names = labels.index
    table = pd.DataFrame(
        {
            "filename": names.to_numpy(),
            "score_withheld": pd.Series([None] * len(names), dtype="object"),
            "age_checked": pd.Series([None] * len(names), dtype="object"),
        }
    )
    if check.min_age is None:
        return table
    age = labels["age"].to_numpy(float)
    group = copies.reindex(names)
    of_copies = pd.Series(age, index=names).groupby(group).transform("min").to_numpy(float)
    guess = (
        predicted.reindex(names).to_numpy(float) if check.by_model else np.full(len(names), np.nan)
    )
    by_hand = labels["age_source"].eq(MANUAL).to_numpy()
    of_its_own = np.isfinite(age)
    of_its_own &= (age < check.min_age) | ~(of_copies < check.min_age)  # else the youngest counts
    source = np.select(
        [of_its_own & by_hand, of_its_own, np.isfinite(of_copies), np.isfinite(guess)],
        [MANUAL, LABEL, COPY, MODEL],
        "",
    )
    young = of_copies < check.min_age
    if check.by_model:
        young = np.where(source == MODEL, check.may_be_under(guess), young)
    table["age_checked"] = pd.Series(source, dtype="object").where(source != "", None)
    table["score_withheld"] = [
        check.reason(by) if by and too_young else None
        for by, too_young in zip(source, young, strict=True)
    ]
    return table


def fit_check(
    min_age: int | None, required: bool, left_out: pd.DataFrame, missing: str | None = None
) -> AgeCheck:
    """How far the age model's predictions can be trusted about faces that may be too young.

    The bound is the 95 % quantile, with one more face granted to chance (split conformal
    prediction), of predicted minus labelled age among the `NEAR` left-out faces whose predicted age
    is nearest to where the bound decides: `min_age` plus the bound itself. It is the smallest one,
    in steps of `STEP`, from which on this holds. There a ridge regression errs otherwise than on
    the whole: it makes the young older.

    Parameters
    ----------
    left_out : DataFrame
        `age` and `predicted` of labelled faces, each by a model that had not seen it.
    missing : str, optional
        Why there is no age model; None where there is one.
    """
    if min_age is None:
        return AgeCheck(None, False, why="score.min_age is null")
    if missing:
        return AgeCheck(min_age, required, why=missing)
    if len(left_out) < MIN_FACES:
        return AgeCheck(
            min_age,
            required,
            why=f"{number_of(len(left_out), 'labelled face')} left out of training of the age "
            f"model, {MIN_FACES} are needed to know how far it is off",
        )
    predicted, above = (
        left_out["predicted"].to_numpy(float),
        (left_out["predicted"] - left_out["age"]).to_numpy(float),
    )
    bounds = np.arange(0, max(predicted.max() - min_age, 0) + STEP, STEP)
    enough = np.array(
        [_quantile(above[_nearest(predicted, min_age + bound)]) <= bound for bound in bounds]
    )
    bound = float(STEP * (np.flatnonzero(~enough).max(initial=-1) + 1))
    check = AgeCheck(min_age, required, bound, min(NEAR, len(left_out)))
    adults = measure_check(check, left_out, pd.Series(np.nan, index=left_out.index))["adults"]
    if adults["n"] and adults["value"] > MOST_ADULTS:
        return replace(
            check,
            why=f"the age model can't tell enough adults from those under {min_age}: it would "
            f"withhold the scores of {100 * adults['value']:.0f} % of "
            f"{number_of(adults['n'], 'labelled adult')}, more than {100 * MOST_ADULTS:.0f} %",
        )
    return check


def _nearest(predicted: np.ndarray, age: float) -> np.ndarray:
    return np.argsort(np.abs(predicted - age), kind="stable")[:NEAR]


def _quantile(above: np.ndarray) -> float:
    return float(np.sort(above)[min(ceil(SURE * (len(above) + 1)), len(above)) - 1])


def measure_check(check: AgeCheck, faces: pd.DataFrame, persons: pd.Series) -> dict[str, dict]:
    """What the model alone says of faces with a label, whether it is used or not.

    The share of `adults` whose scores it withholds, and that of `minors` whose it does not.

    Parameters
    ----------
    faces : DataFrame
        `age` and `predicted` of labelled faces, each by a model that had not seen it.
    persons : Series
        Of the same rows, null where a face is a person of its own.
    """
    adults = (faces["age"] >= (check.min_age or 0)).to_numpy()
    if check.bound is None:
        return dict.fromkeys(("adults", "minors"), exact_share(np.empty(0, dtype=bool)))
    young = check.may_be_under(faces["predicted"])
    return {
        "adults": exact_share(young[adults], persons[adults]),
        "minors": exact_share(~young[~adults], persons[~adults]),
    }


def summarise_check(check: AgeCheck, table: pd.DataFrame) -> dict[str, Any]:
    """Who was checked by what, and who gets no score, out of the table that `check_faces` gives."""
    counts, withheld = (
        table["age_checked"].value_counts(),
        table["age_checked"][table["score_withheld"].notna()].value_counts(),
    )
    sources = (MANUAL, LABEL, COPY, MODEL)
    return {
        "min_age": check.min_age,
        "required": check.required,
        "faces": len(table),
        "checked": {by: int(counts.get(by, 0)) for by in sources}
        | {"nothing": int(table["age_checked"].isna().sum())},
        "withheld": {by: int(withheld.get(by, 0)) for by in sources},
        "model": {
            "used": check.by_model,
            "why": check.why,
            "bound": check.bound,
            "n": check.n,
            "sure": SURE,
            "most_adults": MOST_ADULTS,
        },
    }


def save_check(path: Path, check: AgeCheck) -> None:
    """Write `models/age_check.json`, which single photos are checked by."""
    write_json(path, asdict(check))


def load_check(path: Path) -> AgeCheck:
    """Read what `save_check` wrote.

    Raises
    ------
    ModelError
        The file is missing or something else.
    """
    if not path.exists():
        raise ModelError(
            f"{path}: no such file, so nobody's age can be checked; {MADE_BY} makes it"
        )
    try:
        check = AgeCheck(**read_json(path))
        kinds = {
            "min_age": (int, type(None)),
            "required": (bool,),
            "bound": (float, int, type(None)),
            "n": (int,),
            "why": (str, type(None)),
        }
        wrong = [
            name for name, allowed in kinds.items() if type(getattr(check, name)) not in allowed
        ]
        if wrong or not (check.bound is None or (isfinite(check.bound) and check.bound >= 0)):
            raise ValueError(f"its {wrong[0] if wrong else 'bound'} is none that a check can have")
        if check.by_model and None in (check.min_age, check.bound):
            raise ValueError("neither a bound nor a reason why there is none")
        return check
    except (InputError, TypeError, ValueError, ArithmeticError) as error:
        raise ModelError(
            f"{path} does not say how ages are checked ({error}); {MADE_BY} makes it anew"
        ) from None
