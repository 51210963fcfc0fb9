"""Measurements of a face from its landmarks, and the geometric score."""
