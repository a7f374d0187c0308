"""What a situation can be for `sidecar test` and `sidecar render`, and what is refused."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]

HISTORY = """\
  - name: a fresh session is told of the one before
    message: {text: and now?, conversation: {kind: group}}
    history:
      - {messages: [{text: is it open?, sender: {kind: human, name: Bob}}], answer: not yet}
    expect:
      recovery: "Bob asked: is it open?; not yet"
      user_turn: "Say: and now?"
"""
RECOVERY = (
    "recovery: '{% for one in history %}{{ one.messages[0].sender.label }} asked: "
    "{{ one.messages[0].text }}; {{ one.answer }}{% endfor %}'"
)


@pytest.fixture
def recovers(folder: Path) -> Path:
    """The config, whose first route has a template for what a fresh session is told."""
    config = folder / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("user_turn: {file: turn.j2}}", f"user_turn: {{file: turn.j2}}, {RECOVERY}}}"))  # noqa: E501  # fmt: skip
    return config


def test_what_a_fresh_session_is_told_is_tested_and_covered(tests: Run, recovers: Path) -> None:
    code, out, _ = tests(HISTORY)
    assert code == 0, out
    assert "template blocks: 2 of 4 reached; no test reaches config.yaml:15:memory" in out
    code, out, _ = tests(HISTORY.replace("; not yet", "; soon"))
    assert code == 1
    assert "recovery: expected 'Bob asked: is it open?; soon', found" in out
    _, out, _ = tests(HISTORY.partition("    history")[0] + "    expect: {recovery: ''}\n")
    assert "1 passed" in out
    assert "template blocks: 1 of 4 reached; no test reaches config.yaml:9, config.yaml:15" in out


def test_render_shows_what_a_fresh_session_is_told(
    sidecar: Run, recovers: Path, folder: Path
) -> None:
    (folder / "facts.yaml").write_text(
        "history: [{messages: [{text: is it open?, sender: {kind: human, name: Bob}}]}]\n"
    )
    code, out, err = sidecar("render", "--group", "--facts", "facts.yaml")
    assert (code, err) == (0, "")
    titles = [line.split(" · ")[0] for line in out.splitlines() if line.startswith("──")]
    assert titles == ["── system context", "── recovery", "── user turn"]
    assert "Bob asked: is it open?;\n" in out
    assert "── recovery" not in sidecar("render", "--group")[1]
    (folder / "facts.yaml").write_text("history: [{answer: yes}]\n")
    code, _, err = sidecar("render", "--facts", "facts.yaml")
    assert (code, "facts.yaml is no history: " in err) == (2, True)
    message = "{text: a, sent_at: 2026-02-31}"
    (folder / "facts.yaml").write_text(f"history: [{{messages: [{message}]}}]\n")
    code, _, err = sidecar("render", "--facts", "facts.yaml")
    assert (code, "facts.yaml is no history: sent_at: day is out of range" in err) == (2, True)


def test_a_template_of_blocks_alone_can_be_reached_in_full(tests: Run, folder: Path) -> None:
    test = (
        "  - {name: it, message: {text: hello, conversation: {kind: group}}, expect: {route: team}}"
    )
    (folder / "turn.j2").write_text(
        "{% set who = sender.label %}\n{% block a %}{{ message.text }}{% endblock %}\n"
        "{% if true %}{% block b %}x{% endblock %}{% endif %}\n"
    )
    _, out, _ = tests(test)
    assert "turn.j2," not in out
    assert "template blocks: 2 of 4 reached" in out
    (folder / "turn.j2").write_text("{% block a %}a{% endblock %}{% if false %}text{% endif %}")
    _, out, _ = tests(test)
    assert "no test reaches turn.j2," in out


def test_a_channel_that_does_not_exist_is_told(sidecar: Run, tests: Run) -> None:
    told = "there is no channel 'dmo': did you mean 'demo'?"
    code, _, err = sidecar("render", "--channel", "dmo")
    assert (code, err) == (2, f"sidecar: {told}\n")
    message = "message: {text: hello, channel: dmo}"
    code, out, _ = tests(f"  - {{name: it, {message}, expect: {{route: owner}}}}\n")
    assert (code, told in out) == (1, True)


def test_a_channel_may_be_found_in_a_folder(sidecar: Run, folder: Path) -> None:
    config = folder / "config.yaml"
    config.write_text(config.read_text() + "discovery: {botcord: {credentials_dir: found}}\n")
    (folder / "found").mkdir()
    assert sidecar("render", "--channel", "dmo")[0] == 0


def test_a_variable_for_templates_that_is_not_set_is_worth_a_warning(
    sidecar: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "config.yaml:7:17: warning: the environment variable REGION is not set"
    assert told in "".join(sidecar("validate")[1:])
    monkeypatch.setenv("REGION", "eu")
    assert "REGION" not in "".join(sidecar("validate")[1:])


def test_the_words_of_the_header_are_arguments_too(sidecar: Run) -> None:
    _, named, _ = sidecar("render", "--as", "human", "--name", "Ada", "--conversation", "rm_1")
    code, out, _ = sidecar("render", "--as", "human", "--from", "Ada", "--room", "rm_1")
    assert (code, out) == (0, named)
    assert "Ada" in out


@pytest.mark.parametrize("other", [("--message", "m.json"), ("--turn", "t_1")])
def test_a_text_beside_another_message_is_refused(
    sidecar: Run, other: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        sidecar("render", *other, "--text", "hello")
    assert ended.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ("memory: x", "memory is a mapping, not 'x'"),
        ("memory: {goal: [a]}", "memory.goal is a text, not ['a']"),
        ("memory: {size: '3'}", "memory.size is a whole number, not '3'"),
        ("memory: {sections: {a: b}}", "memory.sections is a list, not {'a': 'b'}"),
        ("memory: {tool: 1}", "memory.tool is true or false, not 1"),
        ("activity: {entries: [x]}", "activity.entries[] is a mapping, not 'x'"),
        ("activity: {entries: [{time: now}]}", "activity.entries[].time is a time in seconds"),
        ("activity: null", "activity is a mapping, not None"),
    ],
)
def test_facts_of_the_wrong_kind_are_told(
    sidecar: Run, folder: Path, facts: str, told: str
) -> None:
    (folder / "facts.yaml").write_text(facts)
    code, _, err = sidecar("render", "--facts", "facts.yaml")
    assert code == 2
    assert f"sidecar: facts.yaml: {told}" in err


def test_facts_that_there_may_not_be_may_be_null(sidecar: Run, folder: Path) -> None:
    (folder / "facts.yaml").write_text("{room: null, repo: null, memory: {updated_at: null}}")
    assert sidecar("render", "--facts", "facts.yaml")[0] == 0


def test_a_template_that_fails_is_told_with_what_took_its_place(sidecar: Run, folder: Path) -> None:
    (folder / "turn.j2").write_text("{{ message.extra.topic.title }}")
    code, out, err = sidecar("render", "--group")
    assert code == 1
    assert "hello" in out
    assert err.splitlines() == [
        "sidecar: a template failed: turn.j2:1: a mapping has no 'topic': it is empty",
        "sidecar: botcord/user_turn.j2 took the place of the route's user turn",
    ]


def test_the_memory_and_the_checkout_are_those_that_are_there(sidecar: Run, folder: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "here"], check=True)
    (folder / "turn.j2").write_text(
        "{{ memory.goal }} {{ memory.tool }} {{ repo.branch if repo else '-' }}"
    )
    assert sidecar("memory", "set", "goal", "ship it")[0] == 0
    assert sidecar("memory", "set", "--dev", "goal", "play")[0] == 0

    def last(*arguments: str) -> str:
        code, out, err = sidecar("render", "--group", *arguments)
        assert (code, err) == (0, "")
        return out.splitlines()[-1]

    assert last() == "ship it False here"
    assert last("--dev") == "play False here"
    (folder / "facts.yaml").write_text("{memory: {goal: told}, repo: null}")
    assert last("--facts", "facts.yaml") == "told False -"
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("runtime: cat, cwd: ., u", "runtime: claude, u"))
    assert last() == "ship it True -"


def test_a_look_at_the_memory_changes_no_file(sidecar: Run, folder: Path) -> None:
    (folder / "turn.j2").write_text("{{ memory.goal or 'empty' }}")
    assert sidecar("memory", "set", "goal", "ship it")[0] == 0
    [file] = (folder / "state" / "memory").glob("*.json")
    file.write_text("damaged")
    assert sidecar("render", "--group")[1].endswith("empty\n")
    assert file.read_text() == "damaged"
    file.write_text('{"version": 99}')
    code, _, err = sidecar("render", "--group")
    assert (code, "a newer sidecar wrote it" in err) == (2, True)


def test_tests_see_nothing_of_the_machine(tests: Run, sidecar: Run, folder: Path) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    (folder / "turn.j2").write_text("{{ memory.goal or 'empty' }}{{ '-' if not repo else '' }}")
    assert sidecar("memory", "set", "goal", "ship it")[0] == 0
    message = "message: {text: hello, conversation: {kind: group}}"
    code, out, _ = tests(f"  - {{name: it, {message}, expect: {{user_turn: empty-}}}}\n")
    assert code == 0, out
