"""Joins everything. Knows no wire format and no file format."""
