"""Read a newsletter as it was at a git commit: its configuration, its templates, an issue and its images.

Git is only asked, with ``rev-parse``, ``ls-tree`` and ``cat-file``; nothing of a commit is run, and nothing in the
working tree changes. What comes out lies in a folder of its own as long as a block lasts.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from newsletter.config import CONFIG_NAME, Project, load_project
from newsletter.errors import ConfigError, InputError
from newsletter.model import Issue

_GIT_S = 60


@dataclass(frozen=True, slots=True)
class Revision:
    """Hold a newsletter as it was: ``issue`` is where the file lies now, ``label`` names the commit for people.

    ``is_new`` says that the issue was not there yet; ``notes`` say what is not as it was.
    """

    project: Project
    issue: Path
    label: str
    commit: str
    is_new: bool = False
    notes: tuple[str, ...] = ()

    def fetch_images(self, issue: Issue, origin: Path) -> None:
        """Bring the images of an issue into its folder; those that were not there stay away."""
        folder = self.issue.parent
        for image in issue.images:
            path = (folder / unquote(image.src)).resolve()
            if path.is_relative_to(self.project.root):
                _write(origin, self.commit, path.relative_to(self.project.root), self.project.root)


@contextmanager
def open_revision(project: Project, issue: Path, name: str) -> Iterator[Revision]:
    """Read the newsletter as it was at the commit ``name``, in git's words for commits.

    Raises InputError where there is no git, or no such commit.
    """
    root = project.root.resolve()
    path = issue.resolve()
    if not path.is_relative_to(root):
        raise InputError(
            f"{issue}: lies outside the newsletter's folder; only issues in it can be compared with commits"
        )
    commit = _commit(root, name)
    label = f"commit {_git(root, 'show', '-s', '--format=%h of %cs', commit).decode('utf-8', 'replace').strip()}"
    with tempfile.TemporaryDirectory(prefix="newsletter-diff-") as place:
        folder = Path(place).resolve()
        relative = path.relative_to(root)
        is_new = not _write(root, commit, relative, folder)
        names = _git(root, "ls-tree", "-r", "-z", "--name-only", commit, "--", CONFIG_NAME, "templates")
        for each in filter(None, names.decode("utf-8", "surrogateescape").split("\0")):
            _write(root, commit, Path(each), folder)
        then, notes = _project(project, folder, label)
        yield Revision(then, folder / relative, label, commit, is_new, notes)


def _project(project: Project, folder: Path, label: str) -> tuple[Project, tuple[str, ...]]:
    try:
        return load_project(folder, os.environ), ()
    except ConfigError as error:
        words = str(error).splitlines()[0].replace(f"{folder}{os.sep}", "")
        note = f"the configuration at {label} cannot be used, that of now stands in for it: {words}"
        return Project(folder, project.config), (note,)


def _commit(root: Path, name: str) -> str:
    try:
        found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except InputError as error:
        raise InputError(f"{name!r} is no commit here: {error}") from None
    return found.decode("ascii", "replace").strip()


def _write(root: Path, commit: str, name: Path, folder: Path) -> bool:
    """Write a file of the commit into ``folder``, and tell whether it was there; ``name`` is relative to ``root``."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        return False
    try:
        content = _git(root, "cat-file", "blob", f"{commit}:./{name.as_posix()}")
    except InputError:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return True


def _git(root: Path, *arguments: str) -> bytes:
    """Ask git, and return what it answers; raise InputError with its own words."""
    environ = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_LITERAL_PATHSPECS": "1"}
    try:
        asked = _run(["git", "-C", str(root), *arguments], environ)
    except FileNotFoundError:
        raise InputError("git is not installed; without it, compare with the approval: name no commit") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"git did not answer within {_GIT_S} s") from None
    if asked.returncode:
        words = asked.stderr.decode("utf-8", "replace").strip().splitlines()
        raise InputError(words[0] if words else "git does not know it; 'git log' names commits")
    return asked.stdout


def _run(command: Sequence[str], environ: dict[str, str]) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(  # noqa: S603
        command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_GIT_S, env=environ, check=False
    )
