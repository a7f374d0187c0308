"""Types by name: who is asked first, and what happens when a package does something wrong."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from sidecar import plugins
from sidecar.errors import PluginError

pytestmark = pytest.mark.usefixtures("installed")

Register = Callable[..., Path]

SOURCE = """
from sidecar.api import ChannelType, ContextType, RuntimeType
print("a word of the package")
CHANNEL = ChannelType("sms", {}, print, print)
RUNTIME = RuntimeType("robot", {}, print)
CONTEXT = ContextType("weather", {}, print)
"""


def test_a_package_registers_types_of_each_kind(register: Register) -> None:
    register(
        "more-types",
        SOURCE,
        channels={"sms": "more_types:CHANNEL"},
        runtimes={"robot": "more_types:RUNTIME"},
        context={"weather": "more_types:CONTEXT"},
    )
    assert plugins.channel_type("sms").name == "sms"
    assert plugins.runtime_type("robot").name == "robot"
    assert plugins.context_type("weather").name == "weather"
    assert "sms" in plugins.installed("channel")


def test_what_a_package_prints_is_no_output_of_a_command(
    register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    register("loud", SOURCE, channels={"sms": "loud:CHANNEL"})
    plugins.channel_type("sms")
    assert capsys.readouterr() == ("", "a word of the package\n")


def test_a_name_that_is_built_in_means_the_built_in_type(register: Register) -> None:
    register("thief", "raise OSError", channels={"botcord": "thief:X"}, runtimes={"codex": "t:X"})
    assert plugins.channel_type("botcord").build.__module__ == "sidecar.channels.botcord"
    assert plugins.runtime_type("codex").build.__module__ == "sidecar.runtimes.codex"
    assert "botcord" not in plugins.installed("channel")
    assert "thief" not in sys.modules


def test_a_built_in_type_costs_no_look_at_what_is_installed() -> None:
    program = """
import importlib.metadata, sys
from sidecar import plugins
def told(*_, **__): raise AssertionError("looked")
importlib.metadata.entry_points = told
plugins.runtime_type("command"), plugins.channel_type("botcord")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_two_packages_with_one_name_are_both_named(register: Register) -> None:
    register("first", SOURCE, channels={"sms": "first:CHANNEL"})
    register("second", SOURCE, channels={"sms": "second:CHANNEL"})
    with pytest.raises(PluginError, match="'sms' is registered by first and second"):
        plugins.channel_type("sms")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("raise ValueError('out of luck')", "ValueError: out of luck"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise KeyboardInterruption(", "SyntaxError"),
        ("", "AttributeError: module 'broken' has no attribute 'CHANNEL'"),
        ("CHANNEL = 5", "broken:CHANNEL is no ChannelType"),
        (SOURCE + "CHANNEL = RUNTIME", "broken:CHANNEL is no ChannelType"),
        (SOURCE + "CHANNEL = ChannelType('mms', {}, print, print)", "calls itself 'mms'"),
    ],
)
def test_what_is_wrong_with_a_type_is_told_with_its_package(
    register: Register, source: str, reason: str
) -> None:
    register("broken", source, channels={"sms": "broken:CHANNEL"})
    with pytest.raises(PluginError, match="the channel type 'sms' of broken") as error:
        plugins.channel_type("sms")
    assert reason in str(error.value)


def test_a_context_cannot_take_a_name_that_templates_have(register: Register) -> None:
    source = "from sidecar.api import ContextType\nCONTEXT = ContextType('sender', {}, print)"
    register("shadow", source, context={"sender": "shadow:CONTEXT"})
    with pytest.raises(PluginError, match="'sender' means something else"):
        plugins.context_type("sender")


def test_an_unknown_name_is_told_with_those_that_are_known(register: Register) -> None:
    register("more", SOURCE, runtimes={"robot": "more:RUNTIME"})
    with pytest.raises(PluginError, match=r"'roboter': known are .*codex.*robot"):
        plugins.runtime_type("roboter")


def test_a_package_that_is_installed_while_the_process_runs_is_found(
    register: Register, site: Path
) -> None:
    assert find_spec("fresh") is None
    before = site.stat()
    register("fresh", SOURCE, channels={"sms": "fresh:CHANNEL"})
    os.utime(site, ns=(before.st_atime_ns, before.st_mtime_ns))  # as within one tick of its clock
    assert plugins.channel_type("sms").name == "sms"


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The groups of entry points that were looked for."""
    found: list[str] = []
    real = plugins._entry_points
    monkeypatch.setattr(
        plugins, "_entry_points", lambda group: (found.append(group), real(group))[1]
    )
    return found


def test_a_type_that_failed_is_tried_again_only_by_the_next_reload(
    register: Register, looks: list[str]
) -> None:
    module = register("later", "raise OSError('not yet')", channels={"sms": "later:CHANNEL"})
    plugins.import_types([("channel", "sms")])
    seen = len(looks)
    with pytest.raises(PluginError, match="not yet"):
        plugins.channel_type("sms")
    assert len(looks) == seen
    module.write_text(SOURCE)
    plugins.import_types([("channel", "sms")])
    assert plugins.channel_type("sms").name == "sms"
