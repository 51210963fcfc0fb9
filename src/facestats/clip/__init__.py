"""CLIP: fetching a variant, encoding faces, reading prompts."""
