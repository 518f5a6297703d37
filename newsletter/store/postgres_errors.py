"""Tell what a PostgreSQL server refused, or what became of the way to it, in errors of ours that say what to do.

The driver's errors are told apart by their SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html).
A connection that fails has none, so there the server's words decide; where they are of another language, the advice is
a general one. No message holds a password or what a row holds. Not here: statements.
"""

import re

import psycopg
from psycopg.conninfo import conninfo_to_dict

from newsletter.errors import ConfigError, NewsletterError, StoreError, StoreUnavailableError

_UNAVAILABLE = (
    ("55P03", "held by another command for over {timeout_s:g} s; try again when that one ends"),
    ("40", "another transaction went first ({words}); nothing was written, try again"),
    ("57014", "a statement took too long ({words}); try again, or raise statement_timeout for the role"),
    ("25006", "cannot be written, it is a standby or set to read only; name the primary, or check the permissions"),
    ("42501", "cannot be used ({words}); check the permissions of the role, it must own the store's schema"),
    ("53100", "the server's disk is full; free some space, then run the command again"),
    ("53", "the server has no room ({words}); try again when it is less busy"),
    ("58", "the server cannot read or write its files ({words}); check that its disk is there and sound"),
    ("25P0", "the server ended a transaction that took too long ({words}); run the command again"),
    ("57", "the server ended the connection ({words}); see whether it runs, then run the command again"),
    ("08", "the connection to the server is lost ({words}); see whether it runs, then run the command again"),
)
"""What is said of an error whose SQLSTATE begins so; the first that fits counts. ``08`` stands for errors without."""
_REFUSED = re.compile(
    r"authentication failed|no password supplied|role .* does not exist|not permitted to log in|no pg_hba\.conf entry"
)
_NO_DATABASE = re.compile(r"database .* does not exist")


def connection_parts(url: str) -> dict[str, str]:
    """Return the parts of ``postgresql://user:password@host:port/database?name=value`` by the names of libpq.

    Raises ConfigError for what is no such URL. It shows nothing of it: who could tell which part is the password?
    """
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.Error:
        parts = {"port": "unreadable"}
    # A password with a slash in it that is not written as %2F looks like a port and a database.
    if not re.fullmatch(r"[\d,]*", parts.get("port", "")) or re.search(r"[@/]", parts.get("dbname", "")):
        raise ConfigError(
            "[store] url: cannot be read; write 'postgresql://user@host/database', and whatever is no letter or digit "
            "in a password as %-code"
        )
    return parts


def shown_url(parts: dict[str, str]) -> str:
    """Return the URL as messages may show it: user, host, port, database and socket folder."""
    host, user = parts.get("host", ""), parts.get("user", "")
    folder = f"?host={host}" if host.startswith("/") else ""
    place = "" if folder else f"[{host}]" if ":" in host else host
    port = f":{parts['port']}" if "port" in parts else ""
    return f"postgresql://{user and f'{user}@'}{place}{port}/{parts.get('dbname', '')}{folder}"


def connection_error(error: psycopg.Error, where: str) -> NewsletterError:
    """Return the error of ours for a connection that could not be made."""
    words = _words(error).removeprefix("connection failed: ")
    if _NO_DATABASE.search(words):
        return ConfigError(f"{where}: no such database ({words}); make it, or name another in [store] url")
    if _REFUSED.search(words):
        return ConfigError(
            f"{where}: the server does not let us in ({words}); check the user in [store] url, and the password there, "
            "in NEWSLETTER_STORE__URL or in the file that its '?passfile=PATH' names"
        )
    return StoreUnavailableError(f"{where}: cannot be reached ({words}); check that the server runs, and [store] url")


def store_error(error: psycopg.Error, where: str, timeout_s: float) -> StoreError:
    """Return the error of ours for a statement that failed."""
    code = error.sqlstate or ("08" if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) else "")
    words = _words(error)
    if code.startswith("XX00"):
        return StoreError(f"{where}: damaged ({words}); restore the latest backup")
    for beginning, text in _UNAVAILABLE:
        if code.startswith(beginning):
            return StoreUnavailableError(f"{where}: {text.format(words=words, timeout_s=timeout_s)}")
    return StoreError(f"{where}: {words}; this is a bug of newsletter, please report it")


def lost_commit(error: psycopg.Error, where: str) -> StoreUnavailableError:
    """Return the error of ours for a connection that was lost while it committed."""
    return StoreUnavailableError(
        f"{where}: the connection to the server was lost during a commit ({_words(error)}), so either all of it was "
        "written or nothing; see whether it runs, then run the command again"
    )


def _words(error: psycopg.Error) -> str:
    """Return what the server said, in one line; its details are left out, for they may show what a row holds."""
    return " ".join((error.diag.message_primary or str(error)).split())
