"""The pages do what their buttons say, once, in three languages; and opening one changes nothing."""

import re

import pytest
from postbox import Postbox, token_in
from smtp_server import SmtpServer
from webfront import Front, heading, with_web

from newsletter.consent import ask_address, ask_subscription
from newsletter.store import SubscriptionState, SuppressionReason, open_store
from newsletter.tokens import SAMPLE_KEYS, Purpose, sign

PENDING, ACTIVE, UNSUBSCRIBED = (SubscriptionState(word) for word in ("pending", "active", "unsubscribed"))
ANN = "ann@example.org"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def front(tmp_path):
    with (
        SmtpServer() as server,
        open_store(f"sqlite:///{tmp_path / 'n.db'}", address_key=SAMPLE_KEYS.address_key) as store,
    ):
        yield Front(Postbox(store, server), archive=tmp_path / "archive")


def asked(front, address=ANN, **values) -> str:
    """Let somebody subscribe by the form; return the path of the link that they were mailed."""
    assert front.post("/subscribe", {"email": address, **values}).status_code == 200
    front.box.post()
    return f"/confirm/{sign(SAMPLE_KEYS, token_in(front.box.letters()[-1], Purpose.CONFIRM))}"


# ---------------------------------------------------------------------------------------------------------------------
# Subscribing
# ---------------------------------------------------------------------------------------------------------------------


def test_subscribing_takes_a_form_a_mail_and_a_press(front):
    link = asked(front, name="Ann", topic=["retail", "unknown"])
    page = front.get(link)
    assert heading(page) == "One last step"
    assert "a•••@example.org" in page.text
    assert ANN not in page.text
    assert front.box.state() is PENDING
    assert heading(front.post(link)) == "You are subscribed"
    assert heading(front.post(link)) == "You are subscribed"
    found = front.box.store.subscribers.find_subscriber(front.box.list_id, ANN)
    assert (found.state, found.name, found.topics, found.language) == (ACTIVE, "Ann", ("retail",), "en")
    consents = front.box.store.choices.load_consents(found.subscriber_id)
    assert {line.evidence.source for line in consents} == {"127.0.0.0"}, "where from, with its end masked"


@pytest.mark.parametrize("address", ["", "ann", "ann@", "ann@example", "a b@example.org", "x" * 300 + "@example.org"])
def test_what_is_no_address_is_told_beside_the_field_and_kept(front, address):
    page = front.post("/subscribe", {"email": address, "name": "Ann"})
    assert page.status_code == 422
    assert 'aria-invalid="true" aria-describedby="email-wrong"' in page.text
    assert "Please write a whole address" in page.text
    assert 'value="Ann"' in page.text
    assert front.box.store.outbox.count_mails() == 0


def test_every_address_gets_the_same_answer_to_the_byte(front):
    for name in ("active", "left", "erased", "bounced"):
        front.box.join(f"{name}@example.org")
    store, list_id = front.box.store, front.box.list_id
    number = {
        each.address.partition("@")[0]: each.subscriber_id for each in store.subscribers.list_subscribers(list_id)
    }
    store.subscribers.change_subscription(list_id, number["left"], UNSUBSCRIBED, front.box.now)
    store.subscribers.erase_subscriber(number["erased"], front.box.now)
    store.subscribers.suppress_address("bounced@example.org", SuppressionReason.HARD_BOUNCE, front.box.now)
    holder = front.path(Purpose.PREFERENCES, number["active"])
    for path, extra in (("/subscribe", {}), ("/preferences", {}), (holder, {"do": "move"})):
        answers = set()
        for name in ("active", "left", "erased", "bounced", "unknown"):
            page = front.post(path, {"email": f"{name}@example.org", **extra}, environ_base={"REMOTE_ADDR": name})
            headers = tuple(sorted((key, value) for key, value in page.headers.items() if key != "Date"))
            answers.add((page.status_code, page.data, headers))
        assert len(answers) == 1, path


def test_programs_that_fill_in_the_trap_are_answered_alike_and_do_nothing(front):
    honest = front.post("/subscribe", {"email": "bob@example.org"})
    program = front.post("/subscribe", {"email": ANN, "website": "http://pills.example"})
    assert (program.status_code, program.data) == (honest.status_code, honest.data)
    assert front.box.store.outbox.count_mails() == 1
    assert front.post("/preferences", {"email": ANN, "website": "x"}).status_code == 200
    assert front.box.store.outbox.count_mails() == 1


