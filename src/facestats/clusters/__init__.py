"""Groups of alike faces."""
