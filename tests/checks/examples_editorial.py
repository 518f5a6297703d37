"""A bad and a good example for each check of what makes an issue one."""

from newsletter.pastarticles import PastArticle

from .subjects import CLOSING, FRONT, Example, written

SENT = f"send_at: 2026-11-25T08:00Z\n{CLOSING}"
LEAD = "## Most important news\n\n"
STORY = "### [A crane fell](https://example.com/crane-fell)\n"
TOLD = f"{STORY}Nobody was hurt.\n"


def remembered(text: str, *slugs: str):
    past = tuple(PastArticle(slug=slug, url="https://www.example.com/crane-fell/", title="A crane") for slug in slugs)
    return lambda: written(text, past=past)


def listed(count: int, host: str) -> str:
    return "".join(f"- [Story {at}](https://{host.format(at)}/story-{at})\n" for at in range(count))


EXAMPLES = {
    "editorial.no-articles": Example("Only a letter.", LEAD + TOLD),
    "editorial.lead-missing": Example(f"## Digital\n\n{TOLD}", LEAD + TOLD),
    "editorial.lead-cap": Example(
        lambda: written(LEAD + listed(3, "example.com"), config=_capped(2)),
        lambda: written(LEAD + listed(2, "example.com"), config=_capped(2)),
    ),
    "editorial.summary-length": Example(LEAD + STORY + "Nobody was hurt. " * 60, LEAD + TOLD),
    "editorial.bare-link": Example("## Digital\n\n- https://example.com/crane\n", f"## Digital\n\n{TOLD}"),
    "editorial.few-sources": Example(
        "## Digital\n\n" + listed(12, "example.com"), "## Digital\n\n" + listed(12, "s{}.example.com")
    ),
    "editorial.old-story": Example(
        "## Digital\n\n- [A crane](https://example.com/2026/03/05/crane)\n",
        "## Digital\n\n- [A crane](https://example.com/2026/03/05/crane) {follow-up=2026-03-11}\n"
        "- [A ship](https://example.com/2021/five-year-plan)\n- [B](https://example.com/a/20999999)\n",
    ),
    "editorial.embargo": Example(
        f"{FRONT}{SENT}## A\n\n- [A](https://example.com/a) {{embargo=2026-11-25T09:00}}\n",
        f"{FRONT}{SENT}## A\n\n- [A](https://example.com/a) {{embargo=2026-11-25T07:30}}\n",
    ),
    "editorial.repeated-article": Example(
        f"## A\n\n{TOLD}\n## B\n\n- [The crane](https://www.example.com/crane-fell/?utm_source=x)\n",
        "## A\n\n- [1 December](https://example.com/meetings)\n- [8 December](https://example.com/meetings)\n",
    ),
    "editorial.seen-before": Example(
        remembered(LEAD + TOLD, "2026-11-18"),
        remembered(LEAD + STORY.replace(")\n", ") {follow-up=2026-11-18}\n"), "2026-11-18"),
    ),
    "editorial.sponsor-unmarked": Example(
        "## A word from a sponsor\n\n- [Buy cranes](https://example.com/cranes)\n",
        "## From our sponsor\n\n- [Buy cranes](https://example.com/cranes)\n",
    ),
}


def _capped(most: int):
    from newsletter.config import Config, SectionsSection

    from .subjects import CONFIG

    return Config(newsletter=CONFIG.newsletter, sections=SectionsSection(lead_max=most))
