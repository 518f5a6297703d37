"""Cron shows that it runs: a textfile that is always whole, a ping that never fails a run, both cheap when idle."""

import contextlib
import datetime as dt
import http.server
import ssl
import threading

import pytest
from certificates import make_certificate
from newsroom import Newsroom
from test_glance import HEAVY, loaded_by

from newsletter.beacon import last_success, send_ping, write_textfile
from newsletter.receiver import Receiver

NOW = dt.datetime.now(dt.UTC)


@contextlib.contextmanager
def watching(context: ssl.SSLContext | None = None):
    """Serve pings on 127.0.0.1, and keep the paths that were asked for; /teapot is refused, /moved leads elsewhere."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(418 if "teapot" in self.path else 302 if "moved" in self.path else 200)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None: ...

    server = Server(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http{'s' if context else ''}://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def watchdog():
    with watching() as watched:
        yield watched


@pytest.fixture
def watchdog_tls(tmp_path):
    certificate = make_certificate(tmp_path)
    with watching(certificate.server_context()) as (url, asked):
        yield url, asked, certificate.ca_file


def test_ping_tells_success_and_failure(watchdog):
    url, asked = watchdog
    assert send_ping(f"{url}/uuid", is_well=True) == ""
    assert send_ping(f"{url}/uuid/?a=b", is_well=False) == ""
    assert asked == ["/uuid", "/uuid/fail?a=b"]


def test_ping_over_https_trusts_known_authorities_alone(watchdog_tls, monkeypatch):
    url, asked, ca_file = watchdog_tls
    assert "certificate verify failed" in send_ping(f"{url}/secret", is_well=True)
    assert asked == []
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    assert send_ping(f"{url}/uuid", is_well=False) == ""
    assert asked == ["/uuid/fail"]


def test_ping_follows_no_redirect_and_never_shows_its_url(watchdog):
    url, asked = watchdog
    assert send_ping(f"{url}/moved-secret", is_well=True) == "[monitoring] ping: 127.0.0.1 answered 302"
    assert send_ping(f"{url}/teapot-secret", is_well=True) == "[monitoring] ping: 127.0.0.1 answered 418"
    assert "secret" not in send_ping("http://127.0.0.1:1/secret", is_well=True)
    assert len(asked) == 2


def test_textfile_is_written_at_once_and_readable_for_others(tmp_path):
    path = tmp_path / "newsletter.prom"
    assert write_textfile(str(path), "a 1\n") == ""
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("a 1\n", 0o644)
    assert [each.name for each in tmp_path.iterdir()] == ["newsletter.prom"]
    assert "cannot be written" in write_textfile(str(tmp_path / "no" / "x.prom"), "a 1\n")


def metrics(room: Newsroom) -> dict[str, float]:
    lines = (room.root / "newsletter.prom").read_text().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_runs_are_watched_whether_or_not_something_was_due(tmp_path, watchdog):
    url, asked = watchdog
    room = Newsroom(tmp_path)
    room.environ |= {"NEWSLETTER_MONITORING__TEXTFILE": "newsletter.prom", "NEWSLETTER_MONITORING__PING": f"{url}/uuid"}
    room.subscribers("ada@example.org", "bob@example.org")
    with Receiver() as receiver:
        room.relay(receiver)
        room.timed_issue("2026-11-25", NOW - dt.timedelta(hours=1))
        room.run("approve", "2026-11-25")
        assert room.run("send", "--due").code == 0
        assert metrics(room)['newsletter_deliveries{issue="2026-11-25",kind="issue",end="sent"}'] == 2
        answer = room.run("send", "--due")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert asked == ["/uuid"] * 2
    old = (room.root / "newsletter.prom").read_text().replace("_seconds 1", "_seconds 9")
    (room.root / "newsletter.prom").write_text(old)
    assert room.run("send", "--due").code == 0
    assert abs(metrics(room)["newsletter_last_run_timestamp_seconds"] - NOW.timestamp()) < 3600
    assert metrics(room)['newsletter_deliveries{issue="2026-11-25",kind="issue",end="sent"}'] == 2


def test_failed_run_keeps_the_last_success_and_pings_fail(tmp_path, watchdog):
    url, asked = watchdog
    room = Newsroom(tmp_path)
    room.environ |= {"NEWSLETTER_MONITORING__TEXTFILE": "newsletter.prom", "NEWSLETTER_MONITORING__PING": f"{url}/uuid"}
    assert room.run("send", "--due").code == 0
    before = last_success(str(tmp_path / "newsletter.prom"))
    room.timed_issue("2026-11-25", NOW - dt.timedelta(hours=1))
    assert room.run("send", "--due").code == 1
    assert asked == ["/uuid", "/uuid/fail"]
    assert last_success(str(tmp_path / "newsletter.prom")) == before


def test_watchdog_that_is_down_changes_nothing(tmp_path):
    room = Newsroom(tmp_path)
    room.environ["NEWSLETTER_MONITORING__PING"] = "http://127.0.0.1:1/uuid"
    assert room.run("send", "--due").code == 0


def test_idle_run_that_is_watched_loads_no_heavy_library(tmp_path):
    room = Newsroom(tmp_path)
    room.write("newsletter.toml", (tmp_path / "newsletter.toml").read_text() + '[monitoring]\ntextfile = "n.prom"\n')
    room.subscribers("ada@example.org")
    assert room.run("send", "--due").code == 0
    assert not loaded_by(room, "send", "--due").intersection(HEAVY)
