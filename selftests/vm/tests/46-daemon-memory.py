#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
"""What clients can make the daemon keep has a limit; reaching it harms only who wants more."""
from lib import broker, tap, wire

MIB = 1 << 20
BLOCK = b"m" * (MIB // 4)


@tap.test
def retained(server):
    """Retained messages up to memory_limit; then 5.0 is told 0x97, and 3.1.1 is closed."""
    broker.only_kmqtt()
    with server.client(wire.V5) as five, server.client(wire.V311) as sub:
        sub.subscribe("other", 1)
        for i in range(100):
            five.publish("keep/%d" % i, BLOCK, qos=1, retain=1)
            raw = five.read()
            tap.equal(raw[0] >> 4, wire.PUBACK, "type of the answer")
            if len(raw) > 4 and raw[4] == 0x97:
                break
        tap.true(20 < i < 40, "refused after %d" % i)
        with server.client(wire.V311) as old:
            old.publish("keep/more", BLOCK, qos=1, retain=1)
            old.expect_close()
        five.publish("keep/zero", BLOCK, retain=1)          # QoS 0 is dropped
        five.publish1("other", b"small", mid=9)
        tap.equal(sub.message().payload, b"small", "payload")
        for j in range(i):
            five.publish1("keep/%d" % j, b"", retain=1)
        five.publish1("keep/again", BLOCK, retain=1)
        five.publish1("keep/again", b"", retain=1)


@tap.test
def dead_consumer(server):
    """Who is away and never reads loses its messages; the publisher does not notice."""
    broker.only_kmqtt()
    server.client(wire.V311, client_id="dead", clean=False).close()
    with server.client(wire.V311, client_id="dead", clean=False) as dead:
        dead.subscribe("dead/#", 1)
    with server.client(wire.V5) as pub, server.client(wire.V5) as live:
        live.subscribe("dead/#", 1)
        for i in range(60):
            pub.publish1("dead/%d" % i, BLOCK)
            got = live.message()
            tap.equal(got.topic, "dead/%d" % i, "topic")
            live.send(wire.ack(wire.PUBACK, got.mid))
    server.ctl("client", "kick", "--clean-session", "dead", check=False)
    with server.client(wire.V311, client_id="dead") as dead:
        dead.ping()


@tap.test
def subscriptions(server):
    """A session has room for 16 MiB of subscriptions, as far as memory goes: 0x97, or 0x80."""
    broker.only_kmqtt()
    for version, code in ((wire.V5, 0x97), (wire.V311, 0x80)):
        with server.client(version) as c:
            for i in range(100):
                names = [("%03d/%02d/" % (i, j) + "f" * 60000, 0) for j in range(8)]
                c.send(wire.subscribe(version, names))
                codes = c.read()[-8:]
                if code in codes:
                    break
            tap.true(code in codes, "never refused")
            c.ping()
    with server.client(wire.V5) as c:
        c.subscribe("afterwards")


@tap.test
def retained_flood(server):
    """One SUBSCRIBE that asks for the same retained messages 5,000 times is survived."""
    broker.only_kmqtt()
    with server.client(wire.V311) as pub:
        for i in range(20):
            pub.publish1("flood/%d" % i, b"x", retain=1)
        with server.client(wire.V311) as sub:
            sub.send(wire.subscribe(wire.V311, [("flood/#", 1)] * 5000))
            raw = sub.read()
            tap.equal(raw[0] >> 4, wire.SUBACK, "type of the answer")
            for _ in range(20):
                tap.true(sub.message().retain, "not retained")
            pub.ping()
        for i in range(20):
            pub.publish1("flood/%d" % i, b"", retain=1)


with broker.Broker("" if broker.MOSQUITTO else "memory_limit %d\n" % (8 * MIB)) as daemon:
    tap.run(daemon)
