"""Read the front matter of an issue file: a closed set of keys, each with its type, each mistake with its place.

YAML 1.2 read as a tree of nodes with their marks, never as objects: a date stays text until its key says what it is,
and no tag or alias of YAML can do anything. The body below it is read in ``issue``.
"""

import datetime as dt
import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from newsletter.amounts import parse_duration
from newsletter.errors import IssueError, Place, Problem
from newsletter.model import Approval, Correction, clean_characters

if TYPE_CHECKING:
    from ruamel.yaml.error import MarkedYAMLError
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
    "waive": "checks that this issue need not pass, each with the reason",
    "select": "rules by which sections fill themselves",
    "corrections": "what was wrong in an issue that had gone out; written by 'newsletter correct'",
    "approved": "written by 'newsletter approve'",
}
"""Every key that a front matter may hold, with what it means."""
_FREE_TEXT = ("subject", "preheader", "author")
"""Keys whose value is any words; a ``#`` among them was hardly meant to begin a comment."""
_TEXT = (*_FREE_TEXT, "number")
_SELECT_RULES = ("top", "since", "min_sources", "feeds", "tags", "limit", "skip_if_empty")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CLOSING = re.compile(r"^(?:---|\.\.\.)[ \t]*\r?$", re.MULTILINE)
_KEY_LINE = re.compile(r"([a-z_]+) *:[ \t]+(?=\S)")
_APPROVED_LINE = re.compile(r"^approved:.*\n", re.MULTILINE)
_CORRECTIONS = re.compile(r"^corrections:[ \t]*\r?\n(?:[ \t]+\S.*\n|-[ \t].*\n)+", re.MULTILINE)
_APPROVAL = re.compile(r"([0-9a-f]{64}) by (.{1,200}) (\d{4}-\d{2}-\d{2})")


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold one key's value, as text, list or mapping of texts, its place, and ``places`` of the keys within it."""

    value: Any
    place: Place
    places: Mapping[str, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """Hold the front matter's entries by key, and where the body below begins: its text and first line."""

    entries: Mapping[str, Entry]
    body: str
    body_line: int


def read_front_matter(text: str, file: str) -> FrontMatter:
    """Split ``text`` and read what stands between the two ``---`` lines.

    Raises IssueError with a Problem for each mistake: no front matter, no YAML, unknown, doubled or empty keys.
    """
    yaml_text, body, body_line = _split(text, file)
    if len(yaml_text) > SIZE_LIMIT:
        message = f"the front matter has {len(yaml_text):,} characters; {SIZE_LIMIT:,} may stand"
        raise IssueError([Problem(message, Place(file), "move text below the second '---'")])
    return FrontMatter(_Reader(yaml_text, file).entries(), body, body_line)


def _split(text: str, file: str) -> tuple[str, str, int]:
    """Return what stands between the ``---`` lines, what stands below them, and the line on which that begins."""
    first, _, rest = text.partition("\n")
    if first.rstrip() != "---":
        found = f"the file begins with {first[:40]!r}" if first.strip() else "the file begins with an empty line"
        example = "begin the file with '---', 'subject: …', 'date: 2026-11-25', '---', each on a line of its own"
        raise IssueError([Problem(f"no front matter: {found}", Place(file), example)])
    closing = _CLOSING.search(rest)
    if closing is None:
        raise IssueError([Problem("the front matter is not closed", Place(file), "end it with a line '---'")])
    body_line = rest.count("\n", 0, closing.start()) + 3
    return rest[: max(closing.start() - 1, 0)], rest[closing.end() + 1 :], body_line


class _Reader:
    """Read the YAML of one front matter, whose first line is line 2 of the file."""

    def __init__(self, yaml_text: str, file: str) -> None:
        self._text = yaml_text
        self._lines = yaml_text.split("\n")
        self._file = file

    def entries(self) -> dict[str, Entry]:
        from ruamel.yaml.nodes import MappingNode

        node = self._compose()
        if node is None:
            return {}
        if not isinstance(node, MappingNode):
            message = "the front matter holds no 'key: value' lines"
            problem = Problem(message, self._place(node), f"valid keys: {', '.join(KEYS)}")
            raise IssueError([self._missing_space() or problem])
        problems: list[Problem] = []
        entries: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            entry = collect(problems, lambda: self._entry(key_node, value_node, entries))  # noqa: B023
            if entry:
                entries[str(key_node.value)] = entry
        if problems:
            raise IssueError(problems)
        return entries

    def _compose(self) -> "Node | None":
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        try:
            return YAML(typ="safe", pure=True).compose(self._text)  # type: ignore[no-any-return]
        except MarkedYAMLError as error:
            raise IssueError([self._yaml_problem(error)]) from None
        except (YAMLError, RecursionError, ValueError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
            problem = Problem(f"the front matter is not valid YAML: {reason}", Place(self._file, 2), "write it anew")
            raise IssueError([problem]) from None

    def _yaml_problem(self, error: "MarkedYAMLError") -> Problem:
        """Say what is wrong with YAML; a text that YAML takes for its own signs gets its fix, since editors meet it."""
        reason = str(error.problem or error.context)
        mark = error.problem_mark or error.context_mark
        if "quoted scalar" in str(error.context):
            mark = error.context_mark
        line = min(mark.line if mark else 0, len(self._lines) - 1)
        if problem := self._missing_space():
            return problem
        found = _KEY_LINE.match(self._lines[line])
        if found and found[1] in _TEXT:
            value = self._lines[line][found.end() :]
            colon = ": " in value or value.endswith(":")
            begins = "such a value" if value[0].isalnum() else f"a value that begins with {value[0]}"
            place = Place(self._file, line + 2, found.end() + 1)
            what = "a value with a colon" if colon else begins
            return Problem(f"{found[1]}: {what} needs quotes", place, _quoted(found[1], value))
        place = Place(self._file, line + 2, (mark.column if mark else 0) + 1)
        return Problem(f"the front matter is not valid YAML: {reason}", place, "write each line as 'key: value'")

    def _missing_space(self) -> Problem | None:
        for index, written in enumerate(self._lines):
            key = re.match(r"([a-z_]+):(?=\S)", written)
            if key and key[1] in KEYS:
                place = Place(self._file, index + 2, key.end() + 1)
                return Problem(f"no space behind '{key[0]}'", place, "write 'key: value', with a space")
        return None

    def _entry(self, key_node: "Node", value_node: "Node", known: Mapping[str, Entry]) -> Entry:
        """Return one entry; raise IssueError for a key that is unknown or doubled and a value that YAML changed."""
        key = self._key(key_node)
        if key not in KEYS:
            close = difflib.get_close_matches(key, KEYS, n=1)
            guess = f"did you mean '{close[0]}'? " if close else ""
            raise self._refused(key_node, f"unknown key '{key[:60]}'", f"{guess}valid keys: {', '.join(KEYS)}")
        if key in known:
            raise self._refused(key_node, f"'{key}' stands here for the second time", "keep one of the two")
        line, column = key_node.end_mark.line, key_node.end_mark.column
        written = self._lines[line][column:].lstrip(" :\t").rstrip()
        if key in _TEXT:
            self._refuse_lost(key, line, value_node, written)
        value = self._plain(value_node)
        place = self._place(value_node) if written or value else Place(self._file, line + 2, column + 2)
        return Entry(value, place, dict(self._places(value_node)))

    def _refuse_lost(self, key: str, line: int, node: "Node", written: str) -> None:
        """Raise IssueError where YAML takes a text for a tag, a list or a comment, and would drop part of it."""
        from ruamel.yaml.nodes import ScalarNode

        if written.startswith(("!", "&", "[", "{")):
            message = f"{key}: a value that begins with {written[0]} needs quotes"
            raise self._refused(node, message, _quoted(key, written))
        if not isinstance(node, ScalarNode) or node.style is not None:
            return
        line = node.end_mark.line if node.value else line
        rest = self._lines[line][node.end_mark.column :].strip() if node.value else written
        if rest.startswith("#") and (key in _FREE_TEXT or not node.value):
            place = Place(self._file, line + 2, self._lines[line].rindex(rest) + 1)
            message = f"{key}: what follows '#' is a comment, and would be lost"
            raise IssueError([Problem(message, place, _quoted(key, f"{node.value} {rest}"))])

    def _plain(self, node: "Node", depth: int = 0) -> Any:
        """Return a node's value as text, list or mapping; empty scalars become ``""``."""
        from ruamel.yaml.nodes import MappingNode, ScalarNode

        if depth > 3 or node.anchor:
            reason = "an anchor" if node.anchor else "lists in lists in lists"
            raise self._refused(node, f"{reason} cannot stand in the front matter", "write the value as it is")
        if isinstance(node, ScalarNode):
            empty = node.value in ("null", "~") and node.style is None
            return "" if empty else clean_characters(str(node.value))
        if isinstance(node, MappingNode):
            return {self._key(key): self._plain(value, depth + 1) for key, value in node.value}
        return [self._plain(child, depth + 1) for child in node.value]

    def _places(self, node: "Node") -> Iterator[tuple[str, Place]]:
        from ruamel.yaml.nodes import MappingNode

        for key, value in node.value if isinstance(node, MappingNode) else ():
            yield str(key.value), self._place(key)
            yield from self._places(value)

    def _key(self, node: "Node") -> str:
        from ruamel.yaml.nodes import ScalarNode

        if not isinstance(node, ScalarNode):
            raise self._refused(node, "a list or mapping cannot be a key", "write 'key: value'")
        return clean_characters(str(node.value))

    def _refused(self, node: "Node", message: str, hint: str) -> IssueError:
        return IssueError([Problem(message, self._place(node), hint)])

    def _place(self, node: "Node") -> Place:
        return Place(self._file, node.start_mark.line + 2, node.start_mark.column + 1)


def _quoted(key: str, value: str) -> str:
    """Return the hint that gives ``key`` its value in quotes; a quote that was left open goes."""
    text = " ".join(value.split())
    if text[0] in "\"'" and text.count(text[0]) == 1:
        text = text[1:]
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'write {key}: "{escaped}"'


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


def with_correction(text: str, correction: Correction) -> str:
    """Return the text of an issue file, line ends as they are, with ``correction`` below those that stand there.

    Corrections that are not written as a block, a line each, cannot be added to; whoever calls reads the result.
    """
    line_end = "\r\n" if "\r\n" in text else "\n"
    line = f"  - {correction.on.isoformat()}: {json.dumps(correction.note, ensure_ascii=False)}{line_end}"
    closing = _CLOSING.search(text, 3)
    end = closing.start() if closing else 0
    known = _CORRECTIONS.search(text, 0, end)
    if known:
        return text[: known.end()] + line + text[known.end() :]
    approved = _APPROVED_LINE.search(text, 0, end)
    at = approved.start() if approved else end
    return f"{text[:at]}corrections:{line_end}{line}{text[at:]}"


# ---------------------------------------------------------------------------------------------------------------------
# Values of one entry. Each raises IssueError that says what stands there and what may.
# ---------------------------------------------------------------------------------------------------------------------


def _refuse(entry: Entry, what: str, wanted: str) -> IssueError:
    kinds: dict[type, str] = {list: "a list", dict: "a mapping"}
    found = repr(entry.value[:80]) if isinstance(entry.value, str) else kinds[type(entry.value)]
    return IssueError([Problem(f"{found} is not {what}", entry.place, f"write {wanted}")])


def as_text(entry: Entry) -> str:
    """Return one line of text; a block of lines is folded."""
    if not isinstance(entry.value, str):
        raise _refuse(entry, "text", "one line of text")
    return " ".join(entry.value.split())


def as_names(entry: Entry) -> tuple[str, ...]:
    """Return names, written as a list or with commas."""
    value = entry.value.split(",") if isinstance(entry.value, str) else entry.value
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise _refuse(entry, "a list of names", "names with commas between them, or a list")
    return tuple(name.strip() for name in value if name.strip())


def as_date(entry: Entry) -> dt.date:
    """Return a day written as ``2026-11-25``."""
    written = _written(entry)
    try:
        if _DAY.fullmatch(written):
            return dt.date.fromisoformat(written)
    except ValueError:
        pass
    raise _refuse(entry, "a date", "a day like 2026-11-25")


def as_instant(entry: Entry, zone: ZoneInfo) -> dt.datetime:
    """Return an aware time: wall time in ``zone``, or ISO 8601 with an offset."""
    text = _written(entry)
    try:
        if _DAY.match(text) and len(text) > 10:
            time = dt.datetime.fromisoformat(text)
            aware = time if time.tzinfo else time.replace(tzinfo=zone)
            aware.astimezone(dt.UTC)  # OverflowError at the ends of the calendar
            return aware
    except (ValueError, OverflowError):
        pass
    wanted = f"a time like 2026-11-25 08:00 (in {zone.key}), or 2026-11-25T08:00+01:00"
    raise _refuse(entry, "a time", wanted)


def as_deadline(entry: Entry, zone: ZoneInfo, send_at: dt.datetime | None) -> dt.datetime:
    """Return an aware time, or ``36 hours`` counted from ``send_at``."""
    duration = parse_duration(_written(entry))
    if duration is None:
        deadline = as_instant(entry, zone)
    elif send_at is None:
        message = "'not_after' counts from 'send_at', and there is none"
        raise IssueError([Problem(message, entry.place, "add send_at, or write a time")])
    else:
        try:
            # In UTC, as for schedule.due: 36 hours are 36 hours also where clocks change in between.
            deadline = (send_at.astimezone(dt.UTC) + duration).astimezone(send_at.tzinfo)
        except OverflowError:
            raise _refuse(entry, "a time", "a shorter time") from None
    if send_at and deadline < send_at:
        message = "'not_after' lies before 'send_at': the issue would never be sent"
        raise IssueError([Problem(message, entry.place, "write a later time")])
    return deadline


def as_approval(entry: Entry) -> Approval:
    """Return the approval that ``newsletter approve`` wrote."""
    match = _APPROVAL.fullmatch(_written(entry))
    try:
        if match:
            return Approval(match[1], match[2], dt.date.fromisoformat(match[3]))
    except ValueError:
        pass
    raise _refuse(entry, "an approval", "nothing here yourself; 'newsletter approve SLUG' does it")


def as_corrections(entry: Entry) -> tuple[Correction, ...]:
    """Return corrections, written as a list of ``- 2026-11-27: what was wrong``, in the order of their days."""
    wanted = "a list of lines like '- 2026-11-27: The share is 35 %, not 45 %.'"
    lines = entry.value if isinstance(entry.value, list) else []
    if not lines:
        raise _refuse(entry, "a list of corrections", wanted)
    found = []
    for line in lines:
        if not isinstance(line, dict) or len(line) != 1:
            raise _refuse(entry, "a list of corrections", wanted)
        ((day, note),) = line.items()
        if not isinstance(note, str) or not note.strip():
            raise _refuse(entry, "a list of corrections: one has no words", wanted)
        found.append(Correction(as_date(Entry(day, entry.place)), " ".join(note.split())))
    return tuple(sorted(found, key=lambda correction: correction.on))


def as_waivers(entry: Entry) -> Mapping[str, str]:
    """Return the checks that an issue need not pass with the reasons: ``{links.tracking: "a partner's link"}``.

    Names without reasons are read as well, each with ``""``.
    """
    value = entry.value
    if not isinstance(value, dict):
        return dict.fromkeys(as_names(entry), "")
    if not all(isinstance(reason, str) for reason in value.values()):
        raise _refuse(entry, "a map of checks to reasons", 'waive: {links.tracking: "the partner counts readers"}')
    return {check.strip(): " ".join(reason.split()) for check, reason in value.items()}


def as_rules(entry: Entry) -> Mapping[str, Mapping[str, object]]:
    """Return selection rules: for each section's heading a mapping of rule to value."""
    value = entry.value
    if not isinstance(value, dict) or not all(isinstance(rules, dict) for rules in value.values()):
        raise _refuse(entry, "a set of rules", "Heading: {top: 5, since: 7 days}")
    for heading, rules in value.items():
        for rule in rules:
            if rule not in _SELECT_RULES:
                message = f"select: {heading}: unknown rule '{rule}'"
                place = entry.places.get(rule, entry.place)
                raise IssueError([Problem(message, place, f"valid rules: {', '.join(_SELECT_RULES)}")])
    return value


def as_language(entry: Entry) -> str:
    """Return a BCP 47 language tag."""
    tag = _written(entry)
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag):
        raise _refuse(entry, "a language tag", "one like en, fr or zh-Hans")
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
