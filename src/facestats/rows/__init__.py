"""The row store: what DVC rebuilds as a whole, rebuilt row by row."""
