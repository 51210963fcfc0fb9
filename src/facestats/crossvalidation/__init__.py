"""Figures on all labelled faces: each predicted by models that never saw its person."""
