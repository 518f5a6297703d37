r"""Sign and read the tokens that links and return paths carry; keys come from the text of the secret file.

This format is fixed for good: mail that was sent years ago holds such tokens, and they must still work.

**Token.** 30 bytes, written as 48 characters of lower-case base32 (RFC 4648 section 6) without padding. 30 bytes are
240 bits, exactly 48 characters of 5: every character string of that length stands for one token and no other. Case is
ignored on reading, since relays may change it in a local part. All numbers are unsigned, most significant byte first.

====== ===== ============================================================================================
offset bytes meaning
====== ===== ============================================================================================
0      1     number of the token key, 1 to 127; 0 and 128 to 255 are left for a later format
1      1     purpose (``Purpose``)
2      3     list id
5      6     subscriber id; 0 means nobody: a proof or a sample
11     4     extra: the send id (bounce, unsubscribe, preferences), or for purposes that expire the hour, counted
             from 1970-01-01T00:00Z, from which on the token is no longer good
15     15    the first 15 bytes of HMAC-SHA256(token key, ``b"newsletter/1/token\0"`` + bytes 0 to 14)
====== ===== ============================================================================================

**Keys.** The secret file is text, one secret a line: at least 32 ASCII characters without white space. Empty lines
and lines that start with ``#`` do not count; a comment may follow a secret after white space. The n-th secret gives::

    token key n  = HMAC-SHA256(secret n, b"newsletter/1/token-key")
    address key  = HMAC-SHA256(secret 1, b"newsletter/1/address-key")
    message key  = HMAC-SHA256(secret 1, b"newsletter/1/message-key")

The first secret is the root: the address key (hashes of addresses) and the message key (Message-IDs) come from it and
never rotate. The last active line signs, all active lines verify. To rotate, append a line. To disable one, write the
word ``retired`` behind its secret, or in place of it (not in place of the first: the root is needed for good).

**Worked example.** The secret file holds the one line ``an-example-secret-of-no-use-at-all``. The unsubscribe token of
list 1, subscriber 258, send 7 starts with the bytes ``01 02 000001 000000000102 00000007``, and is
``aebaaaabaaaaaaabaiaaaaahze4423iff2dfczk725etudv3``.

Unsubscribe and bounce tokens never expire. A token is made and checked from the keys alone, without the store.
Not here: what a token permits (``subscriptions``, ``bounces``), and reading the secret file (``cli``).
"""

import base64
import datetime as dt
import enum
import hashlib
import hmac
from dataclasses import dataclass, field

from newsletter.errors import ConfigError

TOKEN_LENGTH = 48
"""Characters of a token, all ASCII letters and digits."""
SECRET_MIN = 32
"""Characters that a secret must have at the least."""
_KEY_NUMBER_MAX = 127
_PAYLOAD, _TOKEN_BYTES = 15, 30
_SIGNED = b"newsletter/1/token\0"
_BLOCK = 64
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_LETTERS = bytes.maketrans(bytes(range(32)), _BASE32.encode("ascii"))
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_RETIRED = "retired"


def _halvings() -> tuple[tuple[int, int, int], ...]:
    """Return, for ``_base32``, the lower halves of all blocks, their upper halves, and how far these move.

    Blocks have 320, 160, … 10 bits before they are halved: the powers of two times five that hold a token.
    """
    steps = []
    for size in (32, 16, 8, 4, 2, 1):
        starts = range(0, 64 * 8, 2 * size * 8)
        lower = sum(((1 << 5 * size) - 1) << start for start in starts)
        steps.append((lower, lower << 5 * size, 3 * size))
    return tuple(steps)


_HALVINGS = _halvings()


class Purpose(enum.IntEnum):
    """Say what a token is good for; the numbers are part of the format, and 8 to 255 are free."""

    BOUNCE = 1
    UNSUBSCRIBE = 2
    CONFIRM = 3
    PREFERENCES = 4
    RESUBSCRIBE = 5
    CHANGE_ADDRESS = 6
    ARCHIVE = 7


EXPIRING = frozenset({Purpose.CONFIRM, Purpose.RESUBSCRIBE, Purpose.CHANGE_ADDRESS})
"""Purposes whose ``extra`` is an hour of expiry; every other token is good for ever."""


@dataclass(frozen=True, slots=True)
class Token:
    """Hold what a token says. ``extra`` is a send id, or for expiring purposes an hour as ``expiry_hour`` counts it.

    Raises ValueError for a number that its bytes cannot hold.
    """

    purpose: Purpose
    list_id: int
    subscriber_id: int
    extra: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.list_id < 1 << 24 and 0 <= self.subscriber_id < 1 << 48 and 0 <= self.extra < 1 << 32):
            raise ValueError(f"{self} does not fit: list id below 2**24, subscriber id below 2**48, extra below 2**32")


