"""The server as a process of its own: it listens, posts letters, ends in order, and loses nothing when it is killed."""

import concurrent.futures
import email
import email.policy
import http.client
import re
import signal
import socket
import threading
from pathlib import Path

import pytest
from newsroom import CONFIG, Newsroom
from smtp_server import SmtpServer
from webfront import path_of, served, wait_for

from newsletter.store import SubscriptionState, open_store
from newsletter.tokens import Purpose, Token, parse_keys, sign

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
WEB = CONFIG + 'url = "http://localhost"\nunsubscribe = "web"\n'


@pytest.fixture
def relay():
    with SmtpServer() as server:
        yield server


@pytest.fixture
def room(tmp_path, relay) -> Newsroom:
    room = Newsroom(tmp_path / "room", config=WEB)
    room.relay(relay)
    return room


def keys_of(room):
    return parse_keys((room.root / "newsletter.secret").read_text())


def open_list(room):
    return open_store(f"sqlite:///{room.root / 'newsletter.db'}", address_key=keys_of(room).address_key)


def states(room) -> dict[str, str]:
    with open_list(room) as store:
        return {each.address: str(each.state) for each in store.subscribers.list_subscribers(1)}


def link_in(letter: bytes) -> str:
    text = email.message_from_bytes(letter, policy=email.policy.default).get_body(["plain"]).get_content()
    return re.search(r"https?://\S+", text)[0]


def test_a_reader_comes_and_goes_over_a_real_server_and_a_real_relay(room, relay):
    with served(room.root, room.environ) as server:
        assert server.ask("GET", "/healthz") == (
            200,
            '{"format": 1, "status": "ok", "store": "ok", "letters_waiting": 0}\n',
        )
        assert server.ask("POST", "/subscribe", {"email": "ann@example.org"})[0] == 200
        wait_for(lambda: relay.accepted, what="no letter came")
        link = path_of(link_in(relay.accepted[0].content))
        assert states(room) == {"ann@example.org": "pending"}
        assert server.ask("GET", link)[0] == 200
        assert server.ask("POST", link, {})[0] == 200
        assert states(room) == {"ann@example.org": "active"}
        assert server.end() == 0
    [note] = (room.root / "serve.err").read_text().splitlines()
    assert note.startswith("note: made "), "nothing else, and nobody's address"


def test_unsubscribe_web_works_end_to_end(room, relay):
    """A real send, whose List-Unsubscribe is answered by the server, as mail providers do it."""
    room.issue()
    room.subscribers("ann@example.org", "bob@example.org")
    assert room.run("approve", "2026-11-25").code == 0
    assert room.run("send", "2026-11-25", "--yes").code == 0
    [message] = [each.content for each in relay.accepted if each.rcpt_to == ("ann@example.org",)]
    headers = email.message_from_bytes(message, policy=email.policy.compat32)
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    uri = re.search(r"<(https?://[^>]+)>", headers["List-Unsubscribe"])[1]
    visible = re.findall(r"http://localhost/unsubscribe/[a-z2-7]{48}", message.replace(b"=\r\n", b"").decode())
    assert {path_of(uri)} == {path_of(each) for each in visible}
    with served(room.root, room.environ) as server:
        assert server.ask("GET", path_of(uri))[0] == 200
        assert states(room)["ann@example.org"] == "active"
        assert server.ask("POST", path_of(uri), ONE_CLICK) == (200, "You are unsubscribed.\n")
        assert server.ask("POST", path_of(uri), ONE_CLICK) == (200, "You are unsubscribed.\n")
    assert states(room) == {"ann@example.org": "unsubscribed", "bob@example.org": "active"}


def test_a_site_in_a_folder_is_served_there(room, relay):
    room.environ["NEWSLETTER_NEWSLETTER__URL"] = "http://localhost/letters"
    with served(room.root, room.environ) as server:
        status, page = server.ask("GET", "/letters/subscribe")
        assert status == 200
        assert 'href="/letters/assets/style.css' in page
        assert 'action="/letters/subscribe"' in page
        server.ask("POST", "/letters/subscribe", {"email": "ann@example.org"})
        wait_for(lambda: relay.accepted)
        link = link_in(relay.accepted[0].content)
        assert link.startswith("http://localhost/letters/confirm/")
        assert server.ask("POST", path_of(link), {})[0] == 200


