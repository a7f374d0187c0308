"""A start with the config that was in force last."""

import asyncio
import json
import pickle
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar import metrics, plugins
from sidecar.app.checking.candidate import Candidate
from sidecar.app.checking.check import check
from sidecar.app.checking.load import Loading
from sidecar.app.lifecycle.hangup import Hangup
from sidecar.app.lifecycle.termination import LARGEST, leave
from sidecar.app.reloading.last_good import FILE, LastGood, keep, recall
from sidecar.app.reloading.outcome import error_lines
from sidecar.app.sidecar import Sidecar
from sidecar.cli import main
from sidecar.cli.run import _without
from sidecar.config.model import Config, Limits, Route, Runtime, Server, State
from sidecar.errors import NoLastGood
from tests.patience import until

# Importing a type reads its schema, which a test on a loop must not.
LOADED = plugins.runtime_type("command")

CONFIG = """\
version: 1
state: {{dir: {0}/state}}
server: {{listen: "unix:{0}/s.sock"}}
runtimes: {{a: {{type: command, command: [cat], protocol: text, env: {{KEY: "${{file:key}}"}}}}}}
routes:
  - {{name: r, match: {{sender_kind: owner}}, runtime: a, user_turn: {{file: t.j2}}}}
default_route: {{runtime: a, cwd: {0}}}
"""


def write(folder: Path, **replacements: str) -> Path:
    text = CONFIG.format(folder)
    for old, new in replacements.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def saved(path: Path, text: str) -> None:
    """Save a file at once: nobody finds half of it, however slowly it is written."""
    fresh = path.with_name("fresh")
    fresh.write_text(text)
    fresh.replace(path)


@pytest.fixture
def good(tmp_path: Path) -> Candidate:
    (tmp_path / "key").write_text("hunter2hunter2")
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "t.j2").write_text("{{ message.text }}")
    (tmp_path / "state").mkdir(mode=0o700)
    return check(write(tmp_path))


def test_what_was_kept_comes_back_though_its_templates_and_secrets_are_gone(
    good: Candidate, tmp_path: Path
) -> None:
    path, state = tmp_path / "config.yaml", tmp_path / "state"
    assert good.config is not None
    keep(state, path, good.config, good.inputs)
    for name in ("config.yaml", "key", "t.j2"):
        (tmp_path / name).unlink()
    config, files = recall(state, path)
    assert config == good.config
    assert {tmp_path / name for name in ("config.yaml", "key", "t.j2")} <= {*files}
    assert (state / FILE).stat().st_mode & 0o777 == 0o600
    assert [one.name for one in state.iterdir()] == [FILE]


def test_what_cannot_be_trusted_or_is_of_another_is_not_used(
    good: Candidate, tmp_path: Path
) -> None:
    path, state = tmp_path / "config.yaml", tmp_path / "state"
    assert good.config is not None
    with pytest.raises(NoLastGood, match="No such file"):
        recall(state, path)
    keep(state, path, good.config, good.inputs)
    with pytest.raises(NoLastGood, match=r"is of .*config\.yaml, version"):
        recall(state, tmp_path / "other.yaml")
    (state / FILE).chmod(0o640)
    with pytest.raises(NoLastGood, match="not this user's alone"):
        recall(state, path)
    (state / FILE).chmod(0o600)
    content = (state / FILE).read_bytes()
    (state / FILE).write_bytes(content[:-20])
    with pytest.raises(NoLastGood, match="cannot be read"):
        recall(state, path)
    (state / FILE).write_bytes(pickle.dumps((str(path), "0.0.1")) + b"of another version")
    with pytest.raises(NoLastGood, match=r"version 0\.0\.1"):
        recall(state, path)


async def test_of_many_configs_the_last_one_is_kept_and_a_full_disk_hurts_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "config.yaml"
    configs = [
        Config(default_route=None, state=State(tmp_path / str(number))) for number in range(9)
    ]
    last = LastGood(tmp_path, path, configs[0], ())
    await asyncio.gather(*(last.keep(one, [one.state.dir]) for one in configs))
    config, files = await asyncio.to_thread(recall, tmp_path, path)
    assert (config, [*files]) == (configs[-1], [configs[-1].state.dir])

    def deleted() -> tuple[Config, Collection[Path]]:
        (tmp_path / FILE).write_text("of another hand")
        last.renew()
        assert (tmp_path / FILE).read_text() == "of another hand"
        (tmp_path / FILE).unlink()
        last.renew()
        return recall(tmp_path, path)

    assert (await asyncio.to_thread(deleted))[0] == configs[-1]
    await LastGood(tmp_path / "gone", path, configs[0], ()).keep(configs[0], ())
    assert "cannot be kept" in caplog.text


