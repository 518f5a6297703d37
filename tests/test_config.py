"""Every mistake in newsletter.toml or the environment is told with its place, its key, and what may stand there."""

import pytest
from msgspec.structs import fields

from newsletter.config import (
    Config,
    Project,
    find_issue,
    is_reserved_slug,
    list_slugs,
    load_project,
)
from newsletter.errors import ConfigError, InputError

BASE = '[newsletter]\ntitle = "Weekly"\nfrom = "Weekly <me@example.org>"\n'


@pytest.fixture
def load(tmp_path):
    def read(more: str = "", environ: dict[str, str] | None = None, base: str = BASE) -> Project:
        (tmp_path / "newsletter.toml").write_text(base + more, encoding="utf-8")
        return load_project(tmp_path, environ or {})

    return read


def test_two_keys_are_enough(load):
    project = load()
    assert project.config.newsletter.from_ == "Weekly <me@example.org>"
    assert project.config.newsletter.unsubscribe == "mailto"
    assert project.config.smtp.security == "starttls"
    assert project.zone.key == "UTC"
    assert project.store_url == f"sqlite:///{project.root}/newsletter.db"


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        ('titel = "x"', ["[newsletter]", "unknown key 'titel'", "did you mean 'title'?", "postal_address"]),
        ('images = "embeded"', ["[newsletter] images", "'embeded' is not valid", "embedded, hosted"]),
        ("unsubscribe = 3", ["[newsletter] unsubscribe", "3 is not valid", "mailto, web"]),
        ('[smtp]\nsecurity = "ssl"', ["[smtp] security", "'ssl'", "starttls, tls, none"]),
        ('[send]\ndoubt = "guess"', ["[send] doubt", "resend, hold"]),
        ('[send]\nveto = "15 minutes"', ["[send] editors", "somebody who can stop a send"]),
        ('[send]\nveto = "soon"\neditors = ["m@x.org"]', ["[send] veto", "'soon' is no duration", "15 minutes"]),
        ('[send]\nveto = "2 days"\neditors = ["m@x.org"]', ["[send] veto", "12 hours"]),
        ('[send]\nveto = "0 minutes"\neditors = ["m@x.org"]', ["[send] veto", "1 minute"]),
        ('[send]\neditors = "m@x.org"', ["[send] editors", "no list of texts"]),
        ('[send]\neditors = ["mark"]', ["[send] editors", "'mark' is no address"]),
        ('[send]\neditors = ["m@x.org\\u000dBcc: a@b.c"]', ["[send] editors", "is no address"]),
        ('[send]\ncanary = "some"', ["[send] canary", "'some' is no share", "1 %"]),
        ('[send]\ncanary_refusals = "many"', ["[send] canary_refusals", "5 %"]),
        ('[send]\ncanary_wait = "0 hours"', ["[send] canary_wait", "1 minute"]),
        ('[monitoring]\ntextfile = "metrics.txt"', ["[monitoring] textfile", ".prom"]),
        ('[monitoring]\nping = "file:///etc/passwd"', ["[monitoring] ping", "is no URL"]),
        ('[monitoring]\nping = "https://user:pw@example.org/"', ["[monitoring] ping", "is no URL"]),
        ('[theme]\ninliner = "juice"', ["[theme] inliner", "premailer, css-inline"]),
        ('[smtp]\nport = "x"', ["[smtp] port", "'x' is no whole number"]),
        ("[smtp]\nport = 70000", ["[smtp] port", "70000", "0 to 65535"]),
        ("[smtp]\ntimeout = 0", ["[smtp] timeout", "0", "1 to 3600"]),
        ('[smtp]\nhost = ""', ["[smtp] host", "is no host"]),
        ("[smtp]\nhost = 3", ["[smtp] host", "3 is no text"]),
        ('[theme]\naccent = "red"', ["[theme] accent", "'red'", "#rrggbb"]),
        ("[theme]\nfont = 'a; color: red'", ["[theme] font", "font names"]),
        ("[theme]\nlogo_width = 601", ["[theme] logo_width", "601", "1 to 600"]),
        ('[sections.kinds]\n"Sources" = "txt"', ["[sections] kinds", "'Sources'", "'txt'", "brief, sponsor"]),
        ("[sections]\nlead_max = -1", ["[sections] lead_max", "-1"]),
        ('[store]\nurl = "mysql://db/news"', ["[store] url", "'mysql://db/news'", "postgresql://user@host/database"]),
        ('[store]\nurl = "sqlite:///"', ["[store] url", "sqlite:///newsletter.db"]),
        ('[dkim]\ndomain = "example"', ["[dkim] domain", "'example' is no domain", "example.org"]),
        ('[dkim.keys]\n"s 1" = "a.pem"', ["[dkim] keys", "'s 1' is no selector", "s2026"]),
        ('[dkim.keys]\ns1 = ""', ["[dkim] keys", "s1: '' is no path", "dkim.pem"]),
        ("[dkim]\nvalid_days = 13", ["[dkim] valid_days", "13 does not fit", "14 or more", "or 0"]),
        ("[dkim]\nvalid_days = -1", ["[dkim] valid_days", "-1 does not fit"]),
        ('[dkim.keys]\ns1 = {a = "b"}', ["[dkim] keys", "no table of texts"]),
        ('[feeds]\nevery = "soon"', ["[feeds] every", "'soon' is no duration", "30 minutes"]),
        ('[feeds]\nkeep = "1 day"', ["[feeds] keep", "'1 day' does not fit", "7 days"]),
        ("[feeds]\nconnections = 0", ["[feeds] connections", "0 does not fit", "1 to 100"]),
        ('[feeds]\nports = ["http"]', ["[feeds] ports", "'http' is no port"]),
        ('[feeds]\nprivate_hosts = ["a b"]', ["[feeds] private_hosts", "'a b' is no host"]),
        ('[ranking]\nsources = "many"', ["[ranking] sources", "is no number"]),
        ("[ranking]\nseen = inf", ["[ranking] seen", "does not fit"]),
        ("[ranking.topics]\nbeauty = []", ["[ranking] topics", "'beauty'", "cosmetics"]),
        ('[ranking.topics]\nbeauty = "lipstick"', ["[ranking] topics", "table of lists of texts"]),
        ("[mail]\nx = 1", ["unknown section 'mail'", "newsletter, sections, theme, smtp, store, send"]),
        ('time_zone = "Europe/Pari"', ["[newsletter] time_zone", "'Europe/Pari'", "Europe/Paris"]),
        ('time_zone = "../../etc/passwd"', ["[newsletter] time_zone", "no IANA time zone"]),
        ('language = "english"', ["[newsletter] language", "'english'", "zh-Hans"]),
        ('list_id = "my list"', ["[newsletter] list_id", "RFC 2919"]),
        ('bounce_address = "much-too-long-for-verp@example.org"', ["[newsletter] bounce_address", "15"]),
        ('bounce_address = "nobody"', ["[newsletter] bounce_address", "bounces@example.org"]),
        ('url = "news.example.org"', ["[newsletter] url", "https://news.example.org"]),
        ('url = "https://x:port/"', ["[newsletter] url", "https://news.example.org"]),
        ('url = "https://[::1"', ["[newsletter] url", "https://news.example.org"]),
        ('unsubscribe = "web"', ["[newsletter] unsubscribe", "needs [newsletter] url"]),
        ('images = "hosted"', ["[newsletter] images", "needs [newsletter] url"]),
        ('secret_file = ""', ["[newsletter] secret_file", "is empty"]),
        ('tagline = "a\\u0000b"', ["[newsletter] tagline", "U+0000"]),
    ],
)
def test_mistake_is_told_with_key_and_what_may_stand(load, more, parts):
    with pytest.raises(ConfigError) as caught:
        load(more)
    message = str(caught.value)
    assert "newsletter.toml" in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", 'title: is missing; write title = "…"'),
        ("newsletter = 3", "[newsletter]"),
        ("x = [\n", "not valid TOML"),
        ("x = " + "[" * 5000, "not valid TOML"),
        ('title = "T"\n', "unknown key 'title'"),
    ],
)
def test_file_that_holds_no_configuration_is_told(load, text, part):
    with pytest.raises(ConfigError, match=r"newsletter\.toml") as caught:
        load(base=text)
    assert part in str(caught.value)


