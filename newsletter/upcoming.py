"""Show the issues that were not sent yet: which there are, whether somebody approved them, when they are to go.

Only the heads of their files are read, and only of the latest: nothing is compiled, so "approved" means that an
approval stands in the file, not that it still holds. Use case: no printing.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from newsletter.config import Project, is_reserved_slug, list_slugs
from newsletter.errors import IssueError
from newsletter.issue import SIZE_LIMIT, decode_issue, read_head

LATEST = 12


@dataclass(frozen=True, slots=True)
class Upcoming:
    """Name an issue that was not sent: draft, approved or unreadable; without ``send_at``, cron never sends it."""

    issue: str
    state: str
    send_at: dt.datetime | None = None


def find_upcoming(project: Project, sent: Collection[str]) -> tuple[Upcoming, ...]:
    """Return the latest issues of the project's folder that are not among ``sent``, the last slug first."""
    slugs = [slug for slug in list_slugs(project) if slug not in sent and not is_reserved_slug(slug)]
    return tuple(_look_at(project, slug) for slug in slugs[: -LATEST - 1 : -1])


def _look_at(project: Project, slug: str) -> Upcoming:
    path = project.issues_dir / f"{slug}.md"
    try:
        with path.open("rb") as stream:
            text = decode_issue(stream.read(SIZE_LIMIT + 1), str(path))
        issue = read_head(text, slug=slug, file=str(path), zone=project.zone)
    except (IssueError, OSError):
        return Upcoming(slug, "unreadable")  # 'newsletter build' says why
    return Upcoming(slug, "approved" if issue.approved else "draft", issue.send_at)
