"""What becomes of a config: its values, its limits, and that nothing makes it raise."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.config.load import Loaded, load
from sidecar.config.model import Config, Match, Template
from sidecar.config.problems import render_text
from sidecar.config.schemas.schema import Schema

Check = Callable[[str], Loaded]

BASE = """\
version: 1
runtimes: {claude: {type: claude-code}}
default_route: {runtime: claude, cwd: .}
"""


def usable(loaded: Loaded) -> Config:
    assert [one for one in loaded.problems if one.level == "error"] == []
    assert loaded.config is not None
    return loaded.config


def codes(loaded: Loaded) -> list[str]:
    return [problem.code for problem in loaded.problems]


def channel(keys: str, name: str = "demo") -> str:
    return f"channels: {{{name}: {{type: botcord, credentials: demo.json, {keys}}}}}\n"


def test_the_state_folder_follows_the_users_settings(check: Check, machine: Any) -> None:
    assert usable(check(BASE)).state.dir == machine.home / ".local/state/sidecar"
    machine.variables["XDG_STATE_HOME"] = "/var/state"
    assert usable(check(BASE)).state.dir == Path("/var/state/sidecar")
    machine.variables["XDG_STATE_HOME"] = "not/absolute"
    assert usable(check(BASE)).state.dir == machine.home / ".local/state/sidecar"
    assert usable(check(BASE + "state: {dir: ~/x}\n")).state.dir == machine.home / "x"
    assert usable(check(BASE + "state: {dir: ../x}\n")).state.dir == machine.folder.parent / "x"


def test_the_server_can_be_switched_off(check: Check) -> None:
    assert usable(check(BASE + "server: null\n")).server is None


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:0", "[::1]:8787", "localhost:80", "127.8.8.8:80", "unix:/run/x.sock"]
)
def test_a_server_on_this_machine_needs_no_token(listen: str, check: Check) -> None:
    usable(check(BASE + f"server: {{listen: '{listen}'}}\n"))


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80", "example.org:80", "10.0.0.1:80"])
def test_a_server_that_others_reach_needs_one(listen: str, check: Check) -> None:
    assert codes(check(BASE + f"server: {{listen: '{listen}'}}\n")) == ["token-missing"]
    usable(check(BASE + f"server: {{listen: '{listen}', token: secret}}\n"))


@pytest.mark.parametrize(
    "listen", ["8787", ":8787", "host", "host:", "host:x", "host:65536", "host:\uff19", "unix:x",
               "unix:", "host:" + "9" * 5000],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(listen: str, check: Check) -> None:
    found = check(BASE + f"server: {{token: secret, listen: '{listen}'}}\n")
    assert codes(found) == ["bad-address"]


def test_a_channel_has_its_options_with_absolute_paths_and_its_account(
    check: Check, machine: Any
) -> None:
    found = usable(check(BASE + channel("hub_url: null, send_rate: {total: 5/1m}")))
    assert found.channels["demo"].options == {
        "agent": "demo",
        "credentials": str(machine.folder / "demo.json"),
        "hub_url": None,
        "stream": True,
        "send_rate": {"total": "5/1m", "per_conversation": "10/1m"},
    }


def test_limits_of_a_channel_can_be_switched_off(check: Check) -> None:
    found = usable(check(BASE + channel("rate_limit: null, loop_guard: null"))).channels["demo"]
    assert (found.rate_limit, found.loop_guard) == (None, None)


def test_credentials_may_come_later_but_are_waited_for(check: Check, machine: Any) -> None:
    found = check(BASE + channel("stream: true"))
    assert [(one.code, one.level) for one in found.problems] == [("credentials-missing", "warning")]
    assert machine.folder / "demo.json" in found.inputs
    assert found.config is not None


def test_credentials_that_others_can_read_are_refused_with_what_mends_it(
    check: Check, machine: Any
) -> None:
    path = machine.folder / "demo.json"
    path.write_text("{}")
    path.chmod(0o640)
    [problem] = check(BASE + channel("stream: true")).problems
    assert (problem.code, problem.hint) == ("credentials-open", f"chmod 600 {path}")
    (machine.folder / "..data").mkdir()  # as below the mount point of a Secret
    [problem] = check(BASE + channel("stream: true")).problems
    assert problem.hint == "mount the Secret with `defaultMode: 0440`, in a pod with `fsGroup`"
    path.chmod(0o600)
    assert check(BASE + channel("stream: true")).problems == ()
    path.unlink()
    path.mkdir()
    assert codes(check(BASE + channel("stream: true"))) == ["credentials-missing"]


def test_the_login_of_the_control_plane_is_looked_at_when_it_is_used(check: Check) -> None:
    assert check(BASE + "control_plane: {credentials: no.json}\n").problems == ()
    found = check(BASE + "control_plane: {credentials: no.json, enabled: true}\n")
    assert codes(found) == ["credentials-missing"]


def test_commands_are_looked_up_and_paths_to_them_become_absolute(
    check: Check, machine: Any
) -> None:
    script = machine.folder / "answer.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    config = usable(
        check(
            "version: 1\nruntimes:\n"
            "  a: {type: command, command: [./answer.sh, ./x]}\n"
            "  b: {type: claude-code, command: ~/../answer.sh}\n"
            "  c: {type: command, command: [claude, -p]}\n"
            "default_route: {runtime: a, cwd: .}\n"
        )
    )
    assert config.runtimes["a"].options["command"] == [str(script), "./x"]
    assert config.runtimes["b"].options["command"] == str(script)
    assert config.runtimes["c"].options == {"command": ["claude", "-p"], "protocol": "text"}


@pytest.mark.parametrize("keys", ["type: command, command: [codex -p]", "command: codex -p"])
def test_arguments_in_the_name_of_a_command_are_told(keys: str, check: Check) -> None:
    keys = keys if "type" in keys else f"type: claude-code, {keys}"
    [problem] = check(BASE.replace("type: claude-code", keys)).problems
    assert problem.message == "the command 'codex -p' is not found"
    assert "arguments" in problem.hint


def test_a_runtime_that_cannot_run_here_is_a_problem_unless_the_caller_can_run_it(
    machine: Any, schema: Schema, check: Check
) -> None:
    text = (
        "version: 1\n"
        "runtimes: {c: {type: acp, command: [codex, acp]}}\n"
        "default_route: {runtime: c, cwd: .}\n"
    )
    assert usable(check(text)).runtimes["c"].type == "acp"
    [problem] = load(Path("config.yaml"), machine, schema, available={"codex"}).problems
    assert problem.code == "runtime-unavailable"
    assert problem.hint == "this version runs codex"
    found = load(Path("config.yaml"), machine, schema, available={"acp"})
    assert usable(found).runtimes["c"].options["command"] == ["codex", "acp"]


def test_a_match_takes_values_and_lists(check: Check) -> None:
    config = usable(
        check(
            BASE + "routes:\n"
            "  - runtime: claude\n"
            "    cwd: .\n"
            "    match: {conversation_prefix: rm_, kind: direct, sender_kind: [owner, human],\n"
            "            sender: [a, b], account: x, conversation: y, mentioned: false}\n"
        )
    )
    assert config.routes[0].match == Match(
        conversation_prefix=("rm_",),
        kind=("direct",),
        sender_kind=("owner", "human"),
        sender=("a", "b"),
        account=("x",),
        conversation=("y",),
        mentioned=False,
    )


def test_a_route_has_its_own_times_or_none(check: Check) -> None:
    config = usable(check(BASE + "routes: [{runtime: claude, cwd: ., turn_timeout: 2h}]\n"))
    assert (config.routes[0].turn_timeout, config.routes[0].idle_timeout) == (7200.0, None)
    assert config.routes[0].name == "routes[0]"
    assert config.default_route is not None
    assert (config.default_route.name, config.default_route.trust) == ("default", "owner")


def test_all_mistakes_of_the_default_route_are_told_at_once(check: Check) -> None:
    route = "runtime: zzz, cwd: /nope, queue: seral, user_turn: {file: nofile.j2}, effort: 5"
    found = check(f"version: 1\ndefault_route: {{{route}}}\n")
    assert codes(found) == [
        "unknown-runtime", "no-folder", "wrong-value", "unreadable", "wrong-type",
    ]  # fmt: skip
    route = "runtime: claude, cwd: ., turn_timeout: soon, effort: high, args: [--effort, low]"
    found = check(BASE.replace("runtime: claude, cwd: .", f"{route}, user_turn: '{{{{'"))
    assert codes(found) == ["wrong-value", "set-twice"]
    assert found.draft is not None
    assert found.draft.default_route is not None
    assert found.draft.default_route.user_turn is not None
    for nothing in ("null", "5", "[]", "{}", "{cwd: .}"):
        assert check(f"version: 1\ndefault_route: {nothing}\n").config is None


@pytest.mark.parametrize(
    ("keys", "written", "meant"),
    [
        ("type: claude-code, args: ", "--model sonnet", "[--model, sonnet]"),
        ("type: claude-code, args: ", "-p 'two words' -1", '[-p, two words, "-1"]'),
        ("type: claude-code, args: ", "it's", ""),
        ("type: claude-code, inherit_env: ", '"PATH, HOME LANG"', "[PATH, HOME, LANG]"),
        ("type: command, command: ", "claude -p", "[claude, -p]"),
    ],
)
def test_a_text_in_place_of_a_list_is_shown_as_the_list_that_was_meant(
    keys: str, written: str, meant: str, check: Check
) -> None:
    text = BASE.replace("type: claude-code", f"{keys}{written}")
    [problem] = check(text).problems
    assert problem.hint == (f"did you mean {meant}?" if meant else "")
    if meant:
        assert usable(check(BASE.replace("type: claude-code", f"{keys}{meant}")))


def test_a_channel_that_may_be_found_later_can_be_matched(check: Check, machine: Any) -> None:
    text = BASE + "routes: [{runtime: claude, cwd: ., match: {channel: ag_9}}]\n"
    assert codes(check(text)) == ["unknown-channel"]
    assert check(text + "control_plane: {enabled: true}\n").config is not None
    (machine.folder / "found").mkdir()
    usable(check(text + "discovery: {botcord: {credentials_dir: found}}\n"))


def test_templates_know_where_their_text_is(check: Check, machine: Any) -> None:
    (machine.folder / "x.j2").write_text("from a file")
    found = check(
        BASE.replace("cwd: .", "cwd: ., user_turn: short") + "routes:\n"
        "  - runtime: claude\n"
        "    cwd: .\n"
        "    system_context: {file: x.j2}\n"
        "    user_turn: |\n"
        "      one\n"
        "      two\n"
    )
    config = usable(found)
    [route] = config.routes
    assert route.system_context == Template("x.j2", "from a file")
    assert route.user_turn == Template("config.yaml", "one\ntwo\n")
    assert route.user_turn is not None
    assert route.user_turn.line == 9
    assert config.default_route is not None
    assert config.default_route.user_turn is not None
    assert config.default_route.user_turn.line == 3
    assert found.sources["x.j2"] == "from a file"
    assert machine.folder / "x.j2" in found.inputs


def test_what_means_the_same_is_equal_however_it_is_written(check: Check) -> None:
    one = usable(
        check(
            BASE + "limits: {turn_timeout: 10m, output: 1MiB}\n"
            "routes: [{name: a, runtime: claude, cwd: ., match: {kind: direct}, user_turn: x}]\n"
        )
    )
    other = usable(
        check(
            "# a comment\nlimits: {output: 1024KiB, turn_timeout: 600s}\nversion: 1\n"
            "default_route: {cwd: ./., runtime: claude, args: [], queue: null}\n"
            "routes:\n- match: {kind: [direct]}\n  user_turn: 'x'\n  name: a\n  cwd: ../"
            f"{one.routes[0].cwd.name}\n  runtime: claude\n  trust: owner\n"
            "runtimes: {claude: {env: {}, type: claude-code, command: claude}}\nserver: {}\n"
        )
    )
    assert one == other
    changed = usable(check(BASE + "limits: {turn_timeout: 11m}\n"))
    assert changed != one
    assert changed == replace(one, limits=changed.limits, routes=())


def test_a_secret_that_is_written_in_the_file_is_covered_in_excerpts(
    check: Check, machine: Any
) -> None:
    machine.variables["NAME"] = "from-outside"
    found = check(
        "version: 1\n"
        "server: {token: written-1, listn: x}\n"
        "runtimes:\n"
        "  claude: {type: claude-code, env: {A: 'written-2', B: '${NAME}', C: 5, D: }, argss: []}\n"
        "  other:\n"
        "    type: claude-code\n"
        "    env:\n"
        "      K: |\n"
        "        written-3\n"
        "        written-4\n"
        "      bad name: x\n"
    )
    told = render_text(found.problems, found.sources)
    assert "written" not in told + "".join(found.sources.values())
    assert "server: {token: *********, listn: x}\n      |                            ^^^^^" in told
    assert "env: {A: ***********, B: '${NAME}', C: *, D: }, argss: []}" in told
    assert found.sources["config.yaml"].count("\n") == 11


def test_relative_names_are_used_for_files_in_the_present_folder_only(
    machine: Any, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "c.yaml"
    elsewhere.write_text("version: 2\n")
    found = load(elsewhere, machine, schema)
    assert {one.position.file for one in found.problems} == {str(elsewhere)}


@pytest.mark.parametrize(
    ("content", "code", "line", "column"),
    [
        (b"version: 1\n# caf\xe9\n", "encoding", 2, 6),
        (b"\xef\xbb\xbfversion: 1\n", "encoding", 1, 1),
        ("version: 1\n".encode("utf-16"), "encoding", 1, 1),
        (b"version: 1\nlog: \x00\n", "encoding", 1, 1),
        (b"[" * 100_000, "too-deep", 1, 101),
        (b"", "empty", 1, 1),
    ],
)
def test_a_file_that_is_no_text_is_a_problem(
    content: bytes, code: str, line: int, column: int, machine: Any, schema: Schema
) -> None:
    path = machine.folder / "config.yaml"
    path.write_bytes(content)
    found = load(path, machine, schema)
    assert found.config is None
    [problem] = found.problems
    assert problem.code == code
    assert (problem.position.line, problem.position.column) == (line, column)
    assert path in found.inputs
    assert render_text(found.problems, found.sources)


def test_what_is_no_readable_file_is_a_problem(machine: Any, schema: Schema) -> None:
    folder, pipe = machine.folder / "folder", machine.folder / "pipe"
    folder.mkdir()
    os.mkfifo(pipe)
    big = machine.folder / "big"
    with big.open("wb") as file:
        file.truncate(11 * 1024 * 1024)
    for path in (folder, pipe, big, Path("/dev/zero"), machine.folder / "no", Path("x" * 5000)):
        found = load(path, machine, schema)
        assert codes(found) == ["unreadable"]
        assert machine.cwd / path in found.inputs


def test_a_file_of_a_key_that_is_no_text_is_a_problem_of_that_key(
    check: Check, machine: Any
) -> None:
    (machine.folder / "x").write_bytes(b"\xff")
    text = BASE + "routes: [{runtime: claude, cwd: ., user_turn: {file: x}}]\n"
    [problem] = check(text).problems
    assert (problem.code, problem.position.line) == ("encoding", 4)
    assert codes(check(BASE + "server: {token: '${file:x}'}\n")) == ["encoding"]


@pytest.mark.parametrize(
    "text",
    [
        "x" * 5000,
        "a" * 300 + "/" + "b" * 300,
        "~nobody/x",
        "/proc/self/mem",
        "\\ud7ff",
        "é\u200bx",
        "",
        "/",
        "..",
    ],
)
def test_no_path_makes_it_raise(text: str, check: Check) -> None:
    quoted = json.dumps(text)
    found = check(
        f"version: 1\ninclude: [{quoted}]\nstate: {{dir: {quoted}}}\nlog: {{file: {quoted}}}\n"
        f"server: {{token: '${{file:{text}}}', listen: {quoted}}}\n"
        f"channels: {{d: {{type: botcord, credentials: {quoted}}}}}\n"
        f"runtimes: {{c: {{type: claude-code, command: {quoted}}}, d: {{type: command, command: "
        f"[{quoted}], env: {{A: '${{file:{text}}}'}}}}}}\n"
        f"discovery: {{botcord: {{credentials_dir: {quoted}}}}}\n"
        f"control_plane: {{enabled: true, credentials: {quoted}}}\n"
        f"default_route: {{runtime: c, cwd: {quoted}, user_turn: {{file: {quoted}}}}}\n"
    )
    assert found.config is None
    assert render_text(found.problems, found.sources)


@pytest.mark.parametrize("text", ["\0", "/a\0*", "/\ud800"])
def test_what_no_path_can_hold_is_a_problem_and_is_not_watched(text: str, check: Check) -> None:
    quoted = json.dumps(text)
    found = check(
        f"version: 1\ninclude: [{quoted}]\nstate: {{dir: {quoted}}}\n"
        f"channels: {{d: {{type: botcord, credentials: {quoted}}}}}\n"
        f"runtimes: {{c: {{type: command, command: [{quoted}]}}}}\n"
        f"default_route: {{runtime: c, cwd: {quoted}, user_turn: {{file: {quoted}}}}}\n"
    )
    assert found.config is None
    assert "yaml" in codes(found)
    assert [path for path in found.inputs if {"\0", "\ud800"} & set(str(path))] == []


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(
        ["${A}", "${A", "${file:x}", "$$", "10m", "0s", "1/1m", "claude", "botcord", "owner", "."]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def places(value: object, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [place]
    if not isinstance(value, dict | list):
        return found
    for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
        found += places(inner, (*place, step))
    return found


FULL: dict[str, Any] = {
    "version": 1,
    "include": [],
    "state": {"dir": "x", "session_ttl": "1d"},
    "server": {"listen": "127.0.0.1:0", "token": "x"},
    "limits": {"queue_depth": 3, "turn_timeout": "1m", "output": "1KiB"},
    "channels": {
        "a": {
            "type": "botcord",
            "credentials": "x",
            "agent": "b",
            "grant": {"senders": {"x": "owner"}},
            "rate_limit": {"per_sender": "1/1m"},
            "send_rate": {"total": "1/1m"},
        }
    },
    "discovery": {"botcord": {"credentials_dir": "."}},
    "runtimes": {"c": {"type": "command", "command": ["claude"], "env": {"A": "x"}}},
    "routes": [{"name": "r", "runtime": "c", "cwd": ".", "match": {"channel": ["a"]}}],
    "default_route": {"runtime": "c", "cwd": ".", "user_turn": {"file": "x"}},
    "context": {"activity": {"window": "1h"}, "env": ["A"]},
    "control_plane": {"enabled": True, "credentials": "x"},
    "tests": [{"name": "t", "message": {"text": "x"}, "expect": {}}],
}
PLACES = places(FULL)[1:]


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=3))
def test_no_document_makes_it_raise(
    changes: list[tuple[tuple[str | int, ...], object]], check: Check
) -> None:
    data: Any = json.loads(json.dumps(FULL))
    for place, value in changes:
        holder = data
        with suppress(KeyError, IndexError, TypeError):  # an earlier change took the place away
            for step in place[:-1]:
                holder = holder[step]
            holder[place[-1]] = value
    found = check(json.dumps(data, ensure_ascii=False))
    assert found.config is not None or any(one.level == "error" for one in found.problems)
    render_text(found.problems, found.sources)
