#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
"""Message Expiry Interval: counts down wherever a message waits (5.0: 3.3.2.3.3)."""
import math
import time

from lib import broker, tap, wire

LONG, SHORT = 100, 1
LARGE = 60000
LIFE = wire.prop(wire.SESSION_EXPIRY, 1000)


def life(seconds):
    return wire.prop(wire.EXPIRY, seconds)


class Waits:
    """From when to when a message waits, as far as we can tell."""

    def __init__(self):
        self.sent = time.monotonic()            # not before
        self.stored = self.released = None

    def check(self, got):
        """Remaining is what was received less what it waited, in whole seconds."""
        now = time.monotonic()
        left = dict(got.properties).get(wire.EXPIRY)
        least = LONG - math.floor(now - self.sent)
        most = LONG - math.floor(self.released - self.stored)
        tap.true(left is not None and least <= left <= most,
                 "%r s are left, not %d to %d" % (left, least, most))


@tap.test
def in_the_kernel(server):
    """Behind a socket that takes no more, for subscribers of 5.0 and 3.1.1."""
    for version in (wire.V5, wire.V311):
        with server.client(version, rcvbuf=4096, keepalive=0) as sub, \
                server.client(wire.V5) as pub, broker.Growth(server) as grown:
            sub.subscribe("exp/#")
            pub.send(b"".join(wire.publish(wire.V5, "exp/fill", bytes(LARGE))
                              for _ in range(12)))
            wait = Waits()
            pub.publish("exp/short", b"", properties=life(SHORT))
            pub.publish("exp/long", b"", properties=life(LONG))
            pub.publish("exp/ever", b"")
            pub.ping()
            wait.stored = time.monotonic()
            time.sleep(2.3)
            wait.released = time.monotonic()
            for _ in range(12):
                tap.equal(sub.message().topic, "exp/fill", "topic")
            got = sub.message()
            tap.equal(got.topic, "exp/long", "topic behind one that has expired")
            if version == wire.V5:
                wait.check(got)
            got = sub.message()
            tap.equal((got.topic, got.properties), ("exp/ever", []), "message without expiry")
            sub.ping()
        grown.equal("publish_dropped_expired", 1)


@tap.test
def about_to_leave(server):
    """What stood first when the socket took no more expires as well."""
    broker.only_kmqtt()
    count = 14
    with server.client(wire.V5, rcvbuf=4096, keepalive=0) as sub, \
            server.client(wire.V5) as pub, broker.Growth(server) as grown:
        sub.subscribe("exp/#")
        pub.send(b"".join(wire.publish(wire.V5, "exp/t", bytes(LARGE), properties=life(2))
                          for _ in range(count)))
        pub.publish("exp/end", b"")
        pub.ping()
        time.sleep(3.5)
        got = 0
        while sub.message().topic != "exp/end":
            got += 1
    tap.equal(got + grown["publish_dropped_expired"], count, "received and expired")
    tap.true(got <= count // 2, "%d of %d messages came after they had expired" % (got, count))


@tap.test
def in_the_daemon(server):
    """In the queue of a session whose client is away, and behind its Receive Maximum."""
    for qos in (1, 2):
        window = wire.prop(wire.RECEIVE_MAX, 1)
        with server.client(wire.V5, clean=False, properties=LIFE) as sub, \
                server.client(wire.V5) as pub:
            sub.subscribe("exp/#", qos)
            sub.close()
            wait = Waits()
            for mid, (name, seconds) in enumerate((("one", LONG), ("short", SHORT),
                                                   ("two", LONG)), 1):
                pub.publish("exp/" + name, b"", qos=qos, mid=mid, properties=life(seconds))
                pub.read()
            wait.stored = time.monotonic()
            time.sleep(1.3)
            wait.released = time.monotonic()
            sub = server.client(wire.V5, client_id=sub.id, clean=False, properties=LIFE + window)
            with sub:
                got = sub.message()
                tap.equal((got.topic, got.qos), ("exp/one", qos), "first message")
                wait.check(got)
                time.sleep(1.2)
                wait.released = time.monotonic()
                if qos == 1:
                    sub.send(wire.ack(wire.PUBACK, got.mid))
                else:
                    sub.send(wire.ack(wire.PUBREC, got.mid))
                    sub.expect(wire.ack(wire.PUBREL, got.mid), "PUBREL")
                    sub.send(wire.ack(wire.PUBCOMP, got.mid))
                got = sub.message()
                tap.equal(got.topic, "exp/two", "message behind one that has expired")
                wait.check(got)


@tap.test
def in_both(server):
    """First in the daemon, then in the kernel: no second is lost or won between them."""
    with server.client(wire.V5) as pub, server.client(wire.V311) as filler:
        wait = Waits()
        pub.publish1("exp/kept", b"kept", retain=1, properties=life(LONG))
        wait.stored = time.monotonic()
        time.sleep(0.7)
        with server.client(wire.V5, rcvbuf=4096, keepalive=0) as sub:
            sub.subscribe("fill")
            filler.send(b"".join(wire.publish(wire.V311, "fill", bytes(LARGE))
                                 for _ in range(12)))
            filler.ping()
            sub.send(wire.subscribe(wire.V5, [("exp/kept", 0)], 7))
            time.sleep(0.7)
            wait.released = time.monotonic()
            for _ in range(12):
                tap.equal(sub.message().topic, "fill", "topic")
            sub.expect(wire.suback(wire.V5, [0], 7), "SUBACK")
            got = sub.message()
            tap.equal((got.topic, got.retain), ("exp/kept", 1), "retained message")
            wait.check(got)
        pub.publish1("exp/kept", b"", retain=1)


with broker.Broker() as daemon:
    tap.run(daemon)
