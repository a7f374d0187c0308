"""Configs written anew: deprecated keys, single routes, those of a BotCord daemon."""
