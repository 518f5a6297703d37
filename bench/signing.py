"""Measure how many messages of 55 KB one core signs with DKIM, beside dkimpy in the same run.

``python bench/signing.py`` prints the figures. Not called ``dkim.py``, because that is the peer's name. Signatures are
verified by dkimpy before the clock runs. All sides sign the same messages: ours from their pieces, as a send does, and
from their bytes; dkimpy from their bytes, with the same fields.
"""

import argparse
import datetime as dt
import json
import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from measure import Figure, Report, Sample, Samples, in_turns, ratio_figure, timed
from personalise import IDENTITY, SENTENCE

from newsletter.dkim import SIGNED, Signer, SigningKey, dns_record
from newsletter.dkimkeys import parse_key
from newsletter.edition import freeze
from newsletter.message import prepare_message
from newsletter.model import Edition, Recipient, Slot
from newsletter.tokens import SAMPLE_KEYS

SIZE = 55_000
AT = dt.datetime(2025, 11, 26, 8, 0, tzinfo=dt.UTC)
"""In the past: dkimpy refuses what is signed in the future."""
_RSA, _ED25519 = "rsa-sha256", "ed25519-sha256"


@dataclass(frozen=True, slots=True)
class Messages:
    """Hold some messages of one send: their pieces with holes, with the holes filled, and their bytes."""

    template: tuple[bytes, ...]
    pieces: tuple[tuple[bytes, ...], ...]
    contents: tuple[bytes, ...]


