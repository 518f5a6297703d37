"""``newsletter doctor``, with a real name server, a real relay and a real store: nothing wrong, and one thing after the
other wrong."""

import contextlib
import datetime as dt
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from certificates import make_certificate
from dns_server import DnsServer, closed_port
from dovecot_server import PASSWORD, USER, DovecotServer, missing_reason
from newsroom import CONFIG, Newsroom
from smtp_server import SmtpServer

from newsletter.belonging import HostGuard
from newsletter.dkim import dns_record
from newsletter.dkimkeys import parse_key
from newsletter.dnslook import Dns
from newsletter.receiver import Receiver
from newsletter.store import open_store, owner_name

EXAMPLE = "news.example.org"
WATCHED = '[bounces]\nmaildir = "bounces"\n[monitoring]\ntextfile = "newsletter.prom"\n'


class Clinic(Newsroom):
    """Hold a newsletter that is well, and what it stands on."""

    def __init__(self, root: Path, dns: DnsServer, relay: SmtpServer) -> None:
        super().__init__(root)
        self.dns = dns
        self.environ |= {
            "NEWSLETTER_SMTP__HOST": "127.0.0.1",
            "NEWSLETTER_SMTP__PORT": str(relay.port),
            "NEWSLETTER_SMTP__CA_FILE": "ca.pem",
            "NEWSLETTER_SMTP__USERNAME": "weekly",
            "NEWSLETTER_SMTP__PASSWORD": "secret",
            "NEWSLETTER_SMTP__HELO": "client",
            "NEWSLETTER_RESOLVER": dns.address,
        }

    def doctor(self, *arguments: str, sends_from: str = "192.0.2.7"):
        options = ["--sends-from", sends_from] if sends_from else []
        answer = self.run("doctor", *options, *arguments)
        assert answer.err == ""
        return answer

    def levels(self, *arguments: str, **options) -> dict[str, str]:
        """Return the worst level of each check that is not ok."""
        found: dict[str, str] = {}
        for finding in self.doctor("--json", *arguments, **options).json["findings"]:
            if finding["level"] != "ok":
                found[finding["check"]] = finding["level"]
        return found

    def finding(self, check: str, *arguments: str):
        findings = self.doctor("--json", *arguments).json["findings"]
        return next(each for each in findings if each["check"] == check and each["level"] != "ok")


@pytest.fixture(scope="module")
def dkim_key(tmp_path_factory) -> bytes:
    """Make a key as the documents say."""
    key = tmp_path_factory.mktemp("dkim") / "dkim.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    return key.read_bytes()


@pytest.fixture
def clinic(tmp_path, dkim_key):
    certificate = make_certificate(tmp_path)
    relay = SmtpServer(security="starttls", certificate=certificate, users={"weekly": "secret"})
    with DnsServer() as dns, relay:
        clinic = Clinic(tmp_path / "weekly", dns, relay)
        (tmp_path / "ca.pem").rename(clinic.root / "ca.pem")
        key = clinic.root / "dkim.pem"
        key.write_bytes(dkim_key)
        key.chmod(0o600)
        clinic.write("newsletter.toml", CONFIG + '\n[dkim.keys]\ns2026 = "dkim.pem"\n' + WATCHED)
        for name in ("new", "cur", "tmp"):
            (clinic.root / "bounces" / name).mkdir(parents=True)
        clinic.subscribers("ann@example.org", "bob@example.org")
        name, text = dns_record(parse_key(key.read_bytes(), "s2026", "dkim.pem"), EXAMPLE)
        dns.txt(name, text)
        dns.txt(EXAMPLE, "v=spf1 ip4:192.0.2.7 -all", "some-site-verification=1")
        dns.txt("_dmarc.example.org", "v=DMARC1; p=reject; rua=mailto:dmarc@example.org")
        dns.add(EXAMPLE, "MX", "10 mail.example.org.")
        dns.host("mail.example.org", "192.0.2.7")
        yield clinic


CHECKS = [
    *("configuration", "postal address", "links", "secret file", "store", "schema", "ledger", "lock", "disk", "host"),
    *("clock", "tls", "relay", "bounces", "monitoring", "from", "mx", "spf", "dkim s2026", "dmarc", "ptr"),
]


