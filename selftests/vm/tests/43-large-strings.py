#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# core
"""Strings of 65,535 bytes, the longest there are: in topics, filters, names and wills."""
from lib import broker, tap, wire

MAX = 65535
LONG = "t/" + "x" * (MAX - 2)
# Where the length of a netlink attribute ends.
LENGTHS = (65530, 65531, 65532, MAX)


@tap.test
def topic(server):
    """A Topic Name and a filter of up to 65,535 bytes work at each QoS."""
    for version in wire.VERSIONS:
        with server.client(version) as sub, server.client(version) as pub:
            for length in LENGTHS:
                name = LONG[:length]
                sub.subscribe(name, 1)
                pub.publish(name, b"0")
                sub.expect(wire.publish(version, name, b"0"), "QoS 0 PUBLISH")
                pub.publish1(name, b"1")
                got = sub.message()
                tap.equal((got.topic == name, got.payload, got.qos), (True, b"1", 1), "PUBLISH")
                sub.send(wire.ack(wire.PUBACK, got.mid))
                sub.unsubscribe(name)


@tap.test
def retained(server):
    """A retained message with such a topic comes to a new subscriber."""
    for qos in (0, 1):
        with server.client(wire.V5) as pub, server.client(wire.V5) as sub:
            if qos:
                pub.publish1(LONG, b"kept", retain=1)
            else:
                pub.publish(LONG, b"kept", retain=1)
                pub.ping()
            sub.subscribe("t/+")
            got = sub.message()
            tap.equal((got.topic == LONG, got.payload, got.retain), (True, b"kept", 1), "PUBLISH")
            pub.publish1(LONG, b"", retain=1)


@tap.test
def names(server):
    """Client id and user name of up to 65,535 bytes; a second one takes over."""
    for version in (wire.V311, wire.V5):
        for length in LENGTHS:
            name = "i" * length
            with server.client(version, client_id=name, username=name) as old:
                old.ping()
                with server.client(version, client_id=name, username=name) as new:
                    if version == wire.V5:
                        tap.equal(old.read()[2], 0x8e, "reason of DISCONNECT")
                    old.expect_close()
                    new.ping()


@tap.test
def properties(server):
    """Properties of 200,000 bytes travel with a QoS 1 message."""
    many = wire.prop(wire.USER_PROPERTY, ("k", "v" * 50000)) * 4
    with server.client(wire.V5) as sub, server.client(wire.V5) as pub:
        sub.subscribe("props", 1)
        pub.publish1("props", b"x", properties=many)
        tap.equal(len(sub.message().properties), 4, "properties")


@tap.test
def properties_shed(server):
    """Large packets that are small without their properties, for a slow client of 3.1.1."""
    many = wire.prop(wire.USER_PROPERTY, ("k", "v" * 9000))
    count = 80             # within the limit of its queue
    with server.client(wire.V311, rcvbuf=4096) as sub, server.client(wire.V5) as pub:
        sub.subscribe("props")
        for i in range(count):
            raw = wire.publish(wire.V5, "props", b"%06d" % i + bytes(2500), properties=many)
            # In two pieces, so that it does not arrive as a whole.
            pub.send(raw[:5])
            pub.send(raw[5:])
        pub.ping()
        for i in range(count):
            tap.equal(sub.message().payload[:6], b"%06d" % i, "payload")
        sub.ping()


@tap.test
def properties_too_long(server):
    """More than 1 MiB of them at QoS 1: 0x97, and nobody else is harmed."""
    broker.only_kmqtt()
    many = wire.prop(wire.USER_PROPERTY, ("k", "v" * 60000)) * 18
    with server.client(wire.V5) as pub:
        pub.publish("props", b"x", qos=1, properties=many)
        raw = pub.read()
        tap.equal((raw[0] >> 4, raw[4]), (wire.PUBACK, 0x97), "type and reason of the answer")
        pub.ping()


@tap.test
def will(server):
    """A will of 65,535 bytes of topic and of payload is published."""
    last = wire.Will(LONG, b"w" * MAX, 1)
    for version in wire.VERSIONS:
        with server.client(wire.V311) as sub:
            sub.subscribe(LONG)
            server.client(version, will=last).close()
            got = sub.message()
            tap.equal((got.topic == LONG, got.payload), (True, b"w" * MAX), "will")


@tap.test
def next_daemon(server):
    """The next daemon knows such wills, names and filters."""
    broker.only_kmqtt()
    extra = wire.prop(wire.USER_PROPERTY, ("k", "v" * 60000)) * 3
    last = wire.Will(LONG, b"w" * MAX, properties=extra)
    name = "i" * MAX
    with server.client(wire.V5) as sub, \
            server.client(wire.V5, client_id=name, username=name, will=last) as dying, \
            server.client(wire.V311, will=wire.Will("t/small", b"s")) as other:
        sub.subscribe(LONG)
        sub.subscribe("t/small")
        server.kill()
        server.start()
        other.publish1(LONG, b"after")
        tap.equal(sub.message().payload, b"after", "payload")
        dying.close()
        got = sub.message()
        tap.equal((got.topic == LONG, got.payload, len(got.properties)), (True, b"w" * MAX, 3),
                  "will")
        other.close()
        tap.equal(sub.message().payload, b"s", "the other will")
        sub.unsubscribe(LONG)


with broker.Broker() as daemon:
    tap.run(daemon)
