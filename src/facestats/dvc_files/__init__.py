"""What DVC takes from its own files and its cache: checked before DVC is asked."""
