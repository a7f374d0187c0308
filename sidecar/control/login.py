"""The login of a person on this machine: `user-auth.json`, as the BotCord daemon keeps it.

Everything here blocks: it is called in a thread.
"""

import contextlib
import errno
import json
import os
import shlex
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sidecar.api import Host
from sidecar.atomic_file import FileRewritten, Stamp, replace_file, stamp_of
from sidecar.codecs.hub.botcord import hub_url
from sidecar.codecs.loose import Record, number_of, text_of
from sidecar.config.model import LOGIN_FILE
from sidecar.config.system import is_private
from sidecar.errors import ChannelStopped, ChannelUnavailable
from sidecar.hubclient.private_file import parse_object, read_private

FLAG = "auth-expired.flag"
"""The file beside it that says: the Hub does not take this login any more."""
LIFETIME = 3600.0
"""Seconds that an access token is good for when the Hub does not tell."""

_NAMES = ("userId", "daemonInstanceId", "hubUrl", "accessToken", "refreshToken")


@dataclass(frozen=True, slots=True)
class Login:
    """Who is logged in, as which machine, at which Hub. `expires_at` is in seconds.

    `document` is the whole content of the file; what it holds besides stays in it. `stamp` is the
    state of the file that it was read from, or written to.
    """

    user: str
    instance: str
    hub: str
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: float
    label: str | None = None
    document: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)
    stamp: Stamp | None = field(default=None, repr=False, compare=False)

    @property
    def filed(self) -> str | None:
        """The refresh token in the file that it was read from: by it the file is known again,
        whatever else a person writes into it."""
        return text_of(self.document, "refreshToken")


def read(path: Path) -> Login:
    """Read a login that only its owner can read.

    Raises:
        ChannelStopped: it cannot be used; the text tells why, and how it is mended.
    """
    text, _, stamp = read_private(path)
    return _login(path, parse_object(path, text), stamp)


def granted(body: object, hub: str, now: float, old: Login | None = None) -> Login:
    """The login that a token answer of the Hub stands for.

    A refreshed one stays at its Hub and with its user: only a person may lead it elsewhere.

    Raises:
        ChannelUnavailable: the answer holds no login.
    """
    record = body if isinstance(body, dict) else {}
    access, refresh = _either(record, "access_token"), _either(record, "refresh_token")
    user = old.user if old else _either(record, "user_id")
    instance = old.instance if old else _either(record, "daemon_instance_id")
    if not (access and refresh and user and instance and _can_travel(access)):
        raise ChannelUnavailable("the Hub's answer holds no login")
    lifetime = number_of(record, "expires_in") or number_of(record, "expiresIn") or 0
    if old is None and (told := _either(record, "hub_url")):
        try:
            hub = hub_url(told)
        except ValueError as error:
            raise ChannelUnavailable(f"the Hub gives itself a wrong address: {error}") from error
    return Login(
        user,
        instance,
        hub,
        access,
        refresh,
        now + (lifetime if lifetime > 0 else LIFETIME),
        old.label if old else None,
        old.document if old else {},
        old.stamp if old else None,
    )


