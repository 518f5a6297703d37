"""Readers' ways through a real Chromium, against a running server and a real SMTP receiver; axe finds nothing on them.

Debian's chromium is used, which CI installs; without one these tests skip and say so.
"""

import datetime as dt
import email
import email.policy
import re

import pytest
from newsroom import CONFIG, Newsroom
from smtp_server import SmtpServer
from webfront import path_of, served, wait_for

from newsletter.store import open_store
from newsletter.tokens import Purpose, Token, expiry_hour, parse_keys, sign

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")

TOPICS = '{retail = "Shops", beauty = "Beauty"}'
LISTS = '{newsletter = "Every week", monthly = "The best of the month"}'


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Serve a newsletter with topics, two lists and an archive, and take its mail."""
    with SmtpServer() as relay:
        config = CONFIG + 'url = "http://localhost"\nunsubscribe = "web"\n'
        room = Newsroom(tmp_path_factory.mktemp("room"), config=config)
        room.relay(relay)
        room.environ |= {"NEWSLETTER_WEB__TOPICS": TOPICS, "NEWSLETTER_WEB__LISTS": LISTS}
        room.environ |= {"NEWSLETTER_WEB__ASKS_PER_CLIENT": "1000"}
        room.issue("2026-11-25", "send_at: 2026-11-25 08:00")
        assert room.run("approve", "2026-11-25").code == 0
        assert room.run("site").code == 0
        with served(room.root, room.environ) as server:
            yield room, relay, server


@pytest.fixture(params=["with JavaScript", "without"])
def page(request, chromium):
    context = chromium.new_context(java_script_enabled=request.param == "with JavaScript", locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield page
    context.close()


def expect_heading(page, words: str) -> None:
    """Wait for the page that a click leads to: Playwright's click returns before the server has answered."""
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text(words, timeout=20_000)


def expect_words(page, words: str) -> None:
    playwright.expect(page.get_by_text(words)).to_be_visible(timeout=20_000)


def letter_to(relay, address: str, after: int = 0) -> str:
    """Wait for a letter, and return the path of its link."""

    def found():
        return [each for each in list(relay.accepted)[after:] if each.rcpt_to == (address,)]

    content = wait_for(found, what=f"no letter to {address}")[-1].content
    text = email.message_from_bytes(content, policy=email.policy.default).get_body(["plain"]).get_content()
    return path_of(re.search(r"https?://\S+", text)[0])


def state(room, address: str) -> str:
    keys = parse_keys((room.root / "newsletter.secret").read_text())
    with open_store(f"sqlite:///{room.root / 'newsletter.db'}", address_key=keys.address_key) as store:
        found = store.subscribers.find_subscriber(1, address)
    return str(found.state) if found else ""


def test_a_reader_subscribes_confirms_chooses_and_leaves(scene, page, request):
    room, relay, server = scene
    address = f"ann{len(relay.accepted)}@example.org"
    page.goto(f"{server.url}/subscribe")
    page.get_by_label("Your email address").fill(address)
    page.get_by_label("Your name (if you like)").fill("Ann")
    page.get_by_label("Beauty").check()
    page.get_by_role("button", name="Subscribe").click()
    expect_heading(page, "Please look into your mailbox")
    link = letter_to(relay, address)

    page.goto(server.url + link)
    assert state(room, address) == "pending", "opening the page confirms nothing"
    page.get_by_role("button", name="Yes, subscribe me").click()
    expect_heading(page, "You are subscribed")
    assert state(room, address) == "active"

    page.get_by_role("link", name="Choose language and topics").click()
    expect_heading(page, "Your preferences")
    assert page.get_by_label("Your name (if you like)").input_value() == "Ann"
    assert page.get_by_label("Beauty").is_checked()
    page.get_by_label("Language of your issues").select_option("fr")
    page.get_by_label("Shops").check()
    page.get_by_role("button", name="Save").click()
    expect_words(page, "Enregistré.")
    page.get_by_label("Pour combien de temps ?").select_option("8")
    page.get_by_role("button", name="Faire une pause").click()
    playwright.expect(page.get_by_role("button", name="Reprendre maintenant")).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Reprendre maintenant").click()
    expect_words(page, "Votre pause est terminée.")

    page.get_by_role("link", name="Se désabonner").click()
    playwright.expect(page.get_by_role("button", name="Se désabonner", exact=True)).to_be_visible(timeout=20_000)
    assert state(room, address) == "active", "nor does opening this one"
    page.get_by_role("button", name="Se désabonner", exact=True).click()
    expect_heading(page, "Vous êtes désabonné")
    assert state(room, address) == "unsubscribed"
    leaving = path_of(page.url)
    page.get_by_label("Trop de messages").check()
    page.get_by_role("button", name="Envoyer").click()
    expect_heading(page, "Merci")

    page.goto(server.url + leaving)
    page.get_by_role("button", name="Me réabonner").click()
    expect_heading(page, "Vous êtes abonné")
    assert state(room, address) == "active"
    status, text = server.ask("POST", leaving, {"List-Unsubscribe": "One-Click"})
    assert (status, text) == (200, "You are unsubscribed.\n")
    assert state(room, address) == "unsubscribed"
    assert page.context.cookies() == []