@dataclass(frozen=True, slots=True)
class Keys:
    """Hold what the secret file gives: token keys by number (None where retired) and the two keys of the root.

    ``address_key`` is for ``addresses.address_hash``, ``message_key`` for Message-IDs; neither ever rotates.
    ``signer`` is the number, from 1, of the token key that signs.
    """

    token_keys: tuple[bytes | None, ...] = field(repr=False)
    address_key: bytes = field(repr=False)
    message_key: bytes = field(repr=False)
    signer: int

    @property
    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that tell one address key from another and give nothing of it away.

        The store keeps them, so that a lost or exchanged root secret is noticed before hashes are made with it.
        """
        return hmac.digest(self.address_key, b"newsletter/1/fingerprint", "sha256")[:8].hex()


def parse_keys(text: str, file: str = "the secret file") -> Keys:
    """Derive the keys from the text of the secret file, which messages call ``file``; never show a secret.

    Raises ConfigError for a short, doubled or malformed line, for no line, and where every line is retired.
    """
    secrets, active = _read_secrets(text, file)
    if not secrets:
        raise ConfigError(f"{file}: no secret in it; one a line, at least {SECRET_MIN} characters, is needed")
    if not any(active):
        raise ConfigError(f"{file}: every secret is retired; append a new line of at least {SECRET_MIN} characters")
    if len(secrets) > _KEY_NUMBER_MAX:
        raise ConfigError(f"{file}: {len(secrets)} secrets; a token can number {_KEY_NUMBER_MAX}")
    root = secrets[0].encode()
    return Keys(
        token_keys=tuple(
            hmac.digest(secret.encode(), b"newsletter/1/token-key", "sha256") if alive else None
            for secret, alive in zip(secrets, active, strict=True)
        ),
        address_key=hmac.digest(root, b"newsletter/1/address-key", "sha256"),
        message_key=hmac.digest(root, b"newsletter/1/message-key", "sha256"),
        signer=max(number for number, alive in enumerate(active, 1) if alive),
    )


def _read_secrets(text: str, file: str) -> tuple[list[str], list[bool]]:
    """Return the secrets in order ("" where only the word ``retired`` stands) and whether each is active."""
    secrets: list[str] = []
    active: list[bool] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        secret, *rest = line.replace("\t", " ").partition(" #")[0].split() or [""]
        if not secret or secret.startswith("#"):
            continue
        where = f"{file}:{number}"
        if secret == _RETIRED and not rest:
            if not secrets:
                raise ConfigError(
                    f"{where}: the first secret is the root and is needed for good; write it before 'retired'"
                )
            secret, rest = "", [_RETIRED]
        elif len(secret) < SECRET_MIN:
            raise ConfigError(f"{where}: a secret of {len(secret)} characters; write at least {SECRET_MIN}")
        elif not (secret.isascii() and secret.isprintable()):
            raise ConfigError(f"{where}: a secret may hold ASCII letters, digits and signs only; write a new one")
        elif secret in secrets:
            raise ConfigError(f"{where}: the same secret stands above; write a new one")
        if rest not in ([], [_RETIRED]):
            raise ConfigError(f"{where}: white space in a secret; only the word 'retired' or a # comment may follow it")
        secrets.append(secret)
        active.append(not rest)
    return secrets, active


def new_secret_text(random_bytes: bytes) -> str:
    """Return the text of a new secret file around ``random_bytes``, at least 32 of them from the system's generator."""
    if len(random_bytes) < SECRET_MIN:
        raise ValueError(f"{len(random_bytes)} random bytes; give at least {SECRET_MIN}")
    return (
        "# The secrets of this newsletter: whoever has them can forge unsubscribe links. Keep a copy, commit none.\n"
        "# To rotate, append a line. Never change or remove the first: the suppressions are found by it.\n"
        "# To disable a line, write the word 'retired' behind it.\n"
        f"{base64.b32encode(random_bytes).decode().rstrip('=').lower()}\n"
    )


