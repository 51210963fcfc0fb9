"""The regressor of ratings, its training, and the scores of all faces."""