def test_a_reader_moves_to_another_address(scene, page):
    room, relay, server = scene
    old, new = f"old{len(relay.accepted)}@example.org", f"new{len(relay.accepted)}@example.net"
    room.subscribers(old)
    page.goto(f"{server.url}/preferences")
    page.get_by_label("Your email address").fill(old)
    page.get_by_role("button", name="Send me my link").click()
    expect_heading(page, "Please look into your mailbox")
    page.goto(server.url + letter_to(relay, old))
    page.get_by_label("Your new address").fill(new)
    page.get_by_role("button", name="Change my address").click()
    expect_heading(page, "Please look into your mailbox")
    link = letter_to(relay, new)
    page.goto(server.url + link)
    page.get_by_role("button", name="Yes, use this address").click()
    expect_heading(page, "Your address is changed")
    assert (state(room, old), state(room, new)) == ("", "active")


def pages_of(room, address: str) -> dict[str, str]:
    """Return a path for each kind of page, those of a subscriber's own included."""
    room.subscribers(address)
    keys = parse_keys((room.root / "newsletter.secret").read_text())
    with open_store(f"sqlite:///{room.root / 'newsletter.db'}", address_key=keys.address_key) as store:
        axe = store.subscribers.find_subscriber(1, address).subscriber_id
    hour = expiry_hour(dt.datetime.now(dt.UTC), 5)

    def of(purpose: Purpose, who: int = axe, extra: int = 0) -> str:
        return sign(keys, Token(purpose, 1, who, extra))

    return {
        "subscribe": "/subscribe",
        "link": "/preferences",
        "preferences": f"/preferences/{of(Purpose.PREFERENCES)}",
        "unsubscribe": f"/unsubscribe/{of(Purpose.UNSUBSCRIBE)}",
        "rejoin": f"/rejoin/{of(Purpose.RESUBSCRIBE, extra=hour)}",
        "welcome": f"/confirm/{of(Purpose.CONFIRM, extra=hour)}",
        "damaged": "/confirm/damaged",
        "nobody": f"/unsubscribe/{of(Purpose.UNSUBSCRIBE, 0)}",
        "missing": "/missing",
        "archive": "/archive/2026-11-25/",
    }


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_axe_finds_nothing_and_nothing_overflows(scene, chromium, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    room, _, server = scene
    paths = pages_of(room, f"{scheme}{width}@example.org")
    context = chromium.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 800}, locale="fr-FR", bypass_csp=True
    )
    page = context.new_page()
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    for name, path in paths.items():
        page.goto(server.url + path)
        violations = Axe().run(page).response["violations"]
        assert not violations, (name, [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations])
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (name, "overflows")
    page.goto(server.url + "/subscribe")
    page.locator("button").click()
    playwright.expect(page.locator("[aria-invalid]")).to_have_count(1, timeout=20_000)
    assert not Axe().run(page).response["violations"]
    page.goto(server.url + paths["unsubscribe"])
    page.locator("button[value=leave]").click()
    expect_heading(page, "Vous êtes désabonné")
    assert not Axe().run(page).response["violations"], "the page after leaving"
    assert failed == []
    context.close()


def test_the_policy_lets_no_script_run_and_the_style_apply(scene, chromium):
    _, _, server = scene
    page = chromium.new_context().new_page()
    page.goto(f"{server.url}/subscribe")
    script = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)"
    with page.expect_console_message(lambda message: "Content Security Policy" in message.text, timeout=20_000):
        page.evaluate(f"() => {{ {script} }}")
    assert page.evaluate("window.ran") is None
    assert page.evaluate("getComputedStyle(document.querySelector('button')).backgroundColor") == "rgb(179, 38, 30)"
    trap = page.locator("#website")
    assert trap.bounding_box()["x"] < 0, "people do not see the trap"
    page.get_by_label("Your email address").focus()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") != "website", "nor come to it by the keyboard"


def test_pages_are_small(scene):
    room, _, server = scene
    for name, path in pages_of(room, "small@example.org").items():
        if name != "archive":
            assert len(server.ask("GET", path)[1].encode()) < 8_000, name
    style = re.search(r"/assets/style\.css\?v=\w+", server.ask("GET", "/subscribe")[1])[0]
    assert len(server.ask("GET", style)[1]) < 8_000
