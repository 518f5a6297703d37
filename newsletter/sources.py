"""Read what an edition is made of, and tell by its digest whether it is still what an editor approved.

That is the issue file without its ``approved:`` line, its local images, the templates, and the settings that reach the
mail. Not here: compiling (``compiler``), and the approved text that the store keeps (``worker``).
"""

import contextlib
import datetime as dt
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import msgspec

from newsletter.config import CONFIG_NAME, Project
from newsletter.errors import ConfigError, InputError, IssueError, NotAllowedError, Place, Problem, TemplateError
from newsletter.frontmatter import with_approval, without_approval
from newsletter.images import read_image
from newsletter.issue import SIZE_LIMIT, decode_issue, is_local_image, parse_issue, read_head
from newsletter.model import Approval, Image, Issue
from newsletter.templating import shipped_templates

IMAGE_LIMIT = 2_000_000
"""Bytes that one image may have."""
_UNSENT_SETTINGS = ("secret_file",)


@dataclass(frozen=True, slots=True)
class LoadedIssue:
    """Hold an issue and the file that it was read from, as it was at that moment."""

    issue: Issue
    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class LocalImage:
    """Hold an image of the newsletter's folder: as written, its content, and its size in pixels."""

    src: str
    filename: str
    media_type: str
    content: bytes
    width: int
    height: int

    @property
    def published_name(self) -> str:
        """Return its path below the issue's page, for URLs: as written, where that leads nowhere else."""
        parts = unquote(self.src).split("/")
        if self.src.startswith("/") or {"", ".", ".."}.intersection(parts) or len(parts) == 1:
            return f"images/{hashlib.sha256(self.content).hexdigest()[:12]}-{quote(self.filename)}"
        return self.src


def load_issue(project: Project, path: Path) -> LoadedIssue:
    """Read and parse one issue file; raise IssueError with every mistake, InputError where it cannot be read."""
    file = shown_path(project, path)
    text = decode_issue(read_issue_file(path), file)
    config = project.config
    issue = parse_issue(text, slug=path.stem, file=file, sections=config.sections, zone=project.zone)
    return LoadedIssue(issue, path, text)


def read_issue_file(path: Path) -> bytes:
    """Return the bytes of an issue file, cut off beyond what an issue may have; raise InputError."""
    try:
        with path.open("rb") as file:
            return file.read(10 * SIZE_LIMIT)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def shown_path(project: Project, path: Path) -> str:
    """Return ``path`` as messages name it: from the project's folder where it lies inside."""
    try:
        return str(path.resolve().relative_to(project.root.resolve()))
    except (OSError, ValueError):
        return str(path)


# ---------------------------------------------------------------------------------------------------------------------
# Images
# ---------------------------------------------------------------------------------------------------------------------


def load_images(project: Project, loaded: LoadedIssue) -> tuple[LocalImage, ...]:
    """Read the images of the newsletter's folder that the issue shows, and the theme's logo last.

    Raises IssueError with a Problem for each that cannot be used, ConfigError for the logo.
    """
    images: dict[str, LocalImage] = {}
    problems: list[Problem] = []
    for image in loaded.issue.images:
        try:
            images[image.src] = _load_image(project, loaded.path.parent, image)
        except IssueError as error:
            problems.extend(error.problems)
    if problems:
        raise IssueError(problems)
    logo = _load_logo(project)
    if logo and images.get(logo.src, logo).content != logo.content:
        place = next(image.place for image in loaded.issue.images if image.src == logo.src)
        raise IssueError([Problem(f"{logo.src!r} is another file than [theme] logo of that name", place, "rename one")])
    return (*images.values(), logo) if logo and logo.src not in images else tuple(images.values())


def load_named_images(project: Project, folder: Path, names: Sequence[str]) -> tuple[LocalImage, ...]:
    """Read the images of these names as ``load_images`` reads those of an issue in ``folder``; raises as it does."""
    logo = _load_logo(project)
    loaded = (
        logo if logo and name == logo.src else _load_image(project, folder, Image(name, "", Place(str(folder))))
        for name in names
    )
    return tuple(loaded)


def _load_logo(project: Project) -> LocalImage | None:
    src = project.config.theme.logo
    if not is_local_image(src):
        return None
    path = project.root / CONFIG_NAME
    try:
        return _load_image(project, project.root, Image(src, "", Place(str(path))))
    except IssueError as error:
        reason = error.problems[0].message
        raise ConfigError(f"{path}: [theme] logo: {reason}; its path starts beside newsletter.toml") from None


