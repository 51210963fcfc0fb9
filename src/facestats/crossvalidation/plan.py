"""How a cross-validation is done: repeats, folds, permuted labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from facestats.core.stats.folds import dealt_folds, dealt_share
from facestats.errors import InputError, number_of

AUTO = "auto"
# Predictions that repeats add up to. Those of 318 faces cost the sample 20 s of a processor; of 60
# faces, five divisions into folds have a third less variance than one.
ENOUGH, MOST_REPEATS = 300, 5
MIN_GROUPS = 10  # persons; fewer are too few for an interval
# Part of a seed, so that folds, permutations and stopping faces are drawn independently.
_FOLDS, _CHANCE, _STOP = 0, 1, 2


@dataclass(frozen=True)
class Plan:
    """The keys of the section `evaluate` of `params.yaml` that a cross-validation follows.

    Attributes
    ----------
    folds : int
        Outer folds.
    repeats : int or str
        Divisions into folds, or `auto`.
    permutations : int
        Permutations of the labels behind `by_chance`.
    most : int
        Labelled faces up to which there is a cross-validation.
    bootstrap, seed : int
        Resamples behind each interval; of folds, permutations and resamples.
    """

    folds: int = 5
    repeats: int | str = AUTO
    permutations: int = 199
    most: int = 2000
    bootstrap: int = 1000
    seed: int = 0

    @classmethod
    def of(cls, section: Any) -> Plan:
        """Take the keys from the section `evaluate`, which has others, too."""
        return cls(**{name: getattr(section, name) for name in cls.__dataclass_fields__})

    def repeats_of(self, n: int) -> int:
        """Number of repeats for n faces."""
        if isinstance(self.repeats, int):
            return self.repeats
        return int(np.clip(round(ENOUGH / max(n, 1)), 1, MOST_REPEATS))

    def why_not(self, groups: pd.Series) -> str | None:
        """Say why labelled faces of these groups are not cross-validated; None if they are."""
        n, persons = len(groups), groups.nunique()
        if not n:
            return "no face has a label"
        if n > self.most:
            return (
                f"{n} labelled faces are more than evaluate.most, {self.most}: their test faces "
                "are enough"
            )
        if persons < MIN_GROUPS:
            return (
                f"the {number_of(n, 'labelled face')} {'is' if n == 1 else 'are'} of "
                f"{number_of(persons, 'person')}, {MIN_GROUPS} are needed"
            )
        return None

    def folds_of(
        self, groups: np.ndarray, repeats: int, classes: np.ndarray | None = None
    ) -> np.ndarray:
        """Fold of each face in each repeat: int (repeats, n).

        Parameters
        ----------
        groups : ndarray of int (n,)
            Whose face each is, from 0 without a gap.
        repeats : int
            Number of divisions.
        classes : ndarray (n,), optional
            Dealt out evenly, if given.
        """
        return np.stack(
            [
                dealt_folds(groups, self.folds, (self.seed, _FOLDS, repeat), classes)
                for repeat in range(repeats)
            ]
        )

    def permuted(self, values: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Labels that have nothing to do with their faces: (n, permutations).

        The persons change places, each with all of their labels: those of one person stay side by
        side, as they are alike.

        Parameters
        ----------
        values : ndarray (n,)
            The labels.
        groups : ndarray of int (n,)
            Whose face each is, from 0 without a gap.
        """
        places = np.argsort(groups, kind="stable")
        persons = np.split(places, np.cumsum(np.bincount(groups))[:-1])
        rng = np.random.default_rng((self.seed, _CHANCE))
        drawn = np.empty((len(values), self.permutations), dtype=values.dtype)
        for number in range(self.permutations):
            order = rng.permutation(len(persons))
            drawn[places, number] = values[np.concatenate([persons[i] for i in order])]
        return drawn


@dataclass(frozen=True)
class Division:
    """Labelled faces, divided into folds, and outside of each fold into train and those that stop.

    It follows from the arguments of `of` alone: stages that get the same have the same folds.

    Attributes
    ----------
    groups : ndarray of int (n,)
        Number of each face's group.
    folds : ndarray of int (repeats, n)
        Fold of each face.
    stop_share : float
        Share of the faces outside a fold that stop, calibrate and choose, as val does.
    seed : int
    """

    groups: np.ndarray
    folds: np.ndarray
    stop_share: float
    seed: int
    jobs: list[tuple[int, int]] = field(init=False)
    """Repeat and fold of each division."""

    def __post_init__(self):
        jobs = [(i, int(k)) for i, row in enumerate(self.folds) for k in np.unique(row)]
        object.__setattr__(self, "jobs", jobs)

    @classmethod
    def of(
        cls,
        groups: pd.Series,
        measured: pd.Series,
        stop_share: float,
        plan: Plan,
        classes: np.ndarray | None = None,
    ) -> Division:
        """Divide faces.

        Parameters
        ----------
        groups : Series of str (n,)
            Whose face each is, as `identity.same_faces` gives it.
        measured : Series of bool (n,)
            Which of them count.
        stop_share : float
            See the attribute.
        plan : Plan
        classes : ndarray (n,), optional
            Dealt out evenly, if given.

        Raises
        ------
        InputError
            There are too few faces or persons, or too many.
        """
        counts = measured.to_numpy(bool)
        if why := plan.why_not(groups[counts]):
            raise InputError(why)
        codes = pd.factorize(groups)[0]
        folds = plan.folds_of(codes, plan.repeats_of(int(counts.sum())), classes)
        return cls(codes, folds, stop_share, plan.seed)

    def parts(self, repeat: int, fold: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The faces inside a fold, and outside of it those that stop and train: bool (n,)."""
        inside = self.folds[repeat] == fold
        stops = np.zeros(len(inside), dtype=bool)
        seed = (self.seed, _STOP, repeat, fold)
        stops[~inside] = dealt_share(self.groups[~inside], self.stop_share, seed)
        return inside, stops, ~inside & ~stops
