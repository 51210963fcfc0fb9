"""Measurements of a face from its 468 landmarks, and scores from them."""
