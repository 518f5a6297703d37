"""Say what changed since an issue was approved, in one line, for who is told that it is not sent.

The whole of it is ``differ``'s; here nothing is compiled, so that a run of cron can say it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from newsletter.config import Project
from newsletter.errors import NewsletterError
from newsletter.frontmatter import without_approval
from newsletter.store import StoredApproval

IMAGE = "image "
"""What the name of an image begins with among the sources of a mail."""
_NAMED_MAX = 3


def explain_change(project: Project, approval: StoredApproval | None, path: Path) -> str:
    """Say which line of an issue changed since it was approved, or which template, image or setting.

    Returns ``""`` where the approval in the file is not the one we know.
    """
    from difflib import SequenceMatcher

    from newsletter.issue import decode_issue

    try:
        text = decode_issue(path.read_bytes(), str(path))
    except (OSError, NewsletterError):
        return ""
    if approval is None or approval.source_digest not in text:
        return ""
    before = without_approval(approval.text).splitlines()
    after = without_approval(text).splitlines()
    for tag, _, _, start, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            shown = after[start].strip()[:80] if start < end else "lines were taken out here"
            return f"{path}:{_line_with_approval(text, start + 1)}: changed since {approval.by} approved it: {shown}"
    try:
        others = list(_changed_sources(project, path.parent, approval.sources))
    except OSError:  # a file that cannot be read has changed, whichever it is
        others = []
    if not others:
        return "its text is as approved; an image, a template or a setting changed"
    more = f" and {len(others) - _NAMED_MAX} more" if len(others) > _NAMED_MAX else ""
    return f"its text is as approved; changed since {approval.by} approved it: {', '.join(others[:_NAMED_MAX])}{more}"


def _changed_sources(project: Project, folder: Path, sources: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of what a mail is made of that is not as it was; without compiling, and without its images."""
    from newsletter.sources import mail_settings, short_digest, template_words

    now = template_words(project)
    now |= {name: json.dumps(value, ensure_ascii=False) for name, value in mail_settings(project).items()}
    for name, words in sources.items():
        if name.startswith(IMAGE):
            src = unquote(name.removeprefix(IMAGE))
            paths = (place / src for place in (folder, project.root))
            content = next((path.read_bytes() for path in paths if path.is_file()), b"")
            if not words.endswith(f"({short_digest(content)})"):
                yield name
        elif now.get(name) != words:
            yield name
    yield from (name for name in now if name not in sources and sources)


def _line_with_approval(text: str, line: int) -> int:
    """Return the number in ``text`` of the line that has the number ``line`` without the approval."""
    bare = without_approval(text)
    same = next((at for at, (one, other) in enumerate(zip(text, bare, strict=False)) if one != other), len(bare))
    approved_line = text.count("\n", 0, same) + 1
    return line + 1 if bare != text and line >= approved_line else line
