"""``newsletter check``: say what of an issue or a message should not go out as it is, why, and what to do."""

import functools
import gc
import json
import os
import shutil
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.exits import DONE, FINDINGS
from newsletter.cli.findings import report_lines, summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from newsletter.checker import Ask
    from newsletter.checks import Report
    from newsletter.config import Config, Project

_LINE_MAX = 110
_FORMATS = ("text", "json", "sarif", "github")


@dataclass(frozen=True, slots=True)
class _Wish:
    """Hold what the command line asked for."""

    what: str
    online: bool
    slow_spam: bool
    since: str | None


@click.command("check")
@click.argument("what", metavar="ISSUE|FILE.md|MESSAGE.eml", required=False)
@click.option("--online", is_flag=True, help="Ask the links as well; answers are kept for a day.")
@click.option("--since", metavar="COMMIT", help="Show only what the issue did not have yet at this git commit.")
@click.option(
    "--spam", "slow_spam", is_flag=True, help="Ask SpamAssassin even without its daemon, which takes seconds."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    default="text",
    show_default=True,
    help="For people, for programs, for code hosts, for GitHub Actions.",
)
@click.option("--list", "is_list", is_flag=True, help="List all checks, with the severity that they have here.")
@json_option
@click.pass_obj
def command(
    app: App,
    what: str | None,
    online: bool,
    since: str | None,
    slow_spam: bool,
    form: str,
    is_list: bool,
    as_json: bool,
) -> int:
    """Check ISSUE, a file or a message, and say what should not go out as it is, and what to do.

    An error blocks 'newsletter approve', a warning does not. The exit code is 1 where there is an error, else 0.
    """
    form = "json" if as_json else form
    if is_list:
        return _list_checks(app, form)
    if what is None:
        raise click.UsageError("name an issue, a Markdown file or a message; or --list")
    if what.endswith(".eml") and (online or since is not None):
        raise click.UsageError("--online and --since go with an issue, not with a message")
    started = time.perf_counter()
    report = _checked(app, _Wish(what, online, slow_spam, since))
    _show(app, report, what, form, time.perf_counter() - started)
    return FINDINGS if report.errors else DONE


def _show(app: App, report: "Report", what: str, form: str, seconds: float) -> None:
    if form == "json":
        echo_json({"what": what, **report.as_json()})
    elif form == "sarif":
        from newsletter.annotations import sarif_of
        from newsletter.checks import MANUAL_CHECKS

        click.echo(json.dumps(sarif_of(report, MANUAL_CHECKS, _path_here(app.root)), ensure_ascii=False, indent=1))
    elif form == "github":
        from newsletter.annotations import github_lines

        for line in github_lines(report, _path_here(app.root)):
            app.print(line)
        app.note(summary(report, seconds))
    else:
        for line in report_lines(report, width=_width(), errors_only=app.quiet):
            click.echo(line)
        app.say(summary(report, seconds))


def _width() -> int:
    return min(shutil.get_terminal_size().columns, _LINE_MAX) if sys.stdout.isatty() else 0


class _path_here:  # noqa: N801 - a function that remembers the folder
    """Give the path of a file of the newsletter from where a code host looks: the checkout, else the current folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __call__(self, file: str) -> str:
        base = Path(os.environ.get("GITHUB_WORKSPACE") or ".").resolve()
        path = (self._root / file).resolve()
        return path.relative_to(base).as_posix() if path.is_relative_to(base) else Path(file).as_posix()


# ---------------------------------------------------------------------------------------------------------------------
# Checking
# ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def _keeping_garbage() -> "Iterator[None]":
    """Collect no garbage in the block: modules and texts stay, and looking through them is a tenth of a check."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_keeping_garbage()
def _checked(app: App, wish: _Wish) -> "Report":
    from newsletter.checker import check_issue, check_message, new_since, read_message_file
    from newsletter.config import find_issue
    from newsletter.spamfilters import ask_spam_filters

    ask_spam = functools.partial(ask_spam_filters, slow=wish.slow_spam)
    if wish.what.endswith(".eml"):
        content = read_message_file(Path(wish.what))
        return check_message(content, _config(app), today=utc_now().date(), ask_spam=ask_spam)
    project = app.project()
    path = find_issue(project, wish.what)
    today = utc_now().astimezone(project.zone).date()
    ask = _asking(project) if wish.online else None
    checked = check_issue(project, path, today=today, ask=ask, ask_spam=ask_spam)
    if wish.since is None:
        return checked.report
    return new_since(project, path, checked, wish.since, today=today)


def _config(app: App) -> "Config | None":
    """Return the configuration, None where there is none: messages and the list of checks need no newsletter."""
    from newsletter.config import CONFIG_NAME

    return app.project().config if (app.root / CONFIG_NAME).is_file() else None


def _asking(project: "Project") -> "Ask":
    """Return what asks links: by the rules for feeds, quicker, and with its memory in ``build/``."""
    from dataclasses import replace

    from newsletter.collector import policy_of
    from newsletter.linklook import TIMEOUT_S, ask_links

    policy = policy_of(project)
    policy = replace(policy, timeout_s=min(policy.timeout_s, TIMEOUT_S))
    return functools.partial(ask_links, policy=policy, kept=project.root / "build" / "links.json")


# ---------------------------------------------------------------------------------------------------------------------
# The list
# ---------------------------------------------------------------------------------------------------------------------


def _list_checks(app: App, form: str) -> int:
    from newsletter.checks import MANUAL_CHECKS, severities_of
    from newsletter.checksettings import ChecksSection

    config = _config(app)
    settings: ChecksSection = config.checks if config else ChecksSection()
    severities = severities_of(MANUAL_CHECKS, settings)
    if form == "json":
        listed = [
            {"id": check.id, "severity": str(severities[check.id]), "why": check.why, "fix": check.fix}
            | {"limits": {name: settings.limits.get(name, number) for name, number in check.limits.items()}}
            for check in MANUAL_CHECKS
        ]
        echo_json({"checks": listed})
        return DONE
    for check in MANUAL_CHECKS:
        limits = ", ".join(f"{name} = {settings.limits.get(name, at):g}" for name, at in check.limits.items())
        app.print(f"{severities[check.id]!s:<8} {check.id:<28} {check.why}" + (f" ({limits})" if limits else ""))
    return DONE
