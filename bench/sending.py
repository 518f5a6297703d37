"""Measure whole sends of personalised messages of 55 KB to Postfix's smtp-sink, beside those who do nothing else.

Ours is the real sender with its ledger: SQLite with ``synchronous=FULL`` or a PostgreSQL that syncs too, several
connections, a durable mark before each dot. Its peers are smtp-source (C, one fixed message), a loop over smtplib and
nodemailer's pool, none of which keeps a ledger. Without Postfix the far end is ``sink.py``, and smtp-source is missing.
TLS has ``sink.py`` at its far end on both sides, because smtp-sink speaks none. Each time is that of the sending alone.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from mailing import SIZE, Mailing, make_edition
from measure import REPOSITORY, Figure, Report, Sample, Samples, Target, clean_environ, in_turns, run_command
from npm import Peers, install_peers
from sink import program, sinking

sys.path.insert(0, str(REPOSITORY / "tests"))
from certificates import make_certificate
from postgres_server import PostgresServer, missing_reason

CHOICES, USUAL = (4, 10, 20), 4
"""Connections of which the best are taken, for ours on either store as for smtp-source; and what is usual: what
``[send] connections`` is unless told."""
_TRIES = 3
"""How often each number of connections is tried before the best of them is taken."""
_HERE = Path(__file__).parent
_TARGETS = {
    "smtp-source": Target(1.0, at_least=True),
    "smtplib": Target(1.8, at_least=True),
    "nodemailer": Target(5, at_least=True),
    "postgresql": Target(0.8, at_least=True),
    "dkim": Target(0.5, at_least=True),
}
_WORDS = {
    "ours": "newsletter on SQLite",
    "postgresql": "newsletter on PostgreSQL",
    "dkim": "newsletter on SQLite, signed with RSA-2048",
    "signing": "RSA-2048 signatures alone, on all processors, without any mail",
    "usual": f"newsletter, {USUAL} connections, SQLite",
    "one": "newsletter, one connection, SQLite",
    "smtp-source": "smtp-source as it comes: one fixed message, a connection for each",
    "smtp-source.kept": "smtp-source -d, which keeps its connections",
    "smtplib": "smtplib, a loop over finished messages",
    "nodemailer": "nodemailer's pool, which makes the messages",
    "nodemailer.raw": "nodemailer's pool, finished messages",
    "tls": "newsletter on SQLite, over TLS to sink.py",
    "plain": "newsletter on SQLite, to sink.py without TLS",
}
Side = Callable[[], Sample]


def measure_sending(folder: Path, quick: bool, npm: Path | None = None) -> Report:
    """Send the same messages in every way, in turns, and return rates and their ratios."""
    count, rounds = (30, 1) if quick else (1_500, 5)
    with ExitStack() as stack:
        port, far_end = stack.enter_context(sinking())
        peers = Peers(folder, {}, "not asked for") if quick else install_peers(npm or folder / "npm")
        sides, chosen = _ours(folder, count, port, stack, (CHOICES[0],) if quick else CHOICES)
        sides |= _peers(folder, count, port, peers)
        samples = in_turns(sides, rounds, warm_up=0 if quick else 1)
    figures = [_rate(name, each, count) for name, each in samples.items()]
    figures += _ratios(samples, count)
    notes = [f"The far end is {far_end}. Each message has about {SIZE:,} bytes; {count:,} a round, {rounds} rounds."]
    notes.append(f"Connections, as suits each best here: {chosen}. smtp-source has what suits it best too.")
    if not program("smtp-source"):
        notes.append("smtp-source is missing: Postfix is not installed.")
    if reason := missing_reason():
        notes.append(reason)
    if "nodemailer" not in sides:
        notes.append(f"nodemailer is missing: {peers.missing}.")
    versions = {name: peers.versions[name] for name in ("nodemailer", "node") if name in peers.versions}
    return Report(title="Sending", figures=tuple(figures), notes=tuple(notes), peers=versions | _postfix_version())


# ---------------------------------------------------------------------------------------------------------------------
# Ours
# ---------------------------------------------------------------------------------------------------------------------


def _ours(
    folder: Path, count: int, port: int, stack: ExitStack, choices: tuple[int, ...]
) -> tuple[dict[str, Side], str]:
    """Return our sides, and how many connections they have in words."""
    key, certificate = folder / "dkim.pem", make_certificate(folder)
    key.write_bytes(_rsa_pem())
    tls_port, _ = stack.enter_context(sinking(certificate.chain_file))
    plain_port, _ = stack.enter_context(sinking(own=True))
    sqlite = partial(on_sqlite, folder)
    best = _best_connections(sqlite, Mailing(store="", count=count, port=port), choices)
    ours = Mailing(store="", count=count, port=port, connections=best)
    signed = replace(ours, dkim=str(key))
    signed = replace(signed, connections=_best_connections(sqlite, signed, choices))
    ways = {
        "ours": ours,
        "usual": replace(ours, connections=USUAL),
        "one": replace(ours, connections=1),
        "dkim": signed,
        "tls": replace(ours, port=tls_port, ca_file=str(certificate.ca_file)),
        "plain": replace(ours, port=plain_port),
    }
    sides: dict[str, Side] = {name: partial(sqlite, mailing) for name, mailing in ways.items()}
    sides["signing"] = partial(_printed, [sys.executable, str(_HERE / "signing.py"), "--alone", str(count)], count)
    chosen = f"{best} on SQLite, {signed.connections} with signatures"
    if not missing_reason():
        postgres = partial(_on_postgres, stack.enter_context(_postgres()))
        best = _best_connections(postgres, ours, choices)
        sides["postgresql"] = partial(postgres, replace(ours, connections=best))
        chosen += f", {best} on PostgreSQL"
    return sides, chosen


def _best_connections(carried: Callable[[Mailing], Sample], mailing: Mailing, choices: tuple[int, ...]) -> int:
    """Return the number of connections with which a mailing takes the least time."""
    if len(choices) < 2:
        return choices[0]
    tries = [(carried(replace(mailing, connections=number)).wall_s, number) for number in choices * _TRIES]
    return min(tries)[1]


def on_sqlite(folder: Path, mailing: Mailing) -> Sample:
    """Carry a mailing on a fresh SQLite store and measure it."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        return carry(mailing, f"sqlite:///{own}/store.db")