def test_all_mistakes_of_a_kind_are_told_at_once(load):
    with pytest.raises(ConfigError) as caught:
        load('time_zone = "Mars"\nlanguage = "x"\n[theme]\naccent = "red"\n')
    assert len(str(caught.value).splitlines()) == 3


def test_file_that_is_not_utf8_is_told(tmp_path):
    (tmp_path / "newsletter.toml").write_bytes(b'[newsletter]\ntitle = "Caf\xe9"\n')
    with pytest.raises(ConfigError, match="not UTF-8 at byte 25"):
        load_project(tmp_path, {})


def test_byte_order_mark_does_no_harm(tmp_path):
    (tmp_path / "newsletter.toml").write_text(BASE, encoding="utf-8-sig")
    assert load_project(tmp_path, {}).config.newsletter.title == "Weekly"


@pytest.mark.parametrize("missing", ["nowhere", "file/below"])
def test_folder_without_a_configuration_is_told(tmp_path, missing):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="--project DIR"):
        load_project(tmp_path / missing, {})


# --- the environment -------------------------------------------------------------------------------------------------


def _sample_value(section: str, key: str, type_: object) -> str:
    special = {
        ("newsletter", "url"): "https://news.example.org",
        ("newsletter", "time_zone"): "Asia/Shanghai",
        ("newsletter", "language"): "fr",
        ("newsletter", "list_id"): "list.example.org",
        ("newsletter", "bounce_address"): "b@example.org",
        ("newsletter", "from"): "you@example.org",
        ("store", "url"): "sqlite:///other.db",
        ("sections", "kinds"): '{"In brief" = "brief"}',
        ("dkim", "keys"): '{s2026 = "dkim.pem"}',
        ("dkim", "domain"): "example.org",
        ("dkim", "valid_days"): "30",
        ("send", "veto"): "15 minutes",
        ("send", "editors"): "ann@example.org, mark@example.org",
        ("send", "canary"): "1 %",
        ("send", "canary_wait"): "1 hour",
        ("send", "canary_refusals"): "2 %",
        ("monitoring", "textfile"): "newsletter.prom",
        ("monitoring", "ping"): "https://hc.example.org/ping",
        ("send", "rate"): "50/s",
        ("bounces", "sns_topics"): "arn:aws:sns:eu-west-1:123456789012:bounces",
        ("web", "lists"): '{weekly = "Every week"}',
        ("web", "topics"): '{retail = "Shops"}',
        ("send", "domains"): '{"gmail.com" = "10/s", "*" = "600/min"}',
        ("schedule", "days"): "monday, friday",
        ("schedule", "time"): "09:30",
        ("digest", "template"): "digest.md",
        ("digest", "ahead"): "2 hours",
        ("feeds", "every"): "1 hour",
        ("feeds", "keep"): "90 days",
        ("feeds", "ports"): "8080, 8443",
        ("feeds", "private_hosts"): "wiki.internal",
        ("ranking", "half_life"): "2 days",
        ("checks", "off"): "links.tracking, links.empty",
        ("checks", "severity"): '{"links.tracking" = "error"}',
        ("checks", "limits"): "{subject_max = 70}",
        ("checks", "clients"): "{gmail = 60}",
        ("checks", "names"): "WeChat, iPhone",
        ("ranking", "topics"): '{beauty = ["cosmetics", "口红"]}',
    }
    if (section, key) in special:
        return special[section, key]
    if hasattr(type_, "__args__"):
        return str(type_.__args__[-1])
    if type_ in (int, float):
        return "7"
    return "#abcdef" if section == "theme" and "font" not in key and "logo" not in key else "word"


