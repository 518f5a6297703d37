"""Fetch an article's page, with the care that feeds are fetched with, and read what it says.

Edge: the network, through ``fetcher``, whose checks of addresses and limits hold here too.
"""

from collections.abc import Callable

from newsletter.collector import policy_of
from newsletter.config import Project
from newsletter.errors import FeedError, InputError
from newsletter.fetcher import Fetcher
from newsletter.pagefacts import PageFacts, read_page

_ACCEPT = "text/html,application/xhtml+xml;q=0.9"


def page_reader(project: Project) -> Callable[[str], tuple[str, PageFacts]]:
    """Return what fetches a page and reads it, and gives the address that it was found at.

    It raises InputError where the page cannot be had, or says nothing.
    """
    fetcher = Fetcher(policy_of(project))

    def read(url: str) -> tuple[str, PageFacts]:
        try:
            answer = fetcher.get(url, accept=_ACCEPT)
        except FeedError as error:
            raise InputError(f"{url}: {error}") from None
        if answer.status != 200 or "html" not in answer.content_type.lower():
            what = answer.content_type or f"an answer {answer.status}"
            raise InputError(f"{url}: {what} instead of a page; write the article by hand")
        return answer.url, read_page(answer.content, answer.url)

    return read
