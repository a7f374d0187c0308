"""Frames of the control plane that acted, as the journal remembers them."""

from pathlib import Path

from sidecar.codecs.hub.control import WINDOW
from sidecar.store.frames import KEPT
from sidecar.store.journal import Journal


async def test_a_frame_is_known_after_a_crash_for_longer_than_it_is_valid(tmp_path: Path) -> None:
    first = await Journal.open(tmp_path, session_ttl=60.0, now=0.0)
    assert await first.begin_frame("f1", now=0.0) is None
    assert await first.begin_frame("f2", now=0.0) is None
    await first.end_frame("f2", "the answer")
    second = await Journal.open(tmp_path, session_ttl=60.0, now=0.0)  # as after a kill
    longest = 2 * WINDOW  # its time may be ahead of ours by a window
    assert await second.begin_frame("f1", now=longest + 1) == ""
    assert await second.begin_frame("f2", now=longest + 1) == "the answer"
    assert await second.begin_frame("f2", now=KEPT + 1) is None  # no signature lasts so long
    for journal in (first, second):
        await journal.close()