def _every_key():
    sections = {name: struct for name, struct in Config.__annotations__.items() if name != "transports"}
    for section, struct in sections.items():
        yield from (pytest.param(section, field, id=f"{section}.{field.encode_name}") for field in fields(struct))


@pytest.mark.parametrize(("section", "field"), list(_every_key()))
def test_every_key_can_be_set_by_the_environment(load, section, field):
    value = _sample_value(section, field.encode_name, field.type)
    name = f"NEWSLETTER_{section}__{field.encode_name}".upper()
    extra = {"NEWSLETTER_NEWSLETTER__URL": "https://news.example.org", "NEWSLETTER_SEND__EDITORS": "mark@example.org"}
    extra |= {"NEWSLETTER_SCHEDULE__DAYS": "tuesday"} if section == "digest" else {}
    found = getattr(getattr(load(environ=extra | {name: value}).config, section), field.name)
    tables = {
        "kinds": {"In brief": "brief"},
        "keys": {"s2026": "dkim.pem"},
        "lists": {"weekly": "Every week"},
        "topics": {"retail": "Shops"},
        "domains": {"gmail.com": "10/s", "*": "600/min"},
        "editors": ("ann@example.org", "mark@example.org"),
        "sns_topics": (value,),
        "days": ("monday", "friday"),
        "ports": ("8080", "8443"),
        "private_hosts": (value,),
        "off": ("links.tracking", "links.empty"),
        "severity": {"links.tracking": "error"},
        "limits": {"subject_max": 70.0},
        "clients": {"gmail": 60.0},
        "names": ("WeChat", "iPhone"),
    }
    if section == "ranking":
        tables["topics"] = {"beauty": ("cosmetics", "口红")}
    assert found == tables.get(field.name, field.type(value) if field.type in (int, float) else value)
    default = getattr(getattr(load(environ=extra if name not in extra else {}).config, section), field.name)
    assert found != default


