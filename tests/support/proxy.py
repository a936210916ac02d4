"""Between a server and one of its engines: a TCP proxy that passes everything on, or breaks it."""

import select
import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress

PASS, REFUSE, RESET, DELAY = "pass", "refuse", "reset", "delay"


class Proxy:
    """Listens on a port of its own, which it keeps while it refuses.

    ``pass``: as if it were not there. ``refuse``: what a stopped engine looks like. ``reset``: connections are taken,
    and broken off at once. ``delay``: whatever a client sends arrives late, also over connections that stand.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._mode, self._delay_s = PASS, 0.0
        self._pairs: set[_Pair] = set()
        self._lock = threading.Lock()
        # Bound and not listening: it holds the port and refuses. Listeners that come and go share the port with it.
        self._holder = _bound(0)
        self.port = int(self._holder.getsockname()[1])
        self._listener: socket.socket | None = None
        self._listen()

    def mode(self, mode: str, delay_s: float = 0.0) -> None:
        """From now on; what stands is broken off where the mode says so, and what was held back is let go."""
        with self._lock:
            self._mode, self._delay_s = mode, delay_s
            pairs = list(self._pairs)
        if mode == REFUSE:
            self._unlisten()
        elif self._listener is None:
            self._listen()
        if mode in {REFUSE, RESET}:
            for pair in pairs:
                pair.broken_by = mode
                pair.wake()

    def reset(self) -> None:
        """Break off what stands, once, and return when that is done; new connections are as before."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.broken_by = RESET
            pair.wake()
        for pair in pairs:
            pair.ended.wait(10)

    @property
    def delay_s(self) -> float:
        """For how long what a client sends is held back."""
        return self._delay_s if self._mode == DELAY else 0.0

    def close(self) -> None:
        """Break everything off and give the port back."""
        self.mode(REFUSE)
        self._holder.close()

    def _listen(self) -> None:
        listener = _bound(self.port)
        listener.listen(128)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name=f"proxy-{self.port}", daemon=True).start()

    def _unlisten(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # closing alone would not end the accept that waits
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target_port), timeout=5)
        except OSError:
            _abort(client)
            return
        pair = _Pair(self, client, server)
        with self._lock:
            mode = self._mode
            if mode in {PASS, DELAY}:
                self._pairs.add(pair)
        if mode in {REFUSE, RESET}:
            pair.broken_by = mode
        try:
            pair.run()
        finally:
            with self._lock:
                self._pairs.discard(pair)
            pair.close()


class _Pair:
    """A client's connection and the engine's, with what is under way between them. One thread's."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.broken_by = ""
        self.ended = threading.Event()
        self._proxy = proxy
        self._client, self._server = client, server
        self._other = {client: server, server: client}
        self._held: dict[socket.socket, deque[tuple[float, bytes]]] = {client: deque(), server: deque()}
        """By who sent it: when it arrived, and what; nothing is the end."""
        self._open = {client, server}
        """Who may still send."""
        self._bell, self._rope = socket.socketpair()
        for each in (client, server):
            each.settimeout(30)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def wake(self) -> None:
        """Have the thread look at ``broken_by``."""
        with suppress(OSError):
            self._rope.send(b"!")

    def run(self) -> None:
        """Until both have hung up, or the connection is broken off."""
        with suppress(OSError):
            while not self.broken_by and (self._open or any(self._held.values())):
                wait_s = 0.02 if any(self._held.values()) else 60.0
                ready, _, _ = select.select([*self._open, self._bell], [], [], wait_s)
                for each in ready:
                    if each is not self._bell:
                        self._take(each)
                self._pass_on()

    def close(self) -> None:
        """Hang up; a reset is one for both."""
        if self.broken_by == RESET:
            _abort(self._client)
            _abort(self._server)
        for each in (self._client, self._server, self._bell, self._rope):
            each.close()
        self.ended.set()

    def _take(self, source: socket.socket) -> None:
        data = source.recv(65536)
        self._held[source].append((time.monotonic(), data))
        if not data:
            self._open.discard(source)

    def _pass_on(self) -> None:
        now = time.monotonic()
        for source, held in self._held.items():
            due = now - (self._proxy.delay_s if source is self._client else 0.0)
            while held and held[0][0] <= due:
                _, data = held.popleft()
                if data:
                    self._other[source].sendall(data)
                else:
                    self._other[source].shutdown(socket.SHUT_WR)


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    return sock


def _abort(sock: socket.socket) -> None:
    """Close with a reset."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
