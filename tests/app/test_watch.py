"""Every way of saving a file is noticed once, and nothing else is."""

# ruff: noqa: ASYNC240 -- saving a file is what these tests are about, and it takes no time

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from sidecar import metrics
from sidecar.app import watch
from sidecar.app.watch import changes

SOON = 10.0
"""Seconds after which a test gives up."""
QUIET = 0.4
"""Seconds in which a change that must not be told would have been."""


class Watched:
    """What a receiver of changes sees: their number, and the content after each."""

    def __init__(self, path: Path, inputs: "Inputs") -> None:
        self.path = path
        self.inputs = inputs
        self.seen: list[str | None] = []
        self.told = asyncio.Event()

    def note(self) -> None:
        self.seen.append(self.path.read_text() if self.path.exists() else None)
        self.told.set()

    async def until(self, content: str | None) -> None:
        async with asyncio.timeout(SOON):
            while not self.seen or self.seen[-1] != content:
                self.told.clear()
                await self.told.wait()

    async def exactly(self, *contents: str | None) -> None:
        await self.until(contents[-1])
        await asyncio.sleep(QUIET)
        assert self.seen == list(contents)


class Inputs:
    """The inputs, and whether they were looked at, so that every change from now on is seen."""

    def __init__(self, *paths: Path) -> None:
        self.paths = set(paths)
        self._asked = 0
        self._looked = asyncio.Event()
        self._now = asyncio.Event()

    def __call__(self) -> frozenset[Path]:
        self._asked += 1
        self._now.set()
        if self._asked > 1:  # first for a look at the content, then for the folders to watch
            self._looked.set()
        return frozenset(self.paths)

    async def looked_at(self) -> None:
        await self._looked.wait()

    async def left_alone(self) -> None:
        """Return when only an event can make anybody look again, for a long time."""
        with suppress(TimeoutError):
            while True:
                self._now.clear()
                await asyncio.wait_for(self._now.wait(), watch.LOOK + 0.5)


@asynccontextmanager
async def watching(path: Path, *others: Path, poll: float = 60.0) -> AsyncIterator[Watched]:
    """`poll` is so long that a test fails where an event is not noticed."""
    inputs = Inputs(path, *others)
    watched = Watched(path, inputs)

    async def receive() -> None:
        async for _ in changes(inputs, poll=poll):
            watched.note()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(receive())
        await inputs.looked_at()
        yield watched
        task.cancel()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("old")
    return path


def replaced(path: Path, text: str) -> None:
    fresh = path.with_name(".fresh")
    fresh.write_text(text)
    fresh.replace(path)


def backed_up(path: Path, text: str) -> None:
    path.replace(path.with_name("config.yaml~"))
    path.write_text(text)


