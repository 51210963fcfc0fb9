"""Measures on held-out faces, with intervals."""
