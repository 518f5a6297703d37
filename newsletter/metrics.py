"""Write what the store holds as metrics in Prometheus' text format: each send's account, its state, what is due next.

Pure over an open store; where they go is ``beacon``'s. Sends that ended more than a month ago are left out.
"""

import datetime as dt
from collections.abc import Iterator

from newsletter.delivery import SendState
from newsletter.store import Send, Store

_KEPT = dt.timedelta(days=31)
_OPEN_STATES = frozenset({SendState.FROZEN, SendState.CANARY, SendState.SENDING})


def metric_lines(store: Store | None, now: dt.datetime) -> str:
    """Return the metrics of every send that is not long over, and the next instant at which something is due."""
    sends = [send for send in store.sends.load_sends() if _is_shown(send, now)] if store else []
    lines = ["# HELP newsletter_deliveries Rows of a send by their end.", "# TYPE newsletter_deliveries gauge"]
    for send in sends:
        assert store is not None
        lines += _account_lines(store, send)
    lines += ["# HELP newsletter_send_state 1 for the state that a send is in.", "# TYPE newsletter_send_state gauge"]
    lines += [f'newsletter_send_state{{{_labels(send)},state="{send.state}"}} 1' for send in sends]
    paused = sum(send.state is SendState.PAUSED for send in sends)
    lines += ["# HELP newsletter_paused_sends Sends that wait for an operator.", "# TYPE newsletter_paused_sends gauge"]
    lines.append(f"newsletter_paused_sends {paused}")
    due_at = min(_due_instants(store, sends, now), default=None) if store else None
    if due_at:
        name = "newsletter_next_due_timestamp_seconds"
        lines += [f"# HELP {name} When something is due next.", f"# TYPE {name} gauge"]
        lines.append(f"{name} {due_at.timestamp():.0f}")
    return "\n".join(lines) + "\n"


def has_paused(store: Store | None) -> bool:
    """Tell whether a send waits for an operator."""
    return store is not None and any(send.state is SendState.PAUSED for send in store.sends.load_sends())


def _is_shown(send: Send, now: dt.datetime) -> bool:
    return send.finished_at is None or now - send.finished_at < _KEPT


def _account_lines(store: Store, send: Send) -> Iterator[str]:
    for name, count in store.sends.account(send.send_id).as_json().items():
        yield f'newsletter_deliveries{{{_labels(send)},end="{name}"}} {count}'


def _labels(send: Send) -> str:
    return f'issue="{_escaped(send.issue)}",kind="{_escaped(send.kind)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _due_instants(store: Store, sends: list[Send], now: dt.datetime) -> Iterator[dt.datetime]:
    """Yield when the open sends have their next row due, and when the issues are due that were not frozen yet."""
    frozen = {send.issue for send in sends}
    for send in sends:
        due_at = store.sends.next_due_at(send.send_id) if send.state in _OPEN_STATES else None
        if due_at:
            yield max(due_at, send.send_at or due_at) if send.state is SendState.FROZEN else due_at
    for file in store.issues.load_issue_files().values():
        if file.send_at and file.send_at > now and file.name.removesuffix(".md") not in frozen:
            yield file.send_at
