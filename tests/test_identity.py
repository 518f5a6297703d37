"""The sender's identity is complete, ASCII where it must be, and refuses what would make mail that nobody takes."""

import msgspec
import pytest

from newsletter.addresses import Mailbox
from newsletter.config import NewsletterSection
from newsletter.errors import ConfigError
from newsletter.identity import SenderIdentity, identity_of


def section(**values):
    return msgspec.convert({"title": "China Weekly", "from": "Ed <ed@News.example.org>", **values}, NewsletterSection)


def test_title_and_from_are_enough():
    assert identity_of(section()) == SenderIdentity(
        sender=Mailbox("Ed", "ed@news.example.org"),
        title="China Weekly",
        list_id="ed.news.example.org",
        bounce_address="bounces@news.example.org",
    )


def test_everything_that_is_configured_is_used():
    identity = identity_of(
        section(
            url="https://news.example.org/weekly/",
            reply_to="Desk <desk@example.org>",
            list_id="weekly.example.org",
            bounce_address="b@bounce.example.org",
            unsubscribe="web",
        )
    )
    assert identity.url == "https://news.example.org/weekly"
    assert identity.reply_to == Mailbox("Desk", "desk@example.org")
    assert identity.list_id == "weekly.example.org"
    assert identity.bounce_address == "b@bounce.example.org"
    assert identity.unsubscribe == "web"
    assert identity.domain == "news.example.org"


def test_the_title_names_a_sender_without_a_name():
    assert identity_of(section(**{"from": "ed@example.org"})).sender == Mailbox("China Weekly", "ed@example.org")


@pytest.mark.parametrize(
    ("sender", "list_id"),
    [
        ("Ed.Itor+News@example.org", "ed-itor-news.example.org"),
        ("_@example.org", "newsletter.example.org"),
        ("ed@exämple.org", "ed.xn--exmple-cua.org"),
    ],
)
def test_a_list_id_is_made_of_the_address(sender, list_id):
    assert identity_of(section(**{"from": sender})).list_id == list_id


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("", ""),
        ("https://example.org", "https://example.org"),
        ("https://example.org:8443/", "https://example.org:8443"),
        ("https://straße.example/é x", "https://xn--strae-oqa.example/%C3%A9%20x"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost:8000", "http://localhost:8000"),
    ],
)
def test_the_site_is_ascii_without_a_final_slash(url, written):
    assert identity_of(section(url=url, unsubscribe="web")).url == written


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"from": "nobody"}, "[newsletter] from: 'nobody' is no email address"),
        ({"from": "Zoë <zoë@example.org>"}, "[newsletter] from: 'zoë@example.org': write ASCII"),
        ({"from": "A =?UTF-8?Q?=0A?=Bcc: x <a@example.org>"}, "[newsletter] from holds a line break"),
        ({"title": "A\nBcc: x@example.org"}, "[newsletter] title holds a line break"),
        ({"title": "A =?UTF-8?Q?=0A?=B"}, "[newsletter] title holds a line break"),
        ({"reply_to": "desk"}, "[newsletter] reply_to: 'desk' is no email address"),
        ({"bounce_address": "bounces"}, "[newsletter] bounce_address: 'bounces' is no email address"),
        ({"bounce_address": "zoë@example.org"}, "must be ASCII"),
        ({"bounce_address": "b" * 16 + "@example.org"}, "at most 15 characters"),
        ({"url": "http://news.example.org", "unsubscribe": "web"}, "needs https"),
        ({"url": "https://exa mple"}, "no host that exists"),
        ({"url": "https://[::1"}, "no host that exists"),
        ({"url": "https://☃☃.☃☃☃-"}, "no host that exists"),
        ({"url": "https://example.org:99999"}, "no host that exists"),
    ],
)
def test_what_cannot_be_used_names_its_key(values, expected):
    with pytest.raises(ConfigError) as caught:
        identity_of(section(**values))
    assert expected in str(caught.value)


def test_http_is_enough_where_nothing_is_clicked_to_unsubscribe():
    assert identity_of(section(url="http://news.example.org")).url == "http://news.example.org"
