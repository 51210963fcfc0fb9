"""Datasets that can be brought into the layout of the label files."""
