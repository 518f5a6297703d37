"""Read the secret file, or make one: the root of every token and hash of the newsletter.

What stands in it and what is derived from it is ``tokens``' business. A secret is never printed.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from newsletter.config import Project
from newsletter.errors import ConfigError, NewsletterError
from newsletter.tokens import Keys, new_secret_text, parse_keys


def load_keys(
    project: Project,
    announce: Callable[[str], None] | None = None,
    check: Callable[[Keys], None] | None = None,
) -> Keys:
    """Return the project's keys; where there is no secret file, make one that only its owner can read.

    ``announce`` is told when one was made. ``check`` is given keys that are new, and raises where they do not fit what
    is there already: then none is made. Raises ConfigError where the file cannot be read, written or used.
    """
    path = project.secret_path
    if not _exists(path):
        make_secret(project)
        try:
            keys = _read_keys(path)
            if check:
                check(keys)
        except NewsletterError as error:
            path.unlink(missing_ok=True)
            if isinstance(error, ConfigError):
                raise ConfigError(
                    f"{path}: there is no secret file, and the store was made with one; bring it back from its backup, "
                    "or set [newsletter] secret_file to where it is"
                ) from None
            raise
        if announce:
            announce(f"made {path}: keep a copy of it with the store's, and never commit it")
        return keys
    return _read_keys(path)


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:  # reading it will say what is wrong
        return True
    return True


def _read_keys(path: Path) -> Keys:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: the secret file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: no secret file: it is not text; bring it back from its backup") from None
    return parse_keys(text, str(path))


def make_secret(project: Project) -> None:
    """Write a new secret file, whole or not at all; one that another run made meanwhile stays.

    Raises ConfigError where it cannot be written.
    """
    path = project.secret_path
    fresh = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # readable by its owner only
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(new_secret_text(os.urandom(40)))
            file.flush()
            os.fsync(file.fileno())
        _put_in_place(Path(fresh), path)
        _sync_folder(path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: the secret file cannot be written: {error.strerror}") from None
    finally:
        if fresh:
            Path(fresh).unlink(missing_ok=True)


def _put_in_place(fresh: Path, path: Path) -> None:
    try:
        os.link(fresh, path)  # a rename would replace one that was made meanwhile
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        fresh.rename(path)


def _sync_folder(folder: Path) -> None:
    """Make the new name durable: the store's hashes would be void without the file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
