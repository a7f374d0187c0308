"""What `${…}` becomes, and that it stays a secret."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from sidecar.config.load import Loaded
from sidecar.config.model import Config, FileText, Server

Check = Callable[[str], Loaded]


class Machine(Protocol):
    """The fixture `machine`."""

    folder: Path
    variables: dict[str, str]


BASE = """\
version: 1
default_route: {runtime: claude, cwd: .}
runtimes:
  claude:
    type: claude-code
"""


def usable(loaded: Loaded) -> Config:
    assert loaded.problems == ()
    assert loaded.config is not None
    return loaded.config


@pytest.fixture
def label(check: Check) -> Callable[[str], str | None]:
    """What a text becomes as the value of a key that takes any text."""

    def become(text: str) -> str | None:
        return usable(check(f"{BASE}control_plane:\n  label: {text}\n")).control_plane.label

    return become


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${NAME}", "Ann"),
        ("a ${NAME} and ${NAME}", "a Ann and Ann"),
        ("${MISSING:-other}", "other"),
        ("'${MISSING:-}x'", "x"),
        ("${EMPTY:-other}", "other"),
        ("'x${EMPTY}'", "x"),
        ("${NAME:-other}", "Ann"),
        ("'${NAME:?no name}'", "Ann"),
        ("'${MISSING:-a: b, $c}'", "a: b, $c"),
        ("$$", "$"),
        ("$${NAME}", "${NAME}"),
        ("$$$${NAME}", "$${NAME}"),
        ("$5 or $NAME", "$5 or $NAME"),
        ('"${NAME}\\n"', "Ann\n"),
    ],
)
def test_variables_are_replaced(
    text: str,
    value: str,
    label: Callable[[str], str | None],
    machine: Machine,
) -> None:
    machine.variables.update({"NAME": "Ann", "EMPTY": ""})
    assert label(text) == value


def test_what_comes_from_a_variable_is_a_text(check: Check, machine: Machine) -> None:
    machine.variables["N"] = "7"
    loaded = check("version: 1\nlimits: {queue_depth: '${N}'}\ncontrol_plane: {label: '${N}'}\n")
    [problem] = [one for one in loaded.problems if one.level == "error"]
    assert problem.path == "limits.queue_depth"
    assert problem.hint == "what ${…} gives is always a text"


def test_keys_are_left_as_they_are(check: Check) -> None:
    loaded = check(f"{BASE}channels: {{'${{NAME}}': {{type: botcord, credentials: x}}}}\n")
    assert [one.code for one in loaded.problems if one.level == "error"] == ["bad-name"]


def test_templates_and_tests_are_left_as_they_are(check: Check) -> None:
    config = usable(
        check(
            "version: 1\n"
            "runtimes: {claude: {type: claude-code}}\n"
            "default_route:\n"
            "  {runtime: claude, cwd: ., user_turn: 'a ${X} $$', recovery: '${X}'}\n"
            "routes:\n"
            "  - {match: {kind: direct}, runtime: claude, cwd: ., system_context: '${Y}'}\n"
            "tests: [{name: t, message: {text: 'costs $$ ${Z}'}, expect: {}}]\n"
        )
    )
    assert config.default_route is not None
    assert config.default_route.user_turn is not None
    assert config.default_route.user_turn.text == "a ${X} $$"
    assert config.default_route.recovery is not None
    assert config.default_route.recovery.text == "${X}"
    assert config.routes[0].system_context is not None
    assert config.routes[0].system_context.text == "${Y}"
    assert config.tests[0]["message"] == {"text": "costs $$ ${Z}"}


def test_the_file_of_a_template_can_come_from_a_variable(check: Check, machine: Machine) -> None:
    (machine.folder / "x.j2").write_text("hello")
    machine.variables["NAME"] = "x"
    config = usable(
        check(BASE + "routes: [{runtime: claude, cwd: ., user_turn: {file: '${NAME}.j2'}}]")
    )
    assert config.routes[0].user_turn is not None
    assert config.routes[0].user_turn.text == "hello"


@pytest.mark.parametrize(
    ("content", "value"),
    [("s3cret", "s3cret"), ("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"),
     ("s3cret\n\n", "s3cret\n"), (" s3cret ", " s3cret ")],
)  # fmt: skip
def test_a_file_gives_its_text_without_its_last_line_end(
    content: str, value: str, check: Check, machine: Machine
) -> None:
    path = machine.folder / "token"
    path.write_bytes(content.encode())
    loaded = check(BASE + "server: {token: '${file:token}'}\n")
    assert usable(loaded).server == Server(token=value)
    assert path in loaded.inputs


def test_secrets_are_collected_but_not_defaults_and_not_what_is_very_short(
    check: Check, machine: Machine
) -> None:
    machine.variables.update({"LONG": "long-secret", "SHORT": "abc", "EMPTY": ""})
    (machine.folder / "token").write_text("from-a-file\n")
    config = usable(
        check(
            BASE + "    env: {A: 'x ${LONG}', B: '${SHORT}', C: '${EMPTY}', D: '${NO:-default}'}\n"
            "server: {token: '${file:token}'}\n"
        )
    )
    assert config.secrets == {"long-secret", "from-a-file"}
    assert "long-secret" not in repr(config)
    assert "from-a-file" not in repr(config)


def test_the_token_of_the_server_is_a_secret_however_it_is_written(check: Check) -> None:
    assert usable(check(BASE + "server: {token: written}\n")).secrets == {"written"}


def test_files_in_the_environment_of_a_runtime_are_read_when_it_starts(
    check: Check, machine: Machine
) -> None:
    path = machine.folder / "key"
    path.write_text("not-read-now")
    machine.variables["USER"] = "ann-"
    loaded = check(BASE + "    env: {KEY: 'a $$ ${USER}${file:key}', B: plain}\n")
    config = usable(loaded)
    assert config.runtimes["claude"].env == {
        "KEY": FileText(("a $ ann-", path)),
        "B": "plain",
    }
    assert "not-read-now" not in config.secrets
    assert path in loaded.inputs


def test_a_missing_file_in_the_environment_of_a_runtime_is_found_at_once(check: Check) -> None:
    loaded = check(BASE + "    env: {KEY: '${file:/nowhere/key}'}\n")
    [problem] = loaded.problems
    assert problem.path == "runtimes.claude.env.KEY"
    assert Path("/nowhere/key") in loaded.inputs


@pytest.mark.parametrize(
    ("content", "code"), [(None, "unreadable"), (b"caf\xe9", "encoding"), (b"a\0b", "encoding")]
)
def test_what_the_environment_of_a_runtime_cannot_hold_is_found_at_once(
    content: bytes | None, code: str, check: Check, machine: Machine
) -> None:
    path = machine.folder / "key"
    path.mkdir() if content is None else path.write_bytes(content)
    loaded = check(BASE + "    env: {KEY: '${file:key}'}\n")
    [problem] = loaded.problems
    assert (problem.code, problem.path) == (code, "runtimes.claude.env.KEY")
    assert (problem.position.line, problem.position.column) == (6, 17)
    assert path in loaded.inputs


def test_a_problem_points_at_the_expression_and_not_only_at_the_value(check: Check) -> None:
    loaded = check(BASE + "control_plane:\n  label: >-\n    one\n    two ${MISSING} x\n")
    [problem] = loaded.problems
    assert (problem.position.line, problem.position.column, problem.position.width) == (9, 9, 10)


def test_a_hint_names_a_similar_variable_but_never_a_value(check: Check, machine: Machine) -> None:
    machine.variables["HUB_TOKEN"] = "the-value"
    [problem] = check(BASE + "server: {token: '${HUB_TOKN}'}\n").problems
    assert problem.hint == "did you mean 'HUB_TOKEN'?"
