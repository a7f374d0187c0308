"""The way of a saved config: applied by difference, told, and kept for the next start."""
