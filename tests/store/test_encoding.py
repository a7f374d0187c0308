"""Messages as the journal keeps them."""

import json
from collections.abc import Callable
from pathlib import Path

from sidecar.model import Message
from sidecar.store.encoding import decode_message, encode
from sidecar.store.journal import Journal

MakeMessage = Callable[..., Message]


async def test_when_a_message_was_said_outlives_a_restart(
    folder: Path, message: MakeMessage
) -> None:
    late = message("m1", at=1000.0, sent_at=250.5)
    before = await Journal.open(folder, session_ttl=1000.0, now=1000.0)
    await before.accept([late], now=1000.0)
    await before.close()
    after = await Journal.open(folder, session_ttl=1000.0, now=2000.0)
    (turn,) = await after.unfinished()
    await after.close()
    assert turn.messages == (late,)
    assert turn.messages[0].sent_at == 250.5


def test_a_message_that_was_kept_without_it_was_said_when_it_was_received(
    message: MakeMessage,
) -> None:
    plain = json.loads(encode(message("m1", at=1000.0)))
    del plain["sent_at"]
    assert decode_message(json.dumps(plain)).sent_at == 1000.0


def test_nothing_is_said_after_it_was_received(message: MakeMessage) -> None:
    assert message("m1", at=1000.0).sent_at == 1000.0
    for later in (1000.5, float("inf"), float("nan")):
        assert message("m1", at=1000.0, sent_at=later).sent_at == 1000.0
