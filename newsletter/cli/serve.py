"""``newsletter serve``: the web pages between the newsletter and its readers."""

import logging

import click

from newsletter.cli.context import App, utc_now


@click.command("serve")
@click.option("--host", help="Address to listen at.  [default: [web] host]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen at; 0 takes a free one.  [default: [web] port]"
)
@click.option(
    "--threads", type=click.IntRange(1, 256), help="Requests that are answered at once.  [default: [web] threads]"
)
@click.pass_obj
def command(app: App, host: str | None, port: int | None, threads: int | None) -> None:
    """Serve the pages: subscribe, confirm, preferences, unsubscribe, archive; and post the letters they ask for.

    The archive is written into [web] site whenever an issue went out or changed.

    Listens on this machine alone unless told otherwise: put nginx before it (docs/web.md). SIGTERM ends it once the
    requests in hand are answered.
    """
    from newsletter.cli.sending import connector, dkim_signer, stop_on_signals
    from newsletter.web.serving import open_desk, open_office, open_server

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a full queue is nothing to tell of
    project = app.project()
    keys = app.keys(project)
    web = project.config.web
    with app.open_store(project, keys) as store:
        desk = open_desk(project, store, keys, clock=utc_now)
        office = open_office(project, desk, connector(project), dkim_signer(project, app.warn))
        where = (host or web.host, web.port if port is None else port, threads or web.threads)
        with stop_on_signals() as stop, open_server(office, desk, *where) as server:
            shown = f"[{server.host}]" if ":" in server.host else server.host
            app.say(f"serving {desk.identity.url} at http://{shown}:{server.port}; stop with Ctrl-C")
            server.run(stop)
    app.say("stopped")
