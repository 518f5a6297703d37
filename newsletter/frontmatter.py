"""Read the front matter of an issue file: a closed set of keys, each with its type, each mistake with its place.

YAML 1.2 read as a tree of nodes with their marks, never as objects: a date stays text until its key says what it is,
and no tag or alias of YAML can do anything. The body below it is read in ``issue``.
"""

import datetime as dt
import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from newsletter.errors import IssueError, Place, Problem
from newsletter.model import Approval

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

_T = TypeVar("_T")

SIZE_LIMIT = 65_536
"""Characters that a front matter may have."""

KEYS: Mapping[str, str] = {
    "number": "the number of the issue, such as 212",
    "subject": "the subject of the mail (required)",
    "preheader": "the line that mail clients show after the subject",
    "date": "the day of the issue, such as 2026-11-25 (default: the file's name, where it is a date)",
    "send_at": "when to send: 2026-11-25 08:00 in the newsletter's time zone, or ISO 8601 with an offset",
    "not_after": "when it is too late to send: a time like send_at, or '36 hours' after it (default: 24 hours)",
    "author": "who signs the editorial",
    "lang": "the language, such as en, fr or zh-Hans (default: the newsletter's)",
    "audience": "the lists it goes to (default: the newsletter's list)",
    "topics": "topics of the whole issue",
    "waive": "checks that this issue need not pass",
    "select": "rules by which sections fill themselves",
    "approved": "written by 'newsletter approve'",
}
"""Every key that a front matter may hold, with what it means."""
_SELECT_RULES = ("top", "since", "min_sources", "feeds", "tags", "limit", "skip_if_empty")
_DURATION = re.compile(r"(\d{1,4})\s*(minute|hour|day)s?")
_CLOSING = re.compile(r"^(?:---|\.\.\.)[ \t]*\r?$", re.MULTILINE)
_APPROVED_LINE = re.compile(r"^approved:.*\n", re.MULTILINE)
_APPROVAL = re.compile(r"([0-9a-f]{64}) by (.{1,200}) (\d{4}-\d{2}-\d{2})")


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold one key's value, as text, list or mapping of texts, and the place of the value."""

    value: Any
    place: Place


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """Hold the front matter's entries by key, and where the body below begins: its text and first line."""

    entries: Mapping[str, Entry]
    body: str
    body_line: int


@dataclass(frozen=True, slots=True)
class _Bounds:
    yaml: str
    body: str
    body_line: int


def read_front_matter(text: str, file: str) -> FrontMatter:
    """Split ``text`` and read what stands between the two ``---`` lines.

    Raises IssueError with a Problem for each mistake: no front matter, no YAML, unknown, doubled or empty keys.
    """
    bounds = _split(text, file)
    if len(bounds.yaml) > SIZE_LIMIT:
        message = f"the front matter has {len(bounds.yaml):,} characters; {SIZE_LIMIT:,} may stand"
        raise IssueError([Problem(message, Place(file))])
    node = _compose(bounds.yaml, file)
    return FrontMatter(_entries(node, file), bounds.body, bounds.body_line)


def _split(text: str, file: str) -> _Bounds:
    lines = text.split("\n")
    example = "begin the file with '---', 'subject: …', 'date: 2026-11-25', '---', each on a line of its own"
    if lines[0].rstrip() != "---":
        raise IssueError([Problem(f"no front matter: the file begins with {lines[0][:40]!r}", Place(file), example)])
    for number, line in enumerate(lines[1:], start=2):
        if line.rstrip() in ("---", "..."):
            return _Bounds("\n".join(lines[1 : number - 1]), "\n".join(lines[number:]), number + 1)
    raise IssueError([Problem("the front matter is not closed", Place(file), "end it with a line '---'")])