def removed_and_made(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def written(path: Path, text: str) -> None:
    path.write_text(text)


def with_the_same_size_and_time(path: Path, text: str) -> None:
    times = path.stat()
    path.write_text(text)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def with_an_older_time(path: Path, text: str) -> None:
    fresh = path.with_name(".fresh")
    fresh.write_text(text)
    os.utime(fresh, (1, 1))
    fresh.replace(path)


@pytest.mark.parametrize(
    "save",
    [
        written,
        replaced,
        backed_up,
        removed_and_made,
        with_the_same_size_and_time,
        with_an_older_time,
    ],
)
async def test_each_way_of_saving_is_told_once(
    save: Callable[[Path, str], None], config: Path
) -> None:
    async with watching(config) as watched:
        save(config, "new")
        await watched.exactly("new")
        save(config, "newer")
        await watched.until("newer")
        assert watched.seen == ["new", "newer"]


async def test_saves_in_quick_succession_end_in_the_last_one(config: Path) -> None:
    async with watching(config) as watched:
        for number in range(20):
            replaced(config, f"{number}")
        await watched.exactly("19")


async def test_a_half_written_file_is_waited_for(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SETTLE", 0.5)
    async with watching(config) as watched:
        config.write_text("")
        for part in ("ne", "w"):
            await asyncio.sleep(0.05)
            with config.open("a") as file:
                file.write(part)
        await watched.exactly("new")


@pytest.mark.parametrize("again", [False, True])
async def test_it_tells_when_a_change_begins_and_whether_that_was_already_all(
    config: Path, again: bool
) -> None:
    begun: list[int] = []
    later = asyncio.get_running_loop().create_future()
    known = await asyncio.to_thread(watch.digests, [config])

    def stirs() -> None:
        begun.append(1)
        if again:
            later.set_result(None)

    async def write_again() -> None:
        await later
        config.write_text("newer")

    async with asyncio.TaskGroup() as group:
        writer = group.create_task(write_again())
        told = changes(lambda: [config], known=known, stirs=stirs)
        config.write_text("new")
        assert await asyncio.wait_for(anext(told), 10) is not again
        await told.aclose()
        writer.cancel()
    assert begun == [1]


async def test_the_same_content_and_other_files_are_no_change(config: Path) -> None:
    async with watching(config) as watched:
        config.write_text("old")
        replaced(config, "old")
        config.touch()
        config.with_name("other.yaml").write_text("x")
        await asyncio.sleep(QUIET)
        assert watched.seen == []
        config.write_text("new")
        await watched.exactly("new")


async def test_a_file_that_goes_and_comes_back_is_told(config: Path) -> None:
    async with watching(config) as watched:
        config.unlink()
        await watched.until(None)
        config.write_text("old")
        await watched.exactly(None, "old")


class ConfigMap:
    """A mounted ConfigMap, updated as the kubelet does it: a new folder, and a link to it."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.number = 0
        self.swap(text)
        (folder / "config.yaml").symlink_to("..data/config.yaml")

    def swap(self, text: str) -> None:
        self.number += 1
        old = (self.folder / "..data").resolve() if self.number > 1 else None
        new = self.folder / f"..2026_{self.number}"
        new.mkdir()
        (new / "config.yaml").write_text(text)
        link = self.folder / "..data_tmp"
        link.symlink_to(new.name)
        link.replace(self.folder / "..data")
        if old is not None:
            shutil.rmtree(old)


async def test_twenty_swaps_of_a_config_map_are_all_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SETTLE", 0.02)
    mounted = ConfigMap(tmp_path, "0")
    async with watching(tmp_path / "config.yaml") as watched:
        for number in range(1, 21):
            mounted.swap(f"{number}")
            await watched.until(f"{number}")
        assert watched.seen == [f"{number}" for number in range(1, 21)]


async def test_twenty_swaps_are_seen_where_the_file_system_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import watchfiles

    async def refused(*_: object, **__: object) -> AsyncIterator[set[object]]:
        raise OSError("inotify watch limit reached")
        yield set()

    monkeypatch.setattr(watchfiles, "awatch", refused)
    monkeypatch.setattr(watch, "SETTLE", 0.01)
    mounted = ConfigMap(tmp_path, "0")
    async with watching(tmp_path / "config.yaml", poll=0.02) as watched:
        for number in range(1, 21):
            mounted.swap(f"{number}")
            await watched.until(f"{number}")
        assert watched.seen == [f"{number}" for number in range(1, 21)]


async def test_swaps_of_a_config_map_that_follow_at_once_end_in_the_last_one(
    tmp_path: Path,
) -> None:
    mounted = ConfigMap(tmp_path, "0")
    async with watching(tmp_path / "config.yaml") as watched:
        for number in range(1, 21):
            mounted.swap(f"{number}")
            await asyncio.sleep(0.02)
        await watched.until("20")


async def test_what_a_link_names_is_followed_wherever_it_lies(tmp_path: Path) -> None:
    first, second, folder = tmp_path / "a" / "deep", tmp_path / "b", tmp_path / "config"
    for one in (first, second, folder):
        one.mkdir(parents=True)
    (first / "real.yaml").write_text("first")
    (second / "real.yaml").write_text("second")
    (folder / "config.yaml").symlink_to("../a/deep/real.yaml")
    async with watching(folder / "config.yaml") as watched:
        (first / "real.yaml").write_text("changed")
        await watched.until("changed")
        (folder / "link").symlink_to(second / "real.yaml")
        (folder / "link").replace(folder / "config.yaml")
        await watched.until("second")
        (second / "real.yaml").write_text("changed too")
        await watched.until("changed too")
        assert watched.seen == ["changed", "second", "changed too"]


async def test_events_alone_are_enough_wherever_a_link_leads(tmp_path: Path) -> None:
    first, second, folder = tmp_path / "a" / "deep", tmp_path / "b", tmp_path / "config"
    for one in (first, second, folder):
        one.mkdir(parents=True)
        (one / "real.yaml").write_text(one.name)
    (tmp_path / "folder").symlink_to("config")
    (folder / "config.yaml").symlink_to("../a/deep/real.yaml")
    async with watching(tmp_path / "folder" / "config.yaml") as watched:
        await watched.inputs.left_alone()
        (first / "real.yaml").write_text("changed")
        await watched.until("changed")
        await watched.inputs.left_alone()
        (folder / "link").symlink_to(second / "real.yaml")
        (folder / "link").replace(folder / "config.yaml")
        await watched.until("b")
        await watched.inputs.left_alone()
        (second / "real.yaml").write_text("changed too")
        await watched.until("changed too")


async def test_a_folder_that_is_made_anew_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "sub"
    folder.mkdir()
    path = folder / "config.yaml"
    path.write_text("old")
    async with watching(path, poll=0.5) as watched:
        for text in ("one", "two"):
            shutil.rmtree(folder)
            folder.mkdir()
            path.write_text(text)
            await watched.until(text)
        path.write_text("three")
        await watched.until("three")


async def test_a_file_whose_folder_does_not_exist_yet_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "later" / "still" / "config.yaml"
    async with watching(path, poll=0.5) as watched:
        path.parent.mkdir(parents=True)
        path.write_text("new")
        await watched.until("new")


async def test_each_input_counts_and_a_new_file_that_matches_a_wildcard_too(
    config: Path, tmp_path: Path
) -> None:
    template = tmp_path / "templates" / "x.j2"
    parts = tmp_path / "parts"
    parts.mkdir()
    template.parent.mkdir()
    template.write_text("old")
    async with watching(config, template, parts / "*.yaml") as watched:
        template.write_text("new")
        await watched.exactly("old")
        (parts / "a.yaml").write_text("x")
        await watched.exactly("old", "old")
        (parts / "a.txt").write_text("x")
        (parts / "a.yaml").write_text("y")  # which the loaded config would name as an input
        await asyncio.sleep(QUIET)
        assert len(watched.seen) == 2


async def test_an_input_that_joins_is_watched_from_then_on(config: Path, tmp_path: Path) -> None:
    template = tmp_path / "far" / "x.j2"
    template.parent.mkdir()
    template.write_text("old")
    inputs = Inputs(config)
    told = asyncio.Event()
    count = 0

    async def receive() -> None:
        nonlocal count
        async for _ in changes(inputs, poll=0.5):
            count += 1
            inputs.paths.add(template)
            told.set()

    async with asyncio.TaskGroup() as group, asyncio.timeout(SOON):
        task = group.create_task(receive())
        await inputs.looked_at()
        config.write_text("new")
        await told.wait()
        told.clear()
        await asyncio.sleep(QUIET)
        assert count == 1
        template.write_text("new")
        await told.wait()
        assert count == 2
        task.cancel()


async def test_what_changes_while_the_receiver_is_busy_is_told_afterwards(config: Path) -> None:
    inputs, busy, count = Inputs(config), asyncio.Event(), 0
    seen = asyncio.Queue[str]()

    async def receive() -> None:
        nonlocal count
        async for _ in changes(inputs):
            count += 1
            seen.put_nowait(config.read_text())
            await busy.wait()

    async with asyncio.TaskGroup() as group, asyncio.timeout(SOON):
        task = group.create_task(receive())
        await inputs.looked_at()
        config.write_text("one")
        assert await seen.get() == "one"
        for text in ("two", "three"):
            config.write_text(text)
        busy.set()
        assert await seen.get() == "three"
        await asyncio.sleep(QUIET)
        assert count == 2
        task.cancel()


async def test_without_a_watch_the_content_is_looked_at_from_time_to_time(
    config: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import watchfiles

    async def refused(*_: object, **__: object) -> AsyncIterator[set[object]]:
        raise RuntimeError("too many open files")
        yield set()

    monkeypatch.setattr(watchfiles, "awatch", refused)
    before = metrics.value("config_watch_failures_total")
    async with watching(config, poll=0.1) as watched:
        for text in ("one", "two"):
            replaced(config, text)
            await watched.until(text)
    assert metrics.value("config_watch_failures_total") > before
    assert [record.message for record in caplog.records if record.name == "sidecar.app.watch"] == [
        "files cannot be watched, looking every 0.1 s: too many open files"
    ]


async def test_what_cannot_be_read_counts_as_missing_and_is_not_waited_for(
    config: Path, tmp_path: Path
) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    others = (pipe, folder, loop, Path("/dev/zero"), tmp_path / ("x" * 5000), Path("/proc/1/mem"))
    async with watching(config, *others) as watched:
        config.write_text("new")
        await watched.exactly("new")


async def test_it_ends_at_once_when_it_is_cancelled(config: Path) -> None:
    async with asyncio.timeout(5.0):
        async with watching(config):
            pass
