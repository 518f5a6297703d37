"""Compile an issue file into a frozen edition: read, render both parts, take the images along, set the digests.

Use case: no argument parsing, no printing. The sender never imports this; a send reads the frozen edition.
"""

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import msgspec

from newsletter.catalogs import Catalog, load_catalog
from newsletter.config import CONFIG_NAME, Project
from newsletter.conformance import verify_message
from newsletter.edition import edition_to_json, freeze
from newsletter.errors import ConfigError, InputError, IssueError, NotAllowedError, Problem, ProblemsError
from newsletter.frontmatter import with_approval, without_approval
from newsletter.identity import identity_of
from newsletter.issue import decode_issue, issue_warnings, parse_issue
from newsletter.message import browser_url, prepare_message
from newsletter.model import Approval, Edition, Image, Issue, Message, Recipient, Resource, part_of
from newsletter.plaintext import TextFrame, render_text
from newsletter.render import ResolvedImage, render_html
from newsletter.templating import shipped_templates
from newsletter.tokens import SAMPLE_KEYS

IMAGE_LIMIT = 2_000_000
"""Bytes that one image may have."""
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)
SAMPLE_RECIPIENT = Recipient(subscriber_id=1, list_id=1, address="reader@example.org", name="Robin Reader")
"""Whom ``newsletter build`` makes its message for."""
_UNSENT_SETTINGS = ("secret_file", "bounce_address", "time_zone")


@dataclass(frozen=True, slots=True)
class LoadedIssue:
    """Hold an issue and the file that it was read from, as it was at that moment."""

    issue: Issue
    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class LocalImage:
    """Hold an image beside the issue: as written, and its content with its size in pixels."""

    src: str
    filename: str
    media_type: str
    content: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Build:
    """Hold what a build read and compiled, the digest of its sources, and the files it wrote."""

    loaded: LoadedIssue
    compiled: "Compiled"
    source_digest: str
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    """Hold an edition with what its making yields beside it; ``timings`` are seconds for each stage, in order."""

    edition: Edition
    mjml: str
    images: tuple[LocalImage, ...]
    warnings: tuple[Problem, ...]
    timings: Mapping[str, float]