def write(path: Path, login: Login, *, now: float) -> None:
    """Put a login into its file, mode 0600; readers see the old one or the new one, never half.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    document = {"version": 1, "loggedInAt": moment.replace("+00:00", "Z")} | dict(login.document)
    document |= {
        "userId": login.user,
        "daemonInstanceId": login.instance,
        "hubUrl": login.hub,
        **_tokens(login),
    }
    if login.label is not None:
        document["label"] = login.label
    replace_file(_place(path), _content(document))


def renew(path: Path, fresh: Login, host: Host) -> Login | None:
    """Put the tokens of a refreshed login into its file, mode 0600, and leave the rest of it as it
    is; the login that the file has then. None, and nothing is done, where it is not the file of
    this login: somebody has logged out, or in anew, or is about to write it.

    A file that others can read by now is written, too, for its owner only: they have not seen the
    new tokens, and the former ones are worth nothing any more, or about to end.

    Raises:
        ChannelStopped: the tokens are kept, but the rest of the file cannot be used any more.
        OSError: it cannot be read or written; the file is as it was.
    """
    target = path.resolve()
    while True:
        try:
            text, status = target.read_bytes(), target.stat()
            former = parse_object(path, text)
        except (FileNotFoundError, ChannelStopped):
            return None
        if text_of(former, "refreshToken") != fresh.filed:
            return None
        record = {**former, **_tokens(fresh)}
        content = _content(record)
        host.wrote(text, content)
        with contextlib.suppress(FileRewritten):  # looked at again
            stamp = replace_file(target, content, expected=text)
            break
    if not is_private(status.st_mode, status.st_uid, os.geteuid()):
        host.log.warning(
            "other users of this machine had access to %s while the login in it was refreshed:"
            " what is in it now is its owner's only",
            path,
        )
    return _login(path, record, stamp)


def prepare(path: Path) -> None:
    """See to it that a login can be written, before one is asked for. Raises OSError."""
    target = _place(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    tempfile.NamedTemporaryFile(dir=target.parent).close()  # a login is written beside it first


def command(path: Path) -> str:
    """The command with which a person logs in, so that the login is in a file."""
    usual = path == Path(LOGIN_FILE).expanduser()
    return "sidecar login" if usual else f"sidecar login --file {shlex.quote(str(path))}"


def remove(path: Path) -> bool:
    """Forget a login and its flag; False when there was none. Raises OSError."""
    path.with_name(FLAG).unlink(missing_ok=True)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def mark_expired(path: Path) -> None:
    """Write down beside a login that the Hub does not take it any more. Raises OSError."""
    moment = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
    text = json.dumps({"expiredAt": moment.replace("+00:00", "Z")})
    replace_file(path.with_name(FLAG), text.encode())


def clear_expired(path: Path) -> None:
    """Take that back: there is a new login."""
    with contextlib.suppress(OSError):
        path.with_name(FLAG).unlink(missing_ok=True)


def is_expired(path: Path) -> bool:
    """Whether a login is marked so, and was not written again since."""
    try:
        return path.with_name(FLAG).stat().st_mtime_ns > path.stat().st_mtime_ns
    except OSError:
        return False


def is_of(path: Path, instance: str) -> bool:
    """Whether a file has a login of this machine, as the Hub calls it."""
    try:
        return read(path).instance == instance
    except ChannelStopped:
        return False


def stamp(path: Path) -> Stamp | None:
    """The state of the file as it is now; None while there is none."""
    try:
        return stamp_of(path.stat())
    except OSError:
        return None


def _login(path: Path, record: Record, stamp: Stamp) -> Login:
    found = {name: text_of(record, name) for name in _NAMES}
    expires = number_of(record, "expiresAt")
    missing = [name for name, value in found.items() if value is None]
    if missing or expires is None:
        raise ChannelStopped(f"{path}: has no {(missing or ['expiresAt'])[0]}")
    user, instance, hub, access, refresh = (str(found[name]) for name in _NAMES)
    try:
        hub = hub_url(hub)
    except ValueError as error:
        raise ChannelStopped(f"{path}: {error}") from error
    if not _can_travel(access):
        raise ChannelStopped(f"{path}: accessToken is damaged")
    label = text_of(record, "label")
    return Login(user, instance, hub, access, refresh, expires / 1000, label, record, stamp)


def _tokens(login: Login) -> dict[str, object]:
    return {
        "accessToken": login.access,
        "refreshToken": login.refresh,
        "expiresAt": int(login.expires_at * 1000),
    }


def _content(document: Record) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _place(path: Path) -> Path:
    """Where a login is written, with a folder around it."""
    target = path.resolve()
    if not target.parent.exists():
        target.parent.mkdir(parents=True, mode=0o700)
    return target


def _either(record: Record, name: str) -> str | None:
    """A text in one of the two spellings of the Hub: `access_token` and `accessToken`."""
    first, *others = name.split("_")
    return text_of(record, name) or text_of(record, first + "".join(map(str.title, others)))


def _can_travel(token: str) -> bool:
    """Whether a token can be part of a header."""
    return token.isascii() and token.isprintable()