def _load_image(project: Project, folder: Path, image: Image) -> LocalImage:
    try:
        path = (folder / unquote(image.src)).resolve()
        if not any(path.is_relative_to(inside.resolve()) for inside in (folder, project.root)):
            raise _refused(image, "lies outside the newsletter's folder", "put the file beside the issue")
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _refused(image, "is no file", "images are looked for beside the issue")
        if status.st_size > IMAGE_LIMIT:
            hint = "make it smaller; 1,200 pixels wide will do"
            raise _refused(image, f"has {status.st_size:,} bytes; {IMAGE_LIMIT:,} an image may have", hint)
        content = path.read_bytes()
    except (OSError, RuntimeError, ValueError) as error:  # a symlink to itself, a NUL in the name
        reason = getattr(error, "strerror", None) or "no path of a file"
        raise _refused(image, f"cannot be read: {reason}", "images are looked for beside the issue") from None
    try:
        kind = read_image(content)
    except ValueError as error:
        raise _refused(image, str(error), "save it anew, as PNG, JPEG or GIF") from None
    return LocalImage(image.src, path.name, kind.media_type, content, kind.width, kind.height)


def _refused(image: Image, reason: str, hint: str) -> IssueError:
    shown = image.src if len(image.src) <= 100 else f"{image.src[:100]}…"
    return IssueError([Problem(f"the image {shown!r} {reason}", image.place, hint)])


# ---------------------------------------------------------------------------------------------------------------------
# The source digest
# ---------------------------------------------------------------------------------------------------------------------


def source_digest(project: Project, loaded: LoadedIssue, images: Sequence[LocalImage] | None = None) -> str:
    """Return the SHA-256 of everything an editor approves, in hexadecimal.

    Its slug is part of it: a copy of an approved file is not approved. ``images`` are those that were loaded already.
    Raises IssueError for images that cannot be used, TemplateError for a template that cannot be read.
    """
    shown = load_images(project, loaded) if images is None else images
    return text_digest(project, loaded.issue.slug, loaded.text, shown)


def text_digest(project: Project, slug: str, text: str, images: Sequence[LocalImage]) -> str:
    """Return the source digest of the issue ``slug`` of this text, which shows these images, without parsing it."""
    digest = hashlib.sha256()
    for name, content in _sources(project, slug, text, images):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _sources(project: Project, slug: str, text: str, images: Sequence[LocalImage]) -> Iterator[tuple[str, bytes]]:
    yield f"issue {slug}", without_approval(text).encode()
    for image in images:
        yield f"image {image.src}", image.content
    for name, path in effective_templates(project).items():
        try:
            yield f"template {name}", path.read_bytes()
        except OSError as error:
            raise TemplateError([Problem(f"cannot be read: {error.strerror}", Place(str(path)))]) from None
    yield "settings", _settings(project)


def effective_templates(project: Project) -> dict[str, Path]:
    """Return the templates of the mail by name; the project's own win over the shipped ones.

    Pages of the web, hidden files and an editor's backups are left out.
    """
    found = {}
    for folder in (shipped_templates(), project.templates_dir):
        for path in folder.rglob("*"):
            name = path.relative_to(folder)
            is_hidden = any(part.startswith(".") for part in name.parts)
            if name.parts[0] != "web" and not is_hidden and not path.name.endswith("~") and path.is_file():
                found[name.as_posix()] = path
    return dict(sorted(found.items()))


def source_words(project: Project, images: Sequence[LocalImage]) -> dict[str, str]:
    """Return what a mail is made of beside its text, by name, each in words that end in the start of its digest.

    Names are like ``image images/a.png``, ``templates/email/lead.mjml.j2`` and ``[theme] accent``; a setting is its
    value, as JSON.
    """
    words = {f"image {image.src}": _image_words(image) for image in images}
    words |= template_words(project)
    return words | {name: json.dumps(value, ensure_ascii=False) for name, value in mail_settings(project).items()}


