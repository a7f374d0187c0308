"""The exceptions that parts of the sidecar share, and that components of other packages raise.

SidecarError
├── ChannelError        what a channel raises
│   ├── ChannelUnavailable  try again, after `wait` seconds where it is known
│   │   └── ReplyHeld           a limit leaves no room for this reply yet; it was not sent
│   ├── ChannelStopped      no sense in trying again until a person acts
│   └── ReplyRefused        this reply is refused for good
├── TemplateFailed      a template that could not be rendered
├── JournalError        the journal cannot be opened or written
│   ├── OutcomeFinal        the turn has an outcome already
│   └── StateLocked         another sidecar uses the state folder
├── MemoryRefused       a change of a working memory that is against its rules
├── MemoryUnavailable   a working memory that cannot be read or written
├── NoLastGood          no earlier config that a start could fall back to
├── ActionRefused       what a person asked of the running sidecar cannot be done
├── ControlRefused      what the control plane asked cannot be done; nothing has changed
└── PluginError         a component type that cannot be loaded
    └── PartsFailed         channels, runtimes or the log of a config that do not start

An exception carries facts and the decision that follows from them; its text is for the log.
A cancelled task is never one of these. One that only those who call a module have to know is
defined in that module, and is no SidecarError.
"""

from collections.abc import Mapping


class SidecarError(Exception):
    """Base of the exceptions of this module."""


class ChannelError(SidecarError):
    """Base of what a channel raises."""


class ChannelUnavailable(ChannelError):
    """The channel does not answer now; the same call may be tried again.

    `wait` is the number of seconds that the other side asked for, None when it did not say.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class ReplyHeld(ChannelUnavailable):
    """A limit leaves no room for this reply for `wait` seconds. Nothing was sent: it is no try."""

    wait: float

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message, wait)


class ChannelStopped(ChannelError):
    """The channel cannot work until a person acts: a revoked key, an unclaimed agent, …"""


class ReplyRefused(ChannelError):
    """The other side refuses this reply for good; sending it again would not help."""


class TemplateFailed(SidecarError):
    """A template could not be rendered. `line` counts from 1 in the file `name`."""

    def __init__(self, name: str, line: int, reason: str) -> None:
        super().__init__(f"{name}:{line}: {reason}")
        self.name = name
        self.line = line
        self.reason = reason


class JournalError(SidecarError):
    """The journal cannot be opened or written."""


class OutcomeFinal(JournalError):
    """The turn has an outcome already, or is not in the journal: nothing can change it."""


class StateLocked(JournalError):
    """Another sidecar uses the same state folder."""


class MemoryRefused(SidecarError):
    """A change of a working memory that is against its rules."""


class MemoryUnavailable(SidecarError):
    """A working memory that cannot be read or written."""


class NoLastGood(SidecarError):
    """There is no earlier config to start with; the text tells why."""


class ActionRefused(SidecarError):
    """What a person asked of the running sidecar cannot be done; the text tells them why."""


class ControlRefused(SidecarError):
    """What the control plane asked cannot be done; nothing has changed. `code` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class PluginError(SidecarError):
    """A component type that cannot be loaded."""


class PartsFailed(PluginError):
    """Parts of a config that do not start. `failed` are the reasons by section and name, such as
    `("channels", "demo")`."""

    def __init__(self, failed: Mapping[tuple[str, str], str]) -> None:
        told = (f"{of.removesuffix('s')} {name}: {why}" for (of, name), why in failed.items())
        super().__init__("; ".join(told))
        self.failed = dict(failed)
