"""Logs as the configuration wants them, without its secrets."""

from sidecar import logs
from sidecar.config.model import Config
from sidecar.core.redact import Redactor


def configure_logs(config: Config) -> None:
    """Log as the configuration says, from now on. Blocks until earlier lines are written.

    Raises:
        OSError: the log file cannot be opened; nothing has changed then.
    """
    redact = Redactor(config.secrets).redact
    logs.configure(config.log.level, config.log.format, config.log.file, redact)