def test_one_client_that_asks_too_often_is_told_when_to_come_back(front):
    for n in range(10):
        assert front.post("/subscribe", {"email": f"v{n}@example.org"}).status_code == 200
    page = front.post("/subscribe", {"email": "v10@example.org"})
    assert page.status_code == 429
    assert page.headers["Retry-After"] == "3600"
    assert "your network" in page.text
    other = front.post("/subscribe", {"email": "v10@example.org"}, environ_base={"REMOTE_ADDR": "192.0.2.9"})
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("unix:", "", True),
    ],
)
def test_a_client_is_an_address_of_ipv4_or_a_network_of_ipv6(front, first, second, is_one):
    assert (front.desk.client(first) == front.desk.client(second)) == is_one
    assert first not in front.desk.client(first)


def test_all_together_asking_too_often_is_told_as_well(front):
    front = with_web(front, asks_per_hour=2)
    for n in range(2):
        front.post("/subscribe", {"email": f"v{n}@example.org"}, environ_base={"REMOTE_ADDR": f"192.0.2.{n}"})
    assert front.post("/subscribe", {"email": ANN}).status_code == 429


def test_readers_choose_among_lists_that_are_offered_and_no_others(front):
    hidden = front.box.store.subscribers.ensure_list("staff", front.box.now).list_id
    front = with_web(front, lists={"newsletter": "Every week", "monthly": "The best of"})
    page = front.get("/subscribe")
    assert "Every week" in page.text
    assert "The best of" in page.text
    assert "staff" not in page.text
    link = asked(front, list=["monthly", "staff"])
    assert "The best of" in front.get(link).text
    front.post(link)
    monthly = front.box.store.subscribers.find_list("monthly").list_id
    assert front.box.state(list_id=monthly) is ACTIVE
    assert front.box.state(list_id=hidden) is None
    assert front.box.state() is None


# ---------------------------------------------------------------------------------------------------------------------
# Opening a page changes nothing
# ---------------------------------------------------------------------------------------------------------------------


def everything_that_can_be_opened(front) -> list[str]:
    ann, bob = front.box.join(), front.box.join("bob@example.org")
    front.box.store.subscribers.change_subscription(front.box.list_id, bob, UNSUBSCRIBED, front.box.now)
    ask_subscription(front.box.store, front.box.ask("pat@example.org"), front.box.now, front.box.limits)
    holder = front.box.token(Purpose.PREFERENCES, ann)
    ask_address(front.box.store, holder, front.box.ask("new@example.org"), front.box.now, front.box.limits)
    front.box.post()
    pat = front.box.store.subscribers.find_subscriber(front.box.list_id, "pat@example.org").subscriber_id
    hour = front.box.store.outbox.find_address_change(ann).hour
    paths = [
        "/",
        "/subscribe",
        "/preferences",
        "/healthz",
        "/archive/",
        "/robots.txt",
        "/assets/style.css",
        "/hooks/ses",
    ]
    for who in (ann, bob, pat, 0, 999):
        paths += [front.path(purpose, who) for purpose in (Purpose.CONFIRM, Purpose.PREFERENCES, Purpose.RESUBSCRIBE)]
        paths += [front.path(Purpose.UNSUBSCRIBE, who), front.path(Purpose.CHANGE_ADDRESS, who, extra=hour)]
    return paths


def test_get_and_head_change_nothing_anywhere(front):
    paths = everything_that_can_be_opened(front)
    assert len(paths) > 30
    before = front.content()
    tails = (
        "",
        "?do=leave",
        "?List-Unsubscribe=One-Click",
        "?do=save&name=Mallory",
        "?again=1",
        "?email=x@example.org",
    )
    for path in paths:
        for tail in tails:
            for method in ("GET", "HEAD"):
                page = front.client.open(path + tail, method=method)
                assert page.status_code < 500, (method, path, page.text)
                assert "Set-Cookie" not in page.headers
    assert front.content() == before
    assert {front.client.open(path, method="OPTIONS").status_code for path in paths} <= {404, 405}
    assert {front.client.open(path, method="PUT").status_code for path in paths} <= {404, 405}
    assert front.content() == before


