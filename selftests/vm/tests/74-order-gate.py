#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
# core
"""Order under load: CONNACK, SUBACK, retained, live; and per publisher across QoS and RETAIN."""
import random
import threading
import time

from lib import broker, tap, wire
from lib.crowd import Crowd

SEED = 20
FOREVER = 1 << 40


class Flood:
    """A publisher of numbers, with RETAIN or not, as many as it is allowed."""

    def __init__(self, server, topic, **options):
        self.client = server.client(wire.V5, keepalive=0)
        self.topic = topic
        self.options = options
        self.number = 0
        self.allowed = 0
        self.go = threading.Condition()
        self.stop = False
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        with self.go:
            self.stop = True
            self.go.notify()
        self.thread.join()
        self.client.close()

    def allow(self, count):
        with self.go:
            self.allowed = self.number + count
            self.go.notify()

    def _run(self):
        while True:
            with self.go:
                self.go.wait_for(lambda: self.stop or self.number < self.allowed)
                if self.stop:
                    return
            self.client.publish(self.topic, b"%d" % self.number,
                                mid=self.number % 60000 + 1, **self.options)
            self.number += 1
            if self.number % 8 == 0:
                time.sleep(0.002)


@tap.test
def suback_retained_live(server):
    """SUBACK, then retained messages, then live ones, in a flood of live ones."""
    with server.client() as setter:
        for i in range(8):
            setter.publish1("gate/kept/%d" % i, b"kept" * 10, retain=1)
    with Flood(server, "gate/live") as flood:
        flood.allow(FOREVER)
        for n in range(12):
            with server.client(wire.VERSIONS[n % 3]) as c:
                c.send(wire.subscribe(c.version, [("gate/#", n % 2)]))
                c.expect(wire.suback(c.version, [n % 2]), "first packet")
                first = [c.message() for _ in range(8)]
                tap.equal([m.retain for m in first], [1] * 8, "RETAIN of the first messages")
                tap.equal(sorted(m.topic for m in first),
                          ["gate/kept/%d" % i for i in range(8)], "their topics")
                live = [c.message() for _ in range(20)]
                tap.equal({(m.topic, m.retain) for m in live}, {("gate/live", 0)}, "live")
                numbers = [int(m.payload) for m in live]
                tap.equal(numbers, list(range(numbers[0], numbers[0] + 20)), "live numbers")


@tap.test
def retained_meets_live(server):
    """A retained topic that is being published: one old value, then each new one, no gap."""
    for qos in (0, 1):
        with Flood(server, "meet", retain=1, qos=qos) as flood, Crowd([flood.client]):
            flood.allow(FOREVER)
            for n in range(9):
                with server.client(wire.VERSIONS[n % 3]) as c:
                    while flood.number < 3 * (n + 1):
                        time.sleep(0.001)
                    c.send(wire.subscribe(c.version, [("meet", 0)]))
                    c.expect(wire.suback(c.version, [0]), "first packet")
                    got = [c.message() for _ in range(30)]
                    tap.equal([m.retain for m in got], [1] + [0] * 29, "RETAIN")
                    numbers = [int(m.payload) for m in got]
                    tap.equal(numbers, list(range(numbers[0], numbers[0] + 30)), "numbers")


@tap.test
def connack_queued_live(server):
    """CONNACK, then what was queued, then live ones, for a session that comes back."""
    options = {"clean": False, "keepalive": 0}
    with Flood(server, "back", qos=1) as flood, Crowd([flood.client]):
        c = server.client(wire.V311, client_id="comes-back", **options)
        c.subscribe("back", 1)
        want = 0
        for n in range(8):
            flood.allow(100)
            c.close()
            while flood.number < flood.allowed - 50:
                time.sleep(0.001)
            c = wire.Client(wire.V311, port=server.port, client_id="comes-back", **options)
            tap.equal(c.present, 1, "Session Present")      # CONNACK came first
            while want < flood.allowed:
                got = c.message()
                number = int(got.payload)
                # What the old connection did not acknowledge comes again, as DUP.
                tap.true(number == want or got.dup and number < want,
                         "%d (dup %d), not %d" % (number, got.dup, want))
                want = max(want, number + 1)
                c.send(wire.ack(wire.PUBACK, got.mid))
        c.close()


@tap.test
def across_qos(server):
    """Per publisher one order across QoS 0, 1, 2 and RETAIN; acknowledgements in order."""
    rnd = random.Random(SEED)
    count, batch = 320, 40
    subs = [server.client(wire.VERSIONS[i % 3], keepalive=0) for i in range(6)]
    for i, c in enumerate(subs):
        c.subscribe("mix/#" if i % 2 else "mix/t", i % 3)
    pubs = [server.client(v, keepalive=0) for v in (wire.V311, wire.V5)]
    sent = {p: [] for p in pubs}
    with Crowd(subs + pubs) as crowd:
        for base in range(0, count, batch):
            for p in pubs:
                data = b""
                for i in range(base, base + batch):
                    qos = rnd.choice((0, 0, 1, 2))
                    if qos:
                        sent[p].append(i + 1)
                    data += wire.publish(p.version, "mix/t", b"%d %d" % (pubs.index(p), i),
                                         qos=qos, retain=rnd.randrange(2), mid=i + 1)
                p.send(data)
            crowd.wait(lambda: all(crowd.published[c] >= (base + batch) * 2 for c in subs),
                       "all up to %d" % (base + batch), 30)
        for c in subs:
            got = [tuple(map(int, m.payload.split())) for m in crowd.messages(c)]
            for who in range(len(pubs)):
                tap.equal([i for p, i in got if p == who], list(range(count)),
                          "messages of %d to %s" % (who, c.id))
        for p in pubs:
            crowd.wait(lambda p=p: len(acks(crowd, p)) >= len(sent[p]), "acknowledgements")
            tap.equal(acks(crowd, p), sent[p], "order of PUBACK and PUBREC")
    for c in subs + pubs:
        c.close()


def acks(crowd, client):
    return [int.from_bytes(p[2:4], "big") for p in crowd.packets[client]
            if p[0] >> 4 in (wire.PUBACK, wire.PUBREC)]


with broker.Broker("max_inflight_messages 0\nmax_queued_messages 0\n") as daemon:
    tap.run(daemon)
