"""Signatures that child processes make: the same as ours, whatever becomes of the children."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from newsletter.dkimkeys import parse_key, signing_in_processes
from newsletter.signing import SigningProcesses

CONTENTS = [f"from:ann{number}@example.org\r\n".encode() * 20 for number in range(12)]


@pytest.fixture(scope="module")
def pem() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def counted(pem):
    """Return what signs in two processes from the third signature on, and the signatures that were made here."""
    own, made = parse_key(pem, "s1", "test").sign, []
    processes = SigningProcesses(pem, lambda content: made.append(content) or own(content), processes=2, alone=2)
    yield processes, made
    processes.close()


def children() -> list[int]:
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=True
    ).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "newsletter.signing" in line]


def test_signatures_are_the_same_wherever_they_are_made(counted, pem):
    processes, made = counted
    sign = parse_key(pem, "s1", "test").sign
    assert [processes.sign(content) for content in CONTENTS] == [sign(content) for content in CONTENTS]
    assert made == CONTENTS[:2]
    assert len(children()) == 2


def test_threads_share_the_processes(counted, pem):
    processes, made = counted
    found: dict[bytes, bytes] = {}
    threads = [
        threading.Thread(target=lambda each=each: found.update({each: processes.sign(each)})) for each in CONTENTS
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sign = parse_key(pem, "s1", "test").sign
    assert found == {content: sign(content) for content in CONTENTS}
    assert len(made) == 2


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_dead_child_leaves_is_signed_here(counted, pem, blow):
    processes, made = counted
    sign = parse_key(pem, "s1", "test").sign
    assert [processes.sign(content) for content in CONTENTS[:4]] == [sign(content) for content in CONTENTS[:4]]
    for child in children():
        os.kill(child, blow)
    assert [processes.sign(content) for content in CONTENTS] == [sign(content) for content in CONTENTS]
    assert len(made) == 2 + len(CONTENTS)


def test_a_child_that_does_not_answer_is_ended(counted, pem, monkeypatch):
    processes, _ = counted
    sign = parse_key(pem, "s1", "test").sign
    for content in CONTENTS[:4]:
        processes.sign(content)
    monkeypatch.setattr("newsletter.signing._WAIT_S", 0.2)
    for child in children():
        os.kill(child, signal.SIGSTOP)
    assert [processes.sign(content) for content in CONTENTS] == [sign(content) for content in CONTENTS]
    assert children() == []


def test_closing_ends_the_processes_and_lets_a_next_send_begin_alone(counted):
    processes, made = counted
    for content in CONTENTS[:4]:
        processes.sign(content)
    processes.close()
    assert children() == []
    processes.sign(CONTENTS[0])
    assert (len(made), children()) == (3, [])


def test_one_processor_signs_alone(pem):
    own = parse_key(pem, "s1", "test").sign
    processes = SigningProcesses(pem, own, processes=1, alone=0)
    assert processes.sign(b"x") == own(b"x")
    assert children() == []


def test_processes_end_with_whoever_started_them(pem, tmp_path):
    (tmp_path / "key.pem").write_bytes(pem)
    program = (
        "import os, pathlib, signal, sys\n"
        "from newsletter.signing import SigningProcesses\n"
        "processes = SigningProcesses(pathlib.Path(sys.argv[1]).read_bytes(), bytes, processes=2, alone=0)\n"
        "processes.sign(b'x')\n"
        "print(*(child._process.pid for child in (processes._idle.get(), processes._idle.get())), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "key.pem")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    pids = list(map(int, died.stdout.split()))
    assert len(pids) == 2, died.stderr
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any("newsletter" in _command(pid) for pid in pids)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_a_key_signs_in_processes_until_it_is_closed(pem):
    key = signing_in_processes(parse_key(pem, "s1", "test"), pem)
    assert key.sign(b"x") == parse_key(pem, "s1", "test").sign(b"x")
    key.close()