def test_a_scanner_that_opens_all_links_and_follows_everything_neither_confirms_nor_unsubscribes(front):
    everything_that_can_be_opened(front)
    link = asked(front, "dan@example.org")
    front.box.join("cyd@example.org")
    seeds = [link, front.path(Purpose.UNSUBSCRIBE, front.box.join("cyd@example.org"))]
    before = front.content()
    seen: set[str] = set()
    while seeds:
        path = seeds.pop()
        if path in seen or len(seen) > 200:
            continue
        seen.add(path)
        page = front.client.get(path, follow_redirects=True, headers={"User-Agent": "scanner", "Cookie": "a=b"})
        seeds += [each.replace("&amp;", "&") for each in re.findall(r'(?:href|src|action)="(/[^"]*)"', page.text)]
        assert "<script" not in page.text
        assert 'http-equiv="refresh"' not in page.text.lower()
    assert len(seen) > 10
    assert front.content() == before


def test_a_press_that_says_nothing_changes_nothing(front):
    ann = front.box.join()
    before = front.content()
    for purpose in (Purpose.UNSUBSCRIBE, Purpose.PREFERENCES):
        for form in ({}, {"do": ""}, {"do": "x"}, {"x": "leave"}, {"List-Unsubscribe": "no"}, {"leave": "1"}):
            assert front.post(front.path(purpose, ann), form).status_code == 200
    assert front.content() == before


