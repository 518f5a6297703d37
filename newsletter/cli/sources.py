"""What the commands that write articles share: the pool, the pages, the editor's program for summaries, the memory."""

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App

if TYPE_CHECKING:
    from newsletter.config import Project
    from newsletter.filling import Sources
    from newsletter.pagefacts import PageFacts
    from newsletter.store import Store
    from newsletter.stories import Entry

STORIES_SINCE = dt.timedelta(days=14)
"""How far back the pool is looked through where no rule looks further."""

summarize_option = click.option(
    "--summarize",
    "program",
    metavar="COMMAND",
    default="",
    help="Draft summaries with this program: it reads a text from standard input and prints a summary.",
)
offline_option = click.option("--offline", is_flag=True, help="Fetch no page; use the pool only.")


def load_sources(app: App, project: "Project", store: "Store", slug: str, program: str, *, offline: bool) -> "Sources":
    """Return what articles of the issue ``slug`` are made of."""
    from newsletter.filling import Sources
    from newsletter.pool import load_memory

    def find_entry(url: str) -> "Entry | None":
        return next(iter(store.feeds.find_page(url)), None)

    def read_page(url: str) -> "tuple[str, PageFacts]":
        from newsletter.pages import page_reader

        found_at, facts = page_reader(project)(url)
        store.feeds.record_redirect(url, found_at)
        return found_at, facts

    return Sources(
        find_entry=find_entry,
        memory=load_memory(project, store, without=slug),
        read_page=None if offline else read_page,
        summarize=_summarizer(app, program),
    )


def _summarizer(app: App, program: str) -> Callable[[str], str] | None:
    """Return what asks the editor's program, and tells where the first sentences have to do instead."""
    if not program:
        return None
    from newsletter.abstracts import lead_of
    from newsletter.errors import InputError
    from newsletter.summarizer import ask_program, read_command

    words = read_command(program)

    def summarize(text: str) -> str:
        try:
            return ask_program(words, text)
        except InputError as error:
            app.warn(f"{error}; the first sentences stand in")
            return lead_of(text)

    return summarize
