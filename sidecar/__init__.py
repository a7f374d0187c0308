"""Connect chat channels to coding agents, as declared in one YAML file."""

__version__ = "0.1.0"
