"""The preview in a real Chromium: it follows saves, keeps the last good mail, and lets nothing run; axe is content."""

import os
import re
import subprocess
import sys

import pytest
from newsroom import BODY, CONFIG, REPOSITORY, Newsroom
from smtp_server import SmtpServer
from test_images import make_png

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")

# The page asks the server, and shows what it says when it comes.
expect = playwright.expect
expect.set_options(timeout=20_000)
SLUG = "2026-11-25"
LONG = BODY + "\n![A crane](images/a.png)\n\n" + "\n\n".join(f"Paragraph {number} of the mail." for number in range(60))
LONG += "\n\nRead [more](#).\n"
SHOWN = "iframe:not(.coming)"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Preview an issue, with a relay that takes proofs and a subscriber on the list."""
    with SmtpServer() as relay:
        room = Newsroom(tmp_path_factory.mktemp("room"), config=CONFIG + '[send]\neditors = ["ed@example.org"]\n')
        room.relay(relay)
        room.issue(SLUG, body=LONG)
        room.issue("2026-11-18", subject="An older one")
        room.write("issues/images/a.png", make_png(30, 20))
        room.write("people.csv", "email,name\nann@example.org,Ann\n")
        assert room.run("subscribers", "import", str(room.root / "people.csv")).code == 0
        environ = {"PATH": os.environ["PATH"], "HOME": str(room.root), "PYTHONPATH": str(REPOSITORY), **room.environ}
        command = [sys.executable, "-m", "newsletter", "--project", str(room.root), "preview", "--no-open"]
        process = subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=(room.root / "err").open("ab"), text=True
        )
        try:
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found, (room.root / "err").read_text()
            yield room, relay, found[0]
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


def open_page(chromium, url: str, scheme: str = "light", width: int = 1440, **options):
    """Open the preview and wait for the mail; what goes wrong in the page is collected in ``page.wrong``."""
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, **options)
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.goto(url)
    page.wait_for_selector(SHOWN)
    return page


def in_frame(page, device: str, script: str):
    return page.evaluate(f"document.querySelector('.{device} {SHOWN}').contentWindow.{script}")


def test_an_editor_writes_and_the_mail_follows(scene, chromium):
    room, relay, url = scene
    page = open_page(chromium, url)
    expect(page.locator(SHOWN)).to_have_count(2)
    expect(page.locator("#row")).to_contain_text("A crane fell")
    expect(page.frame_locator(f".phone {SHOWN}").locator("body")).to_contain_text("Good morning Robin Reader.")
    page.wait_for_selector("#findings button")
    in_frame(page, "desktop", "scrollTo(0, 700)")

    room.issue(SLUG, body=LONG, subject="A ship came in")
    page.wait_for_function("() => document.querySelector('#row').innerText.includes('A ship came in')")
    page.wait_for_function("() => document.querySelectorAll('iframe.coming').length === 0")
    place = f"document.querySelector('.desktop {SHOWN}').contentWindow.scrollY"
    page.wait_for_function(f"() => {place} === 700")  # who reads on stays at their place

    path = room.issue(SLUG, body=LONG.replace("Nobody", "{{ nobody }}"))
    page.wait_for_selector("#problems button")
    expect(page.locator("#problems")).to_contain_text("unknown merge field {{ nobody }}")
    expect(page.locator("#problems")).to_contain_text(f"issues/{SLUG}.md:11:1")
    expect(page.locator("#status")).to_contain_text("1 error")
    assert "A ship came in" in page.inner_text("#row"), "the last good version stays"
    page.keyboard.press("n")
    page.wait_for_selector(".lines li.error")
    page.wait_for_function("() => document.activeElement.dataset.line === '11'")
    path.write_text(path.read_text().replace("{{ nobody }}", "Nobody"))
    page.wait_for_selector("#problems", state="hidden")

    for key, where, words in (("t", "#text", "Good morning Robin Reader."), ("h", "#headers", "List-Unsubscribe:")):
        page.keyboard.press(key)
        expect(page.locator(where)).to_contain_text(words)
    page.keyboard.press("m")
    page.get_by_label("Whose mail this is").select_option("subscriber")
    page.get_by_label("Their address").fill("bob@example.org")
    page.keyboard.press("Enter")
    page.wait_for_selector("#reader-line.wrong")
    page.get_by_label("Their address").fill("ann@example.org")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#fields').innerText.includes('Ann')")

    expect(page.get_by_label("Send me a proof at")).to_have_value("ed@example.org")
    page.get_by_role("button", name="Send").click()
    page.wait_for_function("() => document.querySelector('#proof-line').innerText.includes('proof of')", timeout=60_000)
    assert relay.accepted[-1].rcpt_to == ("ed@example.org",)

    page.get_by_label("Issue").select_option("2026-11-18")
    page.wait_for_function("() => document.querySelector('#row').innerText.includes('An older one')")
    page.get_by_label("Issue").select_option(SLUG)
    page.wait_for_function("() => document.querySelector('#row').innerText.includes('A crane fell')")
    assert page.wrong == []
    assert page.context.cookies() == []
    page.context.close()


def test_schemes_devices_and_images_are_chosen_by_keyboard(scene, chromium):
    _, _, url = scene
    page = open_page(chromium, url)

    def grounds() -> list[str]:
        page.wait_for_function("() => document.querySelectorAll('iframe.coming').length === 0")
        script = "node => node.contentWindow.getComputedStyle(node.contentDocument.body).backgroundColor"
        return [node.evaluate(script) for node in page.query_selector_all(SHOWN)]

    light = grounds()
    page.keyboard.press("d")
    page.wait_for_selector(f"[data-scheme=dark] {SHOWN}")
    dark = grounds()
    assert len(light) == len(dark) == 2
    assert not set(light) & set(dark), "the dark style sheet applies although the system is light"
    page.keyboard.press("d")
    page.wait_for_function(f"() => document.querySelectorAll('{SHOWN}').length === 4")
    assert set(grounds()) == set(light) | set(dark)
    page.keyboard.press("p")
    page.wait_for_function(f"() => document.querySelectorAll('{SHOWN}').length === 2")
    expect(page.locator(".phone")).to_have_count(0)
    image = "document.querySelector('.desktop iframe:not(.coming)').contentDocument.images[0]"
    page.wait_for_function(f"() => {image}?.naturalWidth === 30")
    page.keyboard.press("i")
    page.wait_for_function(f"() => {image}?.complete && {image}.naturalWidth === 0")
    assert page.evaluate(f"{image}.alt") == "A crane"
    page.keyboard.press("?")
    page.get_by_label("Keys act at once").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    assert page.locator("#text").is_hidden(), "keys can be turned off (WCAG 2.1.4)"
    page.context.close()


def test_nothing_in_a_mail_runs_or_reaches_the_page(scene, chromium):
    """A theme is its editor's own, and yet its scripts do not run: what is shown may come from anywhere."""
    _, _, url = scene
    payload = "<script>parent.ran = 1</script><img src='x' onerror='parent.ran = 1'>"
    page = open_page(chromium, url)
    frame = page.query_selector(SHOWN)
    assert "allow-scripts" not in frame.get_attribute("sandbox")
    assert url.rsplit("/", 2)[1] not in frame.get_attribute("src"), "the mail's address has not the page's secret"
    frame.evaluate("(node, html) => { node.contentDocument.body.insertAdjacentHTML('beforeend', html) }", payload)
    page.evaluate(
        "html => { const node = document.querySelector('iframe').contentDocument.createElement('div');"
        "node.innerHTML = html; const script = node.ownerDocument.createElement('script');"
        "script.textContent = 'parent.ran = 1'; node.append(script); node.ownerDocument.body.append(node) }",
        payload,
    )
    assert page.evaluate("window.ran") is None
    alone = page.context.new_page()
    alone.goto(url.split("/", 3)[0] + "//" + url.split("/")[2] + frame.get_attribute("src"))
    assert alone.evaluate("window.origin") in ("null", alone.evaluate("location.origin"))
    expect(alone.locator("body")).to_contain_text("Good morning")
    page.context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_axe_finds_nothing_and_nothing_overflows(scene, chromium, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    room, _, url = scene
    page = open_page(chromium, url, scheme, width, bypass_csp=True)
    page.wait_for_selector("#findings button")

    def look(what: str) -> None:
        violations = Axe().run(page).response["violations"]
        assert not violations, (what, [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations])
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (what, "overflows")

    look("mail")
    path = room.issue(SLUG, body=LONG.replace("Nobody", "{{ nobody }}"))
    page.wait_for_selector("#problems button")
    page.keyboard.press("n")
    page.wait_for_selector(".lines li.error")
    look("an error")
    page.keyboard.press("?")
    look("keys")
    path.write_text(path.read_text().replace("{{ nobody }}", "Nobody"))
    page.context.close()
