"""Read the secret file, or make one: the root of every token and hash of the newsletter.

What stands in it and what is derived from it is ``tokens``' business. A secret is never printed.
"""

import os
from collections.abc import Callable

from newsletter.config import Project
from newsletter.errors import ConfigError
from newsletter.tokens import Keys, new_secret_text, parse_keys


def load_keys(project: Project, announce: Callable[[str], None] | None = None) -> Keys:
    """Return the project's keys; where there is no secret file, make one that only its owner can read.

    ``announce`` is told when one was made. The store remembers which keys it was filled with, so a secret that was lost
    and made anew is noticed there. Raises ConfigError where the file cannot be read, written or used.
    """
    path = project.secret_path
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = make_secret(project)
        if announce:
            announce(f"made {path}: keep a copy of it with the store's, and never commit it")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the secret file cannot be read: {error}") from None
    return parse_keys(text, str(path))


def make_secret(project: Project) -> str:
    """Write a new secret file and return its text; raise ConfigError where it exists or cannot be written."""
    path = project.secret_path
    text = new_secret_text(os.urandom(40))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(f"{path}: the secret file cannot be written: {error.strerror}") from None
    return text
