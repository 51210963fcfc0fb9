"""Resampling, intervals and metrics."""