def test_environment_wins_over_the_file(load):
    project = load('[smtp]\nhost = "file.example.org"\n', {"NEWSLETTER_SMTP__HOST": "environment.example.org"})
    assert project.config.smtp.host == "environment.example.org"


@pytest.mark.parametrize(
    ("name", "value", "parts"),
    [
        ("NEWSLETTER_SMTP__PORT", "x", ["[smtp] port", "no whole number"]),
        ("NEWSLETTER_SMTP__PROT", "1", ["NEWSLETTER_SMTP__PORT", "NEWSLETTER_SMTP__HOST"]),
        ("NEWSLETTER_SMTP__port", "1", ["NEWSLETTER_SMTP__PORT"]),
        ("NEWSLETTER_MAIL__HOST", "x", ["no section 'mail'", "smtp"]),
        ("NEWSLETTER_SECTIONS__KINDS", "brief", ["no table", "{"]),
        ("NEWSLETTER_NEWSLETTER__TITLE", "", ["[newsletter] title", "is empty"]),
        ("NEWSLETTER_SMTP__SECURITY", "ssl", ["starttls, tls, none"]),
    ],
)
def test_mistake_in_the_environment_names_the_variable(load, name, value, parts):
    with pytest.raises(ConfigError) as caught:
        load(environ={name: value})
    message = str(caught.value)
    assert message.startswith(f"{name}:")
    assert "newsletter.toml" not in message
    for part in parts:
        assert part in message


def test_other_variables_are_left_alone(load):
    assert load(environ={"NEWSLETTER_PROJECT": "x", "NEWSLETTER_DEBUG": "1", "PATH": "/bin"})


@pytest.mark.parametrize("value", ["hunter2\x01", 12345])
def test_password_is_never_shown(load, value):
    written = f"[smtp]\npassword = {value}\n" if isinstance(value, int) else ""
    with pytest.raises(ConfigError) as caught:
        load(written, {} if written else {"NEWSLETTER_SMTP__PASSWORD": str(value)})
    assert "hunter2" not in str(caught.value)
    assert "12345" not in str(caught.value)


# --- issues by name --------------------------------------------------------------------------------------------------


@pytest.fixture
def project(load):
    found = load()
    (found.root / "issues").mkdir()
    for slug in ("2026-11-11", "2026-11-18", "二零二六"):
        (found.root / f"issues/{slug}.md").write_text("x")
    return found


def test_issue_is_found_by_slug_and_by_file(project, tmp_path):
    (tmp_path / "elsewhere.md").touch()
    assert find_issue(project, "2026-11-18") == project.issues_dir / "2026-11-18.md"
    assert find_issue(project, "2026-11-18.md") == project.issues_dir / "2026-11-18.md"
    assert find_issue(project, "二零二六") == project.issues_dir / "二零二六.md"
    assert find_issue(project, str(tmp_path / "elsewhere.md")) == tmp_path / "elsewhere.md"


