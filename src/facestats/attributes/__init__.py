"""Attributes: classifiers on embeddings, resolution of sources, flags, clusters."""
