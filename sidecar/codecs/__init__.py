"""Wire formats: bytes and JSON to our values and back. Pure; can be tested with bytes only."""