def test_unknown_issue_lists_the_newest(project):
    with pytest.raises(InputError, match="2026-11-11, 2026-11-18") as caught:
        find_issue(project, "2026-11-25")
    assert "does not exist" in str(caught.value)


@pytest.mark.parametrize(
    "slug", ["../newsletter", "..", ".", "", ".hidden", "a b", "a/b", "a\nb", "-x", "_", "x" * 5000]
)
def test_slug_that_can_be_no_name_is_told(project, slug):
    with pytest.raises(InputError, match="cannot name an issue"):
        find_issue(project, slug)


@pytest.mark.parametrize("name", ["my issue.md", "...md", " .md"])
def test_file_whose_name_is_no_slug_is_told(project, tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(InputError, match="cannot name an issue"):
        find_issue(project, str(tmp_path / name))


def test_folder_is_no_issue(project):
    (project.issues_dir / "folder.md").mkdir()
    with pytest.raises(InputError, match="does not exist"):
        find_issue(project, "folder")


def test_slugs_are_listed_without_what_is_no_issue(project):
    (project.issues_dir / ".#2026-11-25.md").touch()
    (project.issues_dir / "notes.txt").touch()
    assert list_slugs(project) == ["2026-11-11", "2026-11-18", "二零二六"]


def test_language_editions_are_reserved():
    assert is_reserved_slug("2026-11-25.zh")
    assert not is_reserved_slug("2026-11-25")


# --- several transports ----------------------------------------------------------------------------------------------

TWO = """
[[transports]]
name = "own"
host = "mail.example.org"
weight = 3
rate = "50/s"
connections = 2

[[transports]]
name = "provider"
host = "smtp.example.net"
security = "tls"
"""


def test_transports_are_the_relays(load):
    own, provider = load(TWO).config.relays
    assert (own.name, own.host, own.weight, own.rate, own.connections) == ("own", "mail.example.org", 3, "50/s", 2)
    assert (provider.name, provider.security, provider.weight, provider.rate) == ("provider", "tls", 1, "")


def test_smtp_alone_is_the_one_relay(load):
    (relay,) = load('[smtp]\nhost = "mail.example.org"\n[send]\nrate = "10/s"\nconnections = 9\n').config.relays
    assert (relay.name, relay.host, relay.rate, relay.connections) == ("smtp", "mail.example.org", "10/s", 9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[transports]]\nhost = "x"\n', r"\[\[transports\]\] 1: name: is missing"),
        ('[[transports]]\nname = "a"\nwait = 3\n', "1: unknown key 'wait'; did you mean 'weight'"),
        ('[[transports]]\nname = "a"\nweight = "much"\n', r"1: weight: 'much' is no whole number"),
        ('[[transports]]\nname = "a"\nrate = "fast"\n', "a: rate: 'fast' is no rate; write one like"),
        ('[[transports]]\nname = "a"\nconnections = 0\n', "a: connections: 0 does not fit"),
        ('[[transports]]\nname = "a b"\n', "'a b' is no name"),
        ('[[transports]]\nname = "a"\n[[transports]]\nname = "a"\n', "'a' stands twice"),
        ('[transports]\nname = "a"\n', r"write \[\[transports\]\] and its keys"),
        (TWO + '[smtp]\nhost = "mail.example.org"\n', r"stands beside \[smtp\]"),
        ('[send]\nrate = "50"\n', r"\[send\] rate: '50' is no rate"),
        ('[send.domains]\n"gmail.com" = "1/d"\n', "gmail.com: '1/d' is no rate"),
        ('[send.domains]\n"g m" = "1/s"\n', "'g m' is no domain"),
        ("[send]\nconnections = 1000\n", "1000 does not fit"),
    ],
)
def test_what_is_wrong_with_transports_and_rates_is_told(load, text, words):
    with pytest.raises(ConfigError, match=words):
        load(text)


def test_no_variable_names_a_transport(load):
    with pytest.raises(ConfigError, match="there is no section 'transports'"):
        load(environ={"NEWSLETTER_TRANSPORTS__NAME": "x"})
