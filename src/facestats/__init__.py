"""FaceStats: CLIP-first face analytics as a DVC pipeline."""
