"""Freeze an issue: compile it in a child process, so that nothing an issue or a theme does can take a send down.

Nothing of the compiler is imported in this process. What is frozen is planned and sent by ``worker``.
"""

import datetime as dt
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newsletter.childprocess import child_environment
from newsletter.config import Project
from newsletter.errors import ConfigError, InputError, NewsletterError, NotAllowedError
from newsletter.model import Edition, Issue
from newsletter.variants import NO_SECTIONS, WHOLE, TopicalSections, topical_sections

if TYPE_CHECKING:
    import subprocess

CHILD_SECONDS = 120
"""Seconds that compiling one issue may take."""
_REFUSED, _CONFIG = 1, 78


@dataclass(frozen=True, slots=True)
class FrozenIssue:
    """Hold an issue as a child process compiled it: the edition, and what its front matter says of the send."""

    edition: Edition
    source_digest: str
    approved: bool
    send_at: dt.datetime | None
    not_after: dt.datetime | None
    audience: str
    sections: TopicalSections = NO_SECTIONS
    variants: Mapping[str, Edition] = field(default_factory=dict)


def freeze_issue(project: Project, path: Path, *, approved_only: bool, variants: Sequence[str] = ()) -> FrozenIssue:
    """Compile the issue at ``path``, and these variants of it, in a child process and return the editions.

    Raises NotAllowedError for an issue that is not approved as it stands (with ``approved_only``), ConfigError or
    InputError with the child's own words otherwise.
    """
    import json
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory(prefix="newsletter-") as folder:
        # -P: a module that lies in the current folder must not stand in for one of Python's.
        command = [sys.executable, "-P", "-m", "newsletter", "--project", str(project.root), "build"]
        command += ["--out", folder, "--json", *(["--approved"] if approved_only else [])]
        command += [*(f"--topics={variant}" for variant in variants), "--", str(path.resolve())]
        try:
            child = run_child(command, CHILD_SECONDS)
        except subprocess.TimeoutExpired:
            raise InputError(f"{path}: compiling took more than {CHILD_SECONDS} s and was stopped") from None
        if child.returncode:
            raise _child_error(path, child)
        answer = json.loads(child.stdout)
        files = {WHOLE: str(Path(folder) / path.stem / "edition.json"), **answer["variants"]}
        return frozen_from(answer, {name: Path(file).read_text(encoding="utf-8") for name, file in files.items()})


def run_child(command: Sequence[str], seconds: float) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end and return what it said; raise subprocess.TimeoutExpired."""
    import subprocess

    return subprocess.run(  # noqa: S603
        command,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=seconds,
        env=child_environment(),
        check=False,
    )


def _child_error(path: Path, child: "subprocess.CompletedProcess[str]") -> NewsletterError:
    words = "\n".join(line.removeprefix("error: ") for line in child.stderr.strip().splitlines())
    if child.returncode == _REFUSED:
        return NotAllowedError(words)
    if child.returncode == _CONFIG:
        return ConfigError(words)
    if child.returncode < 0:
        return InputError(f"{path}: compiling it killed the compiler (signal {-child.returncode}); nothing was sent")
    return InputError(words or f"{path}: compiling failed")


def facts_of(issue: Issue) -> dict[str, object]:
    """Return what an issue says of its send, as JSON has it; ``frozen_from`` reads it."""
    return {
        "audience": issue.audience,
        "send_at": issue.send_at.isoformat() if issue.send_at else None,
        "not_after": issue.not_after.isoformat() if issue.not_after else None,
        "sections": topical_sections(issue).topics,
    }


def frozen_from(answer: Mapping[str, Any], editions: Mapping[str, str]) -> FrozenIssue:
    """Return the issue whose facts and digest are in ``answer``; editions are JSON by variant, the whole one ``""``."""
    from newsletter.edition import edition_from_json

    read = {variant: edition_from_json(content) for variant, content in editions.items()}
    return FrozenIssue(
        edition=read.pop(WHOLE),
        source_digest=answer["source_digest"],
        approved=answer["approved"],
        send_at=_instant(answer["send_at"]),
        not_after=_instant(answer["not_after"]),
        audience=answer["audience"],
        sections=TopicalSections(tuple(map(tuple, answer["sections"]))),
        variants=read,
    )


def _instant(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
