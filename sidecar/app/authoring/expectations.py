"""Whether a turn is what a test expects, and how it differs, in words and lines for people."""

import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sidecar.api import Invocation
from sidecar.app.authoring.preview import Preview, Told
from sidecar.config.text.templates import TEMPLATES

SHOWN = 30
"""Lines of a text that are shown where something is missing in it."""

Snapshot = Callable[[str, str], str | None]
"""Takes the name of a snapshot and what is there now; what it was, None where there was none."""

_PROCESS = ("argv", "env")


def asks_for_process(expected: Told) -> bool:
    """Whether it takes an `Invocation` to tell."""
    return any(name in expected for name in _PROCESS)


def mistakes(
    expected: Told,
    found: Preview | None,
    invocation: Invocation | None,
    snapshot: Snapshot,
    folder: Path,
) -> list[str]:
    """Where a turn is not what is expected, of one or more lines each. In `folder`, an absolute
    path, relative ones start."""
    if found is None:
        told = expected.get("route", "a turn")
        return [] if told is None else [f"no route takes it, expected {told!r}"]
    facts = {
        "route": found.route.name,
        "runtime": found.route.runtime,
        "trust": found.trust,
        "queue": found.queue,
    }
    wrong = [
        f"{name}: expected {expected[name]!r}, found {got!r}"
        for name, got in facts.items()
        if name in expected and expected[name] != got
    ]
    if "cwd" in expected:
        wrong += _cwd(expected["cwd"], found.route.cwd, folder)
    for name in TEMPLATES:
        if name in expected:
            wrong += _text(name, expected[name], getattr(found, name).text, snapshot)
    if invocation is not None and "argv" in expected:
        wrong += _argv(expected["argv"], invocation.argv)
    if invocation is not None and "env" in expected:
        wrong += _env(expected["env"], invocation.env)
    wrong += [f"a template failed: {failure}" for failure in found.failures]
    return wrong


def _cwd(wanted: str | None, got: Path | None, folder: Path) -> Iterator[str]:
    """As in a route: `~` is the home folder, `..` goes up in names."""
    meant = None
    if wanted is not None:
        meant = Path(os.path.normpath(folder / os.path.expanduser(wanted)))  # noqa: PTH111 -- raises
    if meant != got:
        yield f"cwd: expected {_folder(meant)}, found {_folder(got)}"


def _folder(path: Path | None) -> str:
    return "a folder of the account's own" if path is None else repr(str(path))


def _text(name: str, wanted: Any, got: str, snapshot: Snapshot) -> Iterator[str]:
    if isinstance(wanted, str):
        yield from _whole(name, wanted, got)
        return
    for key, piece in _pieces(wanted):
        if (piece in got) != (key == "contains"):
            says = "does not contain" if key == "contains" else "contains"
            yield f"{name} {says} {piece!r}; it is\n{_shown(got)}"
    if "matches" in wanted:
        yield from _matches(name, wanted["matches"], got)
    if "snapshot" in wanted:
        before = snapshot(wanted["snapshot"], got)
        if before is None:
            yield f"{name}: there is no snapshot {wanted['snapshot']}; `--update` writes it"
        else:
            yield from _whole(name, before, got)


def _whole(name: str, wanted: str, got: str) -> Iterator[str]:
    """A rendered text has no blanks at its ends, so those of the expected one do not count."""
    wanted = wanted.strip()
    if wanted == got:
        return
    if "\n" not in wanted + got:
        yield f"{name}: expected {wanted!r}, found {got!r}"
        return
    lines = list(difflib.unified_diff(wanted.splitlines(), got.splitlines(), lineterm="", n=2))
    told = "\n".join(line for line in lines[2:] if not line.startswith("@@"))
    yield f"{name} differs, - is expected and + is found\n{told}"


def _matches(name: str, pattern: str, got: str) -> Iterator[str]:
    if re.search(pattern, got, re.MULTILINE) is None:
        yield f"{name} does not match {pattern!r}; it is\n{_shown(got)}"


def _argv(wanted: Any, got: Sequence[str]) -> Iterator[str]:
    if not isinstance(wanted, Mapping):
        if list(wanted) != list(got):
            yield from _whole("argv", "\n".join(wanted), "\n".join(got))
        return
    run = _listed(wanted.get("contains", ()))
    places = range(len(got) - len(run) + 1)
    if run and not any(list(got[at : at + len(run)]) == run for at in places):
        yield f"argv does not contain {run!r}; it is\n{_shown(chr(10).join(got))}"
    for word in _listed(wanted.get("not_contains", ())):
        if word in got:
            yield f"argv contains {word!r}; it is\n{_shown(chr(10).join(got))}"


def _env(wanted: Any, got: frozenset[str]) -> Iterator[str]:
    for key, name in _pieces(wanted):
        if key == "contains" and name not in got:
            yield f"env: the runtime is not given {name}; it has {', '.join(sorted(got))}"
        if key == "not_contains" and name in got:
            yield f"env: the runtime is given {name}"


def _pieces(wanted: Told) -> Iterator[tuple[str, str]]:
    for key in ("contains", "not_contains"):
        for piece in _listed(wanted.get(key, ())):
            yield key, piece


def _listed(texts: Any) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts)


def _shown(text: str) -> str:
    lines = text.splitlines() or ["(nothing)"]
    more = [f"… {len(lines) - SHOWN} more lines"] if len(lines) > SHOWN else []
    return "\n".join(f"  {line}" for line in [*lines[:SHOWN], *more])
