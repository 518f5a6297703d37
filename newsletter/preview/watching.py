"""Notice that a file of the preview changed: by its time, size and number, looked at many times a second.

A look costs a few file stats, a fraction of a millisecond; it sees every way of saving, also that of editors which put
a new file in the old one's place, on every file system.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from newsletter.config import CONFIG_NAME, Project

LOOK_S = 0.025
"""Seconds between two looks."""
_FILES_MAX = 2000

Fingerprint = tuple[tuple[str, int, int, int], ...]
"""What two looks have in common while nothing changed."""


def look(project: Project, issue: Path, others: Iterable[str] = ()) -> Fingerprint:
    """Return what changes when an issue's mail may have to: the configuration, the issue, templates, ``others``.

    Folders are looked at as well: their time changes when a file comes or goes.
    """
    own = (project.root / CONFIG_NAME, issue, project.issues_dir)
    paths = [*map(str, own), *others, *_below(project.templates_dir)]
    return tuple((path, *_stamp(path)) for path in paths)


def agree(one: Fingerprint, other: Fingerprint) -> bool:
    """Tell whether no path changed that stands in both; what came into a folder has changed the folder."""
    known = {path: stamp for path, *stamp in one}
    return all(known.get(path, stamp) == stamp for path, *stamp in other)


def _below(folder: Path) -> Iterator[str]:
    """Yield the folder, and every file and folder in it, as far as there is an end to them."""
    waiting, count = [str(folder)], 0
    while waiting:
        path = waiting.pop()
        yield path
        try:
            with os.scandir(path) as entries:
                for entry in sorted(entries, key=lambda each: each.name):
                    count += 1
                    if count > _FILES_MAX:
                        return
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        yield entry.path
        except OSError:
            continue


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - many times a second
    except (OSError, ValueError):  # not there, or a name with a NUL
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino
