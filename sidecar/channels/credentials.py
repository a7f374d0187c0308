"""Credentials files of BotCord agents. Everything here blocks: it is called in a thread."""

import base64
import binascii
import json
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.atomic_file import FileRewritten, replace_file
from sidecar.codecs.hub.botcord import hub_url, is_safe_id
from sidecar.codecs.hub.signing import public_key, signing_key
from sidecar.codecs.loose import Record, number_of, text_of
from sidecar.errors import ChannelStopped
from sidecar.hubclient.private_file import parse_object, read_private

# The older spelling comes second.
_HUB = ("hubUrl", "hub_url", "hub")
_AGENT = ("agentId", "agent_id")
_KEY_ID = ("keyId", "key_id")
_PRIVATE_KEY = ("privateKey", "private_key")
_PUBLIC_KEY = ("publicKey", "public_key")
_EXPIRY = ("tokenExpiresAt", "token_expires_at")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an agent needs to speak with its Hub. `expires_at` is of the token, in seconds;
    `is_new` marks an agent that somebody had yet to claim when it was registered. The file was
    `written_at`, in seconds since the epoch."""

    path: Path
    agent: str
    hub: str
    key_id: str
    seed: bytes = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires_at: float = 0.0
    is_new: bool = False
    written_at: float = 0.0


def default_path(agent: str) -> Path:
    """Where an agent's credentials are unless the configuration says otherwise.

    Raises:
        ChannelStopped: the id cannot be part of a path.
    """
    if not is_safe_id(agent):
        raise ChannelStopped(f"{agent!r} cannot be the id of an agent")
    return Path("~/.botcord/credentials").expanduser() / f"{agent}.json"


def read(path: Path) -> Credentials:
    """Read a credentials file that only its owner can read.

    Raises:
        ChannelStopped: it cannot be used; the text tells why, and how it is mended.
    """
    text, written_at, _ = read_private(path)
    record = parse_object(path, text)
    agent = _required(path, record, _AGENT)
    if not is_safe_id(agent):
        raise ChannelStopped(f"{path}: {agent!r} cannot be the id of an agent")
    try:
        hub = hub_url(_required(path, record, _HUB))
    except ValueError as error:
        raise ChannelStopped(f"{path}: {error}") from error
    return Credentials(
        path=path,
        agent=agent,
        hub=hub,
        key_id=_required(path, record, _KEY_ID),
        seed=_seed(path, record),
        token=token_of(record, "token"),
        expires_at=_expiry(record),
        is_new="claimUrl" in record,
        written_at=written_at,
    )


def store_token(
    path: Path,
    agent: str,
    token: str,
    expires_at: float,
    wrote: Callable[[bytes, bytes], None],
) -> None:
    """Put a new token into the file, keeping everything else that is in it, and its mode.

    Nothing is done when the file has gone or belongs to another agent by now, nor when somebody
    writes it at the same time. `wrote` is told the contents before and after.

    Raises:
        OSError: it cannot be written.
    """
    try:
        target = path.resolve(strict=True)
        text = target.read_bytes()
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        return
    try:
        record = parse_object(path, text)
    except ChannelStopped:
        return
    if _first(record, _AGENT) != agent:
        return
    expiry = next((name for name in _EXPIRY if name in record), _EXPIRY[0])
    changed = {**record, "token": token, expiry: int(expires_at)}
    content = (json.dumps(changed, indent=2, ensure_ascii=False) + "\n").encode()
    wrote(text, content)
    with suppress(FileRewritten):
        replace_file(target, content, mode, expected=text)


def token_of(record: Record, name: str) -> str | None:
    """A token; None for what could not be part of a header."""
    found = text_of(record, name)
    return found if found is not None and found.isascii() and found.isprintable() else None


def seconds(time: float) -> float:
    """A time in seconds. Some Hubs give milliseconds, which no date of ours reaches."""
    return time / 1000 if time > 1e10 else float(time)


def _first(record: Record, names: tuple[str, ...]) -> str | None:
    found = next((text for name in names if (text := text_of(record, name))), None)
    return found.strip() if found is not None else None


def _required(path: Path, record: Record, names: tuple[str, ...]) -> str:
    found = _first(record, names)
    if found is None:
        raise ChannelStopped(f"{path}: has no {names[0]}")
    return found


def _seed(path: Path, record: Record) -> bytes:
    try:
        seed = base64.b64decode(_required(path, record, _PRIVATE_KEY), validate=True)
        derived = public_key(signing_key(seed))
    except (binascii.Error, ValueError) as error:
        raise ChannelStopped(f"{path}: privateKey is not 32 bytes in base64") from error
    given = _first(record, _PUBLIC_KEY)
    if given is not None and given != derived:
        raise ChannelStopped(f"{path}: publicKey does not belong to privateKey")
    return seed


def _expiry(record: Record) -> float:
    found = next((at for name in _EXPIRY if (at := number_of(record, name)) is not None), 0.0)
    return seconds(found)
