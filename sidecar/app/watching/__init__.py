"""How files are watched, and what they hold: which input of the config has changed."""
