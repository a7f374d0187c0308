"""What is known of an ACP agent from one turn to the next, and how its session is set up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.codecs.jsonrpc import JsonRpc
from sidecar.codecs.loose import Record, record_of, records_of, text_of
from sidecar.model import Trust

MODES: Mapping[Trust, Sequence[str]] = {
    "owner": ("bypassPermissions", "agent-full-access", "full-access", "yolo", "build", "default"),
    "trusted": (
        "acceptEdits",
        "workspace-write",
        "autoEdit",
        "auto-edit",
        "read-only",
        "default",
        "plan",
    ),
    "public": ("read-only", "dontAsk", "default", "plan"),
}
"""Session modes by their ids, the best first, of Claude, Codex, Gemini, Qwen and OpenCode. In the
one in which an agent begins, some of them ask nobody. Left out are those in which a model decides,
`auto` and `agent`."""
_READING = ("read-only", "plan")
"""Modes that ask before something is changed, if at all: a turn in them reads, also by commands,
every file that the user can read."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One call that sets a session up. `fatal`: without it the turn must not run."""

    name: str
    method: str
    params: Mapping[str, object]
    fatal: bool = True


class Peer:
    """The agent on one connection.

    `about` is its answer to `initialize`, `session` is the one that is open, and `cost` is what
    that has cost so far, in dollars, where it is known. `settings` are made before each prompt:
    the agent may have left its mode. `asks` tells that the mode is one in which it is known to ask
    before it does what the turn may not.
    `lacks` names what was wanted of the session and is not offered.
    """

    def __init__(self) -> None:
        self.rpc = JsonRpc()
        self.about: Record = {}
        self.session = ""
        self.cost: float | None = None
        self.settings: list[Setting] = []
        self.asks = False
        self.lacks: list[str] = []

    @property
    def resume(self) -> str | None:
        """The method that opens a session of another process; None: there is none.

        `session/load` tells the whole history anew; `session/resume` does not.
        """
        able = record_of(self.about, "agentCapabilities")
        if "resume" in record_of(able, "sessionCapabilities"):
            return "session/resume"
        return "session/load" if able.get("loadSession") is True else None

    def set_up(
        self, offer: Record, trust: Trust, mode: str | None, choices: Mapping[str, str]
    ) -> None:
        """Take what an opened session offers. `mode` is the one that the operator wants, `choices`
        are the values for options, by their categories."""
        self.settings = []
        known = _modes(offer)
        chosen = mode or next((one for one in MODES[trust] if one in known), None)
        self.asks = chosen is not None and (trust != "public" or chosen not in _READING)
        if chosen is not None:
            self._set(offer, "mode", chosen, "session/set_mode", "modeId", fatal=trust != "owner")
        for category, value in choices.items():
            self._set(offer, category, value, "session/set_model", "modelId")

    def _set(
        self, offer: Record, category: str, value: str, method: str, key: str, *, fatal: bool = True
    ) -> None:
        """Set by the session's options, or by the older method of the protocol."""
        option = _option(offer, category)
        session = {"sessionId": self.session}
        if category in ("mode", "model") and record_of(offer, f"{category}s"):
            self.settings.append(Setting(category, method, {**session, key: value}, fatal))
        elif option is not None:
            params = {**session, "configId": text_of(option, "id"), "value": value}
            self.settings.append(Setting(category, "session/set_config_option", params, fatal))
        elif category == "mode":
            self.settings.append(Setting(category, method, {**session, key: value}, fatal))
        else:
            self.lacks.append(category)


def _modes(offer: Record) -> set[str]:
    modes = records_of(record_of(offer, "modes"), "availableModes")
    option = _option(offer, "mode")
    values = () if option is None else records_of(option, "options")
    return {text_of(one, "id") or "" for one in modes} | {text_of(v, "value") or "" for v in values}


def _option(offer: Record, category: str) -> Record | None:
    options = records_of(offer, "configOptions")
    return next((one for one in options if one.get("category") == category), None)
