"""Clusters: groups of faces with similar embeddings."""
