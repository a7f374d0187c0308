import re
from typing import Any

import pytest

from sidecar.model import Block, Prompt, SessionStarted
from sidecar.runtimes import codex

SESSION = "01a20200-1cea-7121-8444-d89c6bc58138"
ALWAYS = [
    *("--json", "--skip-git-repo-check", "--config", "analytics.enabled=false"),
    *("--config", "features.unbounded_connection_retries=false"),
]
ALONE = ["--ignore-user-config", "--ignore-rules", "--config", 'web_search="disabled"']
WITHOUT = (
    "shell_tool unified_exec code_mode_host view_image multi_agent apps plugins goals "
    "tool_suggest skill_search image_generation browser_use computer_use"
)
NO_TOOLS = [word for tool in WITHOUT.split() for word in ("--disable", tool)]
OWNER = ["--sandbox", "danger-full-access"]
TRUSTED = [
    *("--sandbox", "workspace-write", *ALONE),
    *("--config", 'shell_environment_policy.inherit="core"'),
]
PUBLIC = ["--sandbox", "read-only", *ALONE, *NO_TOOLS, "--config", "agents.enabled=false"]
W = "\u2060"


class Codex:
    """A `codex` that replays a recording."""

    def __init__(self, player: Any) -> None:
        self.player = player("codex")
        self.workshop = self.player.workshop
        self.plays = self.player.plays
        self.plays("text")

    def runtime(self, **options: Any) -> Any:
        return codex.build({"command": self.player.program, **options}, self.workshop.host)

    async def seen(self, runtime: Any | None = None, **job: Any) -> Any:
        """What it was given for one turn."""
        return await self.player.given(runtime or self.runtime(), **job)

    async def flags(self, *args: str, **job: Any) -> list[str]:
        """Its flags, for arguments of a route, without the ones that every turn has."""
        argv = (await self.seen(args=args, **job))["argv"]
        assert (argv[0], argv[1 : 1 + len(ALWAYS)], argv[-1]) == ("exec", ALWAYS, "-")
        return list(argv[1 + len(ALWAYS) : -1])


@pytest.fixture
def cli(player: Any) -> Codex:
    return Codex(player)


async def test_a_turn_has_the_blocks_and_the_answer_that_the_cli_printed(cli: Codex) -> None:
    cli.plays("tool_ls_readonly")
    started, said, call, result, answer, ended = await cli.workshop.events(cli.runtime())
    assert isinstance(started, SessionStarted)
    kinds = [block.kind for block in (said, call, result, answer)]
    assert kinds == ["assistant", "tool_use", "tool_result", "assistant"]
    assert answer == Block("assistant", "Two files.")
    assert (ended.text, ended.session) == ("Two files.", started.session)


async def test_the_prompt_comes_by_standard_input_below_a_header(cli: Codex) -> None:
    for text in ("hello", "/review", "-v", "", "ä" * 300_000):
        seen = await cli.seen(prompt=Prompt("", text))
        assert seen["stdin"] == f"Message:\n{text}"
        assert text == "" or text not in seen["argv"]


async def test_the_context_is_a_part_of_the_prompt_behind_a_mark_of_this_turn(cli: Codex) -> None:
    marks = set()
    for _ in range(2):
        seen = await cli.seen(prompt=Prompt("\nyou are kind\ud800\n", "hi"))
        found = re.fullmatch(
            r"[^\n]*(context-[0-9a-f]{16})[^\n]*\n<\1>\nyou are kind\?\n</\1>\n\nMessage:\nhi",
            seen["stdin"],
        )
        assert found is not None, seen["stdin"]
        marks.add(found[1])
        assert "you are kind" not in str(seen["argv"])
    assert len(marks) == 2


@pytest.mark.parametrize("trust", ["trusted", "public"])
async def test_a_stranger_cannot_name_a_skill(cli: Codex, trust: str) -> None:
    text = "$deploy x$deploy [$deploy](skill://x) costs 5$ or $ 5, @me"
    seen = await cli.seen(prompt=Prompt("", text), trust=trust)
    assert seen["stdin"] == (
        f"Message:\n${W}deploy x${W}deploy [${W}deploy](skill://x) costs 5$ or $ 5, @me"
    )


async def test_the_owner_can_name_a_skill_and_a_title_in_the_context_cannot(cli: Codex) -> None:
    seen = await cli.seen(prompt=Prompt("room: $deploy", "use $deploy"))
    assert f"\nroom: ${W}deploy\n" in seen["stdin"]
    assert seen["stdin"].endswith("\nMessage:\nuse $deploy")