def _on_postgres(server: PostgresServer, mailing: Mailing) -> Sample:
    name = server.make_database()
    try:
        return carry(mailing, server.url(name))
    finally:
        server.drop_database(name)


def carry(mailing: Mailing, store: str) -> Sample:
    """Carry a mailing in a process of its own, and return what its sending took."""
    asked = json.dumps(asdict(mailing) | {"store": store})
    return _printed([sys.executable, str(_HERE / "mailing.py")], mailing.count, asked + "\n")


@contextmanager
def _postgres() -> Iterator[PostgresServer]:
    """Run a PostgreSQL that keeps what it said it kept: the tests' server does not sync."""
    with tempfile.TemporaryDirectory(prefix="newsletter-bench-") as name:
        Path(name).chmod(0o755)
        server = PostgresServer(Path(name) / "server", {"fsync": "on", "full_page_writes": "on", "autovacuum": "on"})
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _rsa_pem() -> bytes:
    from signing import rsa_pem

    return rsa_pem()


# ---------------------------------------------------------------------------------------------------------------------
# The peers
# ---------------------------------------------------------------------------------------------------------------------


def _peers(folder: Path, count: int, port: int, peers: Peers) -> dict[str, Side]:
    sides: dict[str, Side] = {"smtplib": lambda: smtplib_loop(port, count)}
    if source := program("smtp-source"):
        for name, options in (("smtp-source", ()), ("smtp-source.kept", ("-d",))):
            command = _best_source([source, *options], folder, port, count)
            sides[name] = lambda command=command: run_command(command, folder)  # type: ignore[misc]
    if not peers.missing:
        page = folder / "page.html"
        page.write_text(_page(), encoding="utf-8")
        for name, manner in (("nodemailer", "fields"), ("nodemailer.raw", "raw")):
            command = ["node", str(_HERE / "pool.js"), str(peers.folder), str(port), str(count), str(page), manner]
            sides[name] = lambda command=command: _printed(command, count)  # type: ignore[misc]
    return sides


