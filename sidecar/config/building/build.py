"""From a document of the right form to the frozen `Config`, with what a schema cannot check."""

import ipaddress
from collections.abc import Collection
from pathlib import Path

from sidecar.config.building.channels import channels
from sidecar.config.building.choices import check_choices
from sidecar.config.building.control_keys import control_keys
from sidecar.config.building.options import can_use, check_credentials, options
from sidecar.config.building.part import Part, Source
from sidecar.config.building.routes import default_route, routes
from sidecar.config.building.runtimes import runtimes
from sidecar.config.building.state import state
from sidecar.config.model import (
    LOGIN_FILE,
    Config,
    Context,
    ControlPlane,
    Discovery,
    Limits,
    Log,
    Server,
)
from sidecar.config.reloading import LONGEST_DEBOUNCE, Reloading
from sidecar.config.schemas.schema import Schema
from sidecar.config.values import duration

UNIX = "unix:"
"""How the address of a socket file begins."""
GRACE = "SIDECAR_TERMINATION_GRACE"
"""An environment variable: the time from SIGTERM to SIGKILL, such as `30s`. In a pod that is its
terminationGracePeriodSeconds, which the sidecar cannot find out by itself."""
ENDING = 5.0
"""Seconds of this that are for what follows the drain: connections and the journal are closed."""

SHORTEST_POLL = 1.0
"""Seconds between two looks at the content of all files."""


def build(source: Source, schema: Schema, available: Collection[str]) -> Config:
    """The configuration. Whether it can be used, the noted problems tell.

    `available` are the runtime types that can run.
    """
    root = source.root
    check_choices(root, schema)
    return Config(
        state=state(root.part("state")),
        server=_server(root),
        log=_log(root.part("log")),
        limits=_limits(root.part("limits")),
        reload=_reload(root.part("reload")),
        channels=channels(root, schema),
        discovery=_discovery(root.part("discovery").part("botcord")),
        runtimes=runtimes(root, schema, available),
        routes=routes(root),
        default_route=default_route(root),
        context=_context(root.part("context"), schema),
        control_plane=_control_plane(root.part("control_plane")),
        tests=tuple(test.data for test in root.parts("tests")),
        secrets=frozenset(source.interpolation.secrets),
    )


def _server(root: Part) -> Server | None:
    if root.get("server", {}) is None:
        return None
    part, default = root.part("server"), Server()
    server = Server(part.get("listen", default.listen), part.get("token", default.token))
    if part.has("listen"):
        _check_listen(part, server)
    part.source.interpolation.remember(server.token)
    return server


def _check_listen(part: Part, server: Server) -> None:
    if server.listen.startswith(UNIX):
        if not Path(server.listen.removeprefix(UNIX)).is_absolute():
            part.problem("bad-address", "the path of a socket file is absolute", "listen")
        return
    host, _, port = server.listen.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port[:6]) > 65535:
        message = f"{part.shown(server.listen, 'listen')} is no address"
        part.problem("bad-address", message, "listen", hint="such as 127.0.0.1:8787")
    elif not server.token and not part.is_broken("token") and not _is_loopback(host):
        message = "a server that others can reach needs a token"
        part.problem("token-missing", message, "listen", hint="set server.token")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _log(part: Part) -> Log:
    default, file = Log(), part.get("file")
    return Log(
        level=part.get("level", default.level),
        format=part.get("format", default.format),
        file=None if file is None else part.absolute(file, "file"),
    )


def _limits(part: Part) -> Limits:
    default = Limits()
    limits = Limits(
        concurrent_turns=int(part.get("concurrent_turns", default.concurrent_turns)),
        queue_depth=int(part.get("queue_depth", default.queue_depth)),
        turn_timeout=part.duration("turn_timeout", default.turn_timeout),
        idle_timeout=part.duration("idle_timeout", default.idle_timeout),
        output=part.size("output", default.output),
        stop_grace=part.duration("stop_grace", default.stop_grace),
        drain_timeout=part.duration("drain_timeout", default.drain_timeout),
    )
    _check_grace(part, limits.drain_timeout)
    return limits


