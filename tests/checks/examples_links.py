"""A bad and a good example for each check of links."""

from newsletter.checks import LinkAnswer

from .subjects import Example, answered

_STORY = "https://example.com/story"


def _answer(status: int, words: str = "", *, https: bool = False, url: str = _STORY):
    return {url: LinkAnswer(status, words, url, https)}


EXAMPLES = {
    "links.scheme": Example("[Call us](javascript:alert(1))", "[Write to us](mailto:editors@example.org)"),
    "links.empty": Example("See [the chapter](#chapter).", "See [the chapter](https://example.org/book#chapter)."),
    "links.relative": Example("[The report](report.html)", "[The report](https://example.org/report.html)"),
    "links.tracking": Example(
        "### [A story](https://example.com/story?utm_source=their-letter)\n",
        "### [A story](https://example.com/story?id=7)\n",
    ),
    "links.shortener": Example("[A story](https://bit.ly/3xY)", "[A story](https://bit.example.org/3xY)"),
    "links.duplicate": Example(
        "Of [one](https://example.com/one) and of [two](https://example.com/one?utm_medium=mail).",
        "Of [one](https://example.com/one#first) and of [two](https://example.com/one#second).",
    ),
    "links.generic-text": Example(
        "For the figures click [here](https://example.com/figures).",
        "Read [the figures of October](https://example.com/figures).",
    ),
    "links.misleading-text": Example(
        "[www.bank.example](https://bank.example.evil.org/)",
        "[bank.example](https://www.bank.example/login), [Node.js](https://nodejs.org/), [shop.example.com](https://example.com/)",
    ),
    "links.named-site": Example(
        "[Booking.com](https://example.com/how-it-grew) grew.",
        "How [Booking.com grew](https://example.com/how-it-grew).",
    ),
    "links.gone": Example(
        answered(f"[A story]({_STORY})", answers=_answer(404, "answers 404: there is nothing at this address")),
        answered(f"[A story]({_STORY})", answers=_answer(200)),
    ),
    "links.unreachable": Example(
        answered(f"[A story]({_STORY})", answers=_answer(0, "cannot be reached: it has no address")),
        answered(f"[A story]({_STORY})", answers=_answer(200)),
    ),
    "links.insecure": Example(
        answered("[A story](http://example.com/a)", answers=_answer(200, url="http://example.com/a", https=True)),
        answered("[A story](http://example.com/a)", answers=_answer(200, url="http://example.com/a")),
    ),
}
