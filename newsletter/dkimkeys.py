"""Read the key files that ``[dkim]`` names, and make of them what signs the messages.

Keys are never printed. Not here: how a message is signed (``dkim``), and whether DNS has the keys.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from newsletter.config import DkimSection
from newsletter.dkim import Signer, SigningKey
from newsletter.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

RSA_BITS_MIN, RSA_BITS_ADVISED, RSA_BITS_MAX = 1024, 2048, 4096
"""Sizes of an RSA key that receivers verify, and the least that signers should have (RFC 8301 section 3.2)."""

_READABLE_BY_OTHERS = 0o004


def load_signer(
    section: DkimSection, root: Path, *, from_domain: str, announce: Callable[[str], None] | None = None
) -> Signer | None:
    """Return what signs with the keys of ``section``, None where it names no key.

    Paths are relative to ``root``; without ``domain`` messages are signed for ``from_domain``, that of From.
    ``announce`` is told of a key that is weaker than advised or that everybody can read. Raises ConfigError for a
    key file that is missing, cannot be read or holds no key to sign with, and for a ``domain`` without keys.
    """
    if not section.keys:
        if section.domain:
            raise ConfigError('[dkim] domain is set, but no key; write [dkim.keys] and below it s2026 = "dkim.pem"')
        return None
    lifetime = timedelta(days=section.valid_days) if section.valid_days else None
    keys = (_load_key(selector, root / file, announce) for selector, file in section.keys.items())
    return Signer(section.domain.lower() or from_domain, tuple(keys), lifetime)


def _load_key(selector: str, path: Path, announce: Callable[[str], None] | None) -> SigningKey:
    name = f"[dkim] keys: {selector}: {path}"
    try:
        pem, mode = path.read_bytes(), path.stat().st_mode
    except FileNotFoundError:
        raise ConfigError(
            f"{name}: no such file; make a key with 'openssl genrsa -out {path.name} 2048', or correct the path"
        ) from None
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}; let the user who sends read it") from None
    key = parse_key(pem, selector, name)
    if announce and key.algorithm == "rsa-sha256" and key.bits < RSA_BITS_ADVISED:
        announce(f"{name}: an RSA key of {key.bits} bits is weak; make one of {RSA_BITS_ADVISED} (RFC 8301)")
    if announce and mode & _READABLE_BY_OTHERS:
        announce(f"{name}: every user of this machine can read the key; run 'chmod 600' on it")
    return key


def parse_key(pem: bytes, selector: str, name: str) -> SigningKey:
    """Return the RSA or Ed25519 private key in ``pem``; ``name`` is what messages call it, such as its file.

    Raises ConfigError for what is no such key, is locked by a passphrase, or is an RSA key outside 1024 to 4096 bits.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise ConfigError(
            f"{name}: the key is locked by a passphrase, which no cron job can type; "
            "unlock it with 'openssl pkey -in OLD.pem -out NEW.pem'"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(
            f"{name}: no private key in PEM, or a damaged one; make one with 'openssl genrsa -out dkim.pem 2048'"
        ) from None
    if isinstance(key, Ed25519PrivateKey):
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        # The signature is of the hash, not of the header itself (RFC 8463 section 3).
        return SigningKey(selector, "ed25519-sha256", 256, _text(public), _ed25519_over_hash(key.sign))
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError(
            f"{name}: DKIM knows RSA and Ed25519 keys only; make one with 'openssl genrsa -out dkim.pem 2048'"
        )
    if not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        raise ConfigError(
            f"{name}: an RSA key of {key.key_size} bits; receivers verify {RSA_BITS_MIN} to {RSA_BITS_MAX} (RFC 8301); "
            "make one with 'openssl genrsa -out dkim.pem 2048'"
        )
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SigningKey(selector, "rsa-sha256", key.key_size, _text(public), _rsa_sha256(key))


def _text(public: bytes) -> str:
    return b64encode(public).decode("ascii")


def _ed25519_over_hash(sign: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda content: sign(hashlib.sha256(content).digest())


def _rsa_sha256(key: "RSAPrivateKey") -> Callable[[bytes], bytes]:
    """Return what signs by RSASSA-PKCS1-v1_5 (RFC 6376 section 3.3.2); threads may sign at the same time."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    padding, algorithm = PKCS1v15(), SHA256()
    return lambda content: key.sign(content, padding, algorithm)
