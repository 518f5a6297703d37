"""Read an issue's file for editing, and write it again: whole or not at all, and never over what somebody else wrote.

Edge: the file. What an edit does is ``issueedit``'s.
"""

from dataclasses import dataclass
from pathlib import Path

from newsletter.config import Project
from newsletter.errors import InputError
from newsletter.frontmatter import without_approval
from newsletter.issuelines import Grammar, IssueText, read_issue_text
from newsletter.sources import read_issue_file, replace_file, shown_path


@dataclass(frozen=True)
class IssueFile:
    """Hold an issue as its file had it when it was read."""

    path: Path
    content: bytes
    page: IssueText


def open_issue(project: Project, path: Path) -> IssueFile:
    """Read an issue's file; raise IssueError with its mistakes, InputError where it cannot be read."""
    path = path.resolve()  # through a symbolic link, which stays one
    content = read_issue_file(path)
    file = shown_path(project, path)
    grammar = Grammar(path.stem, file, project.config.sections, project.zone)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("utf-8", "surrogateescape")  # told with its place when it is read
    return IssueFile(path, content, read_issue_text(text, grammar))


def has_changed(file: IssueFile) -> bool:
    """Tell whether the file on the disk is another by now."""
    return read_issue_file(file.path) != file.content


def save_issue(file: IssueFile, page: IssueText) -> IssueFile:
    """Write the edited issue and return it as it is now; an approval goes, since the text changed.

    Raises InputError where the file changed since it was read: nothing is written then.
    """
    if page.text == file.page.text:
        return file
    if has_changed(file):
        raise InputError(
            f"{page.grammar.file}: the file changed meanwhile; nothing was written, look at it and try again"
        )
    text = without_approval(page.text) if page.issue.approved else page.text
    content = text.encode("utf-8")
    replace_file(file.path, content)
    return IssueFile(file.path, content, read_issue_text(text, page.grammar))
