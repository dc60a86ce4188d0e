#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 150
# core
"""Clients that do anything, valid and broken, while the daemon is killed now and then."""
import os
import random
import selectors
import socket
import struct
import time

from lib import broker, tap, wire
from lib.crowd import Undisturbed

SECONDS = 25
KILL_EVERY = 8
MOST = 60
# KMQTT_SEED in the environment repeats a run, as far as timing lets it.
SEED = int(os.environ.get("KMQTT_SEED", 0)) or random.SystemRandom().randrange(1, 1 << 31)
TOPICS = ("a", "a/b", "a/b/c", "b", "$SYS/x", "a//b", "/", "\u00e4/b")
FILTERS = TOPICS + ("#", "+", "a/+", "a/#", "+/b/#", "$share/g/a", "$share/g/#", "$share/h/+/b")


class Torture:
    def __init__(self, server):
        self.server = server
        self.rnd = random.Random(SEED)
        self.selector = selectors.DefaultSelector()
        self.socks = {}                         # version by socket
        self.done = dict.fromkeys(("connections", "packets", "broken", "kills"), 0)

    # Packets.

    def properties(self, choices):
        rnd = self.rnd
        out = b""
        for ident, value in choices:
            if rnd.random() < 0.3:
                out += wire.prop(ident, value())
        return out

    def connect(self, version):
        rnd = self.rnd
        will = None
        if rnd.random() < 0.4:
            will = wire.Will(rnd.choice(TOPICS), bytes(rnd.randrange(50)), rnd.randrange(3),
                             rnd.randrange(2), wire.prop(wire.WILL_DELAY, rnd.randrange(3))
                             if version == wire.V5 else b"")
        extra = self.properties((
            (wire.SESSION_EXPIRY, lambda: rnd.choice((0, 1, 5))),
            (wire.RECEIVE_MAX, lambda: rnd.choice((1, 3, 65535))),
            (wire.MAX_PACKET, lambda: rnd.choice((20, 1000, 1 << 20))),
            (wire.ALIAS_MAX, lambda: rnd.choice((0, 5)))))
        return wire.connect(version, "t%d" % rnd.randrange(40), will=will,
                            keepalive=rnd.choice((0, 1, 60)), clean=rnd.random() < 0.7,
                            properties=extra if version == wire.V5 else b"")

    def publish(self, version):
        rnd = self.rnd
        qos = rnd.choice((0, 0, 0, 1, 2))
        size = rnd.choice((0, 1, 20, 500, 5000, 9000, 40000))
        topic, extra = rnd.choice(TOPICS[:4]), b""
        if version == wire.V5:
            extra = self.properties((
                (wire.EXPIRY, lambda: rnd.randrange(3)),
                (wire.ALIAS, lambda: rnd.randrange(1, 11)),
                (wire.USER_PROPERTY, lambda: ("k" * rnd.randrange(20), "v")),
                (wire.CONTENT_TYPE, lambda: "text")))
            if rnd.random() < 0.1:
                topic = ""
        return wire.publish(version, topic, rnd.randbytes(size), qos=qos,
                            retain=rnd.random() < 0.1, mid=rnd.randrange(1, 30), dup=0,
                            properties=extra)

    def packet(self, version):
        rnd = self.rnd
        mid = rnd.randrange(1, 30)
        kind = rnd.random()
        if kind < 0.5:
            return self.publish(version)
        if kind < 0.65:
            options = rnd.randrange(3)
            if version == wire.V5:
                options |= rnd.choice((0, 4, 8, 0x10, 0x20))
            return wire.subscribe(version, [(rnd.choice(FILTERS), options)
                                            for _ in range(rnd.randrange(1, 4))], mid)
        if kind < 0.75:
            return wire.unsubscribe(version, rnd.choices(FILTERS, k=rnd.randrange(1, 4)), mid)
        if kind < 0.95:
            return rnd.choice((wire.PING, wire.ack(wire.PUBACK, mid), wire.ack(wire.PUBREC, mid),
                               wire.ack(wire.PUBREL, mid), wire.ack(wire.PUBCOMP, mid)))
        if kind < 0.97:
            return wire.BYE
        return self.connect(version)

    def broken(self, data):
        """Flip bits, cut, repeat or put noise in."""
        rnd = self.rnd
        data = bytearray(data)
        how = rnd.randrange(4)
        if how == 0:
            for _ in range(rnd.randrange(1, 4)):
                data[rnd.randrange(min(len(data), 30))] ^= 1 << rnd.randrange(8)
        elif how == 1:
            del data[rnd.randrange(len(data)):]
        elif how == 2:
            at = rnd.randrange(len(data))
            data[at:at] = data[at:at + rnd.randrange(1, 20)]
        else:
            data[rnd.randrange(len(data)):] = rnd.randbytes(rnd.randrange(40))
        return bytes(data)

    # Connections.

    def open(self):
        sock = socket.socket()
        if self.rnd.random() < 0.3:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(5)
        try:
            sock.connect(("127.0.0.1", self.server.port))
        except OSError:                         # the daemon is away
            sock.close()
            time.sleep(0.02)
            return
        sock.setblocking(False)
        version = self.rnd.choice(wire.VERSIONS)
        self.socks[sock] = version
        self.done["connections"] += 1
        if self.rnd.random() < 0.8:             # the others never read
            self.selector.register(sock, selectors.EVENT_READ)
        self.write(sock, self.connect(version) if self.rnd.random() < 0.97
                   else self.packet(version))

    def close(self, sock):
        if self.rnd.random() < 0.3:             # by reset
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            self.selector.unregister(sock)
        except KeyError:
            pass
        del self.socks[sock]
        sock.close()

    def write(self, sock, data):
        try:
            sock.send(data)
            self.done["packets"] += 1
        except BlockingIOError:
            pass
        except OSError:
            self.close(sock)

    def read(self):
        for key, _ in self.selector.select(0):
            try:
                if key.fileobj.recv(65536):
                    continue
            except OSError:
                pass
            self.close(key.fileobj)

    def step(self):
        rnd = self.rnd
        if len(self.socks) < MOST and rnd.random() < 0.3:
            self.open()
        if not self.socks:
            return
        sock = rnd.choice(list(self.socks))
        data = self.packet(self.socks[sock])
        chance = rnd.random()
        if chance < 0.01:
            self.close(sock)
        elif chance < 0.04:
            self.done["broken"] += 1
            self.write(sock, self.broken(data))
        elif chance < 0.1:
            self.write(sock, data[:len(data) // 2])
        else:
            self.write(sock, data * rnd.choice((1, 1, 1, 5)))

    def restart(self):
        self.server.kill()
        self.done["kills"] += 1
        end = time.monotonic() + self.rnd.random()
        while time.monotonic() < end:
            self.read()
            self.step()
        self.server.start(wait=False)

    def run(self):
        start = time.monotonic()
        kill = start + KILL_EVERY
        while time.monotonic() < start + SECONDS:
            for _ in range(20):
                self.step()
            self.read()
            if time.monotonic() > kill and not broker.MOSQUITTO:
                self.restart()
                kill = time.monotonic() + KILL_EVERY
        for sock in list(self.socks):
            self.close(sock)


@tap.test
def torture(server):
    """Anything goes, for a while; then all is gone and given back, and the broker works."""
    tap.note("KMQTT_SEED=%d" % SEED)
    one = Torture(server)
    one.run()
    tap.note(one.done)
    broker.wait_for(server.accepts, "the broker accepts")
    if not broker.MOSQUITTO:
        broker.wait_for(lambda: server.stats()["connections"] == 0, "connections gone", 30)
        broker.wait_for(lambda: server.stats()["memory"] == 0, "memory given back: %s" %
                        server.stats()["memory"], 10)
        tap.equal(server.stats()["routes"], 0, "routes left")
        for name, value in server.stats().items():
            if name.startswith("closed_") and value:
                tap.note("%s %d" % (name, value))
    with Undisturbed(server):
        time.sleep(2)


@tap.test
def unload(server):
    """What is left goes with the module, with connections and without."""
    broker.only_kmqtt()
    one = Torture(server)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        one.step()
    server.kill()
    broker.unload()
    for sock in list(one.socks):
        one.close(sock)
    server.start()
    with server.client() as c:
        c.ping()


with broker.Broker() as daemon:
    tap.run(daemon)
