"""What comes in: labels, splits, dataset importers, the built-in sample."""