def load_issue(project: Project, path: Path) -> LoadedIssue:
    """Read and parse one issue file; raise IssueError with every mistake, InputError where it cannot be read."""
    file = _shown(project, path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    text = decode_issue(content, file)
    config = project.config
    issue = parse_issue(text, slug=path.stem, file=file, sections=config.sections, zone=project.zone)
    return LoadedIssue(issue, path, text)


def _shown(project: Project, path: Path) -> str:
    """Return ``path`` as messages name it: from the project's folder where it lies inside."""
    try:
        return str(path.resolve().relative_to(project.root.resolve()))
    except ValueError:
        return str(path)


# ---------------------------------------------------------------------------------------------------------------------
# Compiling
# ---------------------------------------------------------------------------------------------------------------------


def compile_issue(project: Project, loaded: LoadedIssue) -> Compiled:
    """Compile an issue into its edition.

    Equal input gives equal bytes, on any machine. Raises IssueError for images that cannot be used, TemplateError for
    a theme that does not render.
    """
    issue = loaded.issue
    newsletter = project.config.newsletter
    language = issue.lang or newsletter.language
    images = load_images(project, loaded)
    hosted = newsletter.images == "hosted"
    resolved = {image.src: _resolve(project, issue, image, hosted) for image in images}
    rendered = render_html(issue, project, images=resolved)
    text = render_text(issue, _text_frame(project, issue, load_catalog(language)), load_catalog(language).text)
    edition = Edition(
        issue=issue.slug,
        subject=part_of(issue.subject, issue.slots),
        preheader=issue.preheader,
        html=rendered.html,
        text=text,
        date=issue.date,
        language=language,
        number=issue.number,
        resources=() if hosted else tuple(_resource(project, image) for image in images),
    )
    warnings = issue_warnings(issue, project.config.sections)
    return Compiled(freeze(edition), rendered.mjml, images, warnings, rendered.timings)


def sample_message(project: Project, issue: Issue, edition: Edition) -> Message:
    """Return the message of ``edition`` for the sample recipient: signed with a fixed key, dated by the issue."""
    date = issue.send_at or dt.datetime.combine(issue.date, dt.time(), project.zone)
    prepared = prepare_message(edition, identity_of(project.config.newsletter), SAMPLE_KEYS, date=date)
    return prepared.personalise(SAMPLE_RECIPIENT)


def refuse_unsendable(project: Project, issue: Issue, edition: Edition) -> int:
    """Check the sample message as every message is checked before it is sent, and return its size in bytes.

    Raises ConfigError without a postal address, which anti-spam laws want in each mail, and ProblemsError with what the
    message must not be.
    """
    address = project.config.newsletter.postal_address
    if not address:
        raise ConfigError(
            f"{project.root / CONFIG_NAME}: [newsletter] postal_address: is empty; every mail must show one, write "
            "'Name, street, city, country'"
        )
    message = sample_message(project, issue, edition)
    domain = identity_of(project.config.newsletter).domain
    if problems := verify_message(message.content, domain=domain, postal_address=address):
        raise ProblemsError(problems)
    return len(message.content)


def build_issue(project: Project, loaded: LoadedIssue, out: Path, *, keep_mjml: bool = False) -> Build:
    """Compile an issue and write ``out/SLUG/``: email.html, email.txt, message.eml, edition.json, images.

    The HTML and the text are the message's own parts, filled for the sample recipient; only images that travel inside
    the message are shown from files instead. Raises InputError where a file cannot be written.
    """
    compiled = compile_issue(project, loaded)
    message = sample_message(project, loaded.issue, compiled.edition)
    text, html = message_parts(message)
    for image in compiled.images:
        html = html.replace(f"cid:{_content_id(project, image)}", image.src)
    contents = {
        "email.html": html.encode(),
        "email.txt": text.encode(),
        "message.eml": message.content,
        "edition.json": edition_to_json(compiled.edition).encode(),
        **({"email.mjml": compiled.mjml.encode()} if keep_mjml else {}),
    }
    images = {unquote(image.src): image.content for image in compiled.images if not Path(image.src).is_absolute()}
    folder = out / loaded.issue.slug
    _write_files(folder, {**contents, **images})
    files = tuple(folder / name for name in contents)
    return Build(loaded, compiled, source_digest(project, loaded), files)


def message_parts(message: Message) -> tuple[str, str]:
    r"""Return the text and the HTML of a message, decoded, with ``\n`` line ends."""
    from email import message_from_bytes

    found = {}
    for part in message_from_bytes(message.content).walk():
        if part.get_content_maintype() == "text":
            content = part.get_payload(decode=True)
            found[part.get_content_subtype()] = bytes(content).decode().replace("\r\n", "\n")
    return found["plain"], found["html"]


def _write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    for name, content in contents.items():
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            continue  # an image above the issue's folder stays where it is
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}; name another folder with --out") from None


