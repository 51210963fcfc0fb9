"""Groups of faces: filters, and the members of composites."""
