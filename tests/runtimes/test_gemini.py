import tomllib
from pathlib import Path
from typing import Any

import pytest

from sidecar.model import Prompt, SessionStarted
from sidecar.runtimes import gemini

SESSION = "e0c46ea4-9a7e-43e8-8ac8-e7d6fc1aa325"
ALONE = ["-e", "none", "--allowed-mcp-server-names", "none"]
W = "\u2060"


class Gemini:
    """A `gemini` that replays a recording."""

    def __init__(self, player: Any) -> None:
        self.player = player("gemini")
        self.workshop = self.player.workshop
        self.plays = self.player.plays
        self.plays("text_model")

    def runtime(self, **options: Any) -> Any:
        return gemini.build({"command": self.player.program, **options}, self.workshop.host)

    async def seen(self, runtime: Any | None = None, **job: Any) -> Any:
        """What it was given for one turn."""
        return await self.player.given(runtime or self.runtime(), **job)

    async def flags(self, *args: str, **job: Any) -> list[str]:
        """Its flags, for arguments of a route, with POLICY for the file of that name."""
        seen = await self.seen(args=args, **job)
        assert seen["argv"][:2] == ["-o", "stream-json"]
        return ["POLICY" if flag in seen["files"] else flag for flag in seen["argv"][2:]]

    async def rules(self, **job: Any) -> list[dict[str, Any]]:
        """The rules of the policy that it was given."""
        [(text, mode)] = (await self.seen(**job))["files"].values()
        assert mode == 0o600
        return list(tomllib.loads(text)["rule"])

    @property
    def policies(self) -> list[Path]:
        return list((self.workshop.host.state / "policies").iterdir())


@pytest.fixture
def cli(player: Any) -> Gemini:
    return Gemini(player)


async def test_a_turn_has_the_blocks_and_the_answer_that_the_cli_printed(cli: Gemini) -> None:
    cli.plays("tool_list_default")
    started, *events, ended = await cli.workshop.events(cli.runtime())
    assert isinstance(started, SessionStarted)
    kinds = dict.fromkeys(block.kind for block in events)
    assert list(kinds) == ["system", "assistant", "tool_use", "tool_result"]
    assert (ended.text, ended.session) == ("Two files.", started.session)


async def test_the_prompt_comes_by_standard_input_below_a_header(cli: Gemini) -> None:
    for text in ("hello", "/init", "!ls", "-v", "", "ä" * 300_000):
        seen = await cli.seen(prompt=Prompt("", text))
        assert seen["stdin"] == f"Message:\n{text}"
        assert text == "" or text not in seen["argv"]


async def test_the_context_is_a_part_of_the_prompt(cli: Gemini) -> None:
    stdin = (await cli.seen(prompt=Prompt("you are kind", "/init")))["stdin"]
    first, opening, context, closing, empty, *turn = stdin.split("\n")
    assert not first.startswith("/")
    assert opening.strip("<>") in first
    assert (context, closing, empty) == ("you are kind", opening.replace("<", "</"), "")
    assert turn == ["Message:", "/init"]


@pytest.mark.parametrize("trust", ["owner", "trusted", "public"])
async def test_no_message_names_a_file_that_the_cli_would_read(cli: Gemini, trust: str) -> None:
    text = '@README.md x@.env (@"a b") \\@c'
    seen = await cli.seen(prompt=Prompt("", text), trust=trust)
    assert seen["stdin"] == f'Message:\n@{W}README.md x@{W}.env (@{W}"a b") \\@{W}c'


async def test_no_title_in_the_context_names_a_file(cli: Gemini) -> None:
    seen = await cli.seen(prompt=Prompt("room: @.env", "hello"))
    assert f"\nroom: @{W}.env\n" in seen["stdin"]
    assert seen["stdin"].endswith("\nMessage:\nhello")


async def test_each_level_of_trust_has_its_flags(cli: Gemini) -> None:
    policy = ["--admin-policy", "POLICY", "--policy", "POLICY"]
    assert await cli.flags(trust="owner") == ["--approval-mode", "yolo"]
    assert await cli.flags(trust="trusted") == ["--approval-mode", "auto_edit", *ALONE, *policy]
    assert await cli.flags(trust="public") == ["--approval-mode", "default", *ALONE, *policy]


async def test_a_public_turn_has_no_tools(cli: Gemini) -> None:
    assert await cli.rules(trust="public") == [
        {"toolName": "*", "decision": "deny", "priority": 999}
    ]