def _text_frame(project: Project, issue: Issue, catalog: Catalog) -> TextFrame:
    newsletter = project.config.newsletter
    number = catalog.text("Issue {number}", number=issue.number) if issue.number else ""
    footer = [
        (catalog.text("You receive this mail because you subscribed to {title}.", title=newsletter.title), ""),
        (f"{catalog.text('Unsubscribe')}:", "unsubscribe_url"),
    ]
    if newsletter.url:
        footer.append((f"{catalog.text('View in browser')}:", "browser_url"))
    if newsletter.postal_address:
        footer.append((newsletter.postal_address, ""))
    return TextFrame(
        title=newsletter.title,
        tagline=newsletter.tagline,
        dateline=" · ".join(piece for piece in (number, catalog.date(issue.date)) if piece),
        byline=catalog.text("by {author}", author=issue.author) if issue.author else "",
        footer=tuple(footer),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Images
# ---------------------------------------------------------------------------------------------------------------------


def load_images(project: Project, loaded: LoadedIssue) -> tuple[LocalImage, ...]:
    """Read the images that lie beside the issue; raise IssueError with a Problem for each that cannot be used."""
    images: list[LocalImage] = []
    problems: list[Problem] = []
    for image in loaded.issue.images:
        try:
            images.append(_load_image(project, loaded.path, image))
        except IssueError as error:
            problems.extend(error.problems)
    if problems:
        raise IssueError(problems)
    return tuple(images)


def _load_image(project: Project, issue_path: Path, image: Image) -> LocalImage:
    import imagesize

    path = (issue_path.parent / unquote(image.src)).resolve()
    folders = (issue_path.parent.resolve(), project.root.resolve())
    if not any(path.is_relative_to(folder) for folder in folders):
        raise _refused(image, "lies outside the newsletter's folder", "put the file beside the issue")
    try:
        content = path.read_bytes() if path.stat().st_size <= IMAGE_LIMIT else None
    except OSError as error:
        raise _refused(image, f"cannot be read: {error.strerror}", "images are looked for beside the issue") from None
    if content is None:
        raise _refused(image, f"is larger than {IMAGE_LIMIT:,} bytes", "make it smaller; 1,200 pixels wide will do")
    media_type = next((kind for start, kind in _SIGNATURES if content.startswith(start)), "")
    width, height = imagesize.get(path) if media_type else (0, 0)
    if width < 1 or height < 1:
        raise _refused(image, "is no image that mail clients show", "save it as PNG, JPEG or GIF")
    return LocalImage(image.src, path.name, media_type, content, int(width), int(height))


def _refused(image: Image, reason: str, hint: str) -> IssueError:
    return IssueError([Problem(f"the image {image.src!r} {reason}", image.place, hint)])


def _resolve(project: Project, issue: Issue, image: LocalImage, hosted: bool) -> ResolvedImage:
    page = browser_url(identity_of(project.config.newsletter), issue.slug)
    url = f"{page}/{image.src}" if hosted else f"cid:{_content_id(project, image)}"
    return ResolvedImage(url, image.width, image.height)


def _content_id(project: Project, image: LocalImage) -> str:
    """Return a Content-ID (RFC 2392) that names the content: equal images are taken along once."""
    return f"{hashlib.sha256(image.content).hexdigest()[:24]}@{identity_of(project.config.newsletter).domain}"


def _resource(project: Project, image: LocalImage) -> Resource:
    return Resource(_content_id(project, image), image.filename, image.media_type, image.content)


# ---------------------------------------------------------------------------------------------------------------------
# The source digest
# ---------------------------------------------------------------------------------------------------------------------


def source_digest(project: Project, loaded: LoadedIssue) -> str:
    """Return the SHA-256 of everything an editor approves, in hexadecimal.

    That is the issue file without its ``approved:`` line, its local images, the templates, and the settings that reach
    the mail. Raises IssueError for images that cannot be used.
    """
    digest = hashlib.sha256()
    for name, content in _sources(project, loaded):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _sources(project: Project, loaded: LoadedIssue) -> Iterator[tuple[str, bytes]]:
    yield "issue", without_approval(loaded.text).encode()
    for image in load_images(project, loaded):
        yield f"image {image.src}", image.content
    for name, path in effective_templates(project).items():
        yield f"template {name}", path.read_bytes()
    yield "settings", _settings(project)


def effective_templates(project: Project) -> dict[str, Path]:
    """Return the templates of the mail by name; the project's own win over the shipped ones."""
    folders = (shipped_templates() / "email", project.templates_dir / "email")
    found = {str(path.relative_to(folder)): path for folder in folders for path in folder.rglob("*") if path.is_file()}
    return dict(sorted(found.items()))


def _settings(project: Project) -> bytes:
    config = project.config
    newsletter = {
        key: value for key, value in msgspec.to_builtins(config.newsletter).items() if key not in _UNSENT_SETTINGS
    }
    sections = [newsletter, msgspec.to_builtins(config.sections), msgspec.to_builtins(config.theme)]
    return json.dumps(sections, sort_keys=True, ensure_ascii=True).encode()


def refuse_unapproved(project: Project, loaded: LoadedIssue) -> None:
    """Raise NotAllowedError unless the issue stands as it was approved."""
    issue = loaded.issue
    if issue.approved is None:
        raise NotAllowedError(f"{issue.file}: not approved; 'newsletter approve {issue.slug}' approves it")
    if issue.approved.digest != source_digest(project, loaded):
        approved = f"{issue.approved.by} approved it on {issue.approved.on}"
        raise NotAllowedError(
            f"{issue.file}: changed since {approved}; look at it, and approve it again with "
            f"'newsletter approve {issue.slug}'"
        )


def approve_issue(project: Project, loaded: LoadedIssue, by: str, on: dt.date) -> Approval:
    """Write the approval into the issue file, in one step, and return it; nothing else in the file changes.

    Compile the issue first: what does not compile must not be approved. Raises InputError where the file cannot be
    written.
    """
    approval = Approval(source_digest(project, loaded), by, on)
    path = loaded.path
    written = path.read_bytes().decode("utf-8-sig")
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_bytes(with_approval(written, approval).encode())
        fresh.chmod(path.stat().st_mode & 0o7777)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    return approval