def _check_grace(part: Part, drain_timeout: float) -> None:
    """Warn of a drain that would be cut short, where the time until SIGKILL is known."""
    text = part.system.env.get(GRACE)
    if not text:
        return
    try:
        grace = duration(text)
    except ValueError as error:
        told = f"{GRACE} of the environment is not used: {error}"
        part.problem("bad-grace", told, "drain_timeout", level="warning")
        return
    if drain_timeout > grace - ENDING:
        told = f"the sidecar is killed after {text}, and needs {ENDING:g} s more than this to end"
        hint = f"choose less than {GRACE}, or raise terminationGracePeriodSeconds"
        part.problem("grace-too-short", told, "drain_timeout", level="warning", hint=hint)


def _reload(part: Part) -> Reloading:
    default = Reloading()
    found = Reloading(
        debounce=part.duration("debounce", default.debounce),
        poll=part.duration("poll", default.poll),
        on_partial=part.get("on_partial", default.on_partial),
        pin_queued=part.get("pin_queued", default.pin_queued),
    )
    if found.debounce > LONGEST_DEBOUNCE:
        message = f"a save would be waited for longer than {LONGEST_DEBOUNCE:g}s"
        part.problem("wrong-value", message, "debounce")
    if found.poll < SHORTEST_POLL:
        message = f"less than {SHORTEST_POLL:g}s between looks leaves time for nothing else"
        part.problem("wrong-value", message, "poll")
    return found


def _discovery(part: Part) -> Discovery:
    text = part.get("credentials_dir")
    if text is None:
        return Discovery()
    folder = part.absolute(text, "credentials_dir")
    if not part.system.is_dir(folder):
        message = f"{part.shown(text, 'credentials_dir')} is no folder yet"
        part.problem("no-folder", message, "credentials_dir", level="warning")
    return Discovery(folder)


def _context(part: Part, schema: Schema) -> Context:
    default, activity = Context(), part.part("activity")
    return Context(
        timeout=part.duration("timeout", default.timeout),
        working_memory=part.part("working_memory").get("enabled", default.working_memory),
        activity_window=activity.duration("window", default.activity_window),
        activity_max_entries=int(activity.get("max_entries", default.activity_max_entries)),
        activity_share_groups=activity.get("share_groups", default.activity_share_groups),
        room_ttl=part.part("room").duration("ttl", default.room_ttl),
        env=_environment(part),
        others=_other_contexts(part, schema),
    )


def _environment(part: Part) -> tuple[str, ...]:
    """The environment variables that templates may read; one that is not set is worth a warning."""
    names = part.texts("env")
    for number, name in enumerate(names):
        if name not in part.system.env:
            message = f"the environment variable {name} is not set: templates do not have it"
            hint = f"set it, or let templates do without: {{{{ env.{name} | default('') }}}}"
            part.problem("unset-variable", message, "env", number, level="warning", hint=hint)
    return names


def _other_contexts(part: Part, schema: Schema) -> dict[str, dict[str, object]]:
    """The options of context types from other packages, by type."""
    return {
        name: options(part.part(name), schema, "context", name)
        for name in part.data
        if ("context", name) in schema.others
        and can_use(part, schema, "context", name, part.key_at(name))
    }


def _control_plane(part: Part) -> ControlPlane:
    credentials = part.get("credentials", LOGIN_FILE)
    plane = ControlPlane(
        enabled=part.get("enabled", False),
        credentials=part.absolute(credentials, "credentials"),
        label=part.get("label"),
        public_keys=control_keys(part),
        roots=tuple(
            part.absolute(root, "roots", index) for index, root in enumerate(part.texts("roots"))
        ),
    )
    if plane.enabled:
        check_credentials(part, "credentials", credentials)
    return plane
