"""Where agents of the control plane may work."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from sidecar.config.model import Config, Route
from sidecar.errors import ControlRefused
from sidecar.model import Failure

log = logging.getLogger(__name__)


def roots_of(config: Config, state: Path) -> Sequence[Path]:
    """The folders in which they may; without any, their own in the state folder."""
    return config.control_plane.roots or (state / "agents",)


def folder_inside(text: str, roots: Sequence[Path]) -> str:
    """The folder that a text means, without links, inside one of some folders. Blocks.

    Raises:
        ControlRefused: it is none, or is elsewhere.
    """
    path = Path(text).expanduser() if text.startswith("~/") else Path(text)
    try:
        found = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ControlRefused("bad_cwd", "cwd is not a folder of this machine") from error
    if not path.is_absolute() or not found.is_dir():
        raise ControlRefused("bad_cwd", "cwd is not a folder of this machine")
    if not any(found.is_relative_to(root.resolve()) for root in roots):
        raise ControlRefused("cwd_outside", "cwd is outside the folders of `control_plane.roots`")
    return str(found)


def has_places(config: Config) -> bool:
    """Whether a route of the control plane names a folder."""
    return any(route.managed and route.cwd is not None for route in config.routes)


async def warn_of_misplaced(config: Config, state: Path) -> None:
    """Tell which routes of the control plane lead out of its folders by now."""
    for route in config.routes:
        if (failure := await misplaced(route, config, state)) is not None:
            log.warning("route %s: none of its turns will run: %s", route.name, failure.detail)


async def misplaced(route: Route, config: Config, state: Path) -> Failure | None:
    """Why a turn of a route must not run: the control plane chose its folder, which is outside of
    those of the configuration by now, or has become a link that leads out. None when it may."""
    if not route.managed or route.cwd is None:
        return None
    try:
        await asyncio.to_thread(folder_inside, str(route.cwd), roots_of(config, state))
    except ControlRefused as error:
        return Failure("not_found", f"{route.cwd}: {error}")
    return None
