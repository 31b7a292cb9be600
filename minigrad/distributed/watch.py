"""The watch: every rank has a connection to rank 0, so that all of them stop soon after one has gone wrong.

A thread of each rank sends a beat a second and says whether the rank waits for others. Rank 0's thread sees a connection
that closes (the rank was killed), one that falls silent (it hangs, or its machine is gone), a rank that the others have waited
for too long, and what a rank itself says before it gives up. In each case all ranks get one sentence, the fault: whoever waits
for others raises it as RankError, and a process that does not come to that within GRACE seconds is ended.

Messages are lines of JSON, so nothing that arrives is executed; a token keeps strangers out. The same connections carry a few
small exchanges at the start: what all ranks have to agree on, and the number by which NCCL's ranks find each other.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from minigrad.errors import RankError

BEAT = 1.0  # seconds between two signs of life
SILENCE = 15.0  # without one, a rank is taken for lost
GRACE = 5.0  # that a rank has to notice a fault by itself
ARRIVAL = float(os.environ.get("MINIGRAD_ARRIVAL") or 25)  # that the ranks have to come together at the start
GIVEN_UP = 2  # the exit code of a process that was ended


class Line:
    """One end of a connection: sends and receives messages, dictionaries, a line of JSON each."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket, self.rest, self.lock = connection, b"", threading.Lock()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.heard = time.monotonic()

    def send(self, **message: Any) -> None:
        """Send a message; one to a rank that is gone is lost, which the reading side finds."""
        with self.lock, contextlib.suppress(OSError):
            self.socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> list[dict[str, Any]] | None:
        """The messages that have come, of a socket that has something to read; None where the other end is closed."""
        try:
            data = self.socket.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            return None
        self.heard = time.monotonic()
        *lines, self.rest = (self.rest + data).split(b"\n")
        return [json.loads(line) for line in lines]