def main() -> None:
    """Measure, and print each figure on a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="toy sizes: shows that it works, measures nothing")
    parser.add_argument("--alone", type=int, metavar="COUNT", help="make COUNT bare RSA signatures on all processors")
    if (count := parser.parse_args().alone) is not None:
        print(json.dumps(sign_alone(count)))
        return
    with tempfile.TemporaryDirectory() as folder:
        report = measure_signing(Path(folder), parser.parse_args().quick)
    print(f"{report.title:66} {'by wall':>10} {'by CPU':>10} {'best':>10}")
    for figure in report.figures:
        values = (value or 0 for value in (figure.value, figure.user, figure.best))
        print(f"  {figure.text:64}", *(f"{value:10,.1f}" for value in values), figure.unit)


def sign_alone(count: int) -> dict[str, float]:
    """Make ``count`` RSA-2048 signatures of short texts and nothing else, on all processors; return what it took.

    No sender that signs each message can be faster than this, whatever it is written in.
    """
    pem, processors = rsa_pem(), os.cpu_count() or 1
    shares = [count // processors + (number < count % processors) for number in range(processors)]
    with multiprocessing.get_context("spawn").Pool(processors) as pool:
        pool.starmap(_sign_texts, [(pem, 1)] * processors, chunksize=1)  # so that every process is up
        started = time.perf_counter()
        used = pool.starmap(_sign_texts, [(pem, share) for share in shares], chunksize=1)
        return {"sent": count, "seconds": time.perf_counter() - started, "user_s": sum(used)}


def _sign_texts(pem: bytes, count: int) -> float:
    """Return the seconds of CPU time that the signatures took."""
    sign = parse_key(pem, _RSA[:3], _RSA).sign
    before = time.process_time()
    for _ in range(count):
        sign(b"x" * 600)
    return time.process_time() - before


def measure_signing(folder: Path, quick: bool) -> Report:
    """Sign by RSA-2048, by Ed25519 and by both, with ours and with dkimpy, in turns; ``folder`` is not used."""
    del folder
    messages = _messages(4 if quick else 600)
    pems = {_RSA: rsa_pem(), _ED25519: _ed25519_pem()}
    keys = {name: parse_key(pem, name[:3], name) for name, pem in pems.items()}
    both = Signer(IDENTITY.domain, tuple(keys.values()))
    _verify(both, messages)
    sides: dict[str, Callable[[], Sample]] = {}
    for name, signers in {**{name: (key,) for name, key in keys.items()}, "both": tuple(keys.values())}.items():
        sides[name] = _ours(Signer(IDENTITY.domain, signers), messages)
    sides["bytes"] = _from_bytes(Signer(IDENTITY.domain, (keys[_RSA],)), messages)
    sides["shared"] = _ours(Signer(IDENTITY.domain, (_null_key(),)), messages)
    for name, pem in pems.items():
        sides[f"peer {name}"] = _peer(name, pem, messages)
    return _report(in_turns(sides, 1 if quick else 7), len(messages.contents[0]))


def _report(samples: dict[str, Samples], size: int) -> Report:
    def rate(side: str, text: str) -> Figure:
        found = samples[side]
        return Figure(
            name=f"signing.{side.replace(' ', '.')}.rate",
            text=text,
            value=1 / found.wall_s,
            unit="/s",
            user=1 / found.user_s if found.user_s else None,
            best=1 / found.best_s,
            details=found.as_json(),
        )

    def ratio(name: str, text: str) -> Figure:
        return ratio_figure(f"signing.{name}.ratio", text, samples[f"peer {name}"], samples[name])

    return Report(
        title=f"DKIM signatures of messages of {size:,} bytes, one core",
        figures=(
            rate(_RSA, "RSA-2048"),
            rate(f"peer {_RSA}", "RSA-2048, dkimpy"),
            ratio(_RSA, "RSA-2048: dkimpy's time over ours"),
            rate(_ED25519, "Ed25519"),
            rate(f"peer {_ED25519}", "Ed25519, dkimpy with PyNaCl"),
            ratio(_ED25519, "Ed25519: dkimpy's time over ours"),
            rate("both", "RSA-2048 and Ed25519, two fields"),
            rate("bytes", "RSA-2048 from finished bytes, nothing shared"),
            rate("shared", "all but the signature itself: hash of the body, header, field"),
        ),
        peers={name: version(name) for name in ("dkimpy", "PyNaCl", "cryptography")},
    )


# ---------------------------------------------------------------------------------------------------------------------
# The sides
# ---------------------------------------------------------------------------------------------------------------------


def _ours(signer: Signer, messages: Messages) -> Callable[[], Sample]:
    def sign() -> None:
        prepared = signer.prepare(messages.template, AT)
        for pieces in messages.pieces:
            prepared.sign(pieces)

    return lambda: _each(sign, len(messages.pieces))


def _from_bytes(signer: Signer, messages: Messages) -> Callable[[], Sample]:
    contents = messages.contents[: max(len(messages.contents) // 10, 1)]
    return lambda: _each(lambda: [signer.sign(content, AT) for content in contents], len(contents))


def _peer(algorithm: str, pem: bytes, messages: Messages) -> Callable[[], Sample]:
    import dkim

    contents = messages.contents[: max(len(messages.contents) // 30, 1)]
    secret = pem if algorithm == _RSA else _seed(pem)
    values: dict[str, Any] = {
        "selector": algorithm[:3].encode(),
        "domain": IDENTITY.domain.encode(),
        "privkey": secret,
        "canonicalize": (b"relaxed", b"relaxed"),
        "signature_algorithm": algorithm.encode(),
        "include_headers": list(SIGNED),
    }
    return lambda: _each(lambda: [dkim.sign(content, **values) for content in contents], len(contents))


def _each(call: Callable[[], object], count: int) -> Sample:
    """Measure ``call`` and return what one of its ``count`` messages took."""
    sample = timed(call)
    return Sample(sample.wall_s / count, sample.user_s / count)


def _verify(signer: Signer, messages: Messages) -> None:
    """Stop where pieces and bytes do not give the same, or where dkimpy does not verify it."""
    import dkim

    records = dict(dns_record(key, signer.domain) for key in signer.keys)
    prepared = signer.prepare(messages.template, AT)
    for pieces, content in zip(messages.pieces[:3], messages.contents, strict=False):
        field = prepared.sign(pieces)
        assert field == signer.sign(content, AT), "pieces and bytes give different signatures"
        verifier = dkim.DKIM(field + content)
        for index in range(len(signer.keys)):
            found = verifier.verify(
                idx=index, dnsfunc=lambda name, timeout=0: records[name.decode().rstrip(".")].encode()
            )
            assert found, f"dkimpy does not verify the signature {index}"


# ---------------------------------------------------------------------------------------------------------------------
# What is signed
# ---------------------------------------------------------------------------------------------------------------------


def _messages(count: int) -> Messages:
    prepared = prepare_message(_edition(), IDENTITY, SAMPLE_KEYS, date=AT, send_id=1)
    # What stands in the holes is found between the static pieces.
    pattern = re.compile(
        b"".join(b"(%b)" % (re.escape(piece) if piece else b".*?") for piece in prepared.pieces), re.DOTALL
    )
    contents = [
        prepared.personalise(Recipient(number, 1, f"reader{number}@example.org", ("Ann  Lee", "Zoë", "")[number % 3]))
        for number in range(1, count + 1)
    ]
    found = [pattern.fullmatch(message.content) for message in contents]
    pieces: Sequence[tuple[bytes, ...]] = [match.groups() for match in found if match]
    return Messages(prepared.pieces, tuple(pieces), tuple(message.content for message in contents))


def _edition() -> Edition:
    """Return an edition whose message has about 55 KB, with the reader at its top and the address at its end."""
    paragraphs = f'<p style="margin:0 0 12px 0;font-size:15px">{SENTENCE * 4}</p>\n' * (SIZE // 535)
    return freeze(
        Edition(
            issue="2025-11-26",
            subject=("China reins in facial recognition",),
            preheader="",
            html=(
                "<!doctype html><html><body>\n<p>Good morning ",
                Slot("name", "reader"),
                ",</p>\n" + paragraphs + '<p><a href="',
                Slot("unsubscribe_url"),
                '">Unsubscribe</a> ',
                Slot("email"),
                "</p>\n</body></html>\n",
            ),
            text=(
                "Good morning ",
                Slot("name", "reader"),
                ",\n\n" + (SENTENCE + "\n") * 20 + "\nUnsubscribe: ",
                Slot("unsubscribe_url"),
                "\n",
            ),
            date=AT.date(),
            language="en",
        )
    )


def _null_key() -> SigningKey:
    """Return a key whose signature costs nothing."""
    signature = bytes(256)
    return SigningKey("nul", _RSA, 2048, "", lambda content: signature)


def rsa_pem() -> bytes:
    """Return a new RSA-2048 key."""
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _ed25519_pem() -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _seed(pem: bytes) -> bytes:
    """Return an Ed25519 key as dkimpy takes it: its seed in Base64."""
    import base64

    der = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    return base64.b64encode(der[-32:])


if __name__ == "__main__":
    main()
