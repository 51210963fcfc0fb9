"""The scale of the ratings: its ends, and the check of every rating against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.errors import LabelError
from facestats.labels.cells import Mistakes
from facestats.labels.tables import PREFIX

# Ends of the scales that rating studies use; `auto` takes the narrowest that holds every rating.
USUAL_SCALES = (
    (0.0, 1.0),
    (1.0, 5.0),
    (1.0, 7.0),
    (1.0, 9.0),
    (1.0, 10.0),
    (0.0, 10.0),
    (0.0, 100.0),
)
# Up to 1 % of the ratings may be typing errors: they can't make the scale more than twice as wide
# as the others need. Less than that may be rare praise: a single 10 makes 1 to 9 a 1 to 10. A scale
# that no study uses is not made by one rating alone.
SLIPS, STRETCH = 0.01, 2.0
ALIKE = 1.5  # 1 to 7 beside 1 to 5, of which nobody gave a 6; not 1 to 9
# Codes of SPSS and survey tools for a missing answer; not ratings if all others fit a usual scale.
# fmt: off
NO_ANSWER = (
    -1, -7, -8, -9, -77, -88, -97, -98, -99, -999,
    77, 88, 97, 98, 99, 777, 888, 998, 999, 9999,
)
# fmt: on
FEW = 10  # from this many other ratings on, a 99 is taken for a missing answer


def find_scale(
    rating_scale: str | list[float],
    judgements: pd.DataFrame | None,
    table: pd.DataFrame,
    traits: Sequence[str],
    files: Mapping[str, Path | None],
    mistakes: Mistakes,
    from_labels: pd.Series,
    of_traits: pd.DataFrame,
    alone: bool,
) -> tuple[float, float] | None:
    """Find the ends of the rating scale, and check every rating against it.

    Parameters
    ----------
    rating_scale : str or list of float
        `auto` or [low, high].
    judgements : DataFrame or None
        Single ratings of accepted faces, by line, and their `trait`; None without ratings.csv.
    table : DataFrame
        `rating` and `rating_source` by face.
    traits : sequence of str
        The main one first.
    files : mapping of str to Path or None
        The label files by kind.
    mistakes : Mistakes
        Gets the judgements that lie outside the scale.
    from_labels : Series of bool
        Faces whose rating in the table counts beside judgements; see
        `mean_ratings.rated_by_labels`.
    of_traits : DataFrame
        Means of traits in `rating`, by `column`; not checked here.
    alone : bool
        Whether there is no ratings.csv: `auto` takes these means, too.

    Returns
    -------
    (float, float) or None
        None if nobody rated.

    Raises
    ------
    LabelError
        A mean rating lies outside the scale, or traits on several are to have one scale.
    """
    judged = judgements["rating"].sort_index() if judgements is not None else pd.Series(dtype=float)
    means = (table["rating"] if judgements is None else table.loc[from_labels, "rating"]).dropna()
    if not isinstance(rating_scale, str):
        low, high = rating_scale
    elif len(judged) or len(means) or (alone and len(of_traits)):
        stated = pd.concat([means, of_traits["rating"]]) if alone else means
        low, high = _narrowest_scale(judged, stated)
        _refuse_other_scales(judgements, means, of_traits, [*traits, ""][0])
    else:
        return None
    expected = expected_rating((low, high), rating_scale)
    outside = judged[(judged < low) | (judged > high)]
    if judgements is not None and len(outside):
        for column, lines in judgements.loc[
            judgements["rating"].notna()
            & ((judgements["rating"] < low) | (judgements["rating"] > high))
        ].groupby("column"):
            assert files["ratings"] is not None
            mistakes.add(files["ratings"], column, lines["rating"].map("{:g}".format), expected)
    outside = means[(means < low) | (means > high)]
    if len(outside):
        raise LabelError(
            f"{outside.index[0]} has the rating {outside.iloc[0]:g} in "
            f"{files['labels'] or 'the label file'} or in the labels by hand; expected {expected}"
        )
    return low, high


def _narrowest_scale(judged: pd.Series, stated: pd.Series) -> tuple[float, float]:
    """The narrowest usual scale of judgements and means.

    One typing error must not stretch the scale of all other ratings beyond the usual ones.
    """
    everything = pd.concat([judged, stated])
    low, high = (
        usual_scale(everything)
        or usual_scale(judged)
        or (float(np.floor(everything.min())), float(np.ceil(everything.max())))
    )
    return _without_slips(judged if len(judged) else stated, low, high)


def _refuse_other_scales(
    judgements: pd.DataFrame | None, means: pd.Series, of_traits: pd.DataFrame, main: str
) -> None:
    """Refuse traits on another scale than the main one, where the scale is found by itself.

    Raters need not use all of a scale: usual ones up to `ALIKE` times as wide are the same one.

    Raises
    ------
    LabelError
        There are ages beside ratings from 1 to 7, for example.
    """
    nothing = pd.Series(dtype=float)
    by_trait = {} if judgements is None else dict([*judgements.groupby("trait")["rating"]])
    for column, values in of_traits.groupby("column")["rating"]:
        trait = str(column).removeprefix(PREFIX)
        by_trait[trait] = pd.concat([by_trait.get(trait, nothing), values])
    own = pd.concat([by_trait.pop(main, nothing), means])
    if len(own) < FEW:
        return
    ends = _narrowest_scale(own, nothing)
    for trait, values in by_trait.items():
        others = _narrowest_scale(values, nothing) if len(values) >= FEW else ends
        widths = sorted(high - low for low, high in (ends, others))
        are_usual = ends in USUAL_SCALES and others in USUAL_SCALES
        if others != ends and not (are_usual and widths[1] <= ALIKE * widths[0]):
            raise LabelError(
                f"ratings of {trait or 'one trait'} are from {values.min():g} to {values.max():g}, "
                f"and of {main or 'another one'} from {own.min():g} to {own.max():g}; all traits "
                "have one scale: set labels.rating_scale to it, [low, high], or take out those on "
                "another"
            )


def expected_rating(scale: tuple[float, float], rating_scale: str | list[float]) -> str:
    """What a message expects of a rating."""
    low, high = scale
    return (
        f"a rating from {low:g} to {high:g}, or nothing (labels.rating_scale: {rating_scale}; "
        "[low, high] sets another scale)"
    )


def _without_slips(values: pd.Series, low: float, high: float) -> tuple[float, float]:
    """The usual scale of nearly all values, if the few others stretch it or mean no answer.

    Else [low, high].
    """
    rest = values[~values.isin(NO_ANSWER)]
    usual = usual_scale(rest)
    outside = values[(values < usual[0]) | (values > usual[1])] if usual else values
    if (
        usual
        and 2 * len(rest) > len(values)
        and usual[1] - usual[0] >= 4
        and len(outside)
        and (len(rest) >= FEW or outside.max() < 0)
    ):
        return usual  # narrower ones don't count: -1 may be the low end of -1 to 1
    for ends in USUAL_SCALES:
        outside = (values < ends[0]) | (values > ends[1])
        usual = (low, high) in USUAL_SCALES
        alone = 1 if not usual and len(values) > FEW else 0
        if 0 < outside.sum() <= max(alone, SLIPS * len(values)):
            return ends if not usual or high - low > STRETCH * (ends[1] - ends[0]) else (low, high)
    return low, high


def usual_scale(values: pd.Series) -> tuple[float, float] | None:
    """The narrowest usual scale that holds all values; None if none does, or without values."""
    if not len(values):
        return None
    return next(
        ((low, high) for low, high in USUAL_SCALES if low <= values.min() and values.max() <= high),
        None,
    )
