"""Differences between the cross-validated figures of two runs, on the faces and labels of both.

Each run's predictions come from models that have not seen the face's person, so all labelled faces
count. A bootstrap draws persons, the same ones for both runs: what makes a face hard to predict is
in both figures, and falls out of their difference. `crossvalidation.measures` says how r is
averaged over a run's own folds, and why intervals are stretched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from facestats.core.stats.intervals import RESAMPLES, SEED
from facestats.core.stats.verdict import MIN_PERSONS
from facestats.crossvalidation.attributes import TRAINED, ZEROSHOT
from facestats.crossvalidation.baselines import ZSCORE, predicted_by_all
from facestats.crossvalidation.measures import Measured, measure_classes, measure_numbers
from facestats.errors import number_of

SCORES = ("mlp", "geometric", "combined", "ridge", ZSCORE)
OF_ATTRIBUTES = (TRAINED, ZEROSHOT)
LOWER_IS_BETTER = ("mae",)
POWER = 0.8
# Standard errors of a 95 % interval's half, and of a difference that is told with `POWER`.
_HALF, _TOLD = 1.96, 1.96 + 0.8416
MOST_TIMES = 100  # as many faces as there are; beyond, their number says nothing
A, B = "A", "B"


@dataclass(frozen=True)
class Difference:
    """One figure in both runs.

    Attributes
    ----------
    target, model, measure : str
        As in `metrics/crossvalidated.json`.
    n, n_persons : int
        Faces that were compared, and whose they are.
    of_a, of_b : dict
        The figure of each run: `value`, `low`, `high`.
    minus : dict
        B − A: `value`, `low`, `high`; without ends for fewer than ten persons.
    same : bool
        Whether both predict the same.
    """

    target: str
    model: str
    measure: str
    n: int
    n_persons: int
    of_a: dict[str, float]
    of_b: dict[str, float]
    minus: dict[str, float]
    same: bool

    def better(self) -> str | None:
        """The run that is better, `A` or `B`; None if that is not shown."""
        low, high = self.minus["low"], self.minus["high"]
        if self.same or not (low > 0 or high < 0):
            return None
        return B if (low > 0) != (self.measure in LOWER_IS_BETTER) else A

    def has_interval(self) -> bool:
        """Whether the difference is known, and how far by chance it may be off."""
        return all(np.isfinite(value) for value in self.minus.values())

    def standard_error(self) -> float:
        """Of the difference, by the width of its interval."""
        return (self.minus["high"] - self.minus["low"]) / (2 * _HALF)

    def detectable(self) -> float:
        """The difference that so many faces show with a probability of `POWER`."""
        return _TOLD * self.standard_error()

    def needed(self) -> float:
        """Faces that would show the observed difference with a probability of `POWER`.

        The standard error falls with the square root of the number of persons. Infinite for no
        difference, NaN without an interval.
        """
        apart = abs(self.minus["value"])
        if not self.has_interval():
            return float("nan")
        if self.same or not apart:
            return float("inf")
        return max(float(self.n), self.n * (self.detectable() / apart) ** 2)

    def verdict(self, names: tuple[str, str] = (A, B)) -> str:
        """What the difference says, in words.

        Parameters
        ----------
        names : (str, str)
            Of the runs.
        """
        if self.same:
            return "the same predictions"
        if not np.isfinite(self.minus["value"]):
            return "undefined: predictions or labels do not vary"
        if not self.has_interval():
            return f"{number_of(self.n_persons, 'person')}, too few to tell"
        if better := self.better():
            return f"{names[better == B]} is better"
        return f"no difference that {number_of(self.n, 'face')} can show; {self._more()}"

    def _more(self) -> str:
        needed = self.needed()
        if needed > MOST_TIMES * self.n:
            return f"more than {MOST_TIMES} times as many might"
        return f"about {float(f'{needed:.2g}'):,.0f} might"


@dataclass
class Comparison:
    """All differences between two runs.

    Attributes
    ----------
    differences : list of Difference
        By target, model and measure.
    notes : list of str
        What could not be compared, and faces that were left out.
    """

    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def compare(
    a: pd.DataFrame,
    b: pd.DataFrame,
    names: tuple[str, str] = (A, B),
    only: Collection[str] | None = None,
) -> Comparison:
    """Compare the predictions of two runs.

    Parameters
    ----------
    a, b : DataFrame
        As `crossvalidation.tables.CROSSVALIDATED`.
    names : (str, str)
        What notes call the runs.
    only : collection of str, optional
        Faces to compare; by default all that are in both with the same label.

    Returns
    -------
    Comparison
        Without differences where no labelled face is in both.
    """
    result = Comparison()
    for target in dict.fromkeys([*a["target"], *b["target"]]):
        parts = [table[table["target"] == target] for table in (a, b)]
        lacking = [name for name, part in zip(names, parts, strict=True) if part.empty]
        if lacking:
            result.notes.append(f"{target} is not cross-validated in {lacking[0]}")
            continue
        first, second = (_Target(part) for part in parts)
        if first.classes != second.classes:
            result.notes.append(f"{target} has classes in one run, and numbers in the other")
            continue
        _compare_target(result, target, first, second, names, only)
    return result


class _Target:
    """The predictions of one target in one run, faces sorted by name."""

    def __init__(self, table: pd.DataFrame):
        self.classes = bool(table["actual_class"].notna().any())
        table = table.drop_duplicates(["model", "repeat", "filename"])
        faces = table.drop_duplicates("filename").set_index("filename").sort_index()
        self.actual = faces["actual_class" if self.classes else "actual"]
        self.groups = faces["person_group"]
        each = table.drop_duplicates(["repeat", "filename"])
        self.folds = each.pivot(index="repeat", columns="filename", values="fold").sort_index()
        column = "predicted_class" if self.classes else "predicted"
        self.predicted = {
            str(model): part.pivot(index="repeat", columns="filename", values=column).reindex(
                index=self.folds.index, columns=self.actual.index
            )
            for model, part in table.groupby("model", sort=False)
        }

    def compared(self) -> pd.Index:
        """The faces that the run's own figures stand on."""
        everywhere = {
            name: np.where(values.notna().all(axis=0), 0.0, np.nan)
            for name, values in self.predicted.items()
        }
        known = self.folds.notna().all(axis=0).to_numpy() & self.actual.notna().to_numpy()
        return self.actual.index[predicted_by_all(everywhere, known)]


