"""A name server on 127.0.0.1 that answers from a table, over UDP and TCP, and misbehaves by name."""

import contextlib
import socket
import socketserver
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.reversename
import dns.rrset


class DnsServer:
    """Answer from ``zone``: records by (name, kind), ``("example.org", "TXT")``; a name with none is NXDOMAIN.

    >>> with DnsServer() as server:
    ...     server.add("example.org", "MX", "10 mail.example.org.")
    ...     server.txt("example.org", "v=spf1 -all")
    """

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {}
        self.silent: set[str] = set()
        self.failing: set[str] = set()
        self.questions: list[tuple[str, str]] = []
        # The kernel gives a free port for UDP; the same one may be taken for TCP, so try again.
        while True:
            self._udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), _udp_handler(self))
            try:
                self._tcp = socketserver.ThreadingTCPServer(self._udp.server_address, _tcp_handler(self))
            except OSError:
                self._udp.server_close()
                continue
            break
        self.port = self._udp.server_address[1]
        self.address = f"127.0.0.1:{self.port}"

    def add(self, name: str, kind: str, *records: str) -> None:
        self.zone.setdefault((name, kind), []).extend(records)

    def txt(self, name: str, *texts: str) -> None:
        """Add TXT records, each cut into strings of 255 octets."""
        for text in texts:
            pieces = [text[start : start + 255] for start in range(0, len(text), 255)]
            self.add(
                name, "TXT", " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)
            )

    def host(self, name: str, address: str, *, pointer: bool = True) -> None:
        """Add a host with an address, and the way back."""
        self.add(name, "AAAA" if ":" in address else "A", address)
        if pointer:
            self.pointer(address, name)

    def pointer(self, address: str, name: str) -> None:
        self.add(dns.reversename.from_address(address).to_text(omit_final_dot=True), "PTR", f"{name}.")

    def answer(self, octets: bytes) -> dns.message.Message | None:
        question = dns.message.from_wire(octets)
        name = question.question[0].name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.question[0].rdtype)
        self.questions.append((name, kind))
        if name in self.silent:
            return None
        response = dns.message.make_response(question, recursion_available=True)
        if name in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif alias := self.zone.get((name, "CNAME")):
            target = alias[0].removesuffix(".")
            response.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "CNAME", *alias))
            if records := self.zone.get((target, kind)):
                response.answer.append(dns.rrset.from_text(f"{target}.", 60, "IN", kind, *records))
        elif records := self.zone.get((name, kind)):
            response.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", kind, *records))
        elif not any(known == name or known.endswith(f".{name}") for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response

    def __enter__(self):
        for server in (self._udp, self._tcp):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        for server in (self._udp, self._tcp):
            server.shutdown()
            server.server_close()


def _udp_handler(server):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            octets, sock = self.request
            response = server.answer(octets)
            if response is None:
                return
            limit = max(dns.message.from_wire(octets).payload, 512)
            wire = response.to_wire(max_size=65535)
            if len(wire) > limit:
                response.answer.clear()
                response.flags |= dns.flags.TC
                wire = response.to_wire()
            sock.sendto(wire, self.client_address)

    return Handler


def _tcp_handler(server):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                size = int.from_bytes(self._read(2))
                response = server.answer(self._read(size))
                if response is not None:
                    wire = response.to_wire(max_size=65535)
                    self.request.sendall(len(wire).to_bytes(2) + wire)

        def _read(self, count):
            octets = b""
            while len(octets) < count:
                piece = self.request.recv(count - len(octets))
                if not piece:
                    raise ConnectionResetError
                octets += piece
            return octets

    return Handler


def closed_port() -> int:
    """Return a port of 127.0.0.1 at which nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
