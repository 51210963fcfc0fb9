"""The seed of what tests choose at random; `make soak` sets it."""

import os

SEED = "FACESTATS_TEST_SEED"  # environment


def seed_of_run() -> int:
    return int(os.environ.get(SEED, 0))
