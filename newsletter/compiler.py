"""Compile an issue into a frozen edition: render both parts, take the images along, and set the digests.

Use case: no argument parsing, no printing. What is read stands in ``sources``. The sender never imports this; a send
reads the frozen edition.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote

from newsletter.catalogs import Catalog, load_catalog
from newsletter.config import CONFIG_NAME, Project, is_reserved_slug
from newsletter.conformance import verify_message
from newsletter.edition import edition_to_json, freeze
from newsletter.errors import ConfigError, InputError, ProblemsError
from newsletter.identity import SenderIdentity, identity_of
from newsletter.message import browser_url, prepare_message
from newsletter.model import Edition, Issue, Message, Recipient, Resource, part_of
from newsletter.plaintext import TextFrame, render_text
from newsletter.render import Renderer, ResolvedImage
from newsletter.sources import LoadedIssue, LocalImage, load_images, load_issue, source_digest
from newsletter.tokens import SAMPLE_KEYS
from newsletter.variants import NO_TOPICS, VARIANTS_MAX, WHOLE, cut_issue

__all__ = [
    "SAMPLE_RECIPIENT",
    "Build",
    "Compiled",
    "build_issue",
    "compile_issue",
    "load_issue",
    "message_parts",
    "refuse_unsendable",
    "sample_message",
]

SAMPLE_RECIPIENT = Recipient(subscriber_id=1, list_id=1, address="reader@example.org", name="Robin Reader")
"""Whom ``newsletter build`` makes its message for."""


@dataclass(frozen=True, slots=True)
class Build:
    """Hold what a build read and compiled, the digest of its sources, and the files it wrote."""

    loaded: LoadedIssue
    compiled: "Compiled"
    source_digest: str
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    """Hold an edition with what its making yields beside it; ``timings`` are seconds for each stage, in order.

    ``image_urls`` are the addresses that images have in the mail, by what the issue calls them.
    """

    edition: Edition
    mjml: str
    images: tuple[LocalImage, ...]
    image_urls: Mapping[str, str]
    timings: Mapping[str, float]


# ---------------------------------------------------------------------------------------------------------------------
# Compiling
# ---------------------------------------------------------------------------------------------------------------------


def compile_issue(
    project: Project, loaded: LoadedIssue, variant: str = WHOLE, renderer: Renderer | None = None
) -> Compiled:
    """Compile an issue into its edition, or into that of one variant (``variants``).

    Equal input gives equal bytes, on any machine. ``renderer`` is one that was kept, of this project. Raises IssueError
    for images that cannot be used, TemplateError for a theme that does not render, ConfigError for a sender that cannot
    be one.
    """
    issue = cut_issue(loaded.issue, variant)
    language = issue.lang or project.config.newsletter.language
    images = load_images(project, replace(loaded, issue=issue))
    urls = _mail_urls(project, issue.slug, images)
    resolved = {image.src: ResolvedImage(urls[image.src], image.width, image.height) for image in images}
    rendered = (renderer or Renderer(project)).render(issue, resolved)
    catalog = load_catalog(language)
    edition = Edition(
        issue=issue.slug,
        subject=part_of(issue.subject, issue.slots),
        preheader=issue.preheader,
        html=rendered.html,
        text=render_text(issue, _text_frame(project, issue, catalog), catalog.text),
        date=issue.date,
        language=language,
        variant=variant,
        number=issue.number,
        resources=_resources(images, urls),
    )
    return Compiled(freeze(edition), rendered.mjml, images, urls, rendered.timings)


def _text_frame(project: Project, issue: Issue, catalog: Catalog) -> TextFrame:
    newsletter = project.config.newsletter
    number = catalog.text("Issue {number}", number=issue.number) if issue.number else ""
    footer = [
        (catalog.text("You receive this mail because you subscribed to {title}.", title=newsletter.title), ""),
        (f"{catalog.text('Unsubscribe')}:", "unsubscribe_url"),
    ]
    if newsletter.unsubscribe == "web":
        footer.append((f"{catalog.text('Preferences')}:", "preferences_url"))
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


def _mail_urls(project: Project, slug: str, images: Sequence[LocalImage]) -> dict[str, str]:
    """Return what the mail of an issue says for each of its images, as the issue names it."""
    newsletter = project.config.newsletter
    identity = identity_of(newsletter)
    return _image_urls(images, browser_url(identity, slug) if newsletter.images == "hosted" else "", identity)


def _image_urls(images: Sequence[LocalImage], page: str, identity: SenderIdentity) -> dict[str, str]:
    """Return what the mail says for each image as written: below the issue's page, or with the message (RFC 2392)."""
    if page:
        return {image.src: f"{page}/{image.published_name}" for image in images}
    return {image.src: f"cid:{hashlib.sha256(image.content).hexdigest()[:24]}@{identity.domain}" for image in images}


