import pytest

from sidecar.app.turns import durable
from sidecar.app.turns.durable import durably
from sidecar.errors import JournalError, OutcomeFinal


async def test_a_write_is_tried_until_the_journal_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "WAIT", 0.0)
    answers: list[Exception | str] = [JournalError("disk full"), JournalError("disk full"), "done"]

    async def write() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await durably(write) == "done"
    assert answers == []


async def test_what_can_never_succeed_is_not_tried_again() -> None:
    async def write() -> None:
        raise OutcomeFinal("it has ended")

    with pytest.raises(OutcomeFinal):
        await durably(write)
