"""The way of a message: from its channel through a turn to a reply that is delivered."""