def test_newsletter_that_is_well(clinic):
    answer = clinic.doctor("--json")
    assert answer.code == 0, answer
    report = answer.json
    assert report["format"] == 1
    assert (report["errors"], report["warnings"]) == (0, 1)
    assert list(dict.fromkeys(finding["check"] for finding in report["findings"])) == CHECKS
    for finding in report["findings"]:
        assert set(finding) == {"check", "level", "found", "why", "fix"}
        assert finding["level"] == "ok" or finding["check"] in ("clock", "from")  # which are as they are in a test
        assert bool(finding["fix"]) is (finding["level"] in ("error", "warning"))


def test_nothing_is_mailed_or_changed(clinic):
    clinic.doctor()  # a file for the lock is made at the first time
    before = {path.name: path.read_bytes() for path in files_of(clinic)}
    clinic.doctor()
    after = {path.name: path.read_bytes() for path in files_of(clinic)}
    assert after == before


def files_of(clinic):
    return [path for path in clinic.root.rglob("*") if path.is_file() and path.suffix not in (".lock", ".db-shm")]


def test_report_for_people(clinic):
    answer = clinic.doctor()
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0] == f"ok          configuration   {clinic.root / 'newsletter.toml'} can be used"
    assert "\x1b" not in answer.out
    assert lines[-1].endswith(" ok, 1 not checked")
    assert "0 errors, 1 warning" in lines[-1]
    [fix] = [line for line in lines if line.lstrip().startswith("fix:")]
    assert "an address of your own" in fix


def test_quiet_prints_errors_only(clinic):
    assert clinic.run("--quiet", "doctor", "--sends-from", "192.0.2.7").out == ""
    answer = clinic.run("--quiet", "doctor", "--sends-from", "192.0.2.8")
    assert answer.code == 1
    assert answer.out.startswith("error       spf")
    assert f'\n{" " * 33}{EXAMPLE}. IN TXT "v=spf1 ip4:192.0.2.7 ip4:192.0.2.8 -all"\n' in answer.out


def test_terminal_gets_colours_and_lines_that_fit(clinic):
    text = on_terminal(clinic, 80, "doctor", "--offline")
    assert "\x1b[32mok" in text
    lines = [re.sub(r"\x1b\[\d*m", "", line) for line in text.splitlines()]
    assert max(len(line) for line in lines if str(clinic.root) not in line) <= 80
    assert any(line.startswith(" " * 33) for line in lines)  # what goes on does so below its own column


def on_terminal(newsroom, columns, *arguments):
    """Return what a command writes to a terminal."""
    ours, its = pty.openpty()
    environ = {**os.environ, **newsroom.environ, "COLUMNS": str(columns)}
    command = [sys.executable, "-m", "newsletter", "--project", str(newsroom.root), *arguments]
    with subprocess.Popen(command, stdout=its, stderr=its, env=environ) as child:
        os.close(its)
        written = b""
        with contextlib.suppress(OSError):  # EIO: the other side was closed
            while piece := os.read(ours, 65536):
                written += piece
        os.close(ours)
    assert child.returncode == 0
    return written.decode()


# ---------------------------------------------------------------------------------------------------------------------
# What is wrong, one at a time
# ---------------------------------------------------------------------------------------------------------------------


def test_configuration_that_cannot_be_used(clinic):
    clinic.write("newsletter.toml", CONFIG + "\n[smpt]\nhost = 1\n[store]\nurls = 2\n")
    answer = clinic.doctor("--json")
    assert answer.code == 1
    assert [finding["check"] for finding in answer.json["findings"]] == ["configuration"] * 2
    assert "smpt" in answer.json["findings"][0]["found"]
    (clinic.root / "newsletter.toml").unlink()
    assert "no such file" in clinic.finding("configuration")["found"]


def test_identity_that_cannot_be_used(clinic):
    clinic.environ["NEWSLETTER_NEWSLETTER__URL"] = "http://news.example.org"
    clinic.environ["NEWSLETTER_NEWSLETTER__UNSUBSCRIBE"] = "web"
    answer = clinic.doctor("--json")
    assert answer.code == 1
    found = {finding["check"]: finding for finding in answer.json["findings"] if finding["level"] == "error"}
    assert "RFC 8058" in found["configuration"]["found"]
    assert 'url = "https://news.example.org"' in found["links"]["fix"]
    assert "spf" not in {finding["check"] for finding in answer.json["findings"]}


