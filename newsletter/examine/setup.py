"""Find out whether the configuration is complete and its secrets are kept: what stands in files, nothing outside."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from newsletter.config import CONFIG_NAME, PLACEHOLDER_POSTAL_ADDRESS, Project, load_project
from newsletter.diagnosis import Finding, broken, error, ok, unchecked, warning
from newsletter.dkim import Signer
from newsletter.dkimkeys import load_signer
from newsletter.dnsrecords import is_within
from newsletter.errors import ConfigError
from newsletter.identity import SenderIdentity, identity_of
from newsletter.secretfile import load_keys
from newsletter.tokens import Keys

_EXAMPLES = ("example", "example.com", "example.net", "example.org", "invalid", "test", "localhost")
"""Domains that nobody has (RFC 2606)."""
_WHY_CONFIG = "no command runs without it"
_WHY_SECRET = "whoever reads it can unsubscribe everybody and forge bounces; without it the list finds nobody"
_WHY_POSTAL = "laws against spam ask for a postal address in every commercial mail, and every reader sees it"
_WHY_LINKS = "mail clients show the one-click button only for https (RFC 8058), and links over http can be changed"
_WHY_KEYS = "messages are signed with it, and whoever has it can sign in your name"


def open_setup(root: Path, environ: Mapping[str, str]) -> "tuple[Project | None, SenderIdentity | None, list[Finding]]":
    """Read the configuration; return what there is of it, and the findings."""
    try:
        project = load_project(root, environ)
    except ConfigError as trouble:
        return (
            None,
            None,
            [broken("configuration", ConfigError(line), _WHY_CONFIG) for line in str(trouble).split("\n")],
        )
    try:
        identity = identity_of(project.config.newsletter)
    except ConfigError as trouble:
        return project, None, [broken("configuration", trouble, _WHY_CONFIG)]
    return project, identity, [ok("configuration", f"{root / CONFIG_NAME} can be used", _WHY_CONFIG)]


def examine_setup(project: Project, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is still a placeholder, and what should stand elsewhere."""
    newsletter = project.config.newsletter
    yield _examine_postal_address(newsletter.postal_address)
    yield from _examine_links(newsletter.url, newsletter.unsubscribe)
    yield from _examine_password(project, environ)


def examine_sender(identity: SenderIdentity) -> Iterator[Finding]:
    """Yield whether From is somebody."""
    if any(is_within(identity.domain, example) for example in _EXAMPLES):
        yield warning(
            "from",
            f"[newsletter] from is {identity.sender.address}, at a domain that nobody has (RFC 2606)",
            "no receiver takes mail from there",
            "write an address of your own",
        )
    else:
        yield ok("from", f"mail goes out as {identity.sender}, and comes back to {identity.bounce_address}")


def _examine_postal_address(address: str) -> Finding:
    fix = 'set [newsletter] postal_address = "Your Name, Street, Town, Country"'
    if not address.strip():
        return error("postal address", "there is none", _WHY_POSTAL, fix)
    if address == PLACEHOLDER_POSTAL_ADDRESS:
        return error("postal address", "it is still the placeholder", _WHY_POSTAL, fix)
    return ok("postal address", address, _WHY_POSTAL)


def _examine_links(url: str, unsubscribe: str) -> Iterator[Finding]:
    fix = f'set [newsletter] url = "https://{url.partition("://")[2]}", and have the site answer there'
    if url.startswith("https://"):
        yield ok("links", f"the site is {url}; readers leave by {_way(unsubscribe)}", _WHY_LINKS)
    elif unsubscribe == "web":
        yield error("links", f'unsubscribe = "web", and the site is not https: {url}', _WHY_LINKS, fix)
    elif url:
        yield warning("links", f"the site is not https: {url}", _WHY_LINKS, fix)
    else:
        yield ok("links", "there is no site; readers leave by mail", _WHY_LINKS)


def _way(unsubscribe: str) -> str:
    return "one click, or by mail" if unsubscribe == "web" else "mail"


def _examine_password(project: Project, environ: Mapping[str, str]) -> Iterator[Finding]:
    why = "the folder belongs into a repository, and a password does not"
    for relay in project.config.relays:
        if relay.password and (project.config.transports or not environ.get("NEWSLETTER_SMTP__PASSWORD")):
            fix = "put it into a file of mode 0600 and name that in password_file"
            fix += "" if project.config.transports else " of [smtp], or set NEWSLETTER_SMTP__PASSWORD"
            yield warning("password", f"the relay's password stands in {CONFIG_NAME}", why, fix)
        elif relay.password_file:
            yield from _examine_mode("password", project.root / relay.password_file, "whoever has it can mail as you")


def examine_secret(project: Project, *, has_store: bool) -> "tuple[Keys | None, list[Finding]]":
    """Return the keys of the secret file where it can be used, and the findings; none is made."""
    path, check = project.secret_path, "secret file"
    if not os.path.lexists(path):
        if not has_store:
            return None, [unchecked(check, f"there is none yet; the first command that needs it makes {path}")]
        fix = f"bring {path} back from its backup, or set [newsletter] secret_file to where it is"
        return None, [error(check, f"{path} is not there, and the store was made with one", _WHY_SECRET, fix)]
    try:
        keys = load_keys(project)
    except ConfigError as trouble:
        return None, [broken(check, trouble, _WHY_SECRET)]
    return keys, list(_examine_mode(check, path, _WHY_SECRET))


def _examine_mode(check: str, path: Path, why: str) -> Iterator[Finding]:
    """Yield whether nobody but its owner can read a file."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as trouble:
        yield error(check, f"{path} cannot be looked at: {trouble.strerror}", why, "correct the path, or its rights")
        return
    if mode & 0o077:
        yield error(check, f"others can reach {path} (mode {mode:04o})", why, f"chmod 600 {path}")
    else:
        yield ok(check, f"{path} is its owner's alone (mode {mode:04o})", why)


def examine_keys(project: Project, from_domain: str) -> "tuple[Signer | None, list[Finding]]":
    """Return what signs, where ``[dkim]`` names keys that can, and what is wrong with their files."""
    notes: list[str] = []
    try:
        signer = load_signer(project.config.dkim, project.root, from_domain=from_domain, announce=notes.append)
    except ConfigError as trouble:
        return None, [broken("dkim keys", trouble, _WHY_KEYS)]
    found = (note.rpartition("; ") for note in notes)
    return signer, [warning("dkim keys", what, _WHY_KEYS, fix) for what, _, fix in found]
