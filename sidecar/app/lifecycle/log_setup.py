"""Logs as the configuration wants them, without its secrets."""

import asyncio
import logging

from sidecar import logs, metrics
from sidecar.config.model import Config
from sidecar.core.redact import Redactor
from sidecar.errors import PartsFailed

log = logging.getLogger(__name__)


def configure_logs(config: Config) -> None:
    """Log as the configuration says, from now on. Blocks until earlier lines are written.

    Raises:
        OSError: the log file cannot be opened; nothing has changed then.
    """
    redact = Redactor(config.secrets).redact
    logs.configure(config.log.level, config.log.format, config.log.file, redact)


class LogSetup:
    """Has the log follow configurations; it is as the one that it is made with wants it."""

    def __init__(self, config: Config) -> None:
        self._present, self._secrets = config.log, config.secrets

    async def follow(self, config: Config, *, must: bool = False) -> None:
        """Log as a configuration says, and none of its secrets. Where the file cannot be opened,
        the log stays as it was, but for the secrets.

        Raises:
            PartsFailed: that is so, and it `must` follow.
        """
        if config.secrets != self._secrets:
            logs.hide((await asyncio.to_thread(Redactor, config.secrets)).redact)
            self._secrets = config.secrets
        if config.log == self._present:
            return
        try:
            await asyncio.to_thread(configure_logs, config)
        except OSError as error:
            metrics.count("log_failures_total")
            if must:
                raise PartsFailed({("log", "file"): f"cannot be opened: {error}"}) from error
            log.error("the log stays as it was: %s", error)  # noqa: TRY400 -- told, not a defect
        else:
            self._present = config.log
