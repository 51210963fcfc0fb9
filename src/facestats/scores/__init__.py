"""Attractiveness: the MLP regressor, its training, and scores."""
