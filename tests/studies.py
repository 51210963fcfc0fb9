"""Made-up rating studies whose truth is known."""

import numpy as np
import pandas as pd


def rating_study(
    seed, faces=300, raters=20, density=1.0, face_sd=10.0, rater_sd=7.0, noise_sd=14.0, named=True
):
    """Single judgements, face + rater + noise, and the true value of each face that anybody rated
    (by filename).
    """
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, face_sd, faces)
    ratings = (
        50
        + truth[:, None]
        + rng.normal(0, rater_sd, raters)
        + rng.normal(0, noise_sd, (faces, raters))
    )
    face, rater = np.nonzero(rng.random((faces, raters)) < density)
    judgements = pd.DataFrame(
        {
            "filename": [f"face_{i:04d}" for i in face],
            "rater": [f"rater_{j:02d}" if named else "" for j in rater],
            "rating": ratings[face, rater],
        }
    )
    return judgements, pd.Series(truth, [f"face_{i:04d}" for i in range(faces)]).reindex(
        sorted(set(judgements["filename"]))
    )


def answer(judgements, rater, how, seed=0):
    """The study with one rater's answers replaced: `constant`, `random` or `inverted`."""
    own = judgements["rater"] == rater
    given = judgements.loc[own, "rating"]
    changed = {
        "constant": 50.0,
        "random": np.random.default_rng(seed).uniform(0, 100, len(given)),
        "inverted": 100 - given,
    }[how]
    return judgements.assign(rating=judgements["rating"].mask(own, pd.Series(changed, given.index)))
