"""Sign messages with DKIM (RFC 6376, RFC 8301, RFC 8463): relaxed/relaxed, RSA or Ed25519, one field for each key.

The body of a send is nearly the same for everybody, so ``Signer.prepare`` takes the message in the pieces that it is
joined from, empty where a hole is, and does once what they share: the relaxed form of each static piece, and the hash
of the body up to its first hole. ``PreparedSignature.sign`` is left with hashing, a short header and the signature.

Equal input gives equal bytes: ``t=`` is an instant that is given, and both algorithms are deterministic. There is no
``l=``, so nothing can be appended. Not here: private keys and their files (``dkimkeys``), DNS, verifying.
"""

import datetime as dt
import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple

from newsletter.errors import InputError, UnrenderableError

SIGNED = (
    *(b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type", b"reply-to"),
    *(b"list-id", b"list-unsubscribe", b"list-unsubscribe-post", b"feedback-id"),
)
"""Fields that a signature covers as often as they stand; RFC 8058 section 4 demands the two of List-Unsubscribe."""
OVERSIGNED = frozenset((b"from", b"to", b"subject", b"date"))
"""Fields of ``SIGNED`` that are named once more than they stand, so that none can be added (RFC 6376 section 8.15)."""

_LINE_IDEAL, _SIGNATURE_CHUNK = 78, 72
_NAME = b"DKIM-Signature: "
_BLANK = b" \t\r\n"
_WSP = re.compile(rb"[ \t]+")
_FIELD_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]+")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Hold one private key as what it can do; ``public`` is the Base64 text that its DNS record has in ``p=``."""

    selector: str
    algorithm: Literal["rsa-sha256", "ed25519-sha256"]
    bits: int
    public: str
    sign: Callable[[bytes], bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signer:
    """Sign for ``domain`` with each of ``keys``; signatures expire after ``lifetime``, never where it is None."""

    domain: str
    keys: tuple[SigningKey, ...]
    lifetime: dt.timedelta | None = None

    def sign(self, message: bytes, at: dt.datetime) -> bytes:
        """Return the DKIM-Signature fields to put before ``message``, one for each key; ``at`` is an aware instant.

        Raises InputError as ``prepare`` does.
        """
        return self.prepare((message,), at).sign((message,))

    def at(self, instant: dt.datetime) -> Callable[[Sequence[bytes]], Callable[[Sequence[bytes]], bytes]]:
        """Return ``prepare`` for one aware instant, as a function from pieces to ``PreparedSignature.sign``.

        So the module that makes messages can have them signed and need not know how.
        """
        return lambda pieces: self.prepare(pieces, instant).sign

    def prepare(self, pieces: Sequence[bytes], at: dt.datetime) -> "PreparedSignature":
        """Do once what all messages of a send share.

        ``pieces`` are the bytes of the message in order, empty where something differs from recipient to recipient;
        the blank line after the header and the whole of From are in static pieces. ``at`` is an aware instant, the
        send's own. Raises InputError for a header without From, with octets beyond ASCII, or with lines of no field.
        """
        if at.tzinfo is None:
            raise ValueError("a signature needs an aware instant")
        index, end = _find_body(pieces)
        _select_fields(b"".join(pieces[:index]) + pieces[index][:end])
        hasher = BodyHasher()
        hasher.update(pieces[index][end + 2 :])
        first_hole = next((number for number in range(index + 1, len(pieces)) if not pieces[number]), len(pieces))
        hasher.update(b"".join(pieces[index + 1 : first_hole]))
        return PreparedSignature(
            signer=self,
            signed_at=int(at.timestamp()),
            header_pieces=index,
            header_end=pieces[index][:end],
            hasher=hasher,
            steps=tuple(_steps(pieces, first_hole)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSignature:
    """Hold what the signatures of one edition's messages share; ``Signer.prepare`` makes it, any thread may use it.

    ``steps`` are what follows the body's first hole: indexes of holes, and static bytes in their relaxed form.
    """

    signer: Signer
    signed_at: int
    header_pieces: int
    header_end: bytes
    hasher: "BodyHasher" = field(repr=False)
    steps: "tuple[int | Relaxed, ...]" = field(repr=False)

    def sign(self, pieces: Sequence[bytes]) -> bytes:
        """Return the DKIM-Signature fields of the message that ``pieces`` make: those prepared, their holes filled.

        Raises UnrenderableError where what fills the header's holes is no ASCII or breaks a line.
        """
        try:
            names, fields = _select_fields(b"".join(pieces[: self.header_pieces]) + self.header_end)
        except InputError as error:
            raise UnrenderableError(str(error)) from None
        hasher = self.hasher.copy()
        for step in self.steps:
            if isinstance(step, int):
                hasher.update(pieces[step])
            else:
                hasher.take(step)
        body_hash = b64encode(hasher.digest())
        return b"".join(self._signature(key, names, fields, body_hash) for key in self.signer.keys)

    def _signature(self, key: SigningKey, names: Sequence[bytes], fields: bytes, body_hash: bytes) -> bytes:
        """Return one DKIM-Signature field (RFC 6376 section 3.5); ``b=`` is last, as it is signed while still empty."""
        lifetime = self.signer.lifetime
        tags = [
            b"v=1;",
            b" a=%b;" % key.algorithm.encode("ascii"),
            b" c=relaxed/relaxed;",
            b" d=%b;" % self.signer.domain.encode("ascii"),
            b" s=%b;" % key.selector.encode("ascii"),
            b" t=%d;" % self.signed_at,
            *([b" x=%d;" % (self.signed_at + int(lifetime.total_seconds()))] if lifetime else []),
            b" h=%b:" % names[0],
            *(b"%b:" % name for name in names[1:-1]),
            b"%b;" % names[-1],
            b" bh=%b;" % body_hash,
        ]
        start = _folded(tags) + b"\r\n b="
        # Its relaxed form: there are no double spaces in it, and each fold leaves one.
        signature = b64encode(key.sign(fields + b"dkim-signature:" + start[len(_NAME) :].replace(b"\r\n", b"")))
        chunks = (signature[at : at + _SIGNATURE_CHUNK] for at in range(0, len(signature), _SIGNATURE_CHUNK))
        return start + b"\r\n ".join(chunks) + b"\r\n"


def dns_record(key: SigningKey, domain: str) -> tuple[str, str]:
    """Return the name and the text of the TXT record by which receivers find the key (RFC 6376 section 3.6)."""
    kind = key.algorithm.partition("-")[0]
    return f"{key.selector}._domainkey.{domain}", f"v=DKIM1; k={kind}; p={key.public}"


# ---------------------------------------------------------------------------------------------------------------------
# The header
# ---------------------------------------------------------------------------------------------------------------------


def _find_body(pieces: Sequence[bytes]) -> tuple[int, int]:
    """Return the index of the piece that holds the blank line, and where in it that line starts."""
    for index, piece in enumerate(pieces):
        at = piece.find(b"\r\n\r\n")
        if at >= 0:
            return index, at + 2
    raise InputError("the message has no blank line after its header, so it cannot be signed; end the header with one")


def _select_fields(header: bytes) -> tuple[list[bytes], bytes]:
    """Return the names for ``h=``, and the fields that they name in relaxed form (RFC 6376 sections 3.4.2, 5.4.2)."""
    breaks = header.count(b"\r\n")
    if not header.isascii() or header.count(b"\r") != breaks or header.count(b"\n") != breaks:
        raise InputError("the header holds octets beyond ASCII or a lone CR or LF; encode header text by RFC 2047")
    found: dict[bytes, list[bytes]] = {}
    for line in header.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t").split(b"\r\n")[:-1]:
        name, value = _relaxed_field(line)
        found.setdefault(name, []).append(value)
    if len(found.get(b"from", ())) != 1:
        raise InputError("a message is signed in the name of its From, and there must be exactly one")
    names: list[bytes] = []
    fields: list[bytes] = []
    for name in SIGNED:
        values = found.get(name, [])
        names += [name] * (len(values) + (name in OVERSIGNED))
        fields += (b"%b:%b\r\n" % (name, value) for value in reversed(values))
    return names, b"".join(fields)


@lru_cache(maxsize=256)
def _relaxed_field(line: bytes) -> tuple[bytes, bytes]:
    """Return name and value of an unfolded field in relaxed form; in a send most fields are always the same."""
    name, colon, value = line.partition(b":")
    name = name.rstrip(b" \t").lower()
    if not colon or not _FIELD_NAME.fullmatch(name):
        raise InputError(f"{line[:60]!r} is no header field; write 'Name: value'")
    return name, _WSP.sub(b" ", value).strip(b" ")


def _folded(tags: Iterable[bytes]) -> bytes:
    """Join tags to a field in lines of 78 characters, broken between tags only."""
    lines = [_NAME]
    for tag in tags:
        if len(lines[-1]) + len(tag) > _LINE_IDEAL:
            lines.append(b" " + tag.lstrip(b" "))
        else:
            lines[-1] += tag
    return b"\r\n".join(lines)


# ---------------------------------------------------------------------------------------------------------------------
# The body
# ---------------------------------------------------------------------------------------------------------------------


class Relaxed(NamedTuple):
    """Hold bytes of a body: white space and line breaks at both ends as they are, the core between in relaxed form."""

    head: bytes
    core: bytes
    tail: bytes


class BodyHasher:
    """Hash a body in its relaxed form (RFC 6376 section 3.4.4), piece by piece, wherever the pieces are cut.

    What white space and line breaks become depends on what follows them, so those at the end of a piece are held back.
    """

    __slots__ = ("_has_core", "_held", "_sha256")

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._held = b""
        self._has_core = False

    def copy(self) -> "BodyHasher":
        """Return a hasher that goes on from here, apart from this one."""
        other = BodyHasher()
        other._sha256, other._held, other._has_core = self._sha256.copy(), self._held, self._has_core
        return other

    def update(self, piece: bytes) -> None:
        """Take the next bytes of the body."""
        self.take(relax(piece))

    def take(self, piece: Relaxed) -> None:
        """Take the next bytes of the body, whose relaxed form is known."""
        self._held += piece.head
        if piece.core:
            self._sha256.update(_relaxed(self._held) + piece.core)
            self._held = piece.tail
            self._has_core = True

    def digest(self) -> bytes:
        """Return the hash of the body as it is so far; empty lines at its end do not count, an empty body is empty."""
        rest = _relaxed(self._held).removesuffix(b" ")
        end = len(rest)
        while rest.endswith(b"\r\n", 0, end):
            end -= 2
        sha256 = self._sha256.copy()
        if end or self._has_core:
            sha256.update(rest[:end] + b"\r\n")
        return sha256.digest()


def relax(piece: bytes) -> Relaxed:
    """Return bytes of a body in the form that ``BodyHasher.take`` needs."""
    rest = piece.lstrip(_BLANK)
    core = rest.rstrip(_BLANK)
    return Relaxed(piece[: len(piece) - len(rest)], _relaxed(core), rest[len(core) :])


def _relaxed(content: bytes) -> bytes:
    """Reduce white space to one space, and to nothing at the end of a line."""
    return _WSP.sub(b" ", content).replace(b" \r\n", b"\r\n")


def _steps(pieces: Sequence[bytes], start: int) -> Iterable[int | Relaxed]:
    """Return the holes from ``start`` on, and between them what is static, joined."""
    static: list[bytes] = []
    for index in range(start, len(pieces)):
        if pieces[index]:
            static.append(pieces[index])
            continue
        if static:
            yield relax(b"".join(static))
            static = []
        yield index
    if static:
        yield relax(b"".join(static))
