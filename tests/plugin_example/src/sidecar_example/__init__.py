"""Component types for the sidecar from a package of their own; see its docs/extending.md."""
