"""Which of the wanted channels speaks as an account now, whatever id another one had before."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sidecar import metrics
from sidecar.api import ChannelType
from sidecar.config.model import Channel
from sidecar.model import Message
from sidecar.store.names import Names

log = logging.getLogger(__name__)

Speaker = Callable[[str, str], Channel | None]
"""Takes the id of a channel and an account that it had, and finds the configuration of the channel
that speaks as this account now."""


class Speakers:
    """Finds a channel again that has another id. `types` finds a channel type by its name.

    Only accounts are followed that no two channels of a type may have; of others, the id alone
    tells.
    """

    def __init__(self, names: Names, types: Callable[[str], ChannelType]) -> None:
        self._names = names
        self._types = types
        self._wanted: Mapping[str, Channel] = {}
        self._accounts: dict[str, str] = {}
        self._ids: dict[tuple[str, str], str] = {}

    def use(self, wanted: Mapping[str, Channel]) -> None:
        """These channels are wanted from now on."""
        found = {id_: self._account(one) for id_, one in wanted.items()}
        self._wanted = wanted
        self._accounts = {id_: account for id_, account in found.items() if account is not None}
        self._ids = {(wanted[id_].type, account): id_ for id_, account in self._accounts.items()}
        for id_, account in self._accounts.items():
            self._names.note(id_, account, wanted[id_].type)

    def find(self, channel: str, account: str) -> Channel | None:
        """The channel of this id, unless it speaks as somebody else now; then, and where there is
        none, the one that speaks as the account. None: nobody does."""
        own, type_ = self._wanted.get(channel), self._names.type_of(channel, account)
        if type_ is None or (own is not None and self._accounts.get(channel, account) == account):
            return own
        return self._wanted.get(self._ids.get((type_, account), ""))

    def _account(self, wanted: Channel) -> str | None:
        """The account of a channel that shares it with none; None where its type cannot tell."""
        try:
            type_ = self._types(wanted.type)
            return type_.account(wanted.id, wanted.options) if _is_alone(type_) else None
        except Exception:  # whatever a channel type does wrong, the others go on
            metrics.count("channel_failures_total", channel=wanted.id)
            log.exception("channel %s: cannot tell its account", wanted.id)
            return None


def _is_alone(type_: ChannelType) -> bool:
    """Whether the config lets no two channels of a type have one account."""
    options = type_.options.get("properties")
    told = options.values() if isinstance(options, Mapping) else ()
    return any(isinstance(one, Mapping) and "x-account" in one for one in told)


def readdressed(messages: Sequence[Message], speaker: Speaker) -> tuple[Message, ...]:
    """Messages as the channels have them that speak as their accounts now."""
    return tuple(_readdressed(message, speaker) for message in messages)


def _readdressed(message: Message, speaker: Speaker) -> Message:
    found = speaker(message.channel, message.account)
    if found is None or found.id == message.channel:
        return message
    return replace(message, channel=found.id)