def _compose(yaml_text: str, file: str) -> "Node | None":
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ="safe", pure=True).compose(yaml_text)  # type: ignore[no-any-return]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        raise IssueError([_yaml_problem(str(error.problem or error.context), yaml_text, file, line, column)]) from None
    except (YAMLError, RecursionError, ValueError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise IssueError([Problem(f"the front matter is not valid YAML: {reason}", Place(file, 2))]) from None


def _yaml_problem(reason: str, yaml_text: str, file: str, line: int, column: int) -> Problem:
    """Say what is wrong with YAML; a value with a colon gets its fix, since every editor meets it."""
    lines = yaml_text.split("\n")
    written = lines[line] if line < len(lines) else ""
    key, separator, value = written.partition(": ")
    if "mapping values are not allowed" in reason and separator and ":" in value:
        quoted = value.strip().replace("\\", "\\\\").replace('"', '\\"')
        place = Place(file, line + 2, len(key) + 3)
        return Problem(f"{key.strip()}: a value with a colon needs quotes", place, f'write {key.strip()}: "{quoted}"')
    place = Place(file, min(line, max(len(lines) - 1, 0)) + 2, column + 1)
    return Problem(f"the front matter is not valid YAML: {reason}", place, "write each line as 'key: value'")


def _entries(node: "Node | None", file: str) -> dict[str, Entry]:
    from ruamel.yaml.nodes import MappingNode, ScalarNode

    if node is None:
        return {}
    if not isinstance(node, MappingNode):
        message = "the front matter holds no 'key: value' lines"
        raise IssueError([Problem(message, _place(node, file), f"valid keys: {', '.join(KEYS)}")])
    problems: list[Problem] = []
    entries: dict[str, Entry] = {}
    for key_node, value_node in node.value:
        key, place = str(key_node.value), _place(key_node, file)
        if not isinstance(key_node, ScalarNode) or key not in KEYS:
            problems.append(_unknown_key(key if isinstance(key_node, ScalarNode) else "…", place))
        elif key in entries:
            problems.append(Problem(f"'{key}' stands here for the second time", place, "keep one of the two"))
        else:
            try:
                entries[key] = Entry(_plain(value_node, file), _place(value_node, file))
            except IssueError as error:
                problems.extend(error.problems)
    if problems:
        raise IssueError(problems)
    return entries


def _unknown_key(key: str, place: Place) -> Problem:
    close = difflib.get_close_matches(key, KEYS, n=1)
    guess = f"did you mean '{close[0]}'? " if close else ""
    return Problem(f"unknown key '{key[:60]}'", place, f"{guess}valid keys: {', '.join(KEYS)}")


def _plain(node: "Node", file: str, depth: int = 0) -> Any:
    """Return a node's value as text, list or mapping; empty scalars become ``""``."""
    from ruamel.yaml.nodes import MappingNode, ScalarNode

    if depth > 3 or node.anchor:
        reason = "an anchor" if node.anchor else "lists in lists in lists"
        raise IssueError([Problem(f"{reason} cannot stand in the front matter", _place(node, file))])
    if isinstance(node, ScalarNode):
        empty = node.value in ("null", "~") and node.style is None
        return "" if empty else str(node.value)
    if isinstance(node, MappingNode):
        return {str(key.value): _plain(value, file, depth + 1) for key, value in node.value}
    return [_plain(child, file, depth + 1) for child in node.value]


def _place(node: "Node", file: str) -> Place:
    return Place(file, node.start_mark.line + 2, node.start_mark.column + 1)


# ---------------------------------------------------------------------------------------------------------------------
# The line that 'newsletter approve' writes
# ---------------------------------------------------------------------------------------------------------------------


def without_approval(text: str) -> str:
    """Return the text of an issue file without its ``approved:`` line: what the source digest covers."""
    closing = _CLOSING.search(text, 3)
    end = closing.start() if closing else 0
    return _APPROVED_LINE.sub("", text[:end]) + text[end:]


def with_approval(text: str, approval: Approval) -> str:
    """Return the text of an issue file, line ends as they are, with ``approval`` as the front matter's last line."""
    bare = without_approval(text)
    closing = _CLOSING.search(bare, 3)
    end = closing.start() if closing else 0
    line_end = "\r\n" if "\r\n" in text else "\n"
    signer = " ".join(approval.by.split())
    return f"{bare[:end]}approved: {approval.digest} by {signer} {approval.on.isoformat()}{line_end}{bare[end:]}"


# ---------------------------------------------------------------------------------------------------------------------
# Values of one entry. Each raises IssueError that says what stands there and what may.
# ---------------------------------------------------------------------------------------------------------------------


def _refuse(entry: Entry, what: str, wanted: str) -> IssueError:
    found = entry.value if isinstance(entry.value, str) else type(entry.value).__name__
    return IssueError([Problem(f"{str(found)[:80]!r} is no {what}", entry.place, f"write {wanted}")])


def as_text(entry: Entry) -> str:
    """Return one line of text; a block of lines is folded."""
    if not isinstance(entry.value, str):
        raise _refuse(entry, "text", "one line of text")
    return " ".join(entry.value.split())


def as_names(entry: Entry) -> tuple[str, ...]:
    """Return names, written as a list or with commas."""
    value = entry.value.split(",") if isinstance(entry.value, str) else entry.value
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise _refuse(entry, "list of names", "names with commas between them, or a list")
    return tuple(name.strip() for name in value if name.strip())


def as_date(entry: Entry) -> dt.date:
    """Return a day written as ``2026-11-25``."""
    day, _, _ = _written(entry).replace("T", " ").partition(" ")
    try:
        return dt.date.fromisoformat(day)
    except ValueError:
        raise _refuse(entry, "date", "a day like 2026-11-25") from None


def as_instant(entry: Entry, zone: ZoneInfo) -> dt.datetime:
    """Return an aware time: wall time in ``zone``, or ISO 8601 with an offset."""
    text = _written(entry)
    try:
        dt.date.fromisoformat(text[:10])
        time = dt.datetime.fromisoformat(text if len(text) > 10 else "")
    except ValueError:
        wanted = f"a time like 2026-11-25 08:00 (in {zone.key}), or 2026-11-25T08:00+01:00"
        raise _refuse(entry, "time", wanted) from None
    return time if time.tzinfo else time.replace(tzinfo=zone)


def as_deadline(entry: Entry, zone: ZoneInfo, send_at: dt.datetime | None) -> dt.datetime:
    """Return an aware time, or ``36 hours`` counted from ``send_at``."""
    match = _DURATION.fullmatch(_written(entry))
    if match is None:
        return as_instant(entry, zone)
    if send_at is None:
        message = "'not_after' counts from 'send_at', and there is none"
        raise IssueError([Problem(message, entry.place, "add send_at, or write a time")])
    return send_at + dt.timedelta(**{f"{match[2]}s": int(match[1])})


def as_approval(entry: Entry) -> Approval:
    """Return the approval that ``newsletter approve`` wrote."""
    match = _APPROVAL.fullmatch(_written(entry))
    if match is None:
        raise _refuse(entry, "approval", "nothing here yourself; 'newsletter approve SLUG' does it")
    return Approval(match[1], match[2], dt.date.fromisoformat(match[3]))


def as_rules(entry: Entry) -> Mapping[str, Mapping[str, object]]:
    """Return selection rules: for each section's heading a mapping of rule to value."""
    value = entry.value
    if not isinstance(value, dict) or not all(isinstance(rules, dict) for rules in value.values()):
        raise _refuse(entry, "set of rules", "Heading: {top: 5, since: 7 days}")
    for heading, rules in value.items():
        for rule in rules:
            if rule not in _SELECT_RULES:
                message = f"select: {heading}: unknown rule '{rule}'"
                raise IssueError([Problem(message, entry.place, f"valid rules: {', '.join(_SELECT_RULES)}")])
    return value


def as_language(entry: Entry) -> str:
    """Return a BCP 47 language tag."""
    tag = _written(entry)
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag):
        raise _refuse(entry, "language tag", "one like en, fr or zh-Hans")
    return tag


def collect(problems: list[Problem], read: Callable[[], _T]) -> _T | None:
    """Return what ``read`` returns, or add its problems to ``problems``: so that all mistakes are told at once."""
    try:
        return read()
    except IssueError as error:
        problems.extend(error.problems)
        return None


def _written(entry: Entry) -> str:
    return entry.value.strip() if isinstance(entry.value, str) else ""
