"""Ways to run an agent: each owns processes."""
