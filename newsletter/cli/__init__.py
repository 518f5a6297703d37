"""The command line: one module a command, loaded when it is called, so that ``--help`` and cron cost next to nothing.

Commands parse arguments and print; the use cases below them do neither. ``exits`` is the only place that knows the exit
codes.
"""

import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from newsletter import __version__
from newsletter.cli.context import App, printable
from newsletter.cli.exits import BUG, DONE, EXIT_CODES, MEANINGS, STOPPED, TRY_LATER, exit_code_of, in_lines
from newsletter.errors import NewsletterError

__all__ = ["COMMANDS", "EXIT_CODES", "MEANINGS", "cli", "run", "run_due"]

COMMANDS = {
    "init": "Make a new newsletter in a folder.",
    "new": "Write an empty issue for the next date.",
    "feeds": "Say which feeds are asked, and see how they are doing.",
    "fetch": "Ask the feeds that are due, and put what is new into the pool.",
    "stories": "List what the feeds tell, ranked, with the reasons.",
    "pick": "Send stories to the sections of an issue.",
    "fill": "Complete bare addresses, and fill sections by their rules.",
    "digest": "Make, approve and send the issue that fills itself.",
    "check": "Say what should not go out as it is, where it stands, and what to do.",
    "build": "Compile an issue to HTML, text and a message.",
    "preview": "Show an issue as its mail, on a page that follows each save.",
    "diff": "Say what changed in an issue since it was approved, or since a commit.",
    "approve": "Approve an issue, so that it may be sent.",
    "send": "Send an issue, or what is due; without --yes, show the plan.",
    "hold": "Stop a send that waits or is under way.",
    "release": "Let a send go on that was held or paused.",
    "status": "Account for each recipient of a send.",
    "pause": "Stop a send that is going on, until you let it go on.",
    "cancel": "End a send for good.",
    "resolve": "List the rows in doubt, and settle them by a relay's log or by hand.",
    "subscribers": "Import, export, add, show and remove subscribers.",
    "bounces": "Read what came back, and say what a mail means.",
    "correct": "Say what was wrong in an issue, to those who got it.",
    "serve": "Serve the web pages: subscribe, confirm, preferences, unsubscribe, archive.",
    "site": "Write the archive: pages, feeds and a search, as a static site.",
    "rehearse": "Practise a send with made-up people and a receiver that fails.",
    "doctor": "Examine the setting: configuration, store, relay, DNS.",
    "demo": "Compile the sample issue and mail it to an embedded receiver.",
    "backup": "Copy the store while it is in use.",
    "migrate": "Bring the store to this version's schema.",
}
"""Every command with its line in ``--help``; the module of the same name in this package holds it."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"newsletter.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in MEANINGS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--project",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    envvar="NEWSLETTER_PROJECT",
    show_envvar=True,
    help="The newsletter's folder, which holds newsletter.toml.  [default: this folder]",
)
@click.option("--quiet", "-q", is_flag=True, help="Print errors only.")
@click.version_option(__version__, prog_name="newsletter")
@click.pass_context
def cli(ctx: click.Context, root: Path, quiet: bool) -> None:
    """Compile weekly issues and mail them so that every row's fate can be proven."""
    ctx.obj = App(root, quiet)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are printed to standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show must not end a run
            stream.reconfigure(errors="backslashreplace")
    try:
        result: Any = cli.main(list(arguments), prog_name="newsletter", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("stopped", err=True)
        return STOPPED
    except NewsletterError as error:
        click.echo(printable(in_lines(error)), err=True)
        return exit_code_of(error)
    except (OSError, MemoryError) as error:
        if os.environ.get("NEWSLETTER_DEBUG"):
            raise
        click.echo(
            printable(f"error: {str(error) or 'out of memory'}; mend that, then run the command again"), err=True
        )
        return TRY_LATER
    except Exception as error:
        return _report_bug(error)
    return result if isinstance(result, int) else DONE


def run_due(arguments: Sequence[str]) -> int:
    """Run ``newsletter send --due`` with ``arguments``, of which those for ``newsletter`` itself stand first."""
    own = 0
    while own < len(arguments) and arguments[own].startswith(("--project", "--quiet", "-q")):
        own += 2 if arguments[own] == "--project" else 1
    return run([*arguments[:own], "send", "--due", *arguments[own:]])


def _report_bug(error: Exception) -> int:
    if os.environ.get("NEWSLETTER_DEBUG"):
        raise error
    import traceback

    where = traceback.extract_tb(error.__traceback__)[-1]
    click.echo(
        printable(
            f"bug: {type(error).__name__}: {error} ({where.filename}:{where.lineno}); nothing more was done. "
            "NEWSLETTER_DEBUG=1 shows the whole trace; please report it"
        ),
        err=True,
    )
    return BUG
