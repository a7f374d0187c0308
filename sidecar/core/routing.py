"""Which route takes a message: the first one, in order, whose conditions all hold.

Compiled: a route is filed under its most selective exact or prefix condition, so that a message
is compared only with the routes that could take it, however many there are.
"""

from collections.abc import Iterator, Sequence

from sidecar.config.model import Match, Route
from sidecar.model import Message

_Filed = tuple[int, Route]


class Router:
    """Finds the route of a message. `default` takes what no other route takes."""

    def __init__(self, routes: Sequence[Route], default: Route | None) -> None:
        self.default = default
        self._exact: dict[tuple[str, str], list[_Filed]] = {}
        self._prefix: dict[str, list[_Filed]] = {}
        self._rest: list[_Filed] = []
        for order, route in enumerate(routes):
            for shelf in self._shelves(route.match):
                shelf.append((order, route))
        self._prefix_lengths = sorted({len(prefix) for prefix in self._prefix})

    def match(self, message: Message) -> Route | None:
        """The route of a message, None when there is none."""
        best: _Filed | None = None
        for shelf in self._candidates(message):
            for order, route in shelf:
                if best is not None and order >= best[0]:
                    break
                if _holds(route.match, message):
                    best = (order, route)
                    break
        return self.default if best is None else best[1]

    def _shelves(self, match: Match) -> list[list[_Filed]]:
        for name, values in (("conversation", match.conversation), ("sender", match.sender)):
            if values is not None:
                return [self._exact.setdefault((name, value), []) for value in set(values)]
        if match.conversation_prefix is not None:
            return [self._prefix.setdefault(text, []) for text in set(match.conversation_prefix)]
        for name, values in (("account", match.account), ("channel", match.channel)):
            if values is not None:
                return [self._exact.setdefault((name, value), []) for value in set(values)]
        return [self._rest]

    def _candidates(self, message: Message) -> Iterator[list[_Filed]]:
        conversation = message.conversation.id
        for key in (
            ("conversation", conversation),
            ("sender", message.sender.id),
            ("account", message.account),
            ("channel", message.channel),
        ):
            if (shelf := self._exact.get(key)) is not None:
                yield shelf
        for length in self._prefix_lengths:
            if length > len(conversation):
                break
            if (shelf := self._prefix.get(conversation[:length])) is not None:
                yield shelf
        yield self._rest


def _holds(match: Match, message: Message) -> bool:
    conversation, sender = message.conversation, message.sender
    return (
        (match.channel is None or message.channel in match.channel)
        and (match.account is None or message.account in match.account)
        and (match.conversation is None or conversation.id in match.conversation)
        and (
            match.conversation_prefix is None
            or conversation.id.startswith(match.conversation_prefix)
        )
        and (match.kind is None or conversation.kind in match.kind)
        and (match.sender is None or sender.id in match.sender)
        and (match.sender_kind is None or sender.kind in match.sender_kind)
        and (match.mentioned is None or message.mentioned == match.mentioned)
    )