# ---------------------------------------------------------------------------------------------------------------------
# Leaving
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_one_click_needs_no_cookie_and_no_redirect_and_may_come_twice(front, kind):
    ann = front.box.join()
    path = front.path(Purpose.UNSUBSCRIBE, ann)
    for _ in range(2):
        answer = front.post(path, ONE_CLICK, content_type=kind)
        assert (answer.status_code, answer.content_type) == (200, "text/plain; charset=utf-8")
        assert "Set-Cookie" not in answer.headers
        assert "Location" not in answer.headers
        assert front.box.state() is UNSUBSCRIBED
    [line] = [each for each in front.box.store.choices.load_consents(ann) if each.event == "left"]
    assert line.evidence.way == "one-click"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (b"List-Unsubscribe=One-Click\r\n", "application/x-www-form-urlencoded"),
        (b"List-Unsubscribe=One-Click", ""),
        (b"List-Unsubscribe=One-Click", "text/plain"),
        (b"list-unsubscribe=one-click", "application/octet-stream"),
        (
            b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_one_click_however_its_client_labels_it(front, body, kind):
    front.box.join()
    number = front.box.store.subscribers.find_subscriber(front.box.list_id, ANN).subscriber_id
    answer = front.post(front.path(Purpose.UNSUBSCRIBE, number), body, content_type=kind)
    assert answer.status_code == 200
    assert front.box.state() is UNSUBSCRIBED


def test_one_click_on_a_proof_is_no_error_and_a_forged_token_is(front):
    assert front.post(front.path(Purpose.UNSUBSCRIBE, 0), ONE_CLICK).status_code == 200
    assert front.post("/unsubscribe/" + "a" * 48, ONE_CLICK).status_code == 404


def test_a_token_of_any_age_and_any_case_unsubscribes(front):
    ann = front.box.join()
    path = front.path(Purpose.UNSUBSCRIBE, ann, extra=1)
    front.box.pass_time(days=4000)
    assert (
        front.post(path.replace("/unsubscribe/", "").upper().join(("/unsubscribe/", "")), ONE_CLICK).status_code == 200
    )
    assert front.box.state() is UNSUBSCRIBED


def test_leaving_by_the_page_saying_why_and_coming_back(front):
    ann = front.box.join()
    path = front.path(Purpose.UNSUBSCRIBE, ann)
    assert heading(front.get(path)) == "Unsubscribe from Harbour Weekly?"
    left = front.post(path, {"do": "leave"})
    assert heading(left) == "You are unsubscribed"
    assert front.box.state() is UNSUBSCRIBED
    assert heading(front.post(path, {"do": "why", "reason": "often", "words": "daily!"})) == "Thank you"
    consents = front.box.store.choices.load_consents(ann)
    assert [each.evidence.reason for each in consents if each.event == "left"] == ["often: daily!"]
    assert heading(front.get(path)) == "You are unsubscribed"
    rejoin = re.search(r'action="(/rejoin/[a-z2-7]{48})"', left.text)[1]
    assert heading(front.get(rejoin)) == "Come back to Harbour Weekly?"
    assert front.box.state() is UNSUBSCRIBED
    assert heading(front.post(rejoin)) == "You are subscribed"
    assert front.box.state() is ACTIVE


def test_leaving_everything(front):
    monthly = front.box.store.subscribers.ensure_list("monthly", front.box.now, "Monthly").list_id
    ann = front.box.join()
    front.box.join(list_id=monthly)
    path = front.path(Purpose.UNSUBSCRIBE, ann)
    assert "You also get: Monthly" in front.get(path).text
    front.post(path, {"do": "leave-all"})
    assert (front.box.state(), front.box.state(list_id=monthly)) == (UNSUBSCRIBED, UNSUBSCRIBED)


def test_a_break_instead_of_leaving(front):
    ann = front.box.join()
    path = front.path(Purpose.UNSUBSCRIBE, ann)
    assert "December 23, 2026" in front.post(path, {"do": "rest", "weeks": "4"}).text
    assert "You get no issue until December 23, 2026." in front.get(path).text
    for weeks in ("0", "-1", "53", "x", ""):
        assert front.post(path, {"do": "rest", "weeks": weeks}).status_code == 200
    assert front.box.state() is ACTIVE


# ---------------------------------------------------------------------------------------------------------------------
# Preferences
# ---------------------------------------------------------------------------------------------------------------------


def test_preferences_are_shown_and_saved(front):
    ann = front.box.join(name="Ann", topics=("beauty", "wine"))
    path = front.path(Purpose.PREFERENCES, ann)
    page = front.get(path)
    assert 'value="Ann"' in page.text
    assert re.findall(r'value="(\w+)" checked', page.text) == ["beauty", "wine"]
    saved = front.post(path, {"do": "save", "name": "Ann Lee", "language": "fr", "topic": ["retail", "wine", "x"]})
    assert "Enregistré." in saved.text
    found = front.box.store.subscribers.load_subscriber(front.box.list_id, ann)
    assert (found.name, found.language, found.topics) == ("Ann Lee", "fr", ("retail", "wine"))
    assert 'lang="fr"' in front.get(path).text, "the page speaks the subscriber's language"
    assert 'lang="en"' in front.get(f"{path}?lang=en").text


def test_a_break_and_its_end(front):
    ann = front.box.join()
    path = front.path(Purpose.PREFERENCES, ann)
    assert "Your break has begun." in front.post(path, {"do": "rest", "weeks": "8"}).text
    assert "January 20, 2027" in front.get(path).text
    assert "Your break is over." in front.post(path, {"do": "resume"}).text
    assert front.post(path, {"do": "rest", "weeks": "99"}).status_code == 422


def test_lists_are_joined_and_left(front):
    front = with_web(front, lists={"newsletter": "Weekly", "monthly": "Monthly"})
    ann = front.box.join()
    monthly = front.box.store.subscribers.ensure_list("monthly", front.box.now).list_id
    path = front.path(Purpose.PREFERENCES, ann)
    front.post(path, {"do": "save", "list": [str(monthly), "999"]})
    assert (front.box.state(), front.box.state(list_id=monthly)) == (UNSUBSCRIBED, ACTIVE)
    assert "At the moment" not in front.get(path).text


def test_the_own_link_is_mailed_to_who_is_known(front):
    ann = front.box.join()
    for address in (ANN, "unknown@example.org"):
        assert heading(front.post("/preferences", {"email": address})) == "Please look into your mailbox"
    front.box.post()
    [letter] = front.box.letters()
    assert token_in(letter, Purpose.PREFERENCES).subscriber_id == ann
    assert front.post("/preferences", {"email": "no"}).status_code == 422


def test_another_address(front):
    ann = front.box.join()
    path = front.path(Purpose.PREFERENCES, ann)
    assert front.post(path, {"do": "move", "email": "no"}).status_code == 422
    assert heading(front.post(path, {"do": "move", "email": "new@example.net"})) == "Please look into your mailbox"
    front.box.post()
    assert "n•••@example.net was asked for" in front.get(path).text
    [letter] = [each for each in front.box.letters() if each["To"] == "new@example.net"]
    link = f"/change/{sign(SAMPLE_KEYS, token_in(letter, Purpose.CHANGE_ADDRESS))}"
    assert heading(front.get(link)) == "Use this address?"
    assert front.box.state() is ACTIVE
    assert heading(front.post(link)) == "Your address is changed"
    assert front.box.state("new@example.net") is ACTIVE
    assert front.post(link).status_code == 410
    assert front.get(link).status_code == 410


def test_keeping_the_address(front):
    ann = front.box.join()
    path = front.path(Purpose.PREFERENCES, ann)
    front.post(path, {"do": "move", "email": "new@example.net"})
    front.box.post()
    assert "stays as it is" in front.post(path, {"do": "keep"}).text
    assert "was asked for" not in front.get(path).text


# ---------------------------------------------------------------------------------------------------------------------
# Links that do not work
# ---------------------------------------------------------------------------------------------------------------------


def test_an_old_confirmation_offers_a_new_one(front):
    link = asked(front)
    front.box.pass_time(days=9)
    page = front.get(link)
    assert (page.status_code, heading(page)) == (410, "This link is too old")
    assert front.post(link).status_code == 410
    assert front.box.state() is PENDING
    assert heading(front.post(link, {"again": "1"})) == "Please look into your mailbox"
    front.box.post()
    anew = f"/confirm/{sign(SAMPLE_KEYS, token_in(front.box.letters()[-1], Purpose.CONFIRM))}"
    assert heading(front.post(anew)) == "You are subscribed"


@pytest.mark.parametrize("name", ["confirm", "preferences", "change", "unsubscribe", "rejoin"])
@pytest.mark.parametrize("token", ["x", "a" * 48, "é" * 48, "A" * 10_000])
def test_a_damaged_link_says_what_to_do(front, name, token):
    for method in ("GET", "POST"):
        page = front.client.open(f"/{name}/{token}", method=method, data={"do": "leave"} if method == "POST" else None)
        assert page.status_code == 404
        assert heading(page) == "This link does not work"
        assert 'href="/preferences"' in page.text


def test_a_token_opens_its_own_page_only(front):
    ann = front.box.join()
    purposes = (Purpose.CONFIRM, Purpose.PREFERENCES, Purpose.UNSUBSCRIBE, Purpose.RESUBSCRIBE, Purpose.CHANGE_ADDRESS)
    for purpose in purposes:
        token = front.path(purpose, ann).rpartition("/")[2]
        for name in ("confirm", "preferences", "change", "unsubscribe", "rejoin"):
            own = front.path(purpose, ann).startswith(f"/{name}/")
            assert (heading(front.get(f"/{name}/{token}")) == "This link does not work") != own


def test_a_proofs_link_is_nobodys(front):
    for purpose in (Purpose.CONFIRM, Purpose.PREFERENCES, Purpose.UNSUBSCRIBE, Purpose.RESUBSCRIBE):
        for method in ("GET", "POST"):
            page = front.client.open(front.path(purpose, 0), method=method)
            assert (page.status_code, heading(page)) == (404, "Nobody is subscribed with this link")


def test_an_address_that_must_not_be_mailed_is_told_so(front):
    link = asked(front)
    front.box.store.subscribers.suppress_address(ANN, SuppressionReason.HARD_BOUNCE, front.box.now)
    page = front.post(link)
    assert (page.status_code, heading(page)) == (409, "We cannot send to this address")
    assert "weekly@news.example.org" in page.text


# ---------------------------------------------------------------------------------------------------------------------
# Languages, the store away, the archive, hooks
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [
        ("", "", "en"),
        ("", "fr-CA,fr;q=0.9,en;q=0.5", "fr"),
        ("", "zh-CN,zh;q=0.9", "zh-Hans"),
        ("", "de,fr;q=0.5", "fr"),
        ("", "de", "en"),
        ("", "en-GB,fr;q=0.9", "en"),
        ("?lang=zh-Hans", "fr", "zh-Hans"),
        ("?lang=tlh", "fr", "fr"),
        ("?lang=../../etc", "fr", "fr"),
        ("", "x" * 3000, "en"),
    ],
)
def test_the_page_speaks_what_was_chosen_or_what_the_browser_asks_for(front, query, accept, expected):
    page = front.get(f"/subscribe{query}", headers={"Accept-Language": accept} if accept else {})
    assert f'<html lang="{expected}"' in page.text
    assert page.headers["Content-Language"] == expected


