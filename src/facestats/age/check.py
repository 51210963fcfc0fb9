"""Who may be too young for a score: by a label of the face or of a copy, or by an age model.

An age model errs about faces that it was not trained on, so a face counts as adult only if the
lower bound of its age does (one-sided, 95 %). Ages by prompts (zero-shot) are not used here.
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
from facestats.core.tables.names import repeats
from facestats.errors import InputError, ModelError, number_of

SURE = 0.95  # confidence of the model's bound
# Left-out faces that the bound is computed from: those with a predicted age nearest to the one from
# which a face counts as adult.
NEAR = 100
STEP = 0.25  # years
MIN_FACES = 20  # fewer have no quantile of 0.95
MOST_ADULTS = 0.2  # labelled adults without a score, beyond which the model is of no use
MANUAL, LABEL, COPY = "manual", "label", "copy"
# Doubts: the picture is of another kind than those that the age model learned from.
OTHER_KIND = ("drawing", "photograph")
MADE_BY = "`dvc repro age_check`"


@dataclass(frozen=True)
class AgeCheck:
    """How the age of a face without a label is checked.

    Attributes
    ----------
    min_age : int, optional
        Years; faces that may be younger get no score. None: nothing is checked.
    required : bool
        Whether a face whose age can't be checked is an error.
    bound : float, optional
        Years by which the model's prediction may exceed the age (one-sided, 95 %). None: there is
        no model, or its error is unknown.
    n : int
        Left-out faces that the bound was computed from.
    why : str, optional
        Why no model is used, with or without a bound; None where one is used.
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
        """Whether faces may be too young by the model's predictions (n,): bool (n,)."""
        if self.bound is None or self.min_age is None:
            raise ValueError("no model checks ages here; see `by_model`")
        return np.asarray(predicted, dtype=float) - self.bound < self.min_age

    def reason(self, source: str) -> str:
        """Say why a face that may be too young by this source gets no score."""
        reasons = {
            MANUAL: f"said by hand to be under {self.min_age}",
            LABEL: f"labelled as under {self.min_age}",
            COPY: f"a copy of the picture is labelled as under {self.min_age}",
            MODEL: f"may be under {self.min_age}: the age model can't rule it out",
        }
        return f"{reasons[source]} (score.min_age)"

    def not_checked(self, why: str | None = None) -> str:
        """Say that a face's age was not checked; `why` the model can't, if it can for others."""
        if self.min_age is None:
            return "age was not checked: score.min_age is null"
        return f"age was not checked, so this may be the score of a child: {why or self.why}"


def check_faces(
    check: AgeCheck, labels: pd.DataFrame, predicted: pd.Series, copies: pd.Series
) -> pd.DataFrame:
    """Compare every face's age with `score.min_age`.

    Parameters
    ----------
    check : AgeCheck
        How faces without a label are checked.
    labels : DataFrame (n rows)
        `age` and `age_source` by filename, null where there is no label.
    predicted : Series
        Ages predicted by the model, by the same names; null for faces that it can't judge.
    copies : Series
        Group of copies of one picture, by the same names.

    Returns
    -------
    DataFrame
        As `age.tables.AGE_CHECK`, in the order of `labels`.
    """
    names = labels.index
    if check.min_age is None:
        return _table(names, np.full(len(names), None), np.full(len(names), None))
    age = labels["age"].to_numpy(float)
    group = copies.reindex(names)
    youngest, copied = age.copy(), repeats(group)
    youngest[copied] = pd.Series(age[copied]).groupby(group[copied].array).transform("min")
    by_model = predicted.reindex(names).to_numpy(float)
    if not check.by_model:
        by_model = np.full(len(names), np.nan)
    by_hand = labels["age_source"].eq(MANUAL).to_numpy()
    # A face's own label counts, unless a copy has one that makes it too young.
    own = np.isfinite(age) & ((age < check.min_age) | ~(youngest < check.min_age))
    sources = (MANUAL, LABEL, COPY, MODEL)
    source = np.select(  # its number: ten million texts would be gigabytes
        [own & by_hand, own, np.isfinite(youngest), np.isfinite(by_model)],
        np.arange(len(sources)),
        len(sources),
    )
    young = youngest < check.min_age
    if check.by_model:
        young = np.where(source == sources.index(MODEL), check.may_be_under(by_model), young)
    reasons = np.array([*map(check.reason, sources), None], dtype=object)
    withheld = reasons[np.where(young, source, len(sources))]
    return _table(names, withheld, np.array([*sources, None], dtype=object)[source])


def _table(names: pd.Index, withheld: np.ndarray, checked: np.ndarray) -> pd.DataFrame:
    columns = {"score_withheld": withheld, "age_checked": checked}
    return pd.DataFrame({"filename": names.array} | columns)


def fit_check(
    min_age: int | None, required: bool, left_out: pd.DataFrame, missing: str | None = None
) -> AgeCheck:
    """Find how far the age model's predictions may be too high for faces near `min_age`.

    The bound is the 95 % quantile (of split conformal prediction, which allows one more face for
    chance) of predicted minus labelled age. It is taken among the `NEAR` left-out faces with a
    predicted age nearest to `min_age` plus the bound, where the bound decides: it is the smallest
    one, in steps of `STEP`, from which this holds. Near `min_age`, a ridge regression errs more
    than elsewhere: it predicts the young too old.

    Parameters
    ----------
    min_age : int, optional
        Years; None: nothing is checked.
    required : bool
        See `AgeCheck`.
    left_out : DataFrame
        `age` and out-of-fold `predicted` age of labelled faces.
    missing : str, optional
        Why there is no age model; None where there is one.

    Returns
    -------
    AgeCheck
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
    predicted = left_out["predicted"].to_numpy(float)
    excess = (left_out["predicted"] - left_out["age"]).to_numpy(float)
    bounds = np.arange(0, max(predicted.max() - min_age, 0) + STEP, STEP)
    enough = np.array(
        [_quantile(excess[_nearest(predicted, min_age + bound)]) <= bound for bound in bounds]
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


def _quantile(excess: np.ndarray) -> float:
    return float(np.sort(excess)[min(ceil(SURE * (len(excess) + 1)), len(excess)) - 1])


def measure_check(check: AgeCheck, faces: pd.DataFrame, persons: pd.Series) -> dict[str, dict]:
    """Measure the model alone, used or not, on labelled faces.

    Parameters
    ----------
    check : AgeCheck
        With the bound.
    faces : DataFrame
        `age` and out-of-fold `predicted` age of labelled faces.
    persons : Series
        Of the same rows, null where a face is a person of its own.

    Returns
    -------
    dict
        The share of `adults` who would get no score, and that of `minors` who would get one, as
        `exact_share` gives them.
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
    """Count the faces in the table of `check_faces` by the source of the check, for the metrics."""
    counts = table["age_checked"].value_counts()
    withheld = table["age_checked"][table["score_withheld"].notna()].value_counts()
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
    """Write `models/age_check.json`, with which single photos are checked."""
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
