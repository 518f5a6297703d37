"""Subjects for the checks that look at the mail: a page of HTML as it was compiled, or the bytes of a message."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from newsletter.checks import Subject
from newsletter.reading import read_message

from .subjects import CONFIG, TODAY, written

LOREM = "Regulators rewrite the rules for facial recognition in shops, and nobody had asked for it. "


def page(
    body: str, *, head: str = "<title>Weekly</title>", html: str = 'lang="en"', **more: Any
) -> Callable[[], Subject]:
    """Return the subject of a mail with this body, and with these attributes of ``<html>``; there is no issue."""
    text = f"<!doctype html><html {html}><head>{head}</head><body>{body}</body></html>"
    fields = {"config": CONFIG, "today": TODAY, "html": text, "message": text.encode()} | more
    return lambda: Subject(**fields)


def shown_as(issue: str, body: str, **more: Any) -> Callable[[], Subject]:
    """Return the subject of an issue whose mail has this body."""
    return lambda: replace(page(body, **more)(), issue=written(issue).issue, source=written(issue).source)


def mail(content: bytes, **more: Any) -> Callable[[], Subject]:
    """Return the subject of a message, ours or foreign; there is no issue."""
    reading = read_message(content)
    html = reading.html.text if reading.html else ""
    text = reading.text.text if reading.text else ""
    fields = {"config": CONFIG, "today": TODAY, "html": html, "text": text, "message": content} | more
    return lambda: Subject(**fields)
