"""`params.yaml`: what its sections are made of, and loading it."""
