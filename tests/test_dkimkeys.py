"""Key files sign as [dkim] says, each fault is told with its fix, and the operators' guide works as it stands."""

import re
import shutil
import subprocess
import threading
import time
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from dkim_vectors import ED25519_PEM, RSA_PEM, SMALL_PEM

from newsletter.config import DkimSection, load_project
from newsletter.dkim import dns_record
from newsletter.dkimkeys import load_signer, parse_key
from newsletter.errors import ConfigError

GUIDE = Path(__file__).parents[1] / "docs" / "dkim.md"
BASE = '[newsletter]\ntitle = "Weekly"\nfrom = "Weekly <me@news.example.org>"\n'


@pytest.fixture
def root(tmp_path):
    for name, pem in (("rsa.pem", RSA_PEM), ("ed25519.pem", ED25519_PEM), ("small.pem", SMALL_PEM)):
        path = tmp_path / name
        path.write_bytes(pem)
        path.chmod(0o600)
    return tmp_path


def load(root, keys=None, announce=None, **values):
    return load_signer(DkimSection(keys=keys or {}, **values), root, from_domain="news.example.org", announce=announce)


# Loading


def test_without_keys_nothing_signs(root):
    assert load(root) is None
    with pytest.raises(ConfigError, match=r"\[dkim\] domain is set, but no key; write \[dkim.keys\]"):
        load(root, domain="example.org")


def test_keys_sign_in_the_order_of_the_configuration(root):
    signer = load(root, {"s2026": "rsa.pem", "e2026": str(root / "ed25519.pem")})
    assert [(key.selector, key.algorithm) for key in signer.keys] == [
        ("s2026", "rsa-sha256"),
        ("e2026", "ed25519-sha256"),
    ]
    assert (signer.domain, signer.lifetime) == ("news.example.org", None)


def test_domain_and_days_of_the_configuration(root):
    signer = load(root, {"s2026": "rsa.pem"}, domain="Example.org", valid_days=30)
    assert (signer.domain, signer.lifetime) == ("example.org", timedelta(days=30))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("missing.pem", "no such file; make a key with 'openssl genrsa -out missing.pem 2048'"),
        (".", "cannot be read: Is a directory"),
        ("rsa.pem/dkim.pem", "cannot be read: Not a directory"),
        ("small.pem", "an RSA key of 512 bits; receivers verify 1024 to 4096"),
    ],
)
def test_files_that_cannot_be_used(root, file, words):
    with pytest.raises(ConfigError) as caught:
        load(root, {"s2026": file})
    assert str(caught.value).startswith(f"[dkim] keys: s2026: {root / file}: ")
    assert words in str(caught.value)


def test_what_should_be_better_is_announced(root):
    told = []
    (root / "ed25519.pem").chmod(0o644)
    load(root, {"s2026": "rsa.pem", "e2026": "ed25519.pem"}, announce=told.append)
    weak, readable = told
    assert "rsa.pem: an RSA key of 1024 bits is weak; make one of 2048" in weak
    assert "ed25519.pem: every user of this machine can read the key; run 'chmod 600'" in readable


# Keys


def pem_of(private, password: bytes = b"") -> bytes:
    from cryptography.hazmat.primitives import serialization

    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


def test_other_threads_run_while_an_rsa_signature_is_made():
    """Else the connections of a send would wait for each other's signatures, however many processors there are."""
    sign = parse_key(RSA_PEM, "s2026", "dkim.pem").sign
    signing, done = threading.Event(), threading.Event()
    seen = 0

    def watch():
        nonlocal seen
        while not done.is_set():
            time.sleep(0.00005)
            seen += signing.is_set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(200):
        signing.set()
        sign(b"x" * 600)
        signing.clear()
    done.set()
    watcher.join()
    assert seen > 40, "held while it signs, the lock is seen released some six times in two hundred"


@pytest.mark.parametrize("pem", [RSA_PEM, ED25519_PEM])
def test_a_key_is_never_shown(pem):
    key = parse_key(pem, "s2026", "dkim.pem")
    assert set(re.findall(r"(\w+)=", repr(key).replace("='", "= '"))) >= {"selector", "public"}
    assert "sign=" not in repr(key)
    assert pem.split(b"\n")[1].decode() not in repr(key)


def test_keys_that_cannot_be_used():
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    for pem, words in (
        (b"", "no private key"),
        (b"\0\xff", "no private key"),
        (RSA_PEM[:400], "no private key"),
        (RSA_PEM.replace(b"MIICXQIBAAKBgQDkHlOQ", b"MIICXQIBAAKBgQDkHlOA"), "no private key"),
        (pem_of(ed25519.Ed25519PrivateKey.generate(), b"secret"), "passphrase"),
        (pem_of(ec.generate_private_key(ec.SECP256R1())), "RSA and Ed25519"),
    ):
        with pytest.raises(ConfigError, match=words) as caught:
            parse_key(pem, "s2026", "dkim.pem")
        assert str(caught.value).startswith("dkim.pem: ")
        assert "openssl" in str(caught.value)


def test_a_key_too_large_for_receivers(monkeypatch):
    monkeypatch.setattr("newsletter.dkimkeys.RSA_BITS_MAX", 1000)
    with pytest.raises(ConfigError, match=r"RSA key of 1024 bits; receivers verify 1024 to 1000"):
        parse_key(RSA_PEM, "s2026", "dkim.pem")


# The guide


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [re.sub(rf"(?m)^{indent}", "", block) for indent, block in found]


@pytest.mark.skipif(not shutil.which("openssl"), reason="the guide's commands need openssl, which is not installed")
def test_the_guides_commands_make_keys_and_their_records(tmp_path):
    printed = ""
    for block in blocks("sh"):
        done = subprocess.run(["sh", "-ec", block], cwd=tmp_path, capture_output=True, text=True, check=True)
        printed += done.stdout
    told = []
    signer = load(tmp_path, {"s2026": "dkim-s2026.pem", "e2026": "dkim-e2026.pem"}, announce=told.append)
    assert told == []
    assert [(key.algorithm, key.bits) for key in signer.keys] == [("rsa-sha256", 2048), ("ed25519-sha256", 256)]
    records = dict(re.findall(r"^(\w+\._domainkey) IN TXT (.*?)(?=^\w|\Z)", printed, re.DOTALL | re.MULTILINE))
    for key in signer.keys:
        name, text = dns_record(key, "news.example.org")
        strings = re.findall(r'"([^"]*)"', records[name.removesuffix(".news.example.org")])
        assert "".join(strings) == text
        assert max(map(len, strings)) < 256


def test_the_guides_settings_are_valid(tmp_path):
    found = blocks("toml")
    assert len(found) == 4
    for block in found:
        (tmp_path / "newsletter.toml").write_text(BASE + block, encoding="utf-8")
        section = load_project(tmp_path, {}).config.dkim
        assert section.keys == tomllib.loads(block)["dkim"]["keys"]