@pytest.mark.parametrize("text", ["", "Your Name, 1 Your Street, 12345 Your City, Your Country"])
def test_postal_address_that_is_missing(clinic, text):
    clinic.environ["NEWSLETTER_NEWSLETTER__POSTAL_ADDRESS"] = text
    assert clinic.doctor().code == 1
    assert clinic.finding("postal address")["level"] == "error"


def test_site_over_http(clinic):
    clinic.environ["NEWSLETTER_NEWSLETTER__URL"] = "http://news.example.org"
    assert clinic.levels()["links"] == "warning"
    clinic.environ["NEWSLETTER_NEWSLETTER__URL"] = "https://news.example.org"
    assert "links" not in clinic.levels()


def test_secret_file_that_others_can_read(clinic):
    path = clinic.root / "newsletter.secret"
    path.chmod(0o640)
    finding = clinic.finding("secret file")
    assert finding["level"] == "error"
    assert finding["fix"] == f"chmod 600 {path}"


def test_secret_file_that_is_gone_or_another(clinic):
    path = clinic.root / "newsletter.secret"
    path.rename(clinic.root / "elsewhere")
    assert clinic.finding("secret file")["level"] == "error"
    assert not path.exists()
    path.write_text("nonsense")
    assert clinic.finding("secret file")["level"] == "error"


def test_dkim_key_that_is_missing_or_weak(clinic):
    (clinic.root / "dkim.pem").chmod(0o644)
    finding = clinic.finding("dkim keys")
    assert finding["level"] == "warning"
    assert "chmod 600" in finding["fix"]
    (clinic.root / "dkim.pem").unlink()
    assert "no such file" in clinic.finding("dkim keys")["found"]
    assert clinic.levels()["dkim"] == "not checked"


def test_password_that_stands_in_the_configuration(clinic):
    clinic.environ.pop("NEWSLETTER_SMTP__PASSWORD")
    clinic.write("newsletter.toml", CONFIG + '\n[smtp]\npassword = "secret"\n')
    finding = clinic.finding("password")
    assert finding["level"] == "warning"
    assert "secret" not in finding["found"]
    clinic.write("newsletter.toml", CONFIG + '\n[smtp]\npassword_file = "password"\n')
    assert clinic.finding("password")["level"] == "error"
    clinic.write("password", "secret\n").chmod(0o644)
    assert "0644" in clinic.finding("password")["found"]
    (clinic.root / "password").chmod(0o600)
    assert "password" not in clinic.levels()


def test_relay_that_is_not_there(clinic):
    clinic.environ["NEWSLETTER_SMTP__PORT"] = str(closed_port())
    levels = clinic.levels()
    assert (levels["relay"], levels["tls"]) == ("error", "not checked")


def test_relay_that_does_not_let_us_in(clinic):
    clinic.environ["NEWSLETTER_SMTP__PASSWORD"] = "wrong"
    finding = clinic.finding("relay")
    assert finding["level"] == "error"
    assert "535" in finding["found"]


def test_relay_whose_certificate_is_not_accepted(clinic):
    clinic.environ.pop("NEWSLETTER_SMTP__CA_FILE")
    levels = clinic.levels()
    assert (levels["tls"], levels["relay"]) == ("error", "not checked")
    finding = clinic.finding("tls")
    assert "127.0.0.1" in finding["found"]
    assert "ca_file" in finding["fix"]


def test_relay_without_tls_on_this_machine(clinic):
    with Receiver() as receiver:
        clinic.relay(receiver)
        clinic.environ["NEWSLETTER_SMTP__USERNAME"] = ""
        levels = clinic.levels()
    assert not {"tls", "relay"} & set(levels)


def test_records_that_are_wrong(clinic):
    dns = clinic.dns
    dns.zone[EXAMPLE, "TXT"] = ['"v=spf1 -all"']
    dns.zone[f"s2026._domainkey.{EXAMPLE}", "TXT"] = ['"v=DKIM1; p=MIIB"']
    del dns.zone["_dmarc.example.org", "TXT"]
    del dns.zone[EXAMPLE, "MX"]
    del dns.zone["7.2.0.192.in-addr.arpa", "PTR"]
    answer = clinic.doctor()
    assert answer.code == 1
    levels = clinic.levels()
    assert {check: levels[check] for check in ("spf", "dkim s2026", "dmarc", "mx", "ptr")} == dict.fromkeys(
        ("spf", "dkim s2026", "dmarc", "mx", "ptr"), "error"
    )
    for record in (
        f'{EXAMPLE}. IN TXT "v=spf1 ip4:192.0.2.7 -all"',
        f's2026._domainkey.{EXAMPLE}. IN TXT ( "v=DKIM1; k=rsa; p=MIIB',
        f'_dmarc.{EXAMPLE}. IN TXT "v=DMARC1; p=none"',
        f"{EXAMPLE}. IN MX 10 mail.{EXAMPLE}.",
        "7.2.0.192.in-addr.arpa. IN PTR",
    ):
        assert f"\n{' ' * 33}{record}" in answer.out


