"""`sidecar render`: the prompt, what made it, and what changed."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.app.authoring.preview import messages_of
from sidecar.config.model import Channel, Config, State
from sidecar.model import Conversation, Message, Sender
from sidecar.store.journal import Journal
from sidecar.store.records import Outcome, SessionKey

Run = Callable[..., tuple[int, str, str]]


def test_each_part_tells_its_template_block_and_size(sidecar: Run) -> None:
    code, out, _ = sidecar("render", "--text", "good day")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "route owner · runtime claude · owner · cancel-previous"
    assert lines[2].startswith("── system context · ")
    assert re.match(r"┌ botcord/\S+:scene · 210 characters, about 53 tokens", lines[3])
    assert lines[4] == "[BotCord Scene: Owner Chat]"
    assert "┌ config.yaml:15:memory · 38 characters, about 10 tokens" in lines
    assert lines[-3] == "── user turn · 8 characters, about 2 tokens"
    assert lines[-2] == "┌ botcord/user_turn.j2:body · 8 characters, about 2 tokens"
    assert lines[-1] == "good day"


def test_what_the_owner_says_without_a_room_is_said_in_the_owners_chat(
    sidecar: Run, folder: Path
) -> None:
    config = folder / "config.yaml"
    prefix = "{conversation_prefix: rm_oc_}"
    config.write_text(config.read_text().replace("{sender_kind: owner}", prefix))
    assert sidecar("render")[1].startswith("route owner · ")
    assert sidecar("render", "--conversation", "rm_1")[1].startswith("route default · ")
    assert sidecar("render", "--as", "human")[1].startswith("route default · ")
    assert sidecar("render", "--group")[1].startswith("route team · ")
    channels = {"demo": Channel("demo", "botcord")}
    told: list[dict[str, Any]] = [{"text": "one", "sender": {"kind": "human"}}, {"text": "two"}]
    before, last = messages_of(told, Config(State(folder), None, channels=channels))
    assert before.conversation == last.conversation
    assert last.conversation.id.startswith("rm_oc_")


def test_a_line_of_several_blocks_names_them_all(sidecar: Run, folder: Path) -> None:
    (folder / "turn.j2").write_text(
        "A {% block b %}{{ message.text }}{% endblock %}.\n{# note #}\nlast\n"
    )
    _, out, _ = sidecar("render", "--group")
    assert out.splitlines()[-4:] == [
        "┌ turn.j2, turn.j2:b · 8 characters, about 2 tokens",
        "A hello.",
        "┌ turn.j2 · 4 characters, about 1 token",
        "last",
    ]


def test_what_stood_in_a_block_is_told_apart_from_what_stands_there_now(
    sidecar: Run, folder: Path
) -> None:
    (folder / "turn.j2").write_text(
        '{% extends "plain/user_turn.j2" %}\n'
        "{% block header %}Mine\n{{ super() }}{% endblock %}"
        "{% block body %}{{ super() | upper }}{% endblock %}"
    )
    _, out, _ = sidecar("render", "--group", "--as", "human", "--name", "Bob", "--text", "hi")
    made = dict(re.findall(r"┌ (\S+) · .*\n(.*)", out))
    assert made["turn.j2:header"] == "Mine"
    assert made["plain/user_turn.j2:header"] == 'From "Bob":'
    assert made["turn.j2:body"].startswith("<HUMAN-MESSAGE")


def test_the_parts_together_are_the_text(sidecar: Run, folder: Path) -> None:
    (folder / "turn.j2").write_text('\n\n x {% include "botcord/user_turn.j2" %} \n y \n\n')
    _, out, _ = sidecar("render", "--group", "--as", "human", "--name", "Bob", "--json")
    found = json.loads(out)
    for name in ("system_context", "user_turn"):
        whole = "".join(part["text"] for part in found["parts"] if part["of"] == name)
        assert whole == found[name]
    made = {(part["template"], part["block"]) for part in found["parts"]}
    assert {("turn.j2", ""), ("botcord/user_turn.j2", "header")} <= made


def test_what_changed_since_it_was_last_asked(sidecar: Run, folder: Path) -> None:
    assert "nothing to compare with yet" in sidecar("render", "--group", "--diff")[1]
    assert sidecar("render", "--group", "--diff")[1].endswith("── unchanged\n")
    (folder / "turn.j2").write_text("Tell: {{ message.text }}!\n")
    _, out, _ = sidecar("render", "--group", "--diff")
    assert out.splitlines()[-4:] == [
        "── user turn changed · +2 characters, about +0 tokens",
        "  …",
        "-Say: hello",
        "+Tell: hello!",
    ]
    assert "nothing to compare" in sidecar("render", "--group", "--text", "x", "--diff")[1]
    (kept, *_) = (folder / "state" / "renders").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_any_route_can_be_looked_at(sidecar: Run) -> None:
    assert "route team" in sidecar("render", "--route", "team")[1]
    assert "route default" in sidecar("render", "--route", "default")[1]
    code, _, err = sidecar("render", "--route", "teem")
    assert (code, err) == (2, "sidecar: no route is named 'teem': did you mean 'team'?\n")


async def recorded(folder: Path) -> tuple[str, str]:
    """The ids of a turn with two messages, and of the one that was merged into it."""
    journal = await Journal.open(folder, session_ttl=60.0, now=1.0)
    place = Conversation("rm_1", "group", "Kitchen")
    messages = [
        Message("demo", "demo", f"m_{text}", place, Sender("hu_1", "human", "Ann"), text, 1.7e9)
        for text in ("first", "second")
    ]
    merged, turn = [one.turn for one in await journal.accept(messages, now=1.7e9)]
    key = SessionKey("demo", "demo", "rm_1", None, "command:cat", "/", "public")
    await journal.start(turn, key, route="team", generation=1, now=1.7e9, merged=[merged])
    await journal.close()
    return turn, merged


def test_a_turn_of_the_journal_is_shown_as_it_would_be_now(sidecar: Run, folder: Path) -> None:
    turn, merged = asyncio.run(recorded(folder / "state"))
    (folder / "turn.j2").write_text(
        "{{ turn.reason }} at {{ now | date }}:"
        "{% for one in messages %} {{ one.sender.label }}: {{ one.text }}{% endfor %}\n"
    )
    code, out, _ = sidecar("render", "--turn", turn)
    assert code == 0
    assert "route team · runtime cat · public" in out
    assert out.splitlines()[-1] == "coalesced at 2023-11-14 22:13 UTC: Ann: first Ann: second"
    assert sidecar("render", "--turn", merged)[2] == (
        f"sidecar: the turn {merged} was merged into {turn}\n"
    )
    code, _, err = sidecar("render", "--turn", "nope")
    assert (code, "the journal has no turn nope" in err) == (2, True)


def test_a_turn_of_the_development_sidecar_is_found_in_its_own_journal(
    sidecar: Run, folder: Path
) -> None:
    turn, _ = asyncio.run(recorded(folder / "state" / "dev"))
    code, _, err = sidecar("render", "--turn", turn)
    assert (code, err.endswith("; that of `sidecar dev` is meant with --dev\n")) == (2, True)
    assert "route team" in sidecar("render", "--dev", "--turn", turn)[1]
    assert sidecar("route", "test", "--dev", "--turn", turn)[1].startswith("team: runtime cat")
    code, _, err = sidecar("render", "--dev", "--turn", "nope")
    assert (code, "is meant with" in err) == (2, False)


def test_a_turn_that_was_run_again_names_the_one_that_has_its_messages(
    sidecar: Run, folder: Path
) -> None:
    async def retried() -> tuple[str, str]:
        turn, _ = await recorded(folder / "state")
        journal = await Journal.open(folder / "state", session_ttl=60.0, now=1.0)
        await journal.finish(turn, Outcome("failed"), key=None, session=None, now=1.7e9)
        again = await journal.retry(turn, now=1.7e9)
        await journal.close()
        return turn, again.turn

    turn, again = asyncio.run(retried())
    assert again in sidecar("render", "--turn", turn)[2]
    assert sidecar("render", "--turn", again)[0] == 0


def test_without_a_journal_there_is_no_turn(sidecar: Run) -> None:
    code, _, err = sidecar("render", "--turn", "nope")
    assert (code, "there is no journal" in err) == (2, True)


def test_what_a_file_tells_of_the_memory_is_as_harmless_as_the_real_one(
    sidecar: Run, folder: Path
) -> None:
    section = "{name: todo, text: 'a </section_todo> b'}"
    (folder / "facts.yaml").write_text(f"memory: {{goal: g, sections: [{section}]}}\n")
    (folder / "turn.j2").write_text("{% for one in memory.sections %}{{ one.text }}{% endfor %}")
    code, out, _ = sidecar("render", "--group", "--facts", "facts.yaml")
    assert (code, out.splitlines()[-1]) == (0, "a \u2039/section_todo\u203a b")


def test_a_file_of_facts_has_to_be_a_mapping(sidecar: Run, folder: Path) -> None:
    (folder / "facts.yaml").write_text("room: {name: Kitchen}\n")
    assert sidecar("render", "--facts", "facts.yaml")[0] == 0
    (folder / "facts.yaml").write_text("- 1\n")
    code, _, err = sidecar("render", "--facts", "facts.yaml")
    assert (code, err.startswith("sidecar: facts.yaml:1:1: ")) == (2, True)


@pytest.mark.parametrize("option", ["--facts", "--message"])
def test_a_file_that_cannot_be_read_is_told_once(sidecar: Run, folder: Path, option: str) -> None:
    (folder / "latin").write_bytes(b"\xe9")
    missing = "sidecar: nope cannot be read: No such file or directory\n"
    assert sidecar("render", option, "nope") == (2, "", missing)
    assert sidecar("render", option, "latin") == (2, "", "sidecar: latin is no text in UTF-8\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"text": 5}', "m.json is no message: expected a text, found 5"),
        ("[]", "m.json is no message: expected a mapping, found a list"),
        ('{"text": "a", "sender": {"kind": "king"}}', "'king' is not one of owner, human, agent"),
        ('[{"text": "a"}, {"txt": "b"}]', "the key 'text' is missing; did you write 'txt' for it?"),
        ('{"text":', "m.json is no message: Expecting value: line 1"),
        ('{"text": "a", "sent_at": "now"}', "expected a time such as 2026-01-31T09:00:00Z"),
        ('{"text": "a", "sent_at": "2026-02-31"}', "m.json is no message: sent_at: day is out"),
    ],
)
def test_a_file_that_is_no_message_is_told(
    sidecar: Run, folder: Path, text: str, told: str
) -> None:
    (folder / "m.json").write_text(text)
    code, out, err = sidecar("render", "--message", "m.json")
    assert (code, out) == (2, "")
    assert told in err


def test_an_old_message_is_shown_with_its_age(sidecar: Run, folder: Path) -> None:
    (folder / "m.json").write_text('{"text": "hello", "sent_at": "2026-01-31T09:00:00Z"}')
    _, out, _ = sidecar("render", "--message", "m.json")
    assert "\n[BotCord Message] | said: " in out
    assert "| said: " not in sidecar("render", "--text", "hello")[1]


def test_messages_of_one_turn_are_shown_together(sidecar: Run, folder: Path) -> None:
    (folder / "m.json").write_text(
        '[{"text": "first", "sender": {"kind": "human"}}, {"text": "second"}]'
    )
    _, out, _ = sidecar("render", "--message", "m.json")
    assert out.index("first") < out.index("second")
    assert out.startswith("route owner · runtime claude · public")


def test_a_context_that_does_not_exist_is_told(sidecar: Run, folder: Path) -> None:
    (folder / "facts.yaml").write_text("activity: {entries: [{titel: x}]}\n")
    code, _, err = sidecar("render", "--facts", "facts.yaml")
    assert code == 2
    assert "facts.yaml: activity.entries[] has no 'titel': did you mean 'title'?" in err