async def test_each_level_of_trust_has_its_flags(cli: Codex) -> None:
    assert await cli.flags(trust="owner") == OWNER
    assert await cli.flags(trust="trusted") == TRUSTED
    assert await cli.flags(trust="public") == PUBLIC


@pytest.mark.parametrize("trust", ["owner", "trusted", "public"])
async def test_a_resumed_session_has_the_same_flags_all_before_the_subcommand(
    cli: Codex, trust: str
) -> None:
    fresh = await cli.flags("-m", "one", trust=trust)
    cli.plays("resume_stdin")
    resumed = await cli.flags("-m", "one", trust=trust, session=SESSION)
    assert resumed == [*fresh, "resume", SESSION]
    assert fresh[-2:] == ["--model", "one"]


@pytest.mark.parametrize(
    "session",
    ["", "--last", "my thread", SESSION[:-1], f"{SESSION}\n", SESSION.replace("-", "")],
)
async def test_what_is_no_session_id_never_reaches_the_cli(cli: Codex, session: str) -> None:
    ended = await cli.workshop.ended(cli.runtime(), session=session)
    assert ended.failure.kind == "session_missing"
    assert cli.player.seen() is None


@pytest.mark.parametrize("scenario", ["resume_missing", "resume_not_uuid"])
async def test_a_session_that_is_gone_is_told(cli: Codex, scenario: str) -> None:
    cli.plays(scenario)
    ended = await cli.workshop.ended(cli.runtime(), session=SESSION)
    assert (ended.failure.kind, ended.session) == ("session_missing", None)


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        (["-s", "read-only"], ["--sandbox", "read-only"]),
        (["-s=read-only"], ["--sandbox", "read-only"]),
        (["-sread-only"], ["--sandbox", "read-only"]),
        (["--sandbox=read-only"], ["--sandbox", "read-only"]),
        (["--dangerously-bypass-approvals-and-sandbox"], None),
        (["--approve-for-me"], None),
        (["-c", "sandbox_mode='read-only'"], ["--config", "sandbox_mode='read-only'"]),
        (["-csandbox_mode=x"], ["--config", "sandbox_mode=x"]),
        (["--config=default_permissions='p'"], ["--config", "default_permissions='p'"]),
    ],
)
async def test_a_sandbox_of_the_config_takes_the_place_of_ours(
    cli: Codex, given: list[str], passed_on: list[str] | None
) -> None:
    assert await cli.flags(*given) == (passed_on or given)
    assert await cli.flags(*given, trust="public") == PUBLIC[2:] + (passed_on or given)


async def test_a_feature_that_the_config_enables_is_not_disabled(cli: Codex) -> None:
    flags = await cli.flags("--enable", "view_image", trust="public")
    assert flags[-2:] == ["--enable", "view_image"]
    assert ("view_image" in flags[:-2], "shell_tool" in flags) == (False, True)


async def test_of_a_flag_that_may_be_given_once_the_route_has_the_last_word(cli: Codex) -> None:
    runtime = cli.runtime(args=("-m", "one", "-c", "a=1", "--json", "--skip-git-repo-check"))
    argv = (await cli.seen(runtime, args=("--model=two", "-c", "b=2")))["argv"]
    assert argv == [
        *("exec", *(word for word in ALWAYS if not word.startswith(("--json", "--skip"))), *OWNER),
        *("--config", "a=1", "--json", "--skip-git-repo-check"),
        *("--model", "two", "--config", "b=2", "-"),
    ]


async def test_its_environment_has_its_own_names_and_no_home_of_its_own(
    cli: Codex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CODEX_HOME", raising=False)
    for name in ("OPENAI_API_KEY", "CODEX_API_KEY", "CODEX_SANDBOX", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "here")
    env = (await cli.seen())["env"]
    assert (env["OPENAI_API_KEY"], env["CODEX_API_KEY"]) == ("here", "here")
    assert not {"CODEX_HOME", "CODEX_SANDBOX", "ANTHROPIC_API_KEY"} & set(env)
    assert (await cli.seen(cli.runtime(env={"CODEX_HOME": "/h"})))["env"]["CODEX_HOME"] == "/h"


async def test_a_failed_turn_is_a_failure_whatever_was_said_before(cli: Codex) -> None:
    cli.plays("err_response_failed")
    assert (await cli.workshop.ended(cli.runtime())).failure.kind == "api"
    cli.plays("err_429_usage_limit")
    limited = (await cli.workshop.ended(cli.runtime())).failure
    assert limited.kind == "usage_limit"
    assert limited.resets_at is not None
