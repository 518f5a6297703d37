"""A bad and a good example for each check of the bytes of a message: the rules', which have tests of their own."""

from test_conformance import BROKEN, GOOD, POSTAL, swapped

from newsletter.checks import ALL_CHECKS
from newsletter.config import Config, NewsletterSection

from .mails import mail
from .subjects import Example


def _ours(postal_address: str, sender: str = "editor@news.example.org") -> Config:
    return Config(newsletter=NewsletterSection(title="Weekly", from_=sender, postal_address=postal_address))


_WITH_LINK = swapped(b"</b></p>\r\n", b"</b> <a href=3D'https://example.com/story'>A story</a></p>\r\n", GOOD)
EXAMPLES = {
    check.id: Example(mail(BROKEN[rule][0]), mail(GOOD))
    for check in ALL_CHECKS
    if check.group == "message" and (rule := check.id.partition(".")[2]) in BROKEN
} | {
    "message.from": Example(mail(swapped(b"From: China Market Weekly <", b"From: Weekly, <")), mail(GOOD)),
    "message.postal-address": Example(
        mail(GOOD, config=_ours("2 Other Street, 75002 Paris")), mail(GOOD, config=_ours(POSTAL))
    ),
    "message.same-links": Example(
        mail(_WITH_LINK), mail(swapped(b"Browser: ", b"A story: https://example.com/story\r\nBrowser: ", _WITH_LINK))
    ),
}
