#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
"""A change is in effect when it is answered, and no message pays for it."""
import threading
import time

from lib import broker, tap, wire
from lib.crowd import Crowd

ROUNDS = 12


class Flood:
    """Several publishers that do not stop; the kernel drops what its queues do not take."""

    def __init__(self, server, topics, count=3):
        self.clients = [server.client(wire.VERSIONS[i % 3], keepalive=0) for i in range(count)]
        self.topics = topics
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        for c in self.clients:
            c.close()

    def _run(self):
        data = {v: b"".join(wire.publish(v, t, b"flood") for t in self.topics) * 10
                for v in wire.VERSIONS}
        while not self.stop.is_set():
            for c in self.clients:
                c.send(data[c.version])


def read_until(client, kind):
    """Packets up to the first of @kind, it included."""
    got = []
    while not got or got[-1][0] >> 4 != kind:
        got.append(client.read())
    return got


def publishes(packets):
    return [p for p in packets if p[0] >> 4 == wire.PUBLISH]


@tap.test
def unsubscribed(server):
    """After UNSUBACK no message comes for that filter, under a flood."""
    filters = ("f/a", "f/+", "f/#", "+/b", "#", "$share/g/f/+")
    flowed = 0
    with Flood(server, ("f/a", "f/b", "f/c")):
        clients = [server.client(v, keepalive=0) for v in wire.VERSIONS]
        for n in range(ROUNDS * len(clients)):
            c, name = clients[n % len(clients)], filters[n % len(filters)]
            c.send(wire.subscribe(c.version, [(name, 0)]))
            before = read_until(c, wire.SUBACK)
            tap.equal(len(publishes(before)), 0, "messages before SUBACK")
            while n % 2 and not publishes([c.read()]):
                pass
            c.send(wire.unsubscribe(c.version, [name]))
            flowed += len(publishes(read_until(c, wire.UNSUBACK)))
            if n % 4 == 0:
                time.sleep(0.02)
            c.send(wire.PING)
            after = publishes(read_until(c, wire.PINGRESP))
            tap.equal(len(after), 0, "messages after UNSUBACK of %s" % name)
        for c in clients:
            c.expect_silence(0.3)
            c.close()
    tap.note("%d messages between UNSUBSCRIBE and UNSUBACK" % flowed)
    tap.true(flowed > 0, "no flood")


@tap.test
def one_of_two(server):
    """UNSUBSCRIBE of one of two filters that match: the other one misses nothing."""
    steady(server, lambda c, i: (
        wire.subscribe(c.version, [("s/+", 0)]) if i % 2 == 0 else
        wire.unsubscribe(c.version, ["s/+"])), wire.UNSUBACK)


@tap.test
def replaced(server):
    """SUBSCRIBE again with other options: no message is lost or comes twice."""
    def change(c, i):
        if c.version != wire.V5:
            return wire.subscribe(c.version, [("s/#", i % 3)])
        # Retain handling 2, retain as published, QoS.
        return wire.subscribe(wire.V5, [("s/#", 0x20 | (i % 2) << 3 | i % 3)],
                              properties=wire.prop(wire.SUBSCRIPTION_ID, 1 + i % 5))
    steady(server, change, wire.SUBACK)


def steady(server, change, kind, count=1500):
    """Numbered messages, while subscriptions change; every number must come once."""
    subs = [server.client(v, keepalive=0) for v in wire.VERSIONS]
    for c in subs:
        c.subscribe("s/#")
    with Crowd(subs) as crowd, server.client(wire.V5) as pub, \
            server.client(wire.V311) as pub1:
        for i in range(count):
            pub.publish("s/0", b"%d" % i)
            if i % 10 == 0:
                pub1.publish1("s/1", b"%d" % (i // 10))
            if i % 20 == 0:
                for c in subs:
                    c.send(change(c, i // 20))
            if i % 250 == 249:                  # nobody's queue shall overflow
                crowd.wait(lambda: min(crowd.published.values()) >= (i + 1) * 1.1 - 1,
                           "all up to %d" % i)
        pub.ping()
        for c in subs:
            c.send(wire.PING)
        crowd.wait(lambda: all(any(x[0] >> 4 == wire.PINGRESP for x in p)
                               for p in crowd.packets.values()), "PINGRESP")
        for c in subs:
            tap.true(sum(x[0] >> 4 == kind for x in crowd.packets[c]) >= count // 40, "answers")
            got = crowd.messages(c)
            for topic, most in (("s/0", count), ("s/1", count // 10)):
                tap.equal([int(m.payload) for m in got if m.topic == topic],
                          list(range(most)), "%s of %s" % (topic, c.id))
            c.close()


@tap.test
def in_pieces(server):
    """Changes complete while large packets go to the daemon in pieces: neither is lost."""
    size = 1 << 20
    stop = threading.Event()
    error = []

    def churn():
        try:
            with server.client(wire.V5, keepalive=0) as c:
                while not stop.is_set():
                    c.subscribe("churn/#")
                    c.unsubscribe("churn/#")
        except Exception as found:              # told in the end
            error.append(found)

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        with server.client(wire.V311) as pub, server.client(wire.V5) as sub:
            sub.subscribe("big", 1)
            for i in range(8):
                pub.publish("big", bytes([i]) * size, qos=1, mid=i + 1)
                pub.expect(wire.ack(wire.PUBACK, i + 1), "PUBACK")
                got = sub.message()
                tap.equal((len(got.payload), got.payload[-1]), (size, i), "payload")
                sub.send(wire.ack(wire.PUBACK, got.mid))
    finally:
        stop.set()
        for t in threads:
            t.join()
    if error:
        raise error[0]


with broker.Broker() as daemon:
    tap.run(daemon)
