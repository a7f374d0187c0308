"""Every way of saving a file is noticed once, and nothing else is."""

# ruff: noqa: ASYNC240 -- saving a file is what these tests are about, and it takes no time

import asyncio
import itertools
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from sidecar import metrics
from sidecar.app.watching import bell, watch
from sidecar.app.watching.digests import Digests, Look, digests
from sidecar.app.watching.own_writes import digest
from sidecar.app.watching.watch import changes
from sidecar.app.watching.watcher import Watcher
from sidecar.config.reloading import Reloading
from sidecar.config.system import FolderPath
from tests.patience import PATIENCE, until

NEVER = 10.0**6
"""Seconds between looks: all of them end at a multiple of it, and none within a test's patience."""
QUIET = 0.25
"""Seconds in which a change that must not be told would have been."""


class Watched:
    """What a receiver of changes sees: their number, and the content after each."""

    def __init__(self, path: Path, inputs: "Inputs") -> None:
        self.path = path
        self.inputs = inputs
        self.watcher = Watcher()
        self.seen: list[str | None] = []
        self.told = asyncio.Event()

    def note(self) -> None:
        self.seen.append(self.path.read_text() if self.path.exists() else None)
        self.told.set()

    async def until(self, content: str | None) -> None:
        await until(lambda: self.seen[-1:] == [content])

    async def exactly(self, *contents: str | None) -> None:
        await until(lambda: len(self.seen) >= len(contents))
        await asyncio.sleep(QUIET)
        assert self.seen == list(contents)


def content_of(path: Path) -> bytes:
    """What whoever takes an input finds in it."""
    return digest(path.read_bytes())


class Inputs:
    """The inputs, and whether they were looked at, so that every change from now on is seen."""

    def __init__(self, taken: Digests) -> None:
        self.taken = {**taken}
        self._asked = 0
        self._looked = asyncio.Event()
        self._now = asyncio.Event()

    def __call__(self) -> Digests:
        self._asked += 1
        self._now.set()
        if self._asked > 1:  # first for a look at the content, then for the folders to watch
            self._looked.set()
        return self.taken

    async def looked_at(self) -> None:
        await self._looked.wait()

    async def looked_at_again(self) -> None:
        """Return when what is there now was looked at."""
        for _ in range(3):  # a look, the folders to watch, and the begin of the next look
            self._now.clear()
            await self._now.wait()

    async def left_alone(self) -> None:
        """Return when only an event can make anybody look again, for a long time."""
        with suppress(TimeoutError):
            while True:
                self._now.clear()
                await asyncio.wait_for(self._now.wait(), 2 * QUIET)


async def inputs_of(*paths: Path) -> Inputs:
    return Inputs(await asyncio.to_thread(digests, paths))


@asynccontextmanager
async def watching(
    path: Path, *others: Path, poll: float = NEVER, debounce: float = 0.05
) -> AsyncIterator[Watched]:
    """`poll` is so long that a test fails where an event is not noticed."""
    inputs = await inputs_of(path, *others)
    watched = Watched(path, inputs)

    async def receive() -> None:
        async for _ in changes(
            inputs, timing=lambda: Reloading(debounce, poll), watcher=watched.watcher
        ):
            watched.note()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(receive())
        await inputs.looked_at()
        yield watched
        task.cancel()


