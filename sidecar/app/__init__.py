"""Joins everything: the sidecar that runs, and what commands do without one."""
