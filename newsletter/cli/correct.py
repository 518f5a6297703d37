"""``newsletter correct``: say what was wrong in an issue that went out, on its page and to those who got it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, login_name, utc_now
from newsletter.cli.exits import DONE

if TYPE_CHECKING:
    from newsletter.corrections import CorrectionPlan
    from newsletter.store import Store


@click.command("correct")
@click.argument("issue")
@click.option("--note", default="", help="What was wrong, and what is right.  [default: the file's latest correction]")
@click.option("--yes", is_flag=True, help="Really do it; without it the plan is shown and nothing happens.")
@click.option("--by", help="Who approves the corrected issue.  [default: your login name]")
@click.option(
    "--readers",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write who got the first text into this CSV file.",
)
@json_option
@click.pass_obj
def command(app: App, issue: str, note: str, yes: bool, by: str | None, readers: Path | None, as_json: bool) -> int:
    """Correct ISSUE: write the note into its file, and mail it to everybody who got the first text, and only to them.

    Put the text itself right first, if it is to change: with --yes the file is approved as it then stands, and the next
    'newsletter site' shows it, with the note above.
    """
    from newsletter.cli.sending import exit_code, progress_bar, say_report, shipment, stop_on_signals
    from newsletter.config import find_issue
    from newsletter.corrections import correct_issue, plan_correction

    if by is not None and not by.strip():
        raise click.UsageError("--by: write who approves")
    project = app.project()
    keys = app.keys(project)
    with app.open_store(project, keys) as store:
        plan = plan_correction(project, store, find_issue(project, issue), note, utc_now())
        if readers:
            _write_readers(store, plan, readers)
        if not yes:
            _show(app, plan, readers, as_json)
            return DONE
        with stop_on_signals() as stop, progress_bar(app, as_json) as progress:
            ready = shipment(project, store, keys, stop, progress)
            report = correct_issue(ready, plan, by or login_name(), utc_now())
    if as_json:
        echo_json({**report.as_json(), **_as_json(plan)})
    else:
        say_report(app, report)
    return exit_code(report)


def _write_readers(store: "Store", plan: "CorrectionPlan", path: Path) -> None:
    from newsletter.corrections import readers_of
    from newsletter.csvfile import write_csv

    rows = ((row.address or "", str(row.state), row.changed_at.isoformat()) for row in readers_of(store, plan))
    write_csv(path, ("email", "state", "at"), rows)


def _as_json(plan: "CorrectionPlan") -> dict[str, object]:
    return {
        "issue": plan.loaded.issue.slug,
        "correction": {"number": plan.number, "on": plan.correction.on.isoformat(), "note": plan.correction.note},
        "reached": plan.reached,
        "audience": plan.audience,
        "edition_digest": plan.edition.digest,
    }


def _show(app: App, plan: "CorrectionPlan", readers: Path | None, as_json: bool) -> None:
    if as_json:
        echo_json(_as_json(plan))
        return
    slug, subject = plan.loaded.issue.slug, "".join(str(piece) for piece in plan.edition.subject)
    app.say(f"issue      {slug}, which went out to {plan.reached:,} people")
    app.say(f"note       {plan.correction.on}: {plan.correction.note}")
    app.say(f"subject    {subject}")
    app.say(f"audience   {plan.audience:,} of them still want mail")
    if readers:
        app.say(f"readers    {readers}")
    if plan.send:
        app.say(f"so far     {plan.send.state}")
    app.say(f"Nothing was written or sent. 'newsletter correct {slug} … --yes' does both.")