def test_every_relay_s_host_is_asked_for(clinic):
    relay = clinic.environ.pop("NEWSLETTER_SMTP__PORT")
    for name in [name for name in clinic.environ if name.startswith("NEWSLETTER_SMTP__")]:
        del clinic.environ[name]
    ours = 'username = "weekly"\npassword = "secret"\nca_file = "ca.pem"\nhelo = "client"\n'
    config = (clinic.root / "newsletter.toml").read_text()
    config += f'\n[[transports]]\nname = "main"\nhost = "127.0.0.1"\nport = {relay}\n{ours}'
    config += '\n[[transports]]\nname = "spare"\nhost = "spare.example.org"\nport = 1\ntimeout = 1\n'
    clinic.write("newsletter.toml", config)
    clinic.dns.host("spare.example.org", "192.0.2.99")
    findings = clinic.doctor("--json", sends_from="").json["findings"]
    spf = [each["found"] for each in findings if each["check"] == "spf"]
    assert any("does not name 192.0.2.99" in found for found in spf), "its mail would fail SPF"
    assert any("192.0.2.99" in each["found"] for each in findings if each["check"] == "ptr")
    assert [each["found"] for each in findings if each["check"] == "relay" and "spare" in each["found"]]
    named = clinic.doctor("--json").json["findings"]
    assert not any("192.0.2.99" in each["found"] for each in named), "the operator named every address"


def test_without_an_address_what_depends_on_it_is_not_checked(clinic):
    assert {"spf", "ptr"} <= set(clinic.levels(sends_from=""))
    assert clinic.doctor(sends_from="").code == 0


def test_name_server_that_does_not_answer_is_no_error(clinic, monkeypatch):
    monkeypatch.setattr("newsletter.cli.doctor._open_resolver", lambda server: Dns(server, timeout_s=0.2))
    clinic.dns.silent.update([EXAMPLE, f"s2026._domainkey.{EXAMPLE}", f"_dmarc.{EXAMPLE}", "7.2.0.192.in-addr.arpa"])
    answer = clinic.doctor("--json")
    assert answer.code == 0
    unchecked = {each["check"] for each in answer.json["findings"] if each["level"] == "not checked"}
    assert {"mx", "spf", "dkim s2026", "dmarc", "ptr"} <= unchecked


def test_offline_asks_nobody(clinic):
    questions, port = len(clinic.dns.questions), clinic.environ["NEWSLETTER_SMTP__PORT"]
    clinic.environ["NEWSLETTER_SMTP__PORT"] = str(closed_port())
    levels = clinic.levels("--offline")
    assert {check for check, level in levels.items() if level == "not checked"} == {
        *("clock", "relay", "mx", "spf", "dkim s2026", "dmarc", "ptr")
    }
    assert clinic.doctor("--offline").code == 0
    assert len(clinic.dns.questions) == questions
    clinic.environ["NEWSLETTER_SMTP__PORT"] = port


def test_store_that_is_broken_does_not_keep_the_rest_from_being_looked_at(clinic):
    (clinic.root / "newsletter.db").write_bytes(b"no database\n" * 1000)
    answer = clinic.doctor("--json")
    assert answer.code == 1
    levels = {each["check"]: each["level"] for each in answer.json["findings"]}
    assert levels["store"] == "error"
    assert levels["dmarc"] == "ok"


def test_fresh_newsletter(tmp_path):
    newsroom = Newsroom(tmp_path)
    answer = newsroom.run("doctor", "--offline", "--json")
    assert answer.code == 0
    assert not (tmp_path / "newsletter.db").exists()
    assert not (tmp_path / "newsletter.secret").exists()


