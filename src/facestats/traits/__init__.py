"""Scores of further rated traits, each by the procedures of the main one."""
