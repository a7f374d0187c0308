"""YAML text: what it holds, where each key and value stands, and how values are written."""