def test_new_newsletter_is_told_what_it_lacks(tmp_path):
    newsroom = Newsroom(tmp_path)
    folder = tmp_path / "fresh"
    assert newsroom.run("init", str(folder), project=False).code == 0
    answer = newsroom.run("--project", str(folder), "doctor", "--offline", project=False)
    assert answer.code == 1
    assert "still the placeholder" in answer.out


def test_lock_that_a_run_holds_is_told(clinic):
    now = dt.datetime.now(dt.UTC)
    with open_store(f"sqlite:///{clinic.root / 'newsletter.db'}") as store, store.run_lock(owner_name(now)):
        findings = clinic.doctor("--json").json["findings"]
    [lock] = [finding for finding in findings if finding["check"] == "lock"]
    assert f"process {os.getpid()}" in lock["found"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--sends-from", "mail.example.org"], 65), (["--resolver", "dns.example.org"], 65), (["--what"], 2)],
)
def test_wrong_usage(tmp_path, arguments, code):
    assert Newsroom(tmp_path).run("doctor", *arguments).code == code


# --- what comes back, who watches, where it stands -------------------------------------------------------------------


def test_mail_that_waits_is_seen_and_left_alone(clinic):
    path = clinic.write("bounces/new/1.a.host", b"Subject: x\r\n\r\nx")
    found = next(one for one in clinic.doctor("--json").json["findings"] if one["check"] == "bounces")
    assert (found["level"], "mail waits" in found["found"]) == ("ok", True)
    assert path.exists()


@pytest.mark.parametrize(
    ("key", "value", "level", "words"),
    [
        ("BOUNCES__MAILDIR", "nowhere", "error", "is no Maildir"),
        ("BOUNCES__MAILDIR", "", "not checked", "names no place"),
        ("MONITORING__TEXTFILE", "nowhere/newsletter.prom", "error", "is not there"),
        ("MONITORING__TEXTFILE", "folder.prom", "error", "cannot be written"),
    ],
)
def test_what_would_not_be_read_is_told_with_its_fix(clinic, key, value, level, words):
    (clinic.root / "folder.prom").mkdir()
    clinic.environ[f"NEWSLETTER_{key}"] = value
    found = clinic.finding(key.partition("__")[0].lower(), "--offline")
    assert (found["level"], words in found["found"]) == (level, True)
    assert found["fix"]


def test_folders_that_may_not_be_written(clinic):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (clinic.root / "bounces" / "cur").chmod(0o500)
    assert "marked as read" in clinic.finding("bounces", "--offline")["found"]


def test_an_imap_server_is_asked_as_configured(clinic):
    if reason := missing_reason():
        pytest.skip(reason)
    with DovecotServer() as server:
        server.deliver(b"Subject: x\r\n\r\nx")
        (clinic.root / "imap.pem").write_bytes((server.folder / "ca.pem").read_bytes())
        values = {"MAILDIR": "", "IMAP_HOST": server.host, "IMAP_PORT": str(server.tls_port), "IMAP_USERNAME": USER}
        values |= {"IMAP_CA_FILE": "imap.pem", "IMAP_PASSWORD": PASSWORD}
        clinic.environ |= {f"NEWSLETTER_BOUNCES__{key}": value for key, value in values.items()}
        found = next(one for one in clinic.doctor("--json").json["findings"] if one["check"] == "bounces")
        assert (found["level"], found["found"]) == ("ok", f"{server.host}, folder 'INBOX' can be read; mail waits")
        assert server.flags() == [""]
        assert "was not asked" in clinic.finding("bounces", "--offline")["found"]
        clinic.environ["NEWSLETTER_BOUNCES__IMAP_PASSWORD"] = "wrong"
        assert "was not let in" in clinic.finding("bounces")["found"]
    assert "cannot be reached" in clinic.finding("bounces")["found"]


def test_a_copied_store_is_told(clinic):
    with open_store(f"sqlite:///{clinic.root / 'newsletter.db'}") as store:
        HostGuard(root=clinic.root, host_id="", is_shared=False).count(store)
    assert "host" not in clinic.levels("--offline")
    (clinic.root / "newsletter.host").unlink()
    found = clinic.finding("host", "--offline")
    assert (found["level"], "it was copied to this folder" in found["found"]) == ("error", True)
    assert "migrate --adopt" in found["fix"]
    assert clinic.run("migrate", "--adopt").code == 0
    assert "host" not in clinic.levels("--offline")
