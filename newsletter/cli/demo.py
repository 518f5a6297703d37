"""``newsletter demo``: the whole way of an issue, on this machine alone."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, size, utc_now
from newsletter.errors import InputError

if TYPE_CHECKING:
    from newsletter.demo import DemoReport


@click.command("demo")
@click.option(
    "--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep the whole newsletter in this folder."
)
@json_option
@click.pass_obj
def command(app: App, keep: Path | None, as_json: bool) -> int:
    """Compile the newest sample issue and mail it to six sample subscribers through an embedded receiver.

    Needs no configuration, no network and no rights. The compiled files stay; --keep keeps the store as well.
    """
    from newsletter.demo import run_demo

    if keep and keep.exists() and any(keep.iterdir()):
        raise InputError(f"{keep} is not empty; name a new folder with --keep")
    folder = keep or Path(tempfile.mkdtemp(prefix="newsletter-demo-"))
    done = run_demo(folder, utc_now)
    if as_json:
        echo_json(_as_json(done))
    else:
        _show(app, done)
    if keep and not as_json:
        app.say(f"\nkept       {folder}: try 'newsletter --project {folder} status {done.report.send.issue}'")
    if not keep:
        _remove_all_but_build(folder)
    return int(not done.report.account.closes)


def _show(app: App, done: "DemoReport") -> None:
    from newsletter.cli.sending import equation

    compiled, seconds = done.build.compiled, done.seconds
    edition = compiled.edition
    stages = ", ".join(f"{name} {value * 1000:.0f}" for name, value in compiled.timings.items() if value >= 0.0005)
    sizes = {path.name: path.stat().st_size for path in done.build.files}
    images = sum(len(image.content) for image in compiled.images)
    newsletter = done.project.config.newsletter

    app.say(f"{newsletter.title}, issue {edition.number} of {edition.date:%d %B %Y}\n")
    app.say(f"compile    issues/{edition.issue}.md to edition {edition.digest[:12]} in {seconds['compile']:.2f} s")
    app.say(f"           in ms: {stages}")
    app.say(
        f"           HTML {size(sizes['email.html'])}, text {size(sizes['email.txt'])}, "
        f"{len(compiled.images)} images {size(images)}, message {size(sizes['message.eml'])}"
    )
    app.say(f"plan       {done.report.account.planned} recipients frozen in {seconds['plan'] * 1000:.0f} ms")
    app.say(f"send       to the receiver at {done.host}:{done.port} in {seconds['send'] * 1000:.0f} ms")
    for result in done.results:
        app.say(f"           {result.outcome.event!s:<8} {result.delivery.recipient.address:<20} {result.reply or ''}")
    app.say(f"receiver   holds {done.received} messages")
    app.say(f"account    {equation(done.report.account)}")
    app.say("")
    for path in done.build.files:
        if path.suffix in (".html", ".txt", ".eml"):
            app.say(f"{path.suffix[1:]:<10} {path}")


def _as_json(done: "DemoReport") -> dict[str, object]:
    return {
        **done.report.as_json(),
        "edition_digest": done.build.compiled.edition.digest,
        "recipients": [
            {
                "address": result.delivery.recipient.address,
                "event": str(result.outcome.event),
                "reply": str(result.reply),
            }
            for result in done.results
        ],
        "received": done.received,
        "files": {path.name: str(path) for path in done.build.files},
        "seconds": {name: round(seconds, 4) for name, seconds in done.seconds.items()},
    }


def _remove_all_but_build(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name == "build":
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
