"""CLIP checkpoints: where they come from, and what their folders hold."""
