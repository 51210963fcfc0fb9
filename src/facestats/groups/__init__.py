"""Who belongs to a group of faces."""
