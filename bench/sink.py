"""Take mail as fast as this machine can and keep nothing of it: the other end of a send that is measured.

``python bench/sink.py`` prints its port on 127.0.0.1, answers every recipient with 250 and offers PIPELINING, until its
standard input ends; then it prints how many messages and bytes it took, as JSON.
"""

import json
import socket
import sys
import threading

_END = b"\r\n.\r\n"
_REPLIES = {
    b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 50000000\r\n",
    b"HELO": b"250 sink\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}


class Sink:
    """Listen on a free port of 127.0.0.1 and count what is taken."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.port: int = self._listener.getsockname()[1]
        self.messages = 0
        self.bytes = 0

    def serve(self) -> None:
        """Accept connections for ever, each in a thread of its own."""
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"220 sink\r\n")
        waiting = b""
        while data := connection.recv(65536):
            waiting += data
            replies = b""
            while b"\r\n" in waiting:
                line, _, waiting = waiting.partition(b"\r\n")
                verb = line[:4].upper()
                replies += _REPLIES.get(verb, b"250 2.0.0 OK\r\n")
                if verb == b"DATA":
                    connection.sendall(replies)
                    waiting, replies = self._take(connection, b"\r\n" + waiting), b"250 2.0.0 taken\r\n"
            connection.sendall(replies)
        connection.close()

    def _take(self, connection: socket.socket, start: bytes) -> bytes:
        """Read one message up to its final dot; return what came behind it."""
        tail, size = start, len(start) - 2
        while (end := tail.find(_END)) < 0:
            data = connection.recv(1 << 18)
            if not data:
                return b""
            size += len(data)
            tail = tail[-4:] + data
        rest = tail[end + len(_END) :]
        with self._lock:
            self.messages += 1
            self.bytes += size - len(rest) - 3
        return rest


def main() -> None:
    """Serve until standard input ends."""
    sink = Sink()
    print(sink.port, flush=True)
    threading.Thread(target=sink.serve, daemon=True).start()
    sys.stdin.read()
    print(json.dumps({"messages": sink.messages, "bytes": sink.bytes}), flush=True)


if __name__ == "__main__":
    main()
