"""A configuration without the parts of it that do not start."""

from collections.abc import Iterable
from dataclasses import replace

from sidecar.config.model import Config


def without(failed: Iterable[tuple[str, str]], old: Config, new: Config) -> Config | None:
    """The new configuration with each failed part, such as `("channels", "demo")`, as it was in
    the old one; of the log, all of it. None where that does not make a configuration: a new
    runtime has routes.
    """
    channels, runtimes, log = dict(new.channels), dict(new.runtimes), new.log
    for section, name in failed:
        if section == "log":
            log = old.log
        elif section == "channels":
            channels.pop(name)
            if name in old.channels:
                channels[name] = old.channels[name]
        elif name in old.runtimes:
            runtimes[name] = old.runtimes[name]
        else:
            return None
    return replace(new, channels=channels, runtimes=runtimes, log=log)
