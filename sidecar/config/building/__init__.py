"""From a document of the right form to the typed configuration."""