def smtplib_loop(port: int, count: int) -> Sample:
    """Send with smtplib over one connection, and measure it."""
    return _printed([sys.executable, str(_HERE / "loop.py"), str(port), str(count), str(SIZE)], count)


def _best_source(program_and_options: list[str], folder: Path, port: int, count: int) -> list[str]:
    """Return smtp-source with as many parallel sessions as suit it best here; it is compared at its best."""
    rest = ["-m", str(count), "-l", str(SIZE), f"127.0.0.1:{port}"]
    commands = [[*program_and_options, "-s", str(sessions), *rest] for sessions in (1, 2, 4, 10)]
    tries = [(run_command(command, folder).wall_s, command) for command in commands * _TRIES]
    return min(tries)[1]


def _page() -> str:
    names = {"name": "@@NAME@@", "email": "@@EMAIL@@", "unsubscribe_url": "https://news.example.org/u/@@EMAIL@@"}
    return "".join(
        piece if isinstance(piece, str) else names[piece.field] for piece in make_edition(round(1.12 * SIZE)).html
    )


def _printed(command: list[str], count: int, asked: str | None = None) -> Sample:
    """Run a program that prints what its sending took, and return that."""
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False, env=clean_environ())
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    answer = json.loads(done.stdout)
    if answer["sent"] != count:
        raise SystemExit(f"{count} messages were to be sent, {answer['sent']} were")
    return Sample(answer["seconds"], answer["user_s"])


def _postfix_version() -> dict[str, str]:
    if not (postconf := program("postconf")):
        return {}
    done = subprocess.run([postconf, "-dh", "mail_version"], capture_output=True, text=True, check=False)
    return {"postfix": done.stdout.strip()}


# ---------------------------------------------------------------------------------------------------------------------
# Figures
# ---------------------------------------------------------------------------------------------------------------------


def _rate(name: str, samples: Samples, count: int) -> Figure:
    return Figure(
        name=f"sending.rate.{name}",
        text=_WORDS[name],
        value=count / samples.wall_s,
        unit="/s",
        user=count / samples.user_s if samples.user_s else None,
        best=count / samples.best_s,
        details=samples.as_json() | {"messages": count},
    )


def _ratios(samples: Mapping[str, Samples], count: int) -> Iterator[Figure]:
    """Return how many times as fast as a peer ours is; and what store, signature and TLS leave of the rate."""
    ours = "newsletter on SQLite"
    for over, under, name, text in (
        ("ours", "smtp-source", "smtp-source", f"{ours}, over smtp-source"),
        ("ours", "smtp-source.kept", "smtp-source.kept", f"{ours}, over smtp-source -d"),
        ("ours", "smtplib", "smtplib", f"{ours}, over a loop of smtplib"),
        ("ours", "nodemailer", "nodemailer", f"{ours}, over nodemailer's pool"),
        ("ours", "nodemailer.raw", "nodemailer.raw", f"{ours}, over nodemailer's pool with finished messages"),
        ("postgresql", "smtp-source", "postgresql", "newsletter on PostgreSQL, over smtp-source"),
        ("dkim", "smtp-source", "dkim", f"{ours} with DKIM (RSA-2048), over smtp-source"),
        ("signing", "smtp-source", "signing", "RSA-2048 signatures alone, over smtp-source"),
        ("dkim", "signing", "dkim.signing", f"{ours} with DKIM, over the signatures alone"),
        ("dkim", "ours", "dkim.plain", f"{ours} with DKIM, over without"),
        ("tls", "plain", "tls", f"{ours} over TLS, over without, both to sink.py"),
    ):
        if over not in samples or under not in samples:
            continue
        fast, slow = samples[over], samples[under]
        yield Figure(
            name=f"sending.ratio.{name}",
            text=text,
            value=slow.wall_s / fast.wall_s,
            unit="x",
            user=slow.user_s / fast.user_s if slow.user_s and fast.user_s else None,
            best=slow.best_s / fast.best_s,
            target=_TARGETS.get(name),
            details={"messages": count},
        )
