"""The development Hub: a small BotCord-compatible Hub on loopback, with a chat to talk to it."""
