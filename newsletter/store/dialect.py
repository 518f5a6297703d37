"""Turn the SQL that both databases share into PostgreSQL's: its parameters, its types.

The ``.sql`` files are written for SQLite in words that PostgreSQL understands, so little is left to turn. What must be
said in other words stands beside the query, marked ``-- dialect: postgresql`` (``database``). Pure: text in, text out.
"""

import re

SQLITE, POSTGRESQL = "sqlite", "postgresql"
_PARAMETER = re.compile(r"(?<![\w:]):([a-z_]+)\b")
_TYPES = (
    (re.compile(r"\bINTEGER PRIMARY KEY\b"), "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    (re.compile(r"\bBLOB\b"), "BYTEA"),
    (re.compile(r"\)\s*WITHOUT ROWID$"), ")"),
)
_OWNED = "CREATE INDEX deliveries_owned ON deliveries (owner) WHERE owner IS NOT NULL"
_OWN_WORDS = {_OWNED: "CREATE INDEX deliveries_owned ON deliveries (send_id, subscriber_id) WHERE owner IS NOT NULL"}
"""Statements that say it otherwise. Every row in a run's hands has one owner: an index that begins with it would find
them all for each mark, and PostgreSQL would take it for the smaller one."""
_FROZEN_IN_BULK = re.compile(r"CREATE TABLE deliveries\b")
_REFERENCE = re.compile(r" REFERENCES \w+ \(\w+\)")


def postgres_query(sql: str) -> str:
    """Return a query with psycopg's parameters, ``%(name)s`` for ``:name``; a ``%`` of its own stays one."""
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))


def postgres_schema(statement: str) -> str:
    """Return a statement of a migration with PostgreSQL's types.

    The rows of ``deliveries`` lose their references: PostgreSQL looks each one up and locks what it finds, which makes
    planning three times as slow. They all come from one join of ``subscriptions`` and ``send_variants``, whose own
    references keep in place what a delivery names.
    """
    statement = _OWN_WORDS.get(statement, statement)
    for pattern, replacement in _TYPES:
        statement = pattern.sub(replacement, statement)
    return _REFERENCE.sub("", statement) if _FROZEN_IN_BULK.match(statement) else statement
