"""Keep what an issue was compiled to when it was approved, and find it when it is sent: what was approved is what goes.

It is good as long as the source digest of what stands there is the approved one, which covers the text, the images, the
templates and the settings. So a send mostly needs no compiler: no second process, no second of waiting, and no other
mail than the approved one where the program was updated meanwhile. Where nothing is kept, or not good any more, or
another store is used than for the approval, the send compiles as before (``freezer``), which also says what is wrong.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from newsletter.config import Project
from newsletter.edition import edition_to_json
from newsletter.errors import NewsletterError
from newsletter.freezer import FrozenIssue, facts_of, frozen_from
from newsletter.model import Edition, Issue
from newsletter.sources import LocalImage, load_named_images, read_issue_file, shown_path, text_digest
from newsletter.store import Store
from newsletter.variants import WHOLE


def keep_compiled(
    store: Store, issue: Issue, source_digest: str, images: Sequence[LocalImage], edition: Edition
) -> None:
    """Keep ``edition``, compiled from the issue and images whose ``source_digest`` was approved just now."""
    content = facts_of(issue) | {"images": [image.src for image in images], "edition": edition_to_json(edition)}
    store.issues.keep_compiled(issue.slug, source_digest, json.dumps(content))


def find_compiled(project: Project, store: Store, path: Path) -> FrozenIssue | None:
    """Return what the issue at ``path`` was compiled to when it was approved as it stands, None where nothing holds."""
    try:
        text, digest = _read_approved(project, path)
    except NewsletterError:  # compiling it will tell
        return None
    kept = store.issues.find_compiled(path.stem, digest) if digest else ""
    if not kept:
        return None
    answer = json.loads(kept)
    try:
        images = load_named_images(project, path.parent, answer["images"])
        if text_digest(project, path.stem, text, images) != digest:
            return None
        return frozen_from(answer | {"source_digest": digest, "approved": True}, {WHOLE: answer["edition"]})
    except (NewsletterError, OSError):
        return None


def _read_approved(project: Project, path: Path) -> tuple[str, str]:
    """Return the text of an issue file, and the source digest that was approved, ``""`` where none was."""
    from newsletter.issue import decode_issue, read_head

    file = shown_path(project, path)
    text = decode_issue(read_issue_file(path), file)
    approved = read_head(text, slug=path.stem, file=file, zone=project.zone).approved
    return text, approved.digest if approved else ""
