"""Attributes: models on embeddings, the source of each value, flags, proposals for labelling."""