async def test_a_trusted_turn_has_neither_shell_nor_web_and_cannot_write_settings(
    cli: Gemini,
) -> None:
    tools, settings, relative = await cli.rules(trust="trusted")
    assert {"run_shell_command", "web_fetch", "google_web_search", "mcp_*"} < set(tools["toolName"])
    assert settings["toolName"] == ["write_file", "replace"]
    assert "[.][gG][eE][mM][iI][nN][iI]" in settings["argsPattern"]
    assert relative["toolName"] == "replace"
    assert {rule["decision"] for rule in (tools, settings, relative)} == {"deny"}


@pytest.mark.parametrize("scenario", ["text_model", "err_401", "a crash"])
async def test_the_policy_file_is_removed_however_the_turn_ends(cli: Gemini, scenario: str) -> None:
    if scenario == "a crash":
        (cli.workshop.folder / "exit.txt").unlink()
    else:
        cli.plays(scenario)
    await cli.workshop.ended(cli.runtime(), trust="public")
    assert len(cli.player.seen()["files"]) == 1
    assert cli.policies == []


async def test_a_policy_that_cannot_be_written_fails_the_turn(cli: Gemini) -> None:
    (cli.workshop.host.state / "policies").touch()
    ended = await cli.workshop.ended(cli.runtime(), trust="public")
    assert ended.failure.kind == "internal"
    assert cli.player.seen() is None


async def test_a_session_is_resumed(cli: Gemini) -> None:
    cli.plays("resume_ok")
    flags = await cli.flags("-m", "one", session=SESSION)
    assert flags == ["--approval-mode", "yolo", "--resume", SESSION, "-m", "one"]


@pytest.mark.parametrize("session", ["", "latest", "1", "--yolo", SESSION[:-1], f"{SESSION}\n"])
async def test_what_is_no_session_id_never_reaches_the_cli(cli: Gemini, session: str) -> None:
    ended = await cli.workshop.ended(cli.runtime(), session=session)
    assert ended.failure.kind == "session_missing"
    assert cli.player.seen() is None


@pytest.mark.parametrize("scenario", ["resume_missing", "resume_other_cwd"])
async def test_a_session_that_is_gone_is_told(cli: Gemini, scenario: str) -> None:
    cli.plays(scenario)
    ended = await cli.workshop.ended(cli.runtime(), session=SESSION)
    assert (ended.failure.kind, ended.session) == ("session_missing", None)


@pytest.mark.parametrize(
    "given", [["--approval-mode", "plan"], ["--approval-mode=plan"], ["--yolo"], ["-y"]]
)
async def test_an_argument_of_the_config_takes_the_place_of_ours(
    cli: Gemini, given: list[str]
) -> None:
    assert await cli.flags(*given) == given
    flags = await cli.flags(*given, trust="public")
    assert flags == [*ALONE, "--admin-policy", "POLICY", "--policy", "POLICY", *given]


async def test_a_policy_of_the_config_takes_the_place_of_ours(cli: Gemini, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.touch()
    flags = await cli.flags("--admin-policy", str(mine), trust="public")
    assert flags == ["--approval-mode", "default", *ALONE, "--admin-policy", "POLICY"]
    flags = await cli.flags("--policy", str(mine), trust="public")
    assert flags.count("POLICY") == 3


async def test_arguments_of_the_runtime_come_before_those_of_the_route(cli: Gemini) -> None:
    argv = (await cli.seen(cli.runtime(args=("-m", "one")), args=("-m", "two")))["argv"]
    assert argv[-4:] == ["-m", "one", "-m", "two"]


async def test_its_environment_has_its_own_names_and_lets_it_work_without_a_terminal(
    cli: Gemini, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GEMINI_API_KEY", "GOOGLE_CLOUD_PROJECT", "GOOGLE_OTHER", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "here")
    env = (await cli.seen())["env"]
    assert (env["GEMINI_API_KEY"], env["GOOGLE_CLOUD_PROJECT"]) == ("here", "here")
    assert not {"GOOGLE_OTHER", "OPENAI_API_KEY"} & set(env)
    names = ("GEMINI_CLI_NO_RELAUNCH", "GEMINI_CLI_TRUST_WORKSPACE")
    assert [env[name] for name in names] == ["true", "true"]


async def test_an_exit_without_a_result_is_a_failure_though_its_code_is_zero(cli: Gemini) -> None:
    cli.plays("slow_sigterm_norelaunch")
    assert (await cli.workshop.ended(cli.runtime())).failure.kind == "exited"