@pytest.fixture(autouse=True)
def asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether there were events is asked within QUIET, before the first change, too."""
    monkeypatch.setattr(bell, "SELDOM", 0.1)


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


SAVES = (
    written,
    replaced,
    backed_up,
    removed_and_made,
    with_the_same_size_and_time,
    with_an_older_time,
)


@pytest.mark.parametrize("save", SAVES)
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


async def test_a_half_written_file_is_waited_for(config: Path) -> None:
    async with watching(config, debounce=0.5) as watched:
        config.write_text("")
        for part in ("ne", "w"):
            await asyncio.sleep(0.05)
            with config.open("a") as file:
                file.write(part)
        await watched.exactly("new")


def test_the_time_since_a_change_counts_where_the_file_system_tells_it(config: Path) -> None:
    config.write_text("new")
    other = config.with_name("other.j2")
    other.write_text("the same")
    least = time.time() - config.stat().st_ctime
    found = watch._at_rest({config: b"old", other: b"same"}, {config: b"new", other: b"same"})
    assert max(0.0, least) <= found <= time.time() - config.stat().st_ctime
    assert watch._at_rest({other: b"same"}, {config: b"new", other: b"same"}) == 0.0
    config.unlink()
    assert watch._at_rest({config: b"new"}, {config: None}) == 0.0


@pytest.mark.parametrize("again", [False, True])
async def test_it_tells_when_a_change_begins_and_whether_that_was_already_all(
    config: Path, again: bool
) -> None:
    begun: list[int] = []
    later = asyncio.get_running_loop().create_future()
    inputs = await inputs_of(config)

    def stirs() -> None:
        begun.append(1)
        if again:
            later.set_result(None)

    async def write_again() -> None:
        await later
        config.write_text("newer")

    async with asyncio.TaskGroup() as group:
        writer = group.create_task(write_again())
        told = changes(inputs, stirs=stirs)
        config.write_text("new")
        assert await asyncio.wait_for(anext(told), PATIENCE) is not again
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


@pytest.fixture
def no_events(monkeypatch: pytest.MonkeyPatch) -> None:
    import watchfiles

    def refused(*_: object, **__: object) -> Iterator[set[object]]:
        raise OSError("inotify watch limit reached")
        yield set()

    monkeypatch.setattr(watchfiles, "watch", refused)


def held() -> int:
    """The watches of folders that this process has, as Linux counts them."""
    found = 0
    for one in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed since
            found += (Path("/proc/self/fdinfo") / one.name).read_text().count("inotify wd:")
    return found


@pytest.mark.parametrize("events", [True, False])
async def test_twenty_swaps_of_a_config_map_are_all_seen_and_leave_no_watch_behind(
    tmp_path: Path, request: pytest.FixtureRequest, events: bool
) -> None:
    if not events:
        request.getfixturevalue("no_events")
    mounted, poll = ConfigMap(tmp_path, "0"), NEVER if events else 0.02
    async with watching(tmp_path / "config.yaml", poll=poll, debounce=0.01) as watched:
        for number in range(1, 21):
            mounted.swap(f"{number}")
            await watched.until(f"{number}")
        assert watched.seen == [f"{number}" for number in range(1, 21)]
        if events and Path("/proc/self/fdinfo").exists():
            await watched.inputs.left_alone()
            await until(lambda: 0 < held() <= 3)


async def test_swaps_of_a_config_map_that_follow_at_once_end_in_the_last_one(
    tmp_path: Path,
) -> None:
    mounted = ConfigMap(tmp_path, "0")
    async with watching(tmp_path / "config.yaml") as watched:
        for number in range(1, 21):
            mounted.swap(f"{number}")
            await asyncio.sleep(0.02)
        await watched.until("20")


@pytest.mark.parametrize("alone", [False, True], ids=["at once", "by events alone"])
async def test_what_a_link_names_is_followed_wherever_it_lies(tmp_path: Path, alone: bool) -> None:
    first, second, folder = tmp_path / "a" / "deep", tmp_path / "b", tmp_path / "config"
    for one in (first, second, folder):
        one.mkdir(parents=True)
        (one / "real.yaml").write_text(one.name)
    (tmp_path / "folder").symlink_to("config")
    (folder / "config.yaml").symlink_to("../a/deep/real.yaml")
    async with watching(tmp_path / "folder" / "config.yaml") as watched:
        if alone:
            await watched.inputs.left_alone()
        (first / "real.yaml").write_text("changed")
        await watched.until("changed")
        if alone:
            await watched.inputs.left_alone()
        (folder / "link").symlink_to(second / "real.yaml")
        (folder / "link").replace(folder / "config.yaml")
        await watched.until("b")
        if alone:
            await watched.inputs.left_alone()
        (second / "real.yaml").write_text("changed too")
        await watched.until("changed too")
        assert watched.seen == ["changed", "b", "changed too"]


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


async def test_a_folder_that_has_to_be_there_is_waited_for(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "later" / "here"
    async with watching(config, FolderPath(folder)) as watched:
        folder.parent.mkdir()
        await watched.inputs.left_alone()
        assert watched.seen == []
        folder.mkdir()
        await watched.exactly("old")


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
    inputs = await inputs_of(config)
    told = asyncio.Event()
    count = 0

    async def receive() -> None:
        nonlocal count
        async for _ in changes(inputs, timing=lambda: Reloading(0.05, 0.5)):
            count += 1
            inputs.taken[template] = content_of(template)
            told.set()

    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
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


async def test_an_input_that_changes_before_it_is_watched_is_told(
    config: Path, tmp_path: Path
) -> None:
    template = tmp_path / "x.j2"
    inputs, told = await inputs_of(config), asyncio.Queue[str]()

    async def receive() -> None:
        async for _ in changes(inputs, timing=lambda: Reloading(0.01)):
            told.put_nowait(config.read_text())
            if template not in inputs.taken:
                template.write_text("taken")
                inputs.taken[template] = content_of(template)
                template.write_text("changed")

    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
        task = group.create_task(receive())
        await inputs.looked_at()
        config.write_text("new")
        assert [await told.get(), await told.get()] == ["new", "new"]
        task.cancel()


async def test_what_changes_while_the_receiver_is_busy_is_told_afterwards(config: Path) -> None:
    inputs, busy, count = await inputs_of(config), asyncio.Event(), 0
    seen = asyncio.Queue[str]()

    async def receive() -> None:
        nonlocal count
        async for _ in changes(inputs, timing=lambda: Reloading(0.05)):
            count += 1
            seen.put_nowait(config.read_text())
            await busy.wait()

    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
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
    config: Path, no_events: None, caplog: pytest.LogCaptureFixture
) -> None:
    before = metrics.value("config_watch_failures_total")
    async with watching(config, poll=0.1, debounce=0.01) as watched:
        for save in SAVES:
            text = save.__name__[-3:]
            save(config, text)
            await watched.until(text)
        assert (watched.watcher.mode, watched.watcher.folders) == ("poll", ())
        assert watched.watcher.reason == "inotify watch limit reached"
        assert metrics.gauges()["config_watcher_up"] == {(): 0}
    assert metrics.value("config_watch_failures_total") > before
    assert [
        record.message for record in caplog.records if record.name == "sidecar.app.watching.bell"
    ] == ["files cannot be watched, looking every 0.1 s: inotify watch limit reached"]


async def test_it_is_told_what_is_watched_and_when_a_change_was_seen(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = time.time()
    async with watching(config, tmp_path / "other.j2", debounce=0.01) as watched:
        told = watched.watcher
        await until(lambda: told.mode != "starting")
        assert (told.mode, told.folders, told.files) == ("inotify", (str(tmp_path),), 2)
        looked = told.looked_at
        assert looked is not None
        assert told.changed_at is None
        config.write_text("new")
        await watched.until("new")
        assert told.changed_at is not None
        assert before < looked <= told.changed_at
        assert looked < told.looked_at


async def test_a_watch_that_fails_altogether_is_told(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(inputs: object) -> Look:
        raise ValueError("no such thing")

    monkeypatch.setattr(watch, "look", broken)
    watcher = Watcher()
    with pytest.raises(ValueError, match="no such thing"):
        await anext(changes(await inputs_of(config), watcher=watcher))
    assert (watcher.mode, watcher.reason) == ("failed", "no such thing")


async def test_a_file_that_is_written_all_the_time_counts_in_the_end(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LONGEST_DEBOUNCE", 0.3)

    async def write() -> None:
        for number in itertools.count():
            replaced(config, f"{number}")  # and never empty, as it would be twice in a row
            await asyncio.sleep(0.005)

    async with watching(config, debounce=0.05) as watched, asyncio.TaskGroup() as group:
        writer = group.create_task(write())
        async with asyncio.timeout(PATIENCE):
            await watched.told.wait()
        writer.cancel()


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
    async with asyncio.timeout(PATIENCE):
        async with watching(config):
            pass


async def test_what_the_receiver_came_to_no_end_with_is_told_again_until_it_has(
    config: Path,
) -> None:
    unchecked = True
    told = changes(
        await inputs_of(config),
        timing=lambda: Reloading(0.01, 0.02),
        unchecked=lambda: unchecked,
    )
    for _ in range(3):
        assert await asyncio.wait_for(anext(told), PATIENCE) is False
    unchecked = False
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(told), QUIET)


def test_the_time_until_it_is_told_again_doubles_up_to_a_bound() -> None:
    again, waits, last = watch._Again(), list[int](), 0
    for now in range(2000):
        if again.is_due(True, 5, now):
            waits.append(now - last)
            last = now
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300]
    assert not again.is_due(False, 5, 2000)
    assert [now for now in range(3000, 3012) if again.is_due(True, 5, now)] == [3005]


@pytest.mark.parametrize("rejected", [False, True])
async def test_a_touch_has_what_was_rejected_tried_again_and_nothing_else(
    config: Path, rejected: bool
) -> None:
    inputs, count = await inputs_of(config), 0
    told = asyncio.Event()

    async def receive() -> None:
        nonlocal count
        timing = partial(Reloading, 0.01, 0.05)
        async for _ in changes(inputs, timing=timing, retries=lambda: rejected):
            count += 1
            told.set()

    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
        task = group.create_task(receive())
        await inputs.looked_at()
        config.write_text("new")
        await told.wait()
        told.clear()
        await inputs.looked_at_again()
        os.utime(config, (1, 1))
        if rejected:
            await told.wait()
        await asyncio.sleep(QUIET)
        assert count == 1 + rejected
        task.cancel()


async def test_a_quiet_watch_asks_seldom_and_a_lively_one_often(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import watchfiles

    asked = 0

    def quiet(*_: object, **__: object) -> Iterator[set[object]]:
        nonlocal asked
        while True:
            asked += 1
            yield set()

    monkeypatch.setattr(watchfiles, "watch", quiet)
    monkeypatch.setattr(bell, "SELDOM", 0.05)
    monkeypatch.setattr(bell, "OFTEN", 0.001)
    watcher = Watcher()
    watch = bell.Bell(watcher)
    await watch.wait([config], 0.2)  # it is set up
    await watch.wait([config], 0.2)  # up to a multiple of that: the next one is a whole one
    asked = 0
    while not asked:
        await watch.wait([config], 0.2)
    assert asked <= 5
    watcher.changed_at, asked = time.time(), 0
    while asked <= 5:
        await watch.wait([config], 0.2)
    await watch.close()
