"""Ages: groups, and who may be too young for a score."""
