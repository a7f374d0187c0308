"""The chat at the terminal: one line is one message; progress is dimmed, the reply plain."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TextIO

from sidecar.devhub.describe import Line, describe
from sidecar.devhub.hub import DevHub
from sidecar.devhub.lines import InputLines, printable
from sidecar.devhub.records import Author, Block, Event, Noted, Posted, Settled
from sidecar.devhub.stage import Place, places, speak
from sidecar.devhub.steering import HELP, steer

log = logging.getLogger(__name__)

PATIENCE = 900.0
"""Seconds that input from a pipe waits for an answer before it goes on without one."""
_COMING = 5.0
"""Seconds in which an agent that has just been started is expected to connect."""
_WIDTH = 100
_ROLES: dict[str, Author] = {"owner": "owner", "member": "human", "agent": "agent"}
_WHO = {"owner": "owner", "human": "room member", "agent": "another agent"}
_HELP = f"""\
  /as owner|member|agent   who you are: the agent's owner, a member of a room, another agent
  /agent NAME              which agent you talk to
{HELP}
  /help                    this help
  /quit                    leave (so does the end of the input)
Anything else is sent. In a room, write @NAME to mention the agent."""

ReadLine = Callable[[], Awaitable[str | None]]


async def chat(
    hub: DevHub,
    agents: Callable[[], Sequence[str]],
    read: ReadLine | None = None,
    *,
    out: TextIO | None = None,
    interactive: bool | None = None,
    colour: bool = False,
    patience: float = PATIENCE,
) -> None:
    """Talk to agents until the input ends, or the output does.

    `agents` tells those that can be talked to now. `read` gives lines, None at the end; by default
    they come from standard input. `interactive` (default: whether that is a terminal) shows a
    prompt and takes lines while an answer is awaited; otherwise each line waits for its answer.
    `colour` dims progress, and clears a prompt before something is shown above it.
    """
    if interactive is None:
        interactive = read is None and sys.stdin.isatty()
    screen = Screen(out or sys.stdout, colour=colour, interactive=interactive)
    try:
        await _Chat(hub, agents, screen, patience).run(read or InputLines())
    except* Gone as gone:
        log.info("the chat ends: %s", gone.exceptions[0])


class Gone(Exception):
    """Nobody reads what is printed any more, as where a terminal was closed."""


class Screen:
    """Prints lines, and a prompt below them where somebody types."""

    def __init__(self, out: TextIO, *, colour: bool, interactive: bool) -> None:
        self._out = out
        self._colour = colour
        self.interactive = interactive

    async def show(self, text: str, *, dim: bool = False, prompt: str = "") -> None:
        """Print text on lines of its own, then the prompt again."""
        text = printable(text)
        if dim and self._colour:
            text = f"\x1b[2m{text}\x1b[0m"
        start = "\r\x1b[K" if self._colour and self.interactive else ""
        await self._write(f"{start}{text}\n{self._prompt(prompt)}")

    async def ask(self, prompt: str) -> None:
        """Print the prompt alone."""
        await self._write(self._prompt(prompt))

    def _prompt(self, prompt: str) -> str:
        return printable(prompt) if self.interactive else ""

    async def _write(self, text: str) -> None:
        # A terminal that is stopped must not stop the Hub.
        await asyncio.to_thread(self._write_now, text)

    def _write_now(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except OSError as error:
            raise Gone(f"its output cannot be written: {error.strerror}") from error


class _Chat:
    def __init__(
        self, hub: DevHub, agents: Callable[[], Sequence[str]], screen: Screen, patience: float
    ) -> None:
        self._hub = hub
        self._offered = agents
        self._screen = screen
        self._patience = patience
        self._role: Author = "owner"
        self._agent: str | None = None
        self._rooms: set[str] = set()
        self._drafts: dict[str, str] = {}
        self._awaited: Posted | None = None
        self._open: dict[str, set[str]] = {}  # by message, its copies that nothing came of yet

    async def run(self, read: ReadLine) -> None:
        """Read and show until the input ends."""
        with self._hub.state.watch() as events:
            async with asyncio.TaskGroup() as group:
                showing = group.create_task(self._show_all(events), name="devhub-terminal")
                await self._screen.ask(self._prompt)
                while (line := await read()) is not None:
                    if not await self._obey(line.strip()):
                        break
                else:
                    await self._screen.ask("\n")  # the shell's prompt gets a line of its own
                showing.cancel()

    async def _obey(self, line: str) -> bool:
        """Do what a line says; False when the chat is over."""
        match line.split():
            case []:
                await self._screen.ask(self._prompt)
            case ["/quit" | "/exit"]:
                return False
            case ["/help"]:
                await self._say(_HELP)
            case ["/as", *words]:
                await self._play(" ".join(words).lower())
            case ["/agent", *words]:
                await self._address(" ".join(words))
            case [command, *_] if command.startswith("/"):
                told = await steer(self._hub, line.split())
                await self._say(told or "That is no command. /help lists them.")
            case _:
                await self._send(line)
        return True

    async def _play(self, role: str) -> None:
        if role not in _ROLES:
            await self._say(f"Roles: {', '.join(_ROLES)}")
            return
        self._role = _ROLES[role]
        await self._tell_place()

    async def _address(self, name: str) -> None:
        found = self._find(name)
        if found is None:
            known = ", ".join(map(self._told, self._agents))
            await self._say(f"Agents: {known or 'none yet'}")
            return
        self._agent = found
        await self._tell_place()

    async def _send(self, text: str) -> None:
        place = self._place()
        if place is None:
            await self._say("There is no agent to talk to yet.")
            return
        self._rooms.add(place.room)
        try:
            self._awaited = speak(self._hub.state, place.room, text)
        except ValueError as error:
            await self._say(f"Not sent: {error}.")
            return
        self._open[self._awaited.id] = set(self._awaited.copies)
        if not await self._is_there(place.agents[0]):
            told = self._told(place.agents[0])
            await self._say(f"{told} is not connected yet; it gets this when it is.")
        elif self._screen.interactive:
            await self._screen.ask(self._prompt)
        if not self._screen.interactive and not await self._answer():
            await self._say(f"No answer in {self._patience:g} s to: {_short(text)}")

    async def _is_there(self, agent: str) -> bool:
        """Whether an agent is connected; input from a pipe gives it time for that."""
        time = 0.0 if self._screen.interactive else min(_COMING, self._patience)
        return await self._hub.state.news.until(
            lambda: bool(self._hub.connected(agent)) or self._awaited is None, time
        )

    async def _answer(self) -> bool:
        """Wait until the awaited message is answered, or nobody will answer it."""
        return await self._hub.state.news.until(lambda: self._awaited is None, self._patience)

    async def _show_all(self, events: "asyncio.Queue[Event | None]") -> None:
        while (event := await events.get()) is not None:
            match event:
                case Posted() if event.room in self._rooms:
                    await self._show_post(event)
                case Block() if event.room in self._rooms:
                    await self._show_block(event.room, describe(event.block))
                case Settled(copy, silence):
                    await self._settle(copy, silence)
                case Noted(text):
                    await self._say(f"· {text}")
                case _:
                    pass

    async def _show_post(self, post: Posted) -> None:
        sender = self._hub.state.agents.get(post.sender)
        if post.author != "agent" or sender is None or sender.played:
            return
        self._drafts.pop(str(post.room), None)
        several = len(self._agents) > 1
        await self._say(f"{post.name}: {post.text}" if several else post.text, dim=False)
        if self._awaited and self._awaited.room == post.room:
            self._finish()

    async def _settle(self, copy: str, silence: str) -> None:
        """Tell that nobody who got a message answers it."""
        post = next((post for post, copies in self._open.items() if copy in copies), None)
        if post is None:
            return
        self._open[post].discard(copy)
        if silence and self._open[post]:
            return
        del self._open[post]
        if silence:
            self._drafts.pop(str(self._hub.state.posts[post].room), None)
            await self._say(f"· no reply: {silence}")
            if self._awaited and self._awaited.id == post:
                self._finish()

    async def _show_block(self, room: str, line: Line | None) -> None:
        """Show a step. Text is kept back: what no step follows comes again as the reply."""
        if line is None:
            return
        if line.kind == "text":
            self._drafts[room] = self._drafts.get(room, "") + line.text
            return
        draft = self._drafts.pop(room, "")
        if draft.strip():
            await self._say(f"  {_short(draft)}")
        match line.kind:
            case "thinking":
                await self._say(f"  … {_short(line.text or line.title)}")
            case "tool":
                await self._say(f"  → {line.title} {_short(line.text)}")
            case "result":
                await self._say(f"  ← {_short(line.text)}")
            case _:
                await self._say(f"  {_short(line.text)}")

    def _finish(self) -> None:
        self._awaited = None
        self._hub.state.news.tell()

    async def _say(self, text: str, *, dim: bool = True) -> None:
        await self._screen.show(text, dim=dim, prompt=self._prompt)

    async def _tell_place(self) -> None:
        place = self._place()
        where = f" in {place.title}" if place is not None and self._role == "human" else ""
        await self._say(f"You are {_WHO[self._role]}{where}.")

    def _place(self) -> Place | None:
        agent = self._addressed
        fitting = (place for place in places(self._hub.state) if place.role == self._role)
        return next((place for place in fitting if agent in place.agents), None)

    @property
    def _agents(self) -> Sequence[str]:
        return self._offered()

    @property
    def _addressed(self) -> str | None:
        """The agent that is talked to: the first one, until another is chosen."""
        return self._agent if self._agent in self._agents else next(iter(self._agents), None)

    def _find(self, name: str) -> str | None:
        name_of = self._hub.state.name_of
        return next((who for who in self._agents if name in (who, name_of(who))), None)

    def _told(self, agent: str) -> str:
        name = self._hub.state.name_of(agent)
        return name if name == agent else f"{name} ({agent})"

    @property
    def _prompt(self) -> str:
        agent = self._addressed
        name = "no agent" if agent is None else self._hub.state.name_of(agent)
        return f"{name} ({_WHO[self._role]})> "


def _short(text: str) -> str:
    """The text on one line, cut to a terminal's width."""
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
