"""The development Hub: a small BotCord-compatible Hub on loopback, with a chat to talk to it."""

from sidecar.devhub.hub import DevHub
from sidecar.devhub.limits import Generation, HubLimits
from sidecar.devhub.records import Block, Sent, Typing

__all__ = ["Block", "DevHub", "Generation", "HubLimits", "Sent", "Typing"]