class Watch:
    """This rank's part of the watch; rank 0's keeps the connections of all.

    limit: seconds that a rank is waited for. announces: whether a fault is printed, once, by rank 0 (by each rank where rank 0
    is the one that is lost), and ends the processes at once; else it is left to what raises it.
    """

    def __init__(self, rank: int, size: int, limit: float) -> None:
        self.rank, self.size, self.limit = rank, size, limit
        self.fault: str | None = None
        self.failed = False  # this rank itself
        self.announces = False
        self.waiting_since: float | None = None  # the main thread, for other ranks
        self.lines: dict[int, Line] = {}
        self._waiters: dict[int, float] = {0: 0.0}  # on rank 0: {rank: how long it has waited}
        self._parting: set[int] = set()  # ranks that have said goodbye
        self._parted_at = math.inf
        self._gathered: dict[str, dict[int, Any]] = {}
        self._answers: dict[str, list[Any]] = {}
        self._changed = threading.Condition()
        self._printed = threading.Lock()
        self._exchanges = 0

    # -- coming together ----------------------------------------------------------------------------------------------

    @classmethod
    def listener(cls, host: str, port: int = 0) -> socket.socket:
        """Rank 0's listening socket; port 0: any that is free."""
        return socket.create_server((host, port), family=socket.AF_INET, backlog=1024)

    def gather_ranks(self, listening: socket.socket, token: str) -> None:
        """On rank 0: take the connections of all the others, then start. RankError if some do not come."""
        until = time.monotonic() + ARRIVAL
        with listening:
            while len(self.lines) < self.size - 1:
                listening.settimeout(max(0.01, until - time.monotonic()))
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    missing = sorted(set(range(1, self.size)) - set(self.lines))
                    raise RankError(f"{_ranks(missing)} did not come within {ARRIVAL:.0f} s of the start") from None
                self._admit(connection, token)
        for line in self.lines.values():
            line.send(welcome=self.size)
        self._start()

    def _admit(self, connection: socket.socket, token: str) -> None:
        connection.settimeout(5)
        line = Line(connection)
        try:
            hello = (line.receive() or [{}])[0]
        except ValueError:
            hello = {}
        if hello.get("token") == token and hello.get("hello") in range(1, self.size):
            self.lines[hello["hello"]] = line
        else:
            connection.close()

    def join(self, host: str, port: int, token: str) -> None:
        """On the others: connect to rank 0, then start. RankError if it is not to be found."""
        until = time.monotonic() + ARRIVAL
        while True:
            try:
                connection = socket.create_connection((host, port), timeout=max(0.1, until - time.monotonic()))
                break
            except OSError as error:
                if time.monotonic() > until:
                    raise RankError(f"rank {self.rank} cannot reach rank 0 at {host}:{port} ({error})") from error
                time.sleep(0.1)
        line = self.lines[0] = Line(connection)
        line.send(hello=self.rank, token=token)
        connection.settimeout(ARRIVAL)
        if not line.receive():
            raise RankError(f"rank 0 at {host}:{port} did not let rank {self.rank} in: is it another run's?")
        self._start()

    def _start(self) -> None:
        for line in self.lines.values():
            line.heard = time.monotonic()
            line.socket.settimeout(SILENCE)
        threading.Thread(target=self._live, name="minigrad.watch", daemon=True).start()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        selector = selectors.DefaultSelector()
        for rank, line in self.lines.items():
            selector.register(line.socket, selectors.EVENT_READ, rank)
        beaten = 0.0
        while selector.get_map() and self.fault is None:
            if time.monotonic() - beaten >= BEAT:
                beaten = time.monotonic()
                self._beat()
            for key, _ in selector.select(BEAT / 4):
                messages = self.lines[key.data].receive()
                if messages is None:
                    selector.unregister(key.fileobj)
                    self._closed(key.data)
                for message in messages or ():
                    self._heard(key.data, message)
            self._look_for_silence(selector)
        if self.fault is not None and not self.failed:
            self._end()

    def _beat(self) -> None:
        since = self.waiting_since
        waited = 0.0 if since is None else time.monotonic() - since
        self._waiters[self.rank] = waited
        for line in self.lines.values():
            line.send(beat=waited)

    def _look_for_silence(self, selector: selectors.BaseSelector) -> None:
        now = time.monotonic()
        for key in list(selector.get_map().values()):
            if now - self.lines[key.data].heard > SILENCE and key.data not in self._parting:
                self._broadcast(
                    f"rank {key.data} has not been heard of for {SILENCE:.0f} s: it hangs, or its machine is gone"
                )
        waiting = [waited for rank, waited in self._waiters.items() if rank not in self._parting]
        if self.rank == 0 and now - self._parted_at > 2 * GRACE and max(waiting, default=0.0) > GRACE:
            self._broadcast(f"{_ranks(sorted(self._parting))} has ended, and others wait for it")

    def _closed(self, rank: int) -> None:
        if rank not in self._parting:
            self._broadcast(f"rank {rank} has ended: it was killed, or died")

    def _heard(self, rank: int, message: dict[str, Any]) -> None:
        if "beat" in message:
            self._waiters[rank] = message["beat"]
        elif "gather" in message:
            self._collect(rank, message["gather"], message["value"])
        elif "gathered" in message:
            with self._changed:
                self._answers[message["gathered"]] = message["values"]
                self._changed.notify_all()
        elif "stuck" in message:
            self._stuck(message["stuck"])
        elif "bye" in message:
            self._parting.add(rank)
            self._parted_at = time.monotonic()
        elif "fault" in message:
            if self.rank == 0:
                self._of_a_rank(rank, message["fault"])
            else:
                self._set(message["fault"])

    def _stuck(self, limit: float) -> None:
        late = sorted(rank for rank in range(self.size) if self._waiters.get(rank, 0.0) < limit / 2)
        who = _ranks(late) if 0 < len(late) < self.size else "some rank"
        self._broadcast(f"{who} did not come within {limit:.0f} s, and the others wait")

    def _of_a_rank(self, rank: int, text: str) -> None:
        """A rank gives up. What all give up for alike, rank 0 says by itself in a moment."""
        with self._changed:
            self._changed.wait_for(lambda: self.fault is not None, timeout=1.0)
        self._broadcast(text if self.fault is not None else f"rank {rank}: {text}")

    def _broadcast(self, text: str) -> None:
        """Set the fault, here and, from rank 0, everywhere: before it is announced, since launchers end all after the first."""
        if self.fault is None:
            self._announce(text)
        self._set(text)
        if self.rank == 0:
            for line in self.lines.values():
                line.send(fault=self.fault)

    def _set(self, text: str) -> None:
        with self._changed:
            self.fault = self.fault or text
            self._changed.notify_all()

    def _announce(self, text: str) -> None:
        if self.announces and self._printed.acquire(blocking=False):
            print(f"error: {text}", file=sys.stderr, flush=True)

    def _end(self) -> None:
        if not self.announces:
            time.sleep(GRACE)
        end_process(GIVEN_UP)

    # -- what the main thread does ------------------------------------------------------------------------------------

    def wait_for(self, done: Callable[[], bool], limit: float | None = None) -> None:
        """Return when `done()`; RankError on a fault, or if it takes longer than `limit` (the watch's own) seconds."""
        if done():
            return
        began = self.waiting_since = time.monotonic()
        limit = self.limit if limit is None else limit
        reported = False
        try:
            while not done():
                self.check()
                waited = time.monotonic() - began
                if waited > limit and not reported:
                    reported = True
                    self.report_stuck(limit)
                time.sleep(0 if waited < 2e-3 else 2e-4)
        finally:
            self.waiting_since = None

    def check(self) -> None:
        """RankError if there is a fault."""
        if self.fault is not None:
            raise RankError(self.fault)

    def report_stuck(self, limit: float) -> None:
        """Say that this rank has waited so long; rank 0 finds for whom, and everybody stops."""
        if self.rank == 0:
            self._beat()
            self._stuck(limit)
        else:
            self._beat()
            self.lines[0].send(stuck=limit)

    def fail(self, text: str) -> None:
        """This rank gives up, for this reason. Returns when the others have been informed, or after a few seconds."""
        self.failed = True
        if self.rank == 0 or not self.lines:
            self._broadcast(text)
            return
        if self.fault is None:
            self.lines[0].send(fault=text)
            with self._changed:
                self._changed.wait_for(lambda: self.fault is not None, timeout=GRACE)
            if self.fault is None:
                self._announce(text)

    def gather(self, value: Any) -> list[Any]:
        """[what each rank gave], for all of them: what JSON can hold, and small. All have to call it, in the same order."""
        key = str(self._exchanges)
        self._exchanges += 1
        if self.rank == 0:
            self._collect(0, key, value)
        else:
            self.lines[0].send(gather=key, value=value)
        self.wait_for(lambda: key in self._answers, max(self.limit, ARRIVAL))
        return self._answers.pop(key)

    def _collect(self, rank: int, key: str, value: Any) -> None:
        with self._changed:
            values = self._gathered.setdefault(key, {})
            values[rank] = value
            if len(values) < self.size:
                return
            answer = [values[r] for r in range(self.size)]
            del self._gathered[key]
            self._answers[key] = answer
            self._changed.notify_all()
        for line in self.lines.values():
            line.send(gathered=key, values=answer)

    def part(self) -> None:
        """Say goodbye: from here on this rank may end without a fault."""
        self._parting.update(range(self.size))
        for line in self.lines.values():
            line.send(bye=self.rank)


def end_process(code: int) -> None:
    """End this process here, whatever its other threads do: after a fault MPI's own end would wait for ranks that are gone."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def _ranks(ranks: list[int]) -> str:
    """rank 3, or ranks 1, 2, 5."""
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"
