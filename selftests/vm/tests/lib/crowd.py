# SPDX-License-Identifier: GPL-2.0
"""Many connections read by one thread, and a pair of clients that must not notice anything."""
import selectors
import threading
import time

from . import tap, wire

CHUNK = 262144


def answer(raw):
    """What a client answers to @raw, if anything."""
    kind, mid = raw[0] >> 4, None
    if kind == wire.PUBLISH:
        qos = raw[0] >> 1 & 3
        if not qos:
            return b""
        _, at = wire.read_varint(raw, 1)
        at += 2 + int.from_bytes(raw[at:at + 2], "big")
        mid = int.from_bytes(raw[at:at + 2], "big")
        return wire.ack(wire.PUBACK if qos == 1 else wire.PUBREC, mid)
    then = {wire.PUBREC: wire.PUBREL, wire.PUBREL: wire.PUBCOMP}.get(kind)
    return wire.ack(then, int.from_bytes(raw[2:4], "big")) if then else b""


class Crowd:
    """Reads for its clients in a thread, with acknowledgements; packets gather by client."""

    def __init__(self, clients=(), acknowledge=True):
        self.acknowledge = acknowledge
        self.changed = threading.Condition()
        self.packets = {}
        self.published = {}                     # how many of them are PUBLISHes
        self.closed = {}                        # when, by client
        self.selector = selectors.DefaultSelector()
        self.done = False
        self.error = None
        for c in clients:
            self.add(c)
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.thread.join()
        self.selector.close()

    def add(self, client):
        self.packets[client] = []
        self.published[client] = 0
        self.selector.register(client.sock, selectors.EVENT_READ, client)

    def _run(self):
        try:
            while not self.done:
                for key, _ in self.selector.select(0.05):
                    self._read(key.data)
        except Exception as error:              # seen by who waits
            self.error = error

    def _read(self, client):
        try:
            data = client.sock.recv(CHUNK)
        except OSError:
            data = b""
        new = []
        client.buffer += data
        while True:
            length = wire.frame_length(client.buffer)
            if not length:
                break
            new.append(bytes(client.buffer[:length]))
            del client.buffer[:length]
        answers = b"".join(map(answer, new))
        if answers and self.acknowledge:
            client.send_quietly(answers)
        with self.changed:
            self.packets[client] += new
            self.published[client] += sum(p[0] >> 4 == wire.PUBLISH for p in new)
            if not data:
                self.closed[client] = time.monotonic()
                self.selector.unregister(client.sock)
            self.changed.notify_all()

    def wait(self, condition, what, timeout=wire.TIMEOUT):
        with self.changed:
            if not self.changed.wait_for(lambda: self.error or condition(), timeout):
                raise AssertionError("not in %d s: %s" % (timeout, what))
        if self.error:
            raise self.error

    def counts(self):
        return [len(p) for p in self.packets.values()]

    def wait_all(self, count, timeout=wire.TIMEOUT):
        """Until everybody has @count packets."""
        try:
            self.wait(lambda: min(self.counts()) >= count, "", timeout)
        except AssertionError as error:
            raise AssertionError("not in %d s: %d packets, but %s" % (
                timeout, count, self.counts())) from error

    def messages(self, client):
        return [wire.parse_publish(client.version, p) for p in self.packets[client]
                if p[0] >> 4 == wire.PUBLISH]


class Undisturbed:
    """Two clients exchange messages meanwhile: each must arrive, within @limit seconds."""

    def __init__(self, server, limit=10, topic="undisturbed"):
        self.limit = limit
        self.topic = topic
        self.sub = server.client(wire.V5)
        self.pub = server.client(wire.V311)
        self.sub.subscribe(topic)
        self.stop = threading.Event()
        self.count = 0
        self.worst = 0
        self.error = None
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        self.thread.join()
        self.sub.close()
        self.pub.close()
        tap.note("undisturbed: %d messages, at worst %d ms" % (self.count, self.worst * 1000))
        if not kind:
            self.check()

    def check(self):
        if self.error:
            raise AssertionError("the clients that do no harm: %r" % self.error) from self.error
        tap.true(self.count > 0, "only %d messages went through" % self.count)

    def _run(self):
        try:
            while not self.stop.is_set():
                start = time.monotonic()
                self.pub.publish(self.topic, b"%d" % self.count)
                got = self.sub.message(self.limit).payload
                tap.equal(got, b"%d" % self.count, "payload")
                self.worst = max(self.worst, time.monotonic() - start)
                self.count += 1
                time.sleep(0.02)
        except Exception as error:              # told in the end
            self.error = error
