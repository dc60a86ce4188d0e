#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
"""queue_qos0_messages: QoS 0 messages for clients that are away."""
import json
import sys
import time

from lib import broker, tap, wire
from lib.wire import PUBACK

LIMIT = 3000
SETTLED = 0.5 * broker.SLOW         # a close has been handled: there is no packet that says so


def life(version):
    return wire.prop(wire.SESSION_EXPIRY, 600) if version == wire.V5 else b""


def join(server, version, name, clean=False):
    return server.client(version, client_id=name, clean=clean, properties=life(version))


def away(server, version, name, *filters):
    """A session whose client has left."""
    sub = join(server, version, name)
    for mid, (topic, qos) in enumerate(filters, 1):
        sub.subscribe(topic, qos, mid=mid)
    sub.leave()
    sub.close()
    time.sleep(SETTLED)


def forget(server, *names):
    for name in names:
        server.client(wire.V311, client_id=name).leave()


def payloads(sub, n):
    """The next @n messages; those of QoS 1 are acknowledged."""
    out = []
    for _ in range(n):
        got = sub.message()
        if got.qos == 1:
            sub.send(wire.ack(PUBACK, got.mid))
        out.append(got.payload)
    return out


@tap.test
def queued(server):
    """Each version: queued messages of all QoS come in order, then live ones."""
    for version in wire.VERSIONS:
        away(server, version, "away", ("q0/+", 0), ("q1/+", 1))
        with server.client(wire.V311) as pub:
            pub.publish("q0/a", b"0")
            pub.publish1("q1/a", b"1", mid=1)
            pub.publish("q1/a", b"2")
            pub.publish1("q0/a", b"3", mid=2)
            pub.publish("q0/a", b"4", retain=1)
            pub.publish("other", b"5")
            pub.publish1("q1/a", b"6", mid=3)
            pub.publish("q0/a", b"", retain=1)
            pub.ping()
            with join(server, version, "away") as sub:
                tap.equal(sub.present, 1 if version != wire.V31 else 0, "Session Present")
                got = payloads(sub, 7)
                tap.equal([p for p in got if p in (b"0", b"3", b"4", b"")],
                          [b"0", b"3", b"4", b""], "q0/a")
                tap.equal([p for p in got if p in (b"1", b"2", b"6")],
                          [b"1", b"2", b"6"], "q1/a")
                pub.publish("q0/a", b"live")
                tap.equal(payloads(sub, 1), [b"live"], "live")
                sub.expect_silence(0.3)
        forget(server, "away")


@tap.test
def properties(server):
    """5.0: properties, Subscription Identifiers and the time that is left come along."""
    with join(server, wire.V5, "props") as sub:
        sub.subscribe("p/#", 0, mid=1, properties=wire.prop(wire.SUBSCRIPTION_ID, 7))
        sub.leave()
    time.sleep(SETTLED)
    with server.client(wire.V5) as pub:
        pub.publish("p/gone", b"x", properties=wire.prop(wire.EXPIRY, 1))
        pub.publish("p/a", b"y", properties=wire.prop(wire.EXPIRY, 1000)
                    + wire.prop(wire.CONTENT_TYPE, "text"))
        pub.ping()
    time.sleep(1.5)
    with join(server, wire.V5, "props") as sub:
        got = sub.message()
        found = dict(got.properties)
        tap.equal((got.payload, found[wire.SUBSCRIPTION_ID], found[wire.CONTENT_TYPE]),
                  (b"y", 7, b"text"), "message")
        tap.true(900 < found[wire.EXPIRY] < 1000, "Message Expiry Interval")
        sub.expect_silence(0.3)
    forget(server, "props")


@tap.test
def limit(server):
    """QoS 0 messages count for max_queued_messages."""
    away(server, wire.V311, "full", ("l/t", 0))
    with server.client(wire.V311) as pub:
        for begin in range(0, LIMIT + 200, 100):
            pub.send(b"".join(wire.publish(wire.V311, "l/t", b"%d" % i)
                              for i in range(begin, begin + 100)))
            pub.ping()
            time.sleep(0.02)
        time.sleep(SETTLED)
    with join(server, wire.V311, "full") as sub:
        tap.equal([int(p) for p in payloads(sub, LIMIT)], list(range(LIMIT)), "messages")
        sub.expect_silence(0.5)
    forget(server, "full")


@tap.test
def switch(server):
    """While a client comes back in a stream, each message comes once and in order."""
    # Overlapping filters, and another session that needs the copies of one of them.
    away(server, wire.V311, "stays", ("s/#", 0))
    for turn in range(5):
        away(server, wire.VERSIONS[turn % 3], "comes", ("s/#", 0), ("s/+", 0))
        with server.client(wire.V311) as pub:
            for step in range(30):
                pub.send(b"".join(wire.publish(wire.V311, "s/t", b"%d" % i)
                                  for i in range(step * 20, step * 20 + 20)))
                if step == 10:
                    sub = server.client(wire.VERSIONS[turn % 3], client_id="comes", join=False)
                    sub.send(wire.connect(sub.version, "comes", clean=False,
                                          properties=life(sub.version)))
                time.sleep(0.01)
            sub.joined()
            tap.equal([int(p) for p in payloads(sub, 600)], list(range(600)), "messages")
            sub.expect_silence(0.2)
            sub.close()
        time.sleep(SETTLED)
    with join(server, wire.V311, "stays") as sub:
        tap.equal([int(p) for p in payloads(sub, LIMIT)],
                  [i for _ in range(5) for i in range(600)], "messages of who stayed away")
    forget(server, "comes", "stays")


@tap.test
def no_rest(server):
    """Clean sessions get nothing, and no route to the daemon is left."""
    sub = server.client(wire.V311, client_id="clean")
    sub.subscribe("c/t")
    sub.leave()
    sub.close()
    with server.client(wire.V311) as pub:
        pub.publish("c/t", b"x")
        pub.ping()
    with join(server, wire.V311, "clean") as sub:
        tap.equal(sub.present, 0, "Session Present")
        sub.expect_silence(0.3)
    forget(server, "clean")
    time.sleep(SETTLED)
    tap.equal(json.loads(server.ctl("-j", "route", "list").stdout), [], "routes")


@tap.test
def after_kill(server):
    """A new mqttd removes the routes of one that was killed."""
    away(server, wire.V311, "lost", ("k/t", 0))
    rows = json.loads(server.ctl("-j", "route", "list").stdout)
    tap.equal(len(rows), 1, "routes")
    server.kill()
    server.start()
    tap.equal(json.loads(server.ctl("-j", "route", "list").stdout), [], "routes")


if broker.MOSQUITTO:
    print("1..0 # SKIP kmqtt only")
    sys.exit(0)
with broker.Broker("queue_qos0_messages true\nmax_queued_messages %d\n" % LIMIT) as daemon:
    tap.run(daemon)
