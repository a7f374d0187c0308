"""From a message to the two texts that a runtime is given. Pure."""