class Signer:
    """Sign tokens with the newest active key, its half of the work done beforehand.

    An HMAC starts by hashing its key twice over; copying those two states takes a third of the time of a whole HMAC,
    which counts where a send signs two tokens a message. Only copies are ever fed, so threads may share one.
    """

    __slots__ = ("_inner", "_number", "_outer")

    def __init__(self, keys: Keys) -> None:
        key = keys.token_keys[keys.signer - 1]
        if key is None:
            raise ValueError(f"token key {keys.signer} is retired")
        block = key.ljust(_BLOCK, b"\0")
        self._number = keys.signer
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + _SIGNED)
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def sign(self, token: Token) -> str:
        """Return the 48 characters of ``token``."""
        return self.sign_numbers(token.purpose, token.list_id, token.subscriber_id, token.extra)

    def sign_numbers(self, purpose: Purpose, list_id: int, subscriber_id: int, extra: int) -> str:
        """Return what ``sign`` returns for the token of these numbers, without making it.

        Raises OverflowError for a number that its bytes cannot hold.
        """
        payload = (
            bytes((self._number, purpose))
            + list_id.to_bytes(3, "big")
            + subscriber_id.to_bytes(6, "big")
            + extra.to_bytes(4, "big")
        )
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(payload)
        outer.update(inner.digest())
        return _base32(payload + outer.digest()[: _TOKEN_BYTES - _PAYLOAD])


def _base32(content: bytes) -> str:
    """Return the 48 characters of 30 bytes, in a quarter of the time of ``base64.b32encode``.

    The bits are spread until each five have a byte of their own, by halving all blocks at once, and then translated.
    """
    number = int.from_bytes(content, "big")
    for lower, upper, distance in _HALVINGS:
        number = number & lower | (number & upper) << distance
    return number.to_bytes(TOKEN_LENGTH, "big").translate(_LETTERS).decode("ascii")


def sign(keys: Keys, token: Token) -> str:
    """Return the 48 characters of ``token``, signed with the newest active key."""
    return Signer(keys).sign(token)


def read_token(keys: Keys, text: str, purpose: Purpose) -> Token | None:
    """Return what the token says, or None where it is malformed, forged, of a retired key or of another purpose.

    Never raises, whatever ``text`` is. Does not look at the expiry: see ``is_expired``.
    """
    if len(text) != TOKEN_LENGTH or not text.isascii():
        return None
    try:
        content = base64.b32decode(text, casefold=True)
    except ValueError:
        return None
    payload, number = content[:_PAYLOAD], content[0]
    key = keys.token_keys[number - 1] if 1 <= number <= len(keys.token_keys) else None
    if key is None or not hmac.compare_digest(_mac(key, payload), content[_PAYLOAD:]) or payload[1] != purpose:
        return None
    return Token(
        purpose,
        list_id=int.from_bytes(payload[2:5], "big"),
        subscriber_id=int.from_bytes(payload[5:11], "big"),
        extra=int.from_bytes(payload[11:15], "big"),
    )


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, _SIGNED + payload, "sha256")[: _TOKEN_BYTES - _PAYLOAD]


def expiry_hour(now: dt.datetime, hours: int) -> int:
    """Return the ``extra`` of a token that is good for at least ``hours`` from the aware instant ``now``."""
    return -((_EPOCH - now) // dt.timedelta(hours=1)) + hours


def is_expired(token: Token, now: dt.datetime) -> bool:
    """Tell whether a token of an expiring purpose is past its hour at the aware instant ``now``."""
    return token.purpose in EXPIRING and now >= _EPOCH + dt.timedelta(hours=token.extra)


def tagged_address(address: str, text: str) -> str:
    """Return ``local+TOKEN@domain``, the form of signed return paths and of unsubscribe addresses.

    Raises ConfigError where the local part passes 64 octets (RFC 5321 section 4.5.3.1.1).
    """
    local, _, domain = address.rpartition("@")
    if len(local) + 1 + len(text) > 64:
        raise ConfigError(
            f"[newsletter] bounce_address: {local!r} is too long before a token; use at most 15 characters"
        )
    return f"{local}+{text}@{domain}"


def verp_address(keys: Keys, bounce_address: str, token: Token) -> str:
    """Return the envelope sender that names this delivery (VERP): ``bounce_address`` with the signed token in it."""
    return tagged_address(bounce_address, sign(keys, token))


def token_of(address: str) -> str:
    """Return the token text behind the last ``+`` of an address's local part, ``""`` where there is none.

    The text is not checked: ``read_token`` does that.
    """
    local = address.strip().strip("<>").rpartition("@")[0]
    text = local.rpartition("+")[2] if "+" in local else ""
    return text if len(text) == TOKEN_LENGTH else ""


SAMPLE_KEYS = parse_keys("sample-secret-for-builds-that-are-never-sent\n")
"""Keys that everyone knows, for the sample message of a build, which is the same on every machine."""
