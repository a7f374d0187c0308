"""The JSON Schema of a config, joined from all component types, and its errors for people."""
