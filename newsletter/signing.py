"""Make the RSA signatures of a large send in child processes, as many as there are processors.

An RSA signature takes longer than all else that a message costs, and the library that makes it holds the interpreter's
lock meanwhile: in threads, all connections of a send would wait for each other's signatures. A send starts with
signing by itself, and most need no more.

The children get the key by a pipe, never by their arguments or environment; they hold no store and no connection, and
end when that pipe does, however this process ends. Where one is gone or does not answer, its share is signed here: the
signature is the same. Not here: what is signed (``dkim``), and reading key files (``dkimkeys``).
"""

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from newsletter.childprocess import AskedChild, read_frame, write_frame

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

ALONE = 100
"""Signatures that are made here before processes are started, which takes a tenth of a second and 30 MB for each."""
_PROCESSES_MAX = 8
_WAIT_S = 10.0
"""Seconds that a child may take for one signature on a machine that has other things to do."""

Sign = Callable[[bytes], bytes]


def rsa_sha256(key: "RSAPrivateKey") -> Sign:
    """Return what signs by RSASSA-PKCS1-v1_5 (RFC 6376 section 3.3.2)."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    padding, algorithm = PKCS1v15(), SHA256()
    return lambda content: key.sign(content, padding, algorithm)


class SigningProcesses:
    """Sign by RSA as ``sign`` does, in child processes once ``alone`` signatures were made; threads may share it.

    ``pem`` is the private key, not locked by a passphrase; ``sign`` signs with it in this process.
    """

    def __init__(self, pem: bytes, sign: Sign, *, processes: int | None = None, alone: int = ALONE) -> None:
        self._pem = pem
        self._sign = sign
        self._processes = min(_processors(), _PROCESSES_MAX) if processes is None else processes
        self._alone = alone
        self._lock = threading.Lock()
        self._made = 0
        self._idle: queue.SimpleQueue[AskedChild | None] | None = None

    def sign(self, content: bytes) -> bytes:
        """Return the signature of ``content``."""
        idle = self._idle or self._start()
        if idle is None:
            return self._sign(content)
        child = idle.get()
        try:
            return self._sign_by(child, content)
        except OSError:
            assert child is not None
            child.close()
            child = None  # from now on its turn is taken here
        finally:
            idle.put(child)
        return self._sign(content)

    def _sign_by(self, child: AskedChild | None, content: bytes) -> bytes:
        return self._sign(content) if child is None else child.ask(content, _WAIT_S)

    def close(self) -> None:
        """End the processes; whoever signs afterwards begins alone again. Nobody may be signing."""
        with self._lock:
            idle, self._idle, self._made = self._idle, None, 0
        while idle and not idle.empty():
            if child := idle.get():
                child.close()

    def _start(self) -> "queue.SimpleQueue[AskedChild | None] | None":
        """Return the children, started where it is time to; None where this process signs."""
        with self._lock:
            self._made += 1
            if self._idle is None and self._made > self._alone and self._processes > 1:
                self._idle = queue.SimpleQueue()
                for _ in range(self._processes):
                    self._idle.put(_child(self._pem))
            return self._idle


def _processors() -> int:
    """Return how many processors this process may use, as far as the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _child(pem: bytes) -> AskedChild:
    child = AskedChild("newsletter.signing")
    with contextlib.suppress(OSError):  # the first signature will tell
        child.tell(pem)
    return child


# ---------------------------------------------------------------------------------------------------------------------
# In the child
# ---------------------------------------------------------------------------------------------------------------------


def serve() -> None:
    """Read a key from standard input, then sign what follows there, until it ends."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(read_frame(sys.stdin.buffer) or b"", password=None)
    assert isinstance(key, RSAPrivateKey)
    sign = rsa_sha256(key)
    while (content := read_frame(sys.stdin.buffer)) is not None:
        write_frame(sys.stdout.buffer, sign(content))
