"""A prompt on a screen: its two texts, what made each part of them, sizes, and what changed."""

import difflib
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby

from sidecar.app.authoring.last_render import Texts
from sidecar.app.authoring.preview import Made, Part, Preview
from sidecar.cli.screen import wants_colours

_TITLES = {
    "system_context": "system context",
    "recovery": "recovery",
    "user_turn": "user turn",
}
_BOLD, _DIM, _RED, _GREEN, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[0m"


def texts(found: Preview) -> Texts:
    """The texts of a prompt."""
    return {name: getattr(found, name).text for name in _TITLES}


def tokens(text: str) -> int:
    """About how many tokens a text is: a quarter of its bytes, which holds for English and for
    code, and is near enough for others."""
    return (len(text.encode("utf-8", "replace")) + 3) // 4


def size(text: str) -> str:
    """How long a text is, for people."""
    return f"{_count(len(text), 'character')}, about {_count(tokens(text), 'token')}"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def lines(found: Preview) -> Iterator[str]:
    """The prompt. Before each run of lines stands what made it; the lines are as they are."""
    route = found.route
    yield f"route {route.name} · runtime {route.runtime} · {found.trust} · {found.queue}"
    for name, title in _TITLES.items():
        made: Made = getattr(found, name)
        if name == "recovery" and not made.text:
            continue
        yield ""
        yield _tinted(f"── {title} · {size(made.text)}", _BOLD)
        yield from _parts(made)


def changed(before: Texts, after: Texts) -> Iterator[str]:
    """What is another text than before, line by line."""
    for name, title in _TITLES.items():
        old, new = before.get(name, ""), after[name]
        if old == new:
            continue
        told = f"{len(new) - len(old):+} characters, about {tokens(new) - tokens(old):+} tokens"
        yield _tinted(f"── {title} changed · {told}", _BOLD)
        steps = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=2)
        for line in list(steps)[2:]:
            if line.startswith("@@"):
                yield _tinted("  …", _DIM)
            else:
                yield _tinted(line, {"-": _RED, "+": _GREEN}.get(line[:1], ""))


def replaced(found: Preview) -> Iterator[str]:
    """The failures of templates, and what took their place."""
    for failure in found.failures:
        yield f"a template failed: {failure}"
    for name, title in _TITLES.items():
        own, made = getattr(found.route, name), getattr(found, name)
        if made.by is not None and own is not None and made.by != own:
            yield f"{made.by.name} took the place of the route's {title}"
        elif found.failures and made.by is None and name == "user_turn":
            yield f"the messages alone took the place of the {title}"
        elif found.failures and made.by is None and name == "system_context":
            yield f"there is no {title} then"


def _parts(made: Made) -> Iterator[str]:
    if made.by is None:
        yield from made.text.splitlines()
        return
    for origins, group in groupby(_by_line(made.parts), key=lambda one: one[1]):
        written = [line for line, _ in group]
        text = "\n".join(written)
        if text.strip():
            yield _tinted(f"┌ {', '.join(origins)} · {size(text)}", _DIM)
        yield from written


def _by_line(parts: Sequence[Part]) -> list[tuple[str, tuple[str, ...]]]:
    """Each line with what made it. A blank one belongs to those before it."""
    found: list[tuple[str, tuple[str, ...]]] = []
    line, origins = "", dict[str, None]()

    def end() -> None:
        before = found[-1][1] if found else ()
        found.append((line, tuple(origins) or before))

    for part in parts:
        for number, piece in enumerate(part.text.split("\n")):
            if number:
                end()
                line, origins = "", {}
            line += piece
            if piece.strip():
                origins[place(part)] = None
    if line:
        end()
    return found


def place(part: Part) -> str:
    """What made a part: the template and, after a colon, the block in it."""
    return f"{part.template}:{part.block}" if part.block else part.template


def _tinted(text: str, tint: str) -> str:
    coloured = tint and wants_colours(sys.stdout)
    return f"{tint}{text}{_PLAIN}" if coloured else text
