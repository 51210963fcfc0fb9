"""CLIP's image tower: loading it, and embedding face crops."""
