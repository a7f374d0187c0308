"""All metrics that the sidecar shows: one table, which the exposition and the documentation use.

Names follow https://prometheus.io/docs/practices/naming/ and get the prefix `sidecar_`.
"""

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """One metric: its name without the prefix, its labels, and what it tells."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str


def _metrics(kind: Kind, *rows: tuple[str, str, str]) -> tuple[Metric, ...]:
    return tuple(
        Metric(name, kind, tuple(labels.split()), meaning) for name, labels, meaning in rows
    )


TABLE: tuple[Metric, ...] = (
    *_metrics(
        "counter",
        ("messages_total", "channel disposition", "messages by what became of them on arrival"),
        ("turns_total", "route runtime outcome", "turns that have ended"),
        ("turn_failures_total", "route kind", "failed turns by what went wrong"),
        ("turns_dropped_total", "reason", "turns that were not run"),
        ("tokens_total", "runtime kind", "tokens, `input` and `output`, where the runtime tells"),
        ("cost_usd_total", "runtime", "cost in US dollars, where the runtime tells"),
        ("sessions_rotated_total", "route reason", "sessions left for a fresh one at this bound"),
        ("context_failures_total", "context", "look-ups for prompts that failed or took too long"),
        ("workspace_failures_total", "", "files that could not be made in an agent's workspace"),
        ("template_failures_total", "route", "turns that got a simpler prompt"),
        ("agents_ended_total", "runtime", "processes that had to be ended after their turn"),
        ("warm_turns_total", "runtime process", "turns of a warm runtime, by their process"),
        ("warm_ended_total", "runtime reason", "processes of a warm runtime that waited no longer"),
        ("agent_files_left_total", "", "private files of turns that could not be removed"),
        ("agents_unmarked_total", "", "sidecars whose agents carry no marks in their limits"),
        ("agents_unbounded_total", "", "processes without the limits of their runtime"),
        ("answers_cut_total", "runtime", "answers that were longer than `limits.output`"),
        ("agent_lines_dropped_total", "runtime", "lines of output that were too long"),
        ("memory_damaged_total", "", "files of working memories that could not be read"),
        ("replies_delivered_total", "channel", "replies that the channel took"),
        ("replies_refused_total", "channel", "replies that the channel refused for good"),
        ("replies_postponed_total", "channel", "tries of a reply that failed for now"),
        ("replies_held_total", "channel", "waits of a reply for room in a limit for sending"),
        ("send_limited_total", "channel", "waits that the channel asked for"),
        ("progress_blocks_total", "channel", "blocks of progress that were sent"),
        ("progress_blocks_dropped_total", "channel", "blocks of progress left out: too many"),
        ("progress_failures_total", "channel", "progress or typing that could not be shown"),
        ("channel_reconnects_total", "channel", "connections after the first one"),
        ("channel_disconnects_total", "channel", "connections that ended"),
        ("channel_failures_total", "channel", "channels that failed and are started again"),
        ("channel_restarts_total", "channel", "starts after a failure"),
        ("channel_stops_total", "channel", "channels that wait for a person to act"),
        ("inbox_failures_total", "channel", "inboxes that could not be read"),
        ("inbox_items_skipped_total", "channel", "items of an inbox without an id"),
        ("ack_failures_total", "channel", "acknowledgements that failed for now"),
        ("acks_refused_total", "channel", "acknowledgements that the channel refused"),
        ("token_store_failures_total", "channel", "tokens that could not be kept in their file"),
        ("control_frames_total", "result", "frames of the control plane by what became of them"),
        ("control_failures_total", "what", "acts of the control plane that failed here"),
        ("attention_failures_total", "channel", "times that a channel did not tell who wakes it"),
        ("control_disconnects_total", "", "connections to the control plane that ended"),
        ("control_logins_needed_total", "", "times that the Hub did not take the login any more"),
        ("config_reloads_total", "result", "reloads by result"),
        ("config_checks_cut_total", "", "checks of a config that a newer save has ended"),
        ("config_watch_failures_total", "", "failures to watch files; they are looked at instead"),
        ("journal_failures_total", "", "tries of the journal that failed and were repeated"),
        ("journal_errors_total", "", "statements of the journal that failed"),
        ("journal_checkpoint_errors_total", "", "write-ahead logs that were not copied back"),
        ("journal_set_aside_total", "", "damaged journals that were set aside"),
        ("journal_put_back_total", "", "journals written again after they were deleted"),
        ("journal_pruned_total", "", "old rows that were removed"),
        ("state_folder_failures_total", "", "locks, addresses or tokens that could not be written"),
        ("last_good_failures_total", "", "configs in force that could not be kept"),
        ("log_failures_total", "", "log settings that could not be applied"),
        ("log_write_failures_total", "", "log lines that could not be written at once"),
        ("events_dropped_total", "", "events that a slow listener of /events missed"),
        ("notices_lost_total", "channel", "notices that the owner did not get"),
        ("notify_failures_total", "", "states that systemd could not be told"),
        ("task_failures_total", "task", "defects of a part of the sidecar"),
        ("devhub_crashes_total", "", "requests that the development Hub failed to answer"),
    ),
    *_metrics(
        "histogram",
        ("turn_wait_seconds", "runtime", "from the arrival of a message to the start of its turn"),
        ("turn_render_seconds", "runtime", "rendering a prompt"),
        ("turn_first_output_seconds", "runtime", "from starting an agent to its first event"),
        ("turn_run_seconds", "runtime", "from starting an agent to its end"),
        ("reply_delivery_seconds", "channel", "from the end of a turn to the reply's delivery"),
        ("config_reload_duration_seconds", "", "applying a config, with the rest of its check"),
        ("event_loop_lag_seconds", "", "how late a timer is: once a second, idle every five"),
    ),
    *_metrics(
        "gauge",
        ("turns_running", "runtime", "turns that run"),
        ("turns_waiting", "runtime", "turns that wait for their conversation or a slot"),
        (
            "runtime_unavailable",
            "runtime kind",
            "1 from a turn that failed for `auth` or `usage_limit` until one succeeds",
        ),
        ("outbox_replies", "", "replies that are not delivered yet"),
        ("outbox_oldest_seconds", "", "the age of the oldest reply that is not delivered yet"),
        ("channel_connected", "channel", "1 while the channel is connected"),
        ("config_last_reload_successful", "", "0 after a reload that was `rejected` or `degraded`"),
        (
            "config_last_reload_success_timestamp_seconds",
            "",
            "when a config was last taken, or found unchanged",
        ),
        ("config_info", "hash generation", "always 1; names the config in force"),
        ("config_pending_restart", "", "how many changed keys wait for a restart"),
        (
            "config_watcher_up",
            "",
            "1 while the file system tells changes, 0 where it does not",
        ),
        ("build_info", "version", "always 1; names the version of the sidecar"),
    ),
)

BY_NAME = {metric.name: metric for metric in TABLE}