def test_a_chosen_language_stays_chosen(front):
    page = front.get("/subscribe?lang=fr")
    assert 'action="/subscribe?lang=fr"' in page.text
    assert 'href="/preferences?lang=fr"' in page.text
    front.post("/subscribe?lang=fr", {"email": ANN})
    front.box.post()
    assert "Confirmez" in front.box.letters()[0]["Subject"]


def test_a_store_that_is_away_is_told_and_nothing_is_lost_in_silence(front):
    ann = front.box.join()
    front.box.store.close()
    for page in (
        front.get(front.path(Purpose.UNSUBSCRIBE, ann)),
        front.post(front.path(Purpose.UNSUBSCRIBE, ann), ONE_CLICK),
        front.post("/subscribe", {"email": ANN}),
    ):
        assert page.status_code == 503, page.text
        assert page.headers["Retry-After"] == "120"
    health = front.get("/healthz")
    assert (health.status_code, health.json["status"]) == (503, "trouble")


def test_health_is_told_without_anybody_in_it(front):
    front.post("/subscribe", {"email": ANN})
    health = front.get("/healthz")
    assert health.json == {"format": 1, "status": "ok", "store": "ok", "letters_waiting": 1}


def test_the_archive_is_served_as_it_lies_there(front):
    folder = front.archive / "2026-11-25" / "images"
    folder.mkdir(parents=True)
    (front.archive / "index.html").write_text("<p>all</p>")
    (front.archive / "2026-11-25" / "index.html").write_text("<p>one</p>")
    (front.archive / "atom.xml").write_text("<feed/>")
    (front.archive / "old.html").write_text("<p>old</p>")
    (folder / "a.png").write_bytes(b"\x89PNG")
    (folder / "a.svg").write_text("<svg/>")
    moved = front.get("/archive/2026-11-25")
    assert (moved.status_code, moved.headers["Location"]) == (301, "2026-11-25/")
    assert front.get("/archive").headers["Location"] == "archive/"
    assert front.get("/archive/2026-11-25/").text == "<p>one</p>"
    assert front.get("/archive/").text == "<p>all</p>"
    assert front.get("/archive/old").text == "<p>old</p>"
    types = {name: front.get(f"/archive/{name}").content_type for name in ("atom.xml", "2026-11-25/images/a.png")}
    assert types == {"atom.xml": "application/atom+xml; charset=utf-8", "2026-11-25/images/a.png": "image/png"}
    page = front.get("/archive/2026-11-25/")
    assert page.headers["Cache-Control"] == "public, max-age=300"
    again = front.get("/archive/2026-11-25/", headers={"If-None-Match": page.headers["ETag"]})
    assert again.status_code == 304
    assert "sandbox" in front.get("/archive/2026-11-25/images/a.svg").headers["Content-Security-Policy"]
    assert front.get("/archive/none").status_code == 404
    assert 'href="/archive/"' in front.get("/subscribe").text


def test_what_a_provider_posts_reaches_its_adapter_whole(front):
    from newsletter.web import HookAnswer

    seen = []

    def take(asked):
        seen.append(asked)
        return HookAnswer(202, "taken\n")

    front = Front(front.box, hooks={"ses": take})
    body = b'{"Type": "Notification"}' + b" " * 200_000
    answer = front.post("/hooks/ses", body, content_type="text/plain", headers={"X-Amz-Sns-Message-Type": "x"})
    assert (answer.status_code, answer.text) == (202, "taken\n")
    assert seen[0].body == body
    assert seen[0].headers["x-amz-sns-message-type"] == "x"
    assert front.post("/hooks/other", b"{}").status_code == 404
    assert front.get("/hooks/ses").status_code == 405
    assert len(seen) == 1
    assert front.post("/hooks/ses", b"x" * 1_100_000).status_code == 413
