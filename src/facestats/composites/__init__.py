"""Composites: warping and averaging faces."""
