"""``newsletter bounces``: read what came back, say what a mail means, and mend what was counted wrongly."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.exits import DONE, TRY_LATER, in_lines
from newsletter.errors import ConfigError, InputError, NewsletterError, RelayUnavailableError

if TYPE_CHECKING:
    from newsletter.bounce import Report
    from newsletter.bounces import MailLine, Reader
    from newsletter.config import Project
    from newsletter.mailbox import Waiting
    from newsletter.store import LoggedBounce

_SHOWN = 200


@click.group("bounces")
def command() -> None:
    """Read what came back, and say what a mail means."""


# ---------------------------------------------------------------------------------------------------------------------
# read
# ---------------------------------------------------------------------------------------------------------------------


@command.command("read", short_help="Read mail to the bounce address, and do what it asks for.")
@click.option("--maildir", type=click.Path(path_type=Path), help="Read this Maildir.  [default: as [bounces] says]")
@click.option("--mbox", type=click.Path(path_type=Path), help="Read this mbox.")
@click.option("--stdin", "piped", is_flag=True, help="Read one mail from standard input, as a mail server pipes it.")
@json_option
@click.pass_obj
def read(app: App, maildir: Path | None, mbox: Path | None, piped: bool, as_json: bool) -> int:
    """Read mail to the bounce address: count bounces, suppress who is gone, let people leave and confirm.

    Only what a signed token names is acted on; the rest is a line of the report. Each mail counts once, however often
    it is read. Nothing is deleted. Where mail lies is said in [bounces] of newsletter.toml.

    With --stdin every trouble ends with 75, on which mail servers keep the mail and try again.
    """
    if sum(map(bool, (maildir, mbox, piped))) > 1:
        raise click.UsageError("name one of --maildir, --mbox and --stdin")
    if not piped:
        return _read(app, maildir, mbox, as_json=as_json)
    try:
        return _read(app, None, None, as_json=as_json, piped=True)
    except NewsletterError as error:
        app.note(in_lines(error))
    except Exception as error:  # a mail server would return the mail to its sender for any other code, and it is lost
        app.complain(f"bug: {type(error).__name__}: {error}; please report it")
    return TRY_LATER


def _read(app: App, maildir: Path | None, mbox: Path | None, *, as_json: bool, piped: bool = False) -> int:
    from newsletter.bounces import apply_kept, take_mail
    from newsletter.consent import forget_requests

    project = app.project()
    mails = _mails(project, maildir, mbox, piped=piped)
    with _reader(app, project) as reader:
        lines = apply_kept(reader, utc_now())
        for waiting in mails:
            lines.append(take_mail(reader, waiting.content, utc_now()))
            waiting.done()
        if project.config.newsletter.unsubscribe == "mailto":  # else the pages post letters
            _post_letters(app, project, reader)
        if reader.door:
            forget_requests(reader.store, utc_now(), reader.door.limits)
    if as_json:
        counts = Counter(str(line.effect) for line in lines)
        echo_json(
            {"mails": len(lines), "counts": dict(sorted(counts.items())), "lines": [one.as_json() for one in lines]}
        )
    else:
        _tell(app, lines)
    return DONE


def _post_letters(app: App, project: "Project", reader: "Reader") -> None:
    """Post the letters that ask to confirm; what cannot be posted waits in the store for the next run."""
    from newsletter.catalogs import load_catalog
    from newsletter.cli.sending import connector, dkim_signer
    from newsletter.identity import identity_of
    from newsletter.letters import LetterFrame
    from newsletter.outbox import PostOffice, post_letters
    from newsletter.pagetemplates import open_templates

    assert reader.door is not None
    newsletter = project.config.newsletter
    frame = LetterFrame(
        identity=identity_of(newsletter),
        keys=reader.keys,
        theme=project.config.theme,
        templates=open_templates(project.templates_dir),
        postal_address=newsletter.postal_address,
        dkim=dkim_signer(project, app.warn),
    )
    office = PostOffice(
        frame=frame,
        limits=reader.door.limits,
        catalog_of=lambda tag: load_catalog(tag or newsletter.language, "web"),
        connect=connector(project),
        clock=utc_now,
    )
    try:
        post_letters(reader.store, office)
    except (RelayUnavailableError, ConfigError) as error:
        app.warn(f"letters wait until the relay can be reached: {error}")


def _mails(project: "Project", maildir: Path | None, mbox: Path | None, *, piped: bool) -> "Iterator[Waiting]":
    """Return the mails of the place that the command line, or else the configuration, names."""
    from newsletter.mailbox import names_place, read_configured, read_maildir, read_mbox, read_stream

    section = project.config.bounces
    if piped:
        return read_stream(sys.stdin.buffer)
    if maildir:
        return read_maildir(maildir)
    if mbox:
        return read_mbox(mbox)
    if not names_place(section):
        where = f"{project.root}/newsletter.toml"
        raise ConfigError(f"{where}: [bounces] names no place; write maildir, mbox or imap_host, or use --stdin")
    return read_configured(section, project.root)


def _tell(app: App, lines: "Sequence[MailLine]") -> None:
    """Print a line for each mail that did something or could not, then the counts."""
    counts = Counter(line.effect for line in lines)
    for line in lines:
        if line.effect not in ("left alone", "read before"):
            words = " ".join(filter(None, (line.address or "(no address)", line.issue and f"in {line.issue}")))
            reason = f": {line.reason}" if line.reason else ""
            app.say(f"{line.effect}: {words}{reason}")
            if line.effect == "unsigned" and line.detail:
                app.say(f"    {line.detail}")
    told = ", ".join(f"{count} {effect}" for effect, count in sorted(counts.items()))
    app.say(f"{len(lines)} mail{'s' * (len(lines) != 1)}: {told}" if lines else "no mail waits")


# ---------------------------------------------------------------------------------------------------------------------
# list, mark, undo
# ---------------------------------------------------------------------------------------------------------------------


@command.command("list", short_help="List what came back, the newest first.")
@click.argument("address", required=False)
@click.option("--send", "issue", metavar="ISSUE", help="Only what came back of this issue.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Show so many, the newest.")
@json_option
@click.pass_obj
def list_(app: App, address: str | None, issue: str | None, limit: int, as_json: bool) -> None:
    """List what came back, the newest first: all, of one ADDRESS, or of one issue."""
    import itertools

    from newsletter.bounces import list_logged

    project = app.project()
    with _reader(app, project) as reader:
        found = list(itertools.islice(list_logged(reader.store, address or "", issue or ""), limit))
    if as_json:
        echo_json({"bounces": [_as_json(one) for one in found]})
        return
    for one in found:
        at = one.at.astimezone(project.zone)
        told = " ".join(filter(None, (one.weight, one.reason, one.status)))
        fate = "" if one.fate == "counted" else f" ({one.fate})"
        ended = ", suppressed" if one.has_suppressed else ""
        app.print(f"{at:%Y-%m-%d %H:%M}  {one.address or '(erased)'}  {one.issue or '-'}  {told}{ended}{fate}")
    if not found:
        app.say("nothing came back")


@command.command("mark", short_help="Count a hard bounce that you know of.")
@click.argument("address")
@click.option("--send", "issue", metavar="ISSUE", default="", help="The issue that came back.")
@json_option
@click.pass_obj
def mark(app: App, address: str, issue: str, as_json: bool) -> None:
    """Count a hard bounce that you know of: ADDRESS is not mailed again."""
    from newsletter.bounces import mark_address

    with _reader(app, app.project()) as reader:
        line = mark_address(reader, address, issue, utc_now())
    if as_json:
        echo_json(line.as_json())
    else:
        app.say(f"{line.address}: {line.effect}; 'newsletter bounces undo {line.address}' takes it back")


@command.command("undo", short_help="Undo the last bounce of an address.")
@click.argument("address")
@json_option
@click.pass_obj
def undo(app: App, address: str, as_json: bool) -> None:
    """Undo the last bounce or complaint of ADDRESS, which was false; where it ended mail, mail goes on."""
    from newsletter.bounces import undo_last

    with _reader(app, app.project()) as reader:
        last = undo_last(reader.store, address, utc_now())
    if as_json:
        echo_json(_as_json(last))
    else:
        ended = "; they are mailed again" if last.has_suppressed else ""
        app.say(f"{last.address}: undone: {last.weight}, {last.reason} of {last.at:%Y-%m-%d}{ended}")


@contextmanager
def _reader(app: App, project: "Project") -> "Iterator[Reader]":
    """Open the store for one command."""
    from newsletter.bounces import Door, Policy, Reader
    from newsletter.consent import Limits
    from newsletter.identity import identity_of
    from newsletter.subscriptions import default_list
    from newsletter.tokens import tagged_address

    keys, section = app.keys(project), project.config.bounces
    with app.open_store(project, keys) as store:
        the_list = default_list(store, utc_now(), project.config.newsletter.title)
        address = tagged_address(identity_of(project.config.newsletter).bounce_address, "subscribe")
        policy = Policy(section.soft_limit, section.soft_days)
        web = project.config.web
        limits = Limits(confirm_hours=web.confirm_hours, pending_days=web.pending_days)
        yield Reader(store, keys, policy, Door(address, the_list.list_id, limits))


def _as_json(one: "LoggedBounce") -> dict[str, Any]:
    return {
        "address": one.address,
        "issue": one.issue,
        "weight": one.weight,
        "reason": one.reason,
        "status": one.status,
        "reply": one.reply,
        "fate": str(one.fate),
        "suppressed": one.has_suppressed,
        "source": one.source,
        "at": one.at.isoformat(),
    }


# ---------------------------------------------------------------------------------------------------------------------
# classify
# ---------------------------------------------------------------------------------------------------------------------


@command.command("classify", short_help="Say what each mail in some files is.")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True)
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array, one object a file.")
@click.pass_obj
def classify(app: App, files: tuple[Path, ...], as_json: bool) -> int:
    """Say what each mail in FILE is: a bounce (hard, soft or policy), a complaint, a delay, a reply, ordinary mail.

    Nothing is stored and nobody is removed. "-" reads standard input.
    """
    import json

    from newsletter.dsn import read_report

    reports = [(str(file), read_report(_read_file(file))) for file in files]
    if as_json:
        told = [{"file": file, "bounces": [bounce.as_json() for bounce in report.bounces]} for file, report in reports]
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return DONE
    for file, report in reports:
        for line in _lines(file, report):
            app.print(line)
    return DONE


def _read_file(file: Path) -> bytes:
    """Return the bytes of a mail file as far as they are looked at."""
    from newsletter.mailparts import READ_MAX

    if str(file) == "-":
        return sys.stdin.buffer.read(READ_MAX)
    try:
        with file.open("rb") as stream:
            return stream.read(READ_MAX)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); name a file that holds one mail") from None


def _lines(file: str, report: "Report") -> list[str]:
    """Return a report in lines for a person: the file and what it is, and below it each recipient."""
    lines = [f"{file}: {report.kind}"]
    for bounce in report.bounces:
        codes = " ".join(filter(None, (str(bounce.code or ""), bounce.status)))
        weight = f"{bounce.weight}, " if bounce.action in ("failed", "delayed") else ""
        told = f" ({codes})" if codes else ""
        lines.append(f"  {bounce.address or '(no address named)'}: {weight}{bounce.reason}{told}")
        if bounce.reply:
            lines.append(f"    {bounce.reply[:_SHOWN]}")
    return lines