def _compare_target(
    result: Comparison,
    target: str,
    a: _Target,
    b: _Target,
    names: tuple[str, str],
    only: Collection[str] | None,
) -> None:
    """Add the differences of one target."""
    faces = [run.compared() for run in (a, b)]
    if only is not None:
        faces = [faces_of_run[faces_of_run.isin(list(only))] for faces_of_run in faces]
    both = faces[0].intersection(faces[1])
    labels = [run.actual[both] for run in (a, b)]
    alike = (
        (labels[0] == labels[1]).to_numpy(bool)
        if a.classes
        else np.isclose(
            *(faces_of_run.to_numpy(float) for faces_of_run in labels), rtol=1e-9, atol=1e-9
        )
    )
    left_out = [
        f"{number_of(len(own) - len(both), 'face')} in {name} alone"
        for name, own in zip(names, faces, strict=True)
        if len(own) > len(both)
    ]
    if not alike.all():
        left_out.append(f"{number_of(int((~alike).sum()), 'face')} with another label")
    if left_out and only is None:
        result.notes.append(f"{target}: left out {', '.join(left_out)}")
    relabelled, both = int((~alike).sum()), both[alike]
    if not len(both) and not relabelled:
        return
    groups = _joint_groups(a.groups[both], b.groups[both]) if len(both) else np.array([], int)
    if relabelled > len(both) and len(np.unique(groups)) < MIN_PERSONS:
        if only is None:
            result.notes.append(
                f"{target}: each run predicts labels of its own, which can't be compared face by "
                "face; `dvc metrics diff` shows each run's own figures"
            )
        return
    repeats = min(len(a.folds), len(b.folds))
    if len(a.folds) != len(b.folds):
        result.notes.append(
            f"{target}: compared over the first {number_of(repeats, 'division')} into folds of each"
        )
    wanted = SCORES if a.predicted.keys() & {*SCORES} else OF_ATTRIBUTES
    for model in wanted:
        if (model in a.predicted) != (model in b.predicted):
            where = names[model in b.predicted]
            result.notes.append(f"{target}: only {where} has {model}")
        if model not in a.predicted or model not in b.predicted:
            continue
        tables = [run.predicted[model][both].iloc[:repeats] for run in (a, b)]
        if any(table.isna().any(axis=None) for table in tables):
            result.notes.append(f"{target}: {model} predicts fewer than half of the faces")
            continue
        actual = a.actual[both].to_numpy(object if a.classes else float)
        predicted = [table.to_numpy(actual.dtype) for table in tables]
        folds = [run.folds[both].iloc[:repeats].to_numpy(int) for run in (a, b)]
        measured = [
            _measure(actual, values, fold, groups)
            for values, fold in zip(predicted, folds, strict=True)
        ]
        same = np.array_equal(predicted[0], predicted[1])
        result.differences += _differences(target, model, measured, groups, same)


def _joint_groups(a: pd.Series, b: pd.Series) -> np.ndarray:
    """Number persons so that faces belong together if they do so in either run: int (n,)."""
    n, (of_a, of_b) = len(a), (pd.factorize(each)[0] for each in (a, b))
    faces, first_b = np.arange(n), n + of_a.max() + 1
    ends = np.concatenate([n + of_a, first_b + of_b])
    size = ends.max() + 1
    edges = coo_matrix((np.ones(2 * n), (np.tile(faces, 2), ends)), shape=(size, size))
    return pd.factorize(connected_components(edges, directed=False)[1][:n])[0]


def _measure(
    actual: np.ndarray, predicted: np.ndarray, folds: np.ndarray, groups: np.ndarray
) -> Measured:
    """Measure a model of one run; the same resamples for the same groups."""
    if actual.dtype != object:
        return measure_numbers(actual, {B: predicted}, folds, groups, RESAMPLES, SEED)[B]
    return measure_classes(
        actual,
        predicted,
        np.full(predicted.shape, np.nan),
        np.ones(predicted.shape, dtype=bool),
        groups,
        len(np.unique(folds)),
        RESAMPLES,
        SEED,
    )


def _differences(
    target: str, model: str, measured: list[Measured], groups: np.ndarray, same: bool
) -> Iterator[Difference]:
    """The headlines of one model: r and mean absolute error, or balanced accuracy."""
    a, b = (each.report() for each in measured)
    minus, n_persons = measured[1].minus(measured[0]), len(np.unique(groups))
    if "balanced_accuracy" in a:
        measures = ("balanced_accuracy",)
    elif model in OF_ATTRIBUTES:
        measures = ("mae",)
    else:  # the z-score is in no unit of ratings
        measures = ("pearson",) if model == ZSCORE else ("pearson", "mae")
    for measure in measures:
        if n_persons < MIN_PERSONS:
            for one in (a, b, minus):
                one[measure] |= {"low": float("nan"), "high": float("nan")}
        yield Difference(
            target,
            model,
            measure,
            len(groups),
            n_persons,
            a[measure],
            b[measure],
            minus[measure],
            same,
        )
