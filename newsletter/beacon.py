"""Show that cron runs: a textfile for Prometheus' node_exporter, and a ping that a watchdog waits for.

A run with nothing to do must do this too, and cheaply: like ``glance``, this module imports nothing of the package, and
writes anew only the instants of a file whose other lines a full look wrote. Nothing here ever fails a run: what went
wrong comes back as words.
"""

import os

_RUN, _SUCCESS = "newsletter_last_run_timestamp_seconds", "newsletter_last_success_timestamp_seconds"
_TIMEOUT_S = 5.0
"""Seconds that a ping may take in all; a run waits no longer for it."""


def write_textfile(path: str, lines: str) -> str:
    """Put ``lines`` in place of the file at ``path`` at once, readable for all; return what went wrong, or ``""``."""
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name}.{os.getpid()}")  # noqa: PTH118 (node_exporter reads *.prom alone)
    try:
        with open(draft, "w", encoding="utf-8") as file:  # noqa: PTH123
            os.fchmod(file.fileno(), 0o644)
            file.write(lines)
        os.replace(draft, path)  # noqa: PTH105
    except OSError as error:
        return f"[monitoring] textfile: {path} cannot be written: {error.strerror}"
    return ""


def heartbeat_lines(now_s: float, success_s: float | None) -> str:
    """Return the lines that say when cron ran last, and when it last ended well; None for never."""
    lines = f"# HELP {_RUN} When 'send --due' ran last.\n# TYPE {_RUN} gauge\n{_RUN} {now_s:.0f}\n"
    if success_s is not None:
        lines += f"# HELP {_SUCCESS} When it last ended well.\n# TYPE {_SUCCESS} gauge\n{_SUCCESS} {success_s:.0f}\n"
    return lines


def refresh_textfile(path: str, mark: str, now_s: float) -> bool:
    """Put ``now_s`` into a file that a full look wrote while the store was as ``mark`` says; else return False."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            content = file.read()
    except (OSError, ValueError):
        return False
    lines = content.splitlines(keepends=True)
    kept = [line for line in lines if _RUN not in line and _SUCCESS not in line]
    if len(lines) == len(kept) or f"# store {mark}\n" not in kept:
        return False
    return not write_textfile(path, heartbeat_lines(now_s, now_s) + "".join(kept))


def store_mark(path: str | None) -> str:
    """Return what changes whenever the SQLite file at ``path`` is written, ``"-"`` where there is none."""
    try:
        status = os.stat(path or "")  # noqa: PTH116
    except OSError:
        return "-"
    try:
        log_size = os.stat(f"{path}-wal").st_size  # noqa: PTH116
    except OSError:
        log_size = 0
    return f"{status.st_mtime_ns}:{status.st_size}:{log_size}"


def last_success(path: str) -> float | None:
    """Return when the last run ended well by the file at ``path``, None where it does not say."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            found = [line.split()[1] for line in file if line.startswith(f"{_SUCCESS} ")]
        return float(found[0]) if found else None
    except (OSError, ValueError, IndexError):
        return None


# ---------------------------------------------------------------------------------------------------------------------
# The ping
# ---------------------------------------------------------------------------------------------------------------------


def send_ping(url: str, *, is_well: bool) -> str:
    """Ask for ``url``, or for ``url/fail`` where not all is well; return what went wrong, or ``""``.

    One GET over http or https; no redirect is followed. The URL is a secret of sorts: words name its host alone.
    """
    import threading

    outcome = ["did not answer in time"]
    # A thread, since a resolver may take longer than any timeout of a socket.
    thread = threading.Thread(target=_ping_into, args=(outcome, url, is_well), daemon=True)
    thread.start()
    thread.join(_TIMEOUT_S)
    return f"[monitoring] ping: {_place(url)[1]} {outcome[0]}" if outcome[0] else ""


def _ping_into(outcome: list[str], url: str, is_well: bool) -> None:
    try:
        status = _get(url, "" if is_well else "/fail")
        outcome[0] = "" if 200 <= status < 300 else f"answered {status}"
    except (OSError, ValueError) as error:
        outcome[0] = f"cannot be reached: {getattr(error, 'strerror', None) or error}"


def _get(url: str, suffix: str) -> int:
    """Return the status of a GET; by hand, since the standard library's client loads for longer than all of a run."""
    import socket

    scheme, host, port, path = _place(url)
    path, question, query = path.partition("?")
    with socket.create_connection((host, port), timeout=_TIMEOUT_S) as plain:
        connection: socket.socket = plain
        if scheme == "https":
            import ssl

            connection = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        name = f"[{host}]" if ":" in host else host
        target = f"{path.rstrip('/')}{suffix}{question}{query}" or "/"
        request = f"GET {target} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: newsletter\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode("ascii"))
        answer = b""
        while b"\r\n" not in answer and len(answer) < 1000:
            received = connection.recv(1000)
            if not received:
                break
            answer += received
    version, _, rest = answer.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ValueError("that is no HTTP")
    return int(rest[:3])


def _place(url: str) -> tuple[str, str, int, str]:
    """Return scheme, host, port and path of a URL; raise ValueError for one that is neither http nor https."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("http", "https"):
        raise ValueError("the URL is neither http nor https")
    cut = min((rest.index(mark) for mark in "/?" if mark in rest), default=len(rest))
    authority, path = rest[:cut], rest[cut:]
    host, port = authority, ""
    if authority.startswith("["):
        host, _, port = authority[1:].partition("]")
        port = port.removeprefix(":")
    elif ":" in authority:
        host, _, port = authority.partition(":")
    return scheme, host, int(port) if port else 443 if scheme == "https" else 80, path
