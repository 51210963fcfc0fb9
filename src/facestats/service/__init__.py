"""Scores over HTTP: `python -m facestats serve`, from the extra `facestats[serve]`."""
