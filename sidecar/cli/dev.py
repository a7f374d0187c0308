"""`sidecar dev`: a development Hub, the sidecar and a chat, all on this machine."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from sidecar.app.checking.candidate import Candidate
from sidecar.app.checking.load import Loading
from sidecar.cli.config_file import usable
from sidecar.cli.screen import wants_colours
from sidecar.config.model import Config
from sidecar.errors import SidecarError
from sidecar.server.address import DEVELOPMENT

CONFIG = Path("config.yaml")
EXAMPLE = "config.example.yaml"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "config",
        nargs="?",
        type=Path,
        metavar="CONFIG",
        help="the config file (default: config.yaml, made from the example if there is none)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Chat until the person leaves; 2 for an invalid config, 1 when it cannot start."""
    from sidecar import logs

    path = arguments.config or _own_config()
    # The development Hub gives the channels their credentials.
    candidate = Loading(path, inside=DEVELOPMENT).wait()
    config = usable(candidate, without={"credentials-missing"})
    if config is None:
        return 2
    try:
        return asyncio.run(_develop(path, config, candidate))
    except (SidecarError, OSError) as error:
        print(f"sidecar: cannot start: {error}", file=sys.stderr)
        return 1
    finally:
        logs.shutdown()


async def _develop(path: Path, config: Config, candidate: Candidate) -> int:
    from sidecar import events
    from sidecar.app.commands.dev import Development
    from sidecar.app.lifecycle.log_setup import configure_logs
    from sidecar.app.process import until_stopped
    from sidecar.app.reloading import reloaded
    from sidecar.app.sidecar import Sidecar
    from sidecar.devhub import DevHub
    from sidecar.devhub.terminal import chat

    hub = DevHub()
    await hub.start()
    try:
        development = Development(hub)
        adapted = await development.adapt(config)
        await asyncio.to_thread(configure_logs, adapted)
        logging.getLogger(reloaded.__name__).addHandler(_ToScreen(hub.note))
        print(f"chat page: {hub.chat_url}", file=sys.stderr)
        print(f"log:       {adapted.log.file}", file=sys.stderr)
        print(f"Edit {path} and save: it applies at once.", file=sys.stderr)
        found, problems = candidate.inputs, candidate.problems
        sidecar = Sidecar(path, adapted, found, development.adapt, problems=problems)

        def agents() -> list[str]:
            return development.agents(sidecar.reloader.snapshot.config)

        async def talk() -> None:
            with events.listen() as heard:
                async with asyncio.TaskGroup() as group:
                    telling = group.create_task(development.tell(heard), name="devhub-telling")
                    await chat(hub, agents, colour=wants_colours(sys.stdout))
                    telling.cancel()

        return await until_stopped(sidecar, talk)
    finally:
        await hub.stop()


class _ToScreen(logging.Handler):
    """What a save led to belongs on the screen of the person who saved."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one line."""
        self._note(record.getMessage())


def _own_config() -> Path:
    if not CONFIG.exists():
        CONFIG.write_text(_example(), encoding="utf-8")
        print(f"wrote {CONFIG}", file=sys.stderr)
    return CONFIG


def _example() -> str:
    """The example lies with the schema in a wheel, and beside its folder in a checkout."""
    from sidecar.config.schemas.shipped import folder

    inside = folder() / EXAMPLE
    file = inside if inside.is_file() else folder() / ".." / EXAMPLE
    return file.read_text("utf-8")
