#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
"""More behind the gate than a connection's transmit list takes."""
import socket

from lib import broker, tap, wire

CONF = """max_inflight_messages 0
max_queued_messages 0
"""
COUNT = 300
SIZE = 32768            # COUNT of them are more than twice the limit


def payload(number):
    return b"%06d" % number + bytes(SIZE - 6)


def take(sub, want):
    """Read and acknowledge @want messages."""
    out = []
    while len(out) < want:
        got = sub.message(30)
        if got.qos:
            sub.send(wire.ack(wire.PUBACK, got.mid))
        out.append(got)
    return out


def numbers(messages):
    return [int(m.payload[:6]) for m in messages]


def owe(server, pub, sub):
    """@sub, which does not read, is owed more retained messages than fit."""
    sub.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    for i in range(COUNT):
        pub.publish1("r/%d" % i, payload(i), mid=i + 1, retain=1)
    sub.send(wire.subscribe(wire.V5, [("r/#", 0), ("l/#", 1)]))
    # It does not read its SUBACK.
    broker.wait_for(lambda: server.stats()["routes"] == 2, "both routes")


def take_owed(sub):
    sub.expect(wire.suback(wire.V5, [0, 1]), "SUBACK")
    retained = take(sub, COUNT)
    tap.true(all(m.retain for m in retained), "retained first")
    tap.equal(sorted(numbers(retained)), list(range(COUNT)), "retained")


def forget(pub):
    for i in range(COUNT):
        pub.publish1("r/%d" % i, b"", mid=i + 1, retain=1)


@tap.test
def order(server):
    """QoS 0 and 1 of one topic keep their order behind a full transmit list."""
    broker.only_kmqtt()                         # Mosquitto keeps no order between the two
    with server.client(wire.V311) as pub, server.client(wire.V5) as sub:
        owe(server, pub, sub)
        for i in range(COUNT):
            pub.publish("l/t", b"%06d" % i, qos=i & 1, mid=1 + i)
            if i & 1:
                pub.expect(wire.ack(wire.PUBACK, 1 + i), "PUBACK")
        take_owed(sub)
        tap.equal(numbers(take(sub, COUNT)), list(range(COUNT)), "live messages")
        sub.ping()
        forget(pub)


@tap.test
def live_behind_retained(server):
    """Retained messages leave first, then more live ones than fit, none lost."""
    broker.only_kmqtt()                         # Mosquitto mixes the two
    with server.client(wire.V311) as pub, server.client(wire.V5) as sub:
        owe(server, pub, sub)
        for i in range(COUNT):
            pub.publish1("l/t", payload(i), mid=i + 1)
            pub.publish("l/z", b"%06d" % i)
        pub.ping()
        take_owed(sub)
        live = take(sub, 2 * COUNT)
        tap.equal(numbers(m for m in live if m.qos), list(range(COUNT)), "live of QoS 1")
        tap.equal(numbers(m for m in live if not m.qos), list(range(COUNT)), "live of QoS 0")
        sub.ping()
        forget(pub)


with broker.Broker(CONF) as daemon:
    tap.run(daemon)