def _resources(images: Sequence[LocalImage], urls: Mapping[str, str]) -> tuple[Resource, ...]:
    """Return the images that travel inside the message; equal ones once."""
    cids: dict[str, LocalImage] = {}
    for image in images:
        scheme, _, cid = urls[image.src].partition(":")
        if scheme == "cid":
            cids.setdefault(cid, image)
    return tuple(Resource(cid, image.filename, image.media_type, image.content) for cid, image in cids.items())


# ---------------------------------------------------------------------------------------------------------------------
# The message of a sample recipient
# ---------------------------------------------------------------------------------------------------------------------


def sample_message(
    project: Project, issue: Issue, edition: Edition, recipient: Recipient = SAMPLE_RECIPIENT
) -> Message:
    """Return the message of ``edition`` for a recipient: signed with a fixed key, dated by the issue, never sent."""
    date = issue.send_at or dt.datetime.combine(issue.date, dt.time(), project.zone)
    prepared = prepare_message(edition, identity_of(project.config.newsletter), SAMPLE_KEYS, date=date)
    return prepared.personalise(recipient)


def message_parts(message: Message) -> tuple[str, str]:
    r"""Return the text and the HTML of a message, decoded, with ``\n`` line ends."""
    from email import message_from_bytes

    found = {}
    for part in message_from_bytes(message.content).walk():
        if part.get_content_maintype() == "text":
            content = part.get_payload(decode=True)
            found[part.get_content_subtype()] = bytes(content).decode().replace("\r\n", "\n")
    return found["plain"], found["html"]


def refuse_unsendable(project: Project, issue: Issue, edition: Edition) -> int:
    """Check the sample message as every message is checked before it is sent, and return its size in bytes.

    Raises ConfigError without a postal address, which anti-spam laws want in each mail, InputError for a slug that is
    kept for language editions, and ProblemsError with what the message must not be.
    """
    address = project.config.newsletter.postal_address
    if not address.strip():
        raise ConfigError(
            f"{project.root / CONFIG_NAME}: [newsletter] postal_address: is empty; every mail must show one, write "
            "'Name, street, city, country'"
        )
    if is_reserved_slug(issue.slug):
        raise InputError(
            f"{issue.file}: a dot in a slug is kept for language editions of one issue, which this version cannot "
            "send; name the file like 2026-11-25.md"
        )
    message = sample_message(project, issue, edition)
    domain = identity_of(project.config.newsletter).domain
    if problems := verify_message(message.content, domain=domain, postal_address=address):
        raise ProblemsError(problems)
    return len(message.content)


# ---------------------------------------------------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------------------------------------------------


def build_issue(project: Project, loaded: LoadedIssue, out: Path, *, keep_mjml: bool = False) -> Build:
    """Compile an issue and write ``out/SLUG/``: email.html, email.txt, message.eml, edition.json, images.

    The HTML and the text are the message's own parts, filled for the sample recipient; only images that travel inside
    the message are shown from files instead. Raises InputError where a file cannot be written.
    """
    compiled = compile_issue(project, loaded)
    files = _write_build(project, loaded, compiled, out / loaded.issue.slug, keep_mjml=keep_mjml)
    return Build(loaded, compiled, source_digest(project, loaded, compiled.images), files)


def build_variants(project: Project, built: Build, out: Path, variants: Sequence[str]) -> dict[str, Path]:
    """Compile variants of an issue that was built, each into ``out/SLUG/topics-…/``; return the folder of each.

    Raises InputError for more than ``VARIANTS_MAX``.
    """
    refuse_many_variants(built.loaded.issue, variants)
    folders = {}
    for variant in variants:
        compiled = compile_issue(project, built.loaded, variant)
        name = "none" if variant == NO_TOPICS else quote(variant, safe=",")
        folder = out / built.loaded.issue.slug / f"topics-{name}"
        _write_build(project, built.loaded, compiled, folder, keep_mjml=False)
        folders[variant] = folder
    return folders


def refuse_many_variants(issue: Issue, variants: Sequence[str]) -> None:
    """Raise InputError for more variants of an issue than anybody could look through."""
    if len(variants) > VARIANTS_MAX:
        raise InputError(
            f"{issue.file}: the topics that people chose make {len(variants)} variants of this issue, and "
            f"{VARIANTS_MAX} may be; give some sections the same topics, or none"
        )


def _write_build(
    project: Project, loaded: LoadedIssue, compiled: Compiled, folder: Path, *, keep_mjml: bool
) -> tuple[Path, ...]:
    published = {image.src: image.published_name for image in compiled.images}
    message = sample_message(project, loaded.issue, compiled.edition)
    text, html = message_parts(message)
    for src, url in _image_urls(compiled.images, "", identity_of(project.config.newsletter)).items():
        html = html.replace(url, published[src])
    contents = {
        "email.html": html.encode(),
        "email.txt": text.encode(),
        "message.eml": message.content,
        "edition.json": edition_to_json(compiled.edition).encode(),
        **({"email.mjml": compiled.mjml.encode()} if keep_mjml else {}),
    }
    _write_files(folder, contents | {unquote(image.published_name): image.content for image in compiled.images})
    return tuple(folder / name for name in contents)


def _write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    for name, content in contents.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}; name another folder with --out") from None