async def test_what_could_not_be_written_is_written_later(
    good: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.app.reloading.last_good.RETRY_INTERVAL", 0.01)
    path, state = tmp_path / "config.yaml", tmp_path / "state" / "mounted"
    assert good.config is not None
    config = replace(good.config, limits=Limits(queue_depth=7))
    last = LastGood(state, path, good.config, good.inputs)
    await last.keep(config, good.inputs)
    failures = metrics.value("last_good_failures_total")
    task = asyncio.create_task(last.run())  # noqa: TID251 -- of a test
    await until(lambda: metrics.value("last_good_failures_total") > failures)
    await asyncio.to_thread(state.mkdir)
    await until(lambda: asyncio.to_thread((state / FILE).exists))
    task.cancel()
    assert (await asyncio.to_thread(recall, state, path))[0] == config


def test_without_the_flag_the_exit_code_is_2_and_kubernetes_is_told(
    good: Candidate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = tmp_path / "termination-log"
    monkeypatch.setenv("SIDECAR_TERMINATION_LOG", str(told))
    path = write(tmp_path, **{"runtime: a, cwd": "runtime: b, cwd"})
    assert main(["run", str(path)]) == 2
    shown = capsys.readouterr().err
    assert "config.yaml:7:26: error: there is no runtime 'b'" in shown
    assert told.read_text() == shown
    # With it, but nothing is kept.
    broken = Loading(path).wait()
    assert broken.draft is not None
    assert broken.draft.state.dir == tmp_path / "state"
    assert _without(path, broken, Hangup(), fall_back=True) == 2
    assert f"there is nothing to fall back to: {tmp_path}/state/{FILE}" in told.read_text()
    path.write_text("version: [")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "usual"))
    assert _without(path, check(path), Hangup(), fall_back=True) == 2
    assert f"{tmp_path}/usual/sidecar/{FILE}" in told.read_text()


def test_the_reason_is_cut_to_what_kubernetes_reads_and_may_be_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SIDECAR_TERMINATION_LOG", str(tmp_path / "told"))
    leave("x" * 10_000)
    assert (tmp_path / "told").stat().st_size == LARGEST
    monkeypatch.setenv("SIDECAR_TERMINATION_LOG", str(tmp_path / "no" / "folder"))
    leave("x")
    assert "cannot be left" in caplog.text


async def test_it_starts_loudly_with_the_last_good_one_and_a_valid_save_takes_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, state = tmp_path / "config.yaml", tmp_path / "state"
    last = Config(
        state=State(state),
        server=Server(f"unix:{tmp_path / 's.sock'}"),
        runtimes={"a": Runtime("a", "command", {"command": ["cat"], "protocol": "text"})},
        default_route=Route("default", "a", tmp_path),
    )
    await asyncio.to_thread(path.write_text, "version: [")
    broken = await asyncio.to_thread(lambda: Loading(path).wait())
    [problem] = error_lines(broken.problems)
    sidecar = Sidecar(path, last, broken.inputs, problems=broken.problems)
    async with sidecar:
        assert "is invalid: this is a start with the last good config" in caplog.text
        status = sidecar.status
        assert status.degraded()
        assert status.not_ready() == []
        picture = json.loads(json.dumps(await status.picture(), default=str))
        assert picture["reloads"][0]["result"] == "rejected"
        assert picture["last_error"]["problems"] == [problem]
        assert picture["on_disk"]["in_force"] is False
        assert ("config_last_reload_successful", {}, 0.0) in list(status.gauges())
        assert not (state / FILE).exists()

        text = CONFIG.format(tmp_path).replace(', env: {KEY: "${file:key}"}', "")
        await asyncio.to_thread(saved, path, text.replace("{file: t.j2}", "hello"))
        await until(lambda: not status.degraded())
        await until(lambda: asyncio.to_thread((state / FILE).exists))
        picture = json.loads(json.dumps(await status.picture(), default=str))
        assert picture["reloads"][-1]["result"] == "applied"
        assert picture["on_disk"]["in_force"] is True
        assert picture["last_error"]["problems"] == [problem]
        assert ("config_last_reload_successful", {}, 1.0) in list(status.gauges())
    config, files = await asyncio.to_thread(recall, state, path)
    assert len(config.routes) == 1
    assert path in files
    # A start with a valid one keeps that.
    await asyncio.to_thread((state / FILE).unlink)
    valid = await asyncio.to_thread(lambda: Loading(path).wait())
    assert valid.config is not None
    async with Sidecar(path, replace(valid.config, server=None), valid.inputs):
        await until(lambda: asyncio.to_thread((state / FILE).exists))