def template_words(project: Project) -> dict[str, str]:
    """Return what each template is; shipped ones are those of this version of the program."""
    found = {}
    for name, path in effective_templates(project).items():
        content = path.read_bytes()
        lines, origin = content.count(b"\n"), "" if path.is_relative_to(project.templates_dir) else "shipped, "
        found[f"templates/{name}"] = f"{origin}{lines:,} lines ({short_digest(content)})"
    return found


def _image_words(image: LocalImage) -> str:
    size = f"{image.width} × {image.height} px, {len(image.content):,} bytes"
    return f"{size} ({short_digest(image.content)})"


def short_digest(content: bytes) -> str:
    """Return the start of a SHA-256, for people to tell two files apart."""
    return hashlib.sha256(content).hexdigest()[:8]


def mail_settings(project: Project) -> dict[str, object]:
    """Return the settings that reach the mail, by names like ``[theme] accent``."""
    config = project.config
    tables = {"newsletter": config.newsletter, "sections": config.sections, "theme": config.theme}
    return {
        f"[{section}] {key}": value
        for section, table in tables.items()
        for key, value in msgspec.to_builtins(table).items()
        if key not in _UNSENT_SETTINGS
    }


def _settings(project: Project) -> bytes:
    config = project.config
    newsletter = {
        key: value for key, value in msgspec.to_builtins(config.newsletter).items() if key not in _UNSENT_SETTINGS
    }
    sections = [newsletter, msgspec.to_builtins(config.sections), msgspec.to_builtins(config.theme)]
    return json.dumps(sections, sort_keys=True, ensure_ascii=True).encode()


# ---------------------------------------------------------------------------------------------------------------------
# Approval
# ---------------------------------------------------------------------------------------------------------------------


def refuse_unapproved(project: Project, loaded: LoadedIssue, digest: str = "") -> None:
    """Raise NotAllowedError unless the issue stands as it was approved; ``digest`` is its source digest if known."""
    issue = loaded.issue
    if issue.approved is None:
        raise NotAllowedError(f"{issue.file}: not approved; 'newsletter approve {issue.slug}' approves it")
    if issue.approved.digest != (digest or source_digest(project, loaded)):
        approved = f"{issue.approved.by} approved it on {issue.approved.on}"
        raise NotAllowedError(
            f"{issue.file}: changed since {approved}; 'newsletter diff {issue.slug}' shows what, and "
            f"'newsletter approve {issue.slug}' approves it again"
        )


def approve_issue(project: Project, loaded: LoadedIssue, by: str, on: dt.date, digest: str = "") -> Approval:
    """Write the approval into the issue file, in one step, and return it; nothing else in the file changes.

    Compile the issue first: what does not compile must not be approved. ``digest`` is its source digest if known.
    Raises InputError where the file changed since it was loaded, where ``by`` cannot stand in it, or where it cannot be
    written.
    """
    approval = Approval(digest or source_digest(project, loaded), " ".join(by.split()), on)
    path = loaded.path.resolve()  # through a symbolic link, which stays one
    file = loaded.issue.file
    written = read_issue_file(path)
    if without_approval(decode_issue(written, file)) != without_approval(loaded.text):
        raise InputError(f"{file}: the file changed while it was being approved; approve it again")
    # A byte order mark and CRLF are kept: decoded as they are, not as an issue is.
    approved = with_approval(written.decode("utf-8"), approval).encode("utf-8", "replace")
    _verify_approved(approved, approval, project, loaded)
    replace_file(path, approved)
    return approval


def _verify_approved(content: bytes, approval: Approval, project: Project, loaded: LoadedIssue) -> None:
    """Raise InputError unless ``content`` says what it is meant to, and nothing else changed."""
    issue = loaded.issue
    try:
        text = decode_issue(content, issue.file)
        head = read_head(text, slug=issue.slug, file=issue.file, zone=project.zone)
    except IssueError:
        head = None
    if head is None or head.approved != approval:
        raise InputError(
            f"{issue.file}: no line 'approved: … by {approval.by[:80]} …' can be written into it; leave ':' and '#' "
            "out of the name, and save the file with Unix or Windows line ends"
        )
    if without_approval(text) != without_approval(loaded.text):
        raise InputError(f"{issue.file}: 'approved:' stands there in an odd way; delete it, and approve again")


def replace_file(path: Path, content: bytes) -> None:
    """Put ``content`` in the place of the file at ``path``, whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(stat.S_IMODE(path.stat().st_mode))
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
