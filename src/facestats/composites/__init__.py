"""Composites: filters, warping, averaging."""
