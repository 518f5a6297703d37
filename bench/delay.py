"""Stand between a client and a server on this machine, and let each byte arrive later: a round trip that takes time.

``python bench/delay.py PORT MILLISECONDS`` prints its own port, and passes on what it reads half the given time later,
in both directions, until its standard input ends. It bounds no rate: only the distance is made, as of a relay abroad.
"""

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator


async def _serve(port: int, one_way_s: float) -> None:
    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        for each in (writer, far_writer):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(_carry(reader, far_writer, one_way_s), _carry(far_reader, writer, one_way_s))

    server = await asyncio.start_server(join, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, one_way_s: float) -> None:
    """Pass on what is read, each piece at its own time, however much is on the way."""
    loop = asyncio.get_running_loop()
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        piece = b"-"
        while piece:
            try:
                piece = await reader.read(1 << 18)
            except OSError:
                piece = b""
            on_the_way.put_nowait((loop.time() + one_way_s, piece))

    task = asyncio.create_task(read())
    with contextlib.suppress(OSError):
        while True:
            due_at, piece = await on_the_way.get()
            await asyncio.sleep(max(due_at - loop.time(), 0))
            if not piece:
                break
            writer.write(piece)
    writer.close()
    await task


@contextlib.contextmanager
def delayed(port: int, milliseconds: float) -> Iterator[int]:
    """Run the proxy before ``port`` in a process of its own while the block lasts; yield its port."""
    command = [sys.executable, __file__, str(port), str(milliseconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        yield int(child.stdout.readline())
        child.communicate()


def main() -> None:
    """Serve until standard input ends."""
    port, milliseconds = int(sys.argv[1]), float(sys.argv[2])
    threading.Thread(target=lambda: asyncio.run(_serve(port, milliseconds / 2000)), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
