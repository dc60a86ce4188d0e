#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 90
"""More Subscription Identifiers, or more filters, for one message than the kernel takes."""
from lib import broker, tap, wire

LEVELS = 8
TOPIC = "/".join("x" * LEVELS)


def filters(count):
    """@count filters that match TOPIC, each with an identifier of its own."""
    for i in range(count):
        yield "/".join("+" if i >> j & 1 else "x" for j in range(LEVELS)), i + 1


def collect(sub, want):
    """The identifiers of copies of one message, until all have come."""
    seen = []
    while len(seen) < want:
        got = sub.message()
        if got.qos:
            sub.send(wire.ack(wire.PUBACK, got.mid))
        seen += [value for ident, value in got.properties if ident == wire.SUBSCRIPTION_ID]
    tap.equal(sorted(seen), list(range(1, want + 1)), "identifiers")
    return got.payload


@tap.test
def many_subids(server):
    """Each of 200 identifiers comes once, at each QoS and retained or not."""
    with server.client(wire.V5) as sub, server.client(wire.V5) as pub, \
            server.client(wire.V311) as plain:
        plain.subscribe("#")
        for name, ident in filters(200):
            sub.subscribe(name, 1, properties=wire.prop(wire.SUBSCRIPTION_ID, ident))
        for qos, retain in ((0, 0), (0, 1), (1, 0), (1, 1)):
            payload = b"%d%d" % (qos, retain)
            if qos:
                pub.publish1(TOPIC, payload, retain=retain)
            else:
                pub.publish(TOPIC, payload, retain=retain)
                pub.ping()
            tap.equal(collect(sub, 200), payload, "payload")
            tap.equal(plain.message().payload, payload, "payload of the other")
        pub.publish1(TOPIC, b"", retain=1)


@tap.test
def order(server):
    """The order of one publisher's messages does not depend on QoS or RETAIN."""
    with server.client(wire.V5) as sub, server.client(wire.V311) as pub, \
            server.client(wire.V311) as plain:
        plain.subscribe("#")
        for name, ident in filters(70):
            sub.subscribe(name, properties=wire.prop(wire.SUBSCRIPTION_ID, ident))
        pub.send(b"".join(wire.publish(wire.V311, TOPIC, b"%d" % i, qos=i // 3 % 2, retain=i % 2,
                                       mid=i + 1) for i in range(60)))
        for i in range(60):
            tap.equal(plain.message().payload, b"%d" % i, "message")
        for i in range(60):
            tap.equal(collect(sub, 70), b"%d" % i, "message")
        pub.publish(TOPIC, b"", retain=1)


@tap.test
def later_subscriber(server):
    """Who subscribes meanwhile gets each value once."""
    broker.only_kmqtt()                        # Mosquitto may send a value twice
    with server.client(wire.V5) as sub, server.client(wire.V311) as pub:
        for name, ident in filters(70):
            sub.subscribe(name, properties=wire.prop(wire.SUBSCRIPTION_ID, ident))
        for count in range(20):
            with server.client(wire.V311) as late:
                late.send(wire.subscribe(wire.V311, [("#", 0)]))
                pub.send(b"".join(wire.publish(wire.V311, TOPIC, b"%d" % i, retain=1)
                                  for i in range(count, count + 5)))
                late.expect(wire.suback(wire.V311, [0]), "SUBACK")
                last = -1
                while last != count + 4:
                    value = int(late.message().payload)
                    tap.true(value == last + 1 or last == -1, "%d after %d" % (value, last))
                    last = value
            pub.publish(TOPIC, b"", retain=1)
            pub.ping()
        pub.publish1("done", b"")


with broker.Broker() as daemon:
    tap.run(daemon)
