"""How it is told what a reload led to: in the log, to monitoring and to who follows events."""

import logging
from collections.abc import Sequence

from sidecar import events, logs, metrics
from sidecar.app.reloading.outcome import Outcome, facts, summary, warning_lines
from sidecar.config.problems import Problem

log = logging.getLogger(__name__)


def tell(outcome: Outcome, *, mended: bool = False) -> None:
    """Tell one reload in one line, each problem in another. `mended`: there were some before."""
    metrics.count("config_reloads_total", result=outcome.result)
    metrics.observe("config_reload_duration_seconds", outcome.seconds)
    events.publish(
        "reload",
        trigger=outcome.trigger,
        result=outcome.result,
        generation=outcome.generation,
        seconds=outcome.seconds,
    )
    with logs.bound(**facts(outcome)):
        match outcome.result:
            case "rejected":
                log.error("config rejected (%s), the previous one stays in force", outcome.trigger)
            case "unchanged":
                again = ": it is valid again" if mended else ""
                log.info("config unchanged (%s)%s", outcome.trigger, again)
            case "applied":
                log.info("config applied (%s): %s", outcome.trigger, summary(outcome.plan))
            case "degraded":
                log.error("config applied in part (%s): %s", outcome.trigger, summary(outcome.plan))
    for problem in outcome.problems:
        log.error("%s", problem)
    if outcome.result in ("applied", "degraded") and outcome.pending:
        log.warning("takes effect only after a restart: %s", ", ".join(outcome.pending))


def warn(problems: Sequence[Problem]) -> None:
    """Tell each warning among the problems of a config that is in force."""
    for told in warning_lines(problems):
        log.warning("%s", told)
