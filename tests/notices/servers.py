"""Servers on this machine that take mail and webhooks, refuse them, or never answer."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

type Handler = Callable[[socket.socket], None]


@dataclass
class Server:
    """What reached one server."""

    port: int
    got: list[bytes] = field(default_factory=list)
    met: threading.Event = field(default_factory=threading.Event)
    """Somebody has connected."""
    connections: list[socket.socket] = field(default_factory=list)


@contextmanager
def serving(make: Callable[[Server], Handler]) -> Iterator[Server]:
    """A server that handles one connection after another."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1])
        handle = make(server)

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                server.connections.append(connection)
                server.met.set()
                with connection, suppress(OSError):
                    handle(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield server
        for one in (listener, *server.connections):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def hanging(server: Server) -> Handler:
    """Accepts, and never says a word until the other side goes away."""

    def handle(connection: socket.socket) -> None:
        while connection.recv(65536):
            pass

    return handle


def http(status: int, headers: str = "") -> Callable[[Server], Handler]:
    """Answers every request with a status."""

    def make(server: Server) -> Handler:
        def handle(connection: socket.socket) -> None:
            server.got.append(_http_request(connection))
            answer = f"HTTP/1.1 {status} Said\r\n{headers}Content-Length: 0\r\n\r\n"
            connection.sendall(answer.encode())

        return handle

    return make


def _http_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    sizes = [one for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:")]
    length = int(sizes[0].split(b":")[1]) if sizes else 0
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def smtp(recipient: str = "250 fine") -> Callable[[Server], Handler]:
    """Takes mail; `recipient` is what it says to each RCPT."""
    says = {b"RCPT": recipient, b"DATA": "354 go on", b"QUIT": "221 bye"}

    def make(server: Server) -> Handler:
        def handle(connection: socket.socket) -> None:
            lines = connection.makefile("rb")
            connection.sendall(b"220 here\r\n")
            for line in lines:
                verb = line[:4].upper()
                connection.sendall(f"{says.get(verb, '250 fine')}\r\n".encode())
                if verb == b"DATA":
                    mail = b""
                    for part in lines:
                        if part == b".\r\n":
                            break
                        mail += part
                    server.got.append(mail)
                    connection.sendall(b"250 taken\r\n")
                if verb == b"QUIT":
                    return

        return handle

    return make
