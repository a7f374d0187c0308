"""How a turn of Claude Code ended: its result events, or what is known without one.

The exit code does not tell success, and `subtype: "success"` does not either: an answer of the
model's API that is an error comes as one with `is_error: true`.
"""

import re
from collections.abc import Mapping

from sidecar.codecs.loose import clean, flag_of, number_of, record_of, text_of, texts_of
from sidecar.codecs.outcome import LONGEST_DETAIL, exit_words, without_end
from sidecar.model import Failure, FailureKind, Usage

_GONE = re.compile(r"No conversation found|--resume requires a valid session")
"""What the CLI says when it cannot resume; the second for an id that is none."""
_RESETS = re.compile(r"limit reached\|(\d{10,13})")
"""The time of reset in the text of older versions, in seconds or milliseconds."""

_KINDS: Mapping[str, FailureKind] = {
    "authentication_failed": "auth",
    "oauth_org_not_allowed": "auth",
    "billing_error": "usage_limit",
    "rate_limit": "usage_limit",
}
_TEXTS: tuple[tuple[re.Pattern[str], FailureKind], ...] = (
    (re.compile(r"Not logged in|Please run /login|Invalid API key|Failed to authenticate"), "auth"),
    (re.compile(r"Credit balance is too low|limit reached|hit your .*limit"), "usage_limit"),
)
"""For versions and errors that carry no name."""
_INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


class Result:
    """One `result` event."""

    def __init__(self, event: Mapping[str, object]) -> None:
        text = event.get("result")
        self.text = clean(text) if isinstance(text, str) else ""
        self.errors = texts_of(event, "errors", most=10)
        self.subtype = text_of(event, "subtype") or ""
        self.failed = self.subtype != "success" or flag_of(event, "is_error") is True
        self.status = number_of(event, "api_error_status")
        self.reason = text_of(event, "terminal_reason")
        self.session = text_of(event, "session_id")
        self.turns = number_of(event, "num_turns")
        self.total_cost = number_of(event, "total_cost_usd")
        usage = record_of(event, "usage")
        self.input_tokens = sum(int(number_of(usage, name) or 0) for name in _INPUT)
        self.output_tokens = int(number_of(usage, "output_tokens") or 0)
        models = event.get("model_usage_since_last_result")
        self.cost = _sum_of(models) if isinstance(models, dict) else None

    @property
    def words(self) -> str:
        """What it says about an error, for a log."""
        return "; ".join([*self.errors, self.text] if self.text else self.errors)[:LONGEST_DETAIL]


class Ending:
    """What the results of one turn come to. `error` is the name of the last error of the API.

    `spent` is what the process has cost so far, where that is all that it tells.
    """

    def __init__(self, spent: float = 0.0) -> None:
        self.spent = spent
        self._spent_before = spent
        self.last: Result | None = None
        self.error: str | None = None
        self._resets_at: float | None = None
        self._input = 0
        self._output = 0
        self._cost: float | None = None

    def add(self, result: Result) -> None:
        """Take a result; usage adds up, for each is of one part of the turn."""
        self.last = result
        self._input += result.input_tokens
        self._output += result.output_tokens
        if result.cost is not None:
            self._cost = (self._cost or 0.0) + result.cost
        elif result.total_cost is not None:
            # Versions without a cost per result count it for the process.
            self.spent = float(result.total_cost)
            self._cost = max(0.0, self.spent - self._spent_before)

    def limit(self, info: Mapping[str, object]) -> None:
        """Take a `rate_limit_info`: of interest is when a limit that was hit resets."""
        if info.get("status") == "rejected":
            self._resets_at = _seconds(number_of(info, "resetsAt"))

    @property
    def usage(self) -> Usage:
        """What the turn used. Cached input counts as input."""
        return Usage(self._input, self._output, self._cost)

    def failure(self, expected_session: str | None, *, said: bool, stderr: str) -> Failure | None:
        """Why the turn failed; None when it succeeded. `said`: there is some text."""
        result = self.last
        if result is None or not (result.failed or self._did_nothing(result, said)):
            return None
        words = result.words
        if _GONE.search(words) or _GONE.search(stderr):
            kind: FailureKind = "exited" if expected_session is None else "session_missing"
            return Failure(kind, words or stderr)
        if not result.failed:
            empty = "an empty success that did nothing"
            return Failure("session_missing" if expected_session else "protocol", empty)
        if result.reason == "prompt_too_long" and expected_session is not None:
            # A session that outgrew the model stays so: only a new one helps.
            return Failure("session_missing", words)
        if result.subtype != "success":
            return Failure("exited", f"{result.subtype}: {words}")
        return self._of_the_api(result, words)

    def _did_nothing(self, result: Result, said: bool) -> bool:
        return not said and result.turns == 0 and not self._cost

    def _of_the_api(self, result: Result, words: str) -> Failure:
        kind, status = self._kind(result, words), result.status
        name = self.error or "error"
        if kind == "usage_limit":
            found = _RESETS.search(words)
            resets_at = self._resets_at or (_seconds(float(found[1])) if found else None)
            return Failure(kind, f"{name}: {words}", resets_at=resets_at)
        passing = self.error in ("server_error", "overloaded") or (status or 0) >= 500
        return Failure(kind, f"{name}: {words}", retryable=kind == "api" and passing)

    def _kind(self, result: Result, words: str) -> FailureKind:
        named = _KINDS.get(self.error or "")
        if named is not None:
            return named
        if result.status in (401, 403):
            return "auth"
        if result.status == 429:
            return "usage_limit"
        return next((kind for pattern, kind in _TEXTS if pattern.search(words)), "api")


def without_result(
    code: int | None, stderr: str, garbage: bytes, expected_session: str | None, *, started: bool
) -> Failure:
    """Why a turn failed that has no result. `garbage` is a line that made no sense."""
    words = exit_words(code, stderr)
    if expected_session is not None and _GONE.search(stderr):
        return Failure("session_missing", words)
    kind: FailureKind | None = next((k for pattern, k in _TEXTS if pattern.search(stderr)), None)
    if kind is not None:
        return Failure(kind, words)
    return without_end(code, stderr, garbage, started=started)


def _sum_of(models: Mapping[str, object]) -> float:
    """`costUSD` over all models."""
    return float(sum(number_of(record_of(models, name), "costUSD") or 0.0 for name in models))


def _seconds(time: float | None) -> float | None:
    """Seconds since the epoch, from seconds or milliseconds."""
    if time is None:
        return None
    return float(time / 1000 if time > 1e11 else time)
