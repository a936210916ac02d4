"""Between a server and its PostgreSQL: passes everything on, until it is told to lose the answer to a commit."""

import socket
import threading
from contextlib import suppress

COMMIT = b"COMMIT"


class Proxy:
    """Listens on a port of its own. ``lose_commit_of`` arms it for one transaction."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._wanted: bytes | None = None
        self.lost = threading.Event()
        """Set once the answer to such a commit was lost."""
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_commit_of(self, statement: bytes) -> None:
        """The next transaction that sends this is committed, and its connection ends before the answer."""
        self.lost.clear()
        self._wanted = statement

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target_port))
        except OSError:
            client.close()
            return
        muted = threading.Event()
        answers = threading.Thread(target=self._pass_answers, args=(server, client, muted), daemon=True)
        answers.start()
        marked = False
        with suppress(OSError):
            while data := client.recv(65536):
                marked = marked or (self._wanted is not None and self._wanted in data)
                if marked and COMMIT in data:
                    self._wanted = None
                    muted.set()
                server.sendall(data)
        server.close()

    def _pass_answers(self, server: socket.socket, client: socket.socket, muted: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if muted.is_set():
                    self.lost.set()
                    break
                client.sendall(data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        client.close()