def test_a_letter_that_was_asked_for_survives_a_kill(room, relay):
    port = relay.port
    room.environ["NEWSLETTER_SMTP__PORT"] = "1"
    with served(room.root, room.environ) as server:
        for n in range(5):
            assert server.ask("POST", "/subscribe", {"email": f"r{n}@example.org"})[0] == 200
        server.end(signal.SIGKILL)
    assert relay.accepted == []
    with open_list(room) as store:
        assert store.outbox.count_mails() == 5
        store.database._connection.execute("UPDATE outbox SET due_at = queued_at")  # the minute is over
    room.environ["NEWSLETTER_SMTP__PORT"] = str(port)
    with served(room.root, room.environ):
        wait_for(lambda: len(relay.accepted) == 5, what="letters were lost")
    assert sorted(each.rcpt_to[0] for each in relay.accepted) == [f"r{n}@example.org" for n in range(5)]


def test_what_was_answered_is_in_the_store_whatever_happens_next(room, relay):
    """Many clients at once, and a kill in the middle: each 200 stands for a row."""
    room.subscribers(*(f"r{n}@example.org" for n in range(150)))
    keys = keys_of(room)
    tokens = [sign(keys, Token(Purpose.UNSUBSCRIBE, 1, number)) for number in range(1, 151)]
    done: list[int] = []
    with served(room.root, room.environ) as server:

        def leave(number: int) -> None:
            try:
                status, _ = server.ask("POST", f"/unsubscribe/{tokens[number - 1]}", ONE_CLICK)
            except (OSError, http.client.HTTPException):
                return
            if status == 200:
                done.append(number)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            pending = [pool.submit(leave, number) for number in range(1, 151)]
            wait_for(lambda: len(done) > 40)
            server.end(signal.SIGKILL)
            concurrent.futures.wait(pending)
    assert 40 < len(done) <= 150
    with open_list(room) as store:
        left = {
            each.subscriber_id
            for each in store.subscribers.list_subscribers(1)
            if each.state is SubscriptionState.UNSUBSCRIBED
        }
    assert set(done) <= left


def test_a_request_in_hand_is_answered_before_the_end_and_none_is_begun_after(room):
    with served(room.root, room.environ) as server:
        slow = socket.create_connection((server.host, server.port), 60)
        body = b"email=ann%40example.org"
        kind = "Content-Type: application/x-www-form-urlencoded"
        head = f"POST /subscribe HTTP/1.1\r\nHost: x\r\n{kind}\r\nContent-Length: {len(body)}\r\n"
        slow.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert slow.recv(65536).startswith(b"HTTP/1.1 100"), "the server has it in hand"
        slow.sendall(body[:5])
        ended: list[int] = []
        thread = threading.Thread(target=lambda: ended.append(server.end()))
        thread.start()
        wait_for(lambda: refused(server), what="it still listens")
        slow.sendall(body[5:])
        answer = slow.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        slow.close()
        thread.join(60)
        assert ended == [0]
    with open_list(room) as store:
        assert store.outbox.count_mails() in (0, 1)


def refused(server) -> bool:
    try:
        socket.create_connection((server.host, server.port), 1).close()
    except OSError:
        return True
    return False


def test_behind_a_proxy_the_client_is_who_the_proxy_says_and_else_nobodys_word_counts(room):
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    room.environ["NEWSLETTER_WEB__ASKS_PER_CLIENT"] = "1"
    for proxies, expected in (("0", [200, 429]), ("1", [200, 200])):
        room.environ["NEWSLETTER_WEB__PROXIES"] = proxies
        with served(room.root, room.environ) as server:
            answers = []
            for n in range(2):
                headers = {**forged, "X-Forwarded-For": f"198.51.100.{proxies}, 203.0.113.{n}"}
                form = {"email": f"ann{n}{proxies}@example.org"}
                answers.append(server.ask("POST", "/subscribe", form, headers)[0])
            assert answers == expected


def test_an_address_that_is_taken_and_a_newsletter_without_a_site_are_told(room, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = room.spawn("serve", "--port", str(taken.getsockname()[1]))
    assert answer.code == 78, answer
    assert "cannot listen" in answer.err
    bare = Newsroom(tmp_path / "bare")
    answer = bare.spawn("serve", "--port", "0")
    assert answer.code == 78, answer
    assert "need an address of their own" in answer.err


def test_serving_needs_no_compiler_and_cron_needs_no_server():
    from newsroom import spawn

    code = (
        "import sys, newsletter.web.serving as s; from newsletter.web import guard, preferences, archive\n"
        "print(sorted({'mjml', 'premailer', 'feedparser', 'markdown_it', 'lxml'} & set(sys.modules)))\n"
    )
    assert spawn("-c", code, cwd=Path.cwd()).out == "[]\n"
    code = (
        "import sys, newsletter.worker, newsletter.cli.due\nprint({'flask', 'waitress', 'werkzeug'} & set(sys.modules))"
    )
    assert spawn("-c", code, cwd=Path.cwd()).out == "set()\n"
