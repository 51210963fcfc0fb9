"""Neighbours: the faces whose embeddings lie nearest to a vector."""
