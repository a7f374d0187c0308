"""Chat systems: each owns a connection."""
