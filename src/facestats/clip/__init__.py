"""CLIP: fetching a variant, encoding faces."""
