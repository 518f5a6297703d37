"""Render a theme's Jinja templates to MJML in which all content is opaque tokens, and know the line each piece is from.

Rich text and merge fields leave here as tokens of lower-case ASCII letters and digits, which neither Jinja, XML, MJML
nor CSS takes for syntax; whoever renders fills them at the end. Plain strings are escaped and cleaned. Nothing here
knows MJML or the theme.
"""

import bisect
import datetime as dt
import functools
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any

from newsletter.errors import Place, Problem, TemplateError
from newsletter.model import (
    MARKER,
    RESERVED_CHARACTERS,
    Article,
    Group,
    Image,
    Issue,
    RichText,
    Section,
    Slot,
    marker_number,
)

if TYPE_CHECKING:
    from jinja2.bccache import Bucket, BytecodeCache
    from jinja2.sandbox import ImmutableSandboxedEnvironment

_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Match what XML 1.0 (section 2.2) forbids or discourages: MJML fails on it, HTML reads it as something else."""
_PLAIN = re.compile(r"[\w #%,.'\"()+/*:-]*")
"""Match what may be printed where nothing is escaped: a colour, a length, a list of fonts."""
_REPR = re.compile(r"RichText\(html=.*, place=Place\(file=", re.DOTALL | re.IGNORECASE)
"""Match rich text that a filter or an operator made a string."""
_MARK = re.compile("\x00([^\x00\x01]*)\x01([0-9]+)\x00")
_KEPT_MAX = 500
"""Templates whose code is kept at the most."""
_VALUES = frozenset({Issue, Section, Article, Group, Image})

Test = Callable[[object], bool]


@dataclass(frozen=True, slots=True)
class Rendering:
    """Hold rendered text with its tokens: content token ``n`` stands for ``contents[n]``.

    ``place_at`` maps an offset of ``text`` to the template's file and line; it renders again, so ask it only to report.
    """

    text: str
    nonce: str
    contents: tuple[RichText, ...]
    place_at: Callable[[int], Place]


def content_token(nonce: str, number: int) -> str:
    """Return the token that stands for rich text ``number``."""
    return f"{nonce}c{number}x"


def slot_token(nonce: str, number: int) -> str:
    """Return the token that stands for slot ``number``."""
    return f"{nonce}s{number}x"


def replace_markers(text: str, nonce: str, slot_count: int) -> str:
    """Return ``text`` with each marker of a known slot as its token, and any other reserved character as U+FFFD."""

    def token(found: re.Match[str]) -> str:
        number = marker_number(found[1])
        return slot_token(nonce, number) if number < slot_count else "\ufffd"

    return RESERVED_CHARACTERS.sub("\ufffd", MARKER.sub(token, text))


def shipped_templates() -> Path:
    """Return the folder of the templates that come with the package: beside it in a wheel, above it in a checkout."""
    package = Path(__file__).parent
    beside = package / "templates"
    return beside if beside.is_dir() else package.parent / "templates"


@functools.cache
def kept_code(*kind: str) -> "BytecodeCache":
    """Return what this process compiled of templates in environments of this ``kind``, which must be set up alike.

    A template is found by its file and its very text. To compile the shipped ones takes longer than all else in
    making a mail; a process that makes several of them, each with its own environment, does it once.
    """
    from jinja2 import BytecodeCache

    class KeptCode(BytecodeCache):
        def __init__(self) -> None:
            self._kept: dict[tuple[str, str], CodeType | None] = {}

        def load_bytecode(self, bucket: "Bucket") -> None:
            bucket.code = self._kept.get((bucket.key, bucket.checksum))

        def dump_bytecode(self, bucket: "Bucket") -> None:
            if len(self._kept) >= _KEPT_MAX:  # a preview goes on for days, and its templates change
                self._kept.clear()
            self._kept[bucket.key, bucket.checksum] = bucket.code

    return KeptCode()


class _Collector:
    """Collect the rich text of one rendering, and turn every printed value into what may stand in the source."""

    def __init__(self, nonce: str, slots: Sequence[Slot]) -> None:
        self.nonce = nonce
        self.slots = tuple(slots)
        self.contents: list[RichText] = []

    def printed(self, value: object, *, escaping: bool) -> object:
        """Return what Jinja prints for ``value``, tokens for content.

        Raises TypeError or ValueError for what cannot be printed.
        """
        if isinstance(value, RichText | Slot):
            if not escaping:
                raise TypeError("content cannot be printed where nothing is escaped, as in a style sheet")
            return self._token(value)  # letters and digits
        if not isinstance(value, str | int | float | dt.date) or isinstance(value, bool):
            raise TypeError(f"a value of type {type(value).__name__} cannot be printed; guard it with {{% if %}}")
        text = self._clean(str(value))
        if not escaping and not _PLAIN.fullmatch(text):
            raise ValueError(f"{text[:40]!r} cannot be printed where nothing is escaped; colours, sizes and fonts can")
        return text

    def _token(self, value: RichText | Slot) -> str:
        if isinstance(value, Slot):
            return slot_token(self.nonce, self.slots.index(value))
        self.contents.append(value)
        return content_token(self.nonce, len(self.contents) - 1)

    def _clean(self, text: str) -> str:
        if _REPR.search(text):
            raise TypeError("rich text cannot go through a filter or be joined to other text; print it by itself")
        return replace_markers(_UNFIT.sub("\ufffd", text), self.nonce, len(self.slots))


class Templates:
    """Render templates found in several folders; a file in an earlier folder wins over one of the same name later.

    Not for two threads at once: a lock makes the second wait. Compiled templates are kept, and read again when a file
    changes.
    """

    def __init__(self, folders: Sequence[Path], base: Path, tests: Mapping[str, Test] | None = None) -> None:
        """Look into ``folders``; ``tests`` are Jinja's ``is``; messages name files below ``base`` relative to it."""
        self._folders = tuple(folders)
        self._base = base
        self._tests = dict(tests or {})
        self._lock = threading.Lock()
        self._collector = _Collector("", ())
        self._environment = self._open_environment()

    def _open_environment(self, *extensions: Any) -> "ImmutableSandboxedEnvironment":
        from jinja2 import FileSystemLoader, StrictUndefined, Undefined, pass_eval_context
        from jinja2.sandbox import ImmutableSandboxedEnvironment
        from markupsafe import Markup

        class Sandbox(ImmutableSandboxedEnvironment):
            def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
                # The issue's own types hold values only; the general rule costs a millisecond a mail.
                return not attr.startswith("_") if type(obj) in _VALUES else super().is_safe_attribute(obj, attr, value)

        @pass_eval_context
        def finalize(eval_context: Any, value: object) -> object:
            plain = type(value) is str and value.isascii() and value.isprintable() and "(" not in value
            if (plain and eval_context.autoescape) or isinstance(value, Markup):
                return value
            if isinstance(value, Undefined):
                return str(value)  # raises UndefinedError, with the name
            return self._collector.printed(value, escaping=eval_context.autoescape)

        environment = Sandbox(
            loader=FileSystemLoader(list(self._folders)),
            # MJML names would not be escaped by select_autoescape(). Only a style sheet is not markup.
            autoescape=lambda name: not (name or "").endswith(".css"),
            undefined=StrictUndefined,
            finalize=finalize,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=list(extensions),
            bytecode_cache=None if extensions else kept_code("issues", *sorted(self._tests)),
        )
        # Content comes as rich text that was cleaned; no other string may become markup.
        del environment.filters["safe"]
        environment.tests.update(self._tests)
        return environment

    def render(self, name: str, context: Mapping[str, object], nonce: str, slots: Sequence[Slot]) -> Rendering:
        """Render the template ``name`` with ``context``; markers and ``Slot`` values must be of ``slots``.

        Raises TemplateError, with file and line, for a template that is missing, broken, or asks for what is not there.
        """
        with self._lock:
            text = self._render(self._environment, name, context, _Collector(nonce, slots))
            contents = tuple(self._collector.contents)

        def place_at(offset: int) -> Place:
            return self._place_at(offset, text, name, context, _Collector(nonce, slots))

        return Rendering(text, nonce, contents, place_at)

    def _render(
        self,
        environment: "ImmutableSandboxedEnvironment",
        name: str,
        context: Mapping[str, object],
        collector: _Collector,
    ) -> str:
        self._collector = collector
        try:
            return environment.get_template(name).render(context)
        except Exception as error:  # whatever a template's expression raises is the template's mistake
            raise TemplateError([self._problem(error, name, context)]) from error

    def _problem(self, error: Exception, name: str, context: Mapping[str, object]) -> Problem:
        import jinja2

        if isinstance(error, jinja2.TemplateSyntaxError):
            place = Place(self._shown(error.filename or error.name or name), error.lineno)
            return Problem(f"{error.message}", place)
        place = self._innermost(error.__traceback__) or Place(self._shown(name))
        if isinstance(error, jinja2.TemplateNotFound):
            places = ", ".join(self._shown(str(folder)) for folder in self._folders)
            return Problem(f"template {error.name!r} is in none of the folders {places}", place)
        if isinstance(error, jinja2.UndefinedError):
            return Problem(str(error.message), place, f"known names: {', '.join(sorted(context))}")
        if isinstance(error, UnicodeDecodeError):
            return Problem("a template is not UTF-8", place, "save the file as UTF-8")
        return Problem(f"{error}" if str(error) else type(error).__name__, place)

    def _innermost(self, traceback: TracebackType | None) -> Place | None:
        """Return the deepest line of a template in ``traceback`` (Jinja maps its frames to template lines)."""
        place = None
        while traceback:
            file = Path(traceback.tb_frame.f_code.co_filename)
            if any(folder in file.parents for folder in self._folders):
                place = Place(self._shown(str(file)), traceback.tb_lineno)
            traceback = traceback.tb_next
        return place

    def _place_at(
        self, offset: int, text: str, name: str, context: Mapping[str, object], collector: _Collector
    ) -> Place:
        """Render once more with a mark before each template line, and return the last line marked before ``offset``."""
        with self._lock:
            environment = self._open_environment(_line_marks())
            marked = self._render(environment, name, context, collector)
        if _MARK.sub("", marked) != text:  # a filter over a block saw the marks: the file is all that is sure
            return Place(self._shown(self._path_of(name)))
        offsets, marks, removed = [], [], 0
        for found in _MARK.finditer(marked):
            offsets.append(found.start() - removed)
            marks.append((found[1], int(found[2])))
            removed += len(found[0])
        at = bisect.bisect_right(offsets, offset) - 1
        file, line = marks[max(at, 0)]
        return Place(self._shown(self._path_of(file)), line, self._column(file, line, text[offset:]))

    def _column(self, name: str, line: int, text: str) -> int:
        """Return the column (from 1) at which the line of the template holds what ``text`` starts with."""
        lines = Path(self._path_of(name)).read_text(encoding="utf-8").splitlines()
        start = re.match(r"<[/!]?[\w-]*|\S{1,8}", text)
        found = lines[line - 1] if start and line <= len(lines) else ""
        # What begins as a template's text may go on as a value: <h{{ level }}>.
        starts = (start[0][:length] for length in range(len(start[0]), 0, -1)) if start else ()
        return next((found.index(piece) for piece in starts if piece in found), 0) + 1

    def _path_of(self, name: str) -> str:
        return next((str(folder / name) for folder in self._folders if (folder / name).is_file()), name)

    def _shown(self, path: str) -> str:
        path = self._path_of(path)
        return str(Path(path).relative_to(self._base)) if self._base in Path(path).parents else path


def _line_marks() -> Any:
    """Return a Jinja extension that puts ``NUL file SOH line NUL`` before each line of a template's own text."""
    from jinja2.ext import Extension
    from jinja2.lexer import Token

    class LineMarks(Extension):
        def filter_stream(self, stream: Any) -> Iterator[Any]:
            for token in stream:
                if token.type != "data":
                    yield token
                    continue
                lines = str(token.value).splitlines(keepends=True)
                marked = (f"\x00{stream.name}\x01{token.lineno + n}\x00{line}" for n, line in enumerate(lines))
                yield Token(token.lineno, token.type, "".join(marked))

    return LineMarks
