#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# core
"""One message at a time to one subscriber goes from socket to socket at once, and nobody can tell."""
import random
import time

from lib import broker, tap, wire

# The topic is known to the kernel by then, and the pause after a miss is over.
WARM = 24
SUBID = b"\x0b\x07"


def one_by_one(pub, sub, topic, payloads, **options):
    for want in payloads:
        pub.publish(topic, want, **options)
        got = sub.message()
        tap.equal((got.topic, got.payload), (topic, want), "message")


def warm(pub, sub, topic):
    one_by_one(pub, sub, topic, [b"warm"] * WARM)


def numbered(n):
    return [b"%d" % i for i in range(n)]


@tap.test
def goes_direct(server):
    """Nearly all of them, and every counter counts them as it counts others."""
    for version in wire.VERSIONS:
        with server.client(version) as sub, server.client(version) as pub:
            sub.subscribe("direct/+")
            warm(pub, sub, "direct/t")
            payloads = numbered(99) + [b"x" * 900]
            with broker.Growth(server) as grown:
                one_by_one(pub, sub, "direct/t", payloads)
            size = sum(len(p) for p in payloads)
            for name in ("publish_received", "publish_routed_kernel", "publish_queued",
                         "publish_sent", "packets_sent", "packets_received"):
                grown.equal(name, 100)
            grown.equal("payload_bytes_received", size)
            grown.equal("payload_bytes_sent", size)
            frames = sum(len(wire.publish(version, "direct/t", p)) for p in payloads)
            grown.equal("bytes_received", frames)
            grown.equal("bytes_sent", frames)
            grown.at_least("publish_routed_directly", 50)
            sub.ping()
            pub.ping()


@tap.test
def others_do_not(server):
    """More subscribers, other encodings, other packets: none of them goes that way."""
    broker.only_kmqtt()
    with server.client(wire.V311) as a, server.client(wire.V311) as b, \
            server.client(wire.V5) as five, server.client(wire.V5) as ident, \
            server.client(wire.V311) as pub, server.client(wire.V5) as pub5, \
            broker.Growth(server) as grown:
        a.subscribe("other/#")
        b.subscribe("other/two")
        five.subscribe("five")
        ident.subscribe("ident", properties=SUBID)
        pub.subscribe("self")
        for i in range(WARM * 2):
            pub.publish("other/two", b"%d" % i)
            tap.equal((a.message().payload, b.message().payload), (b"%d" % i,) * 2, "message")
        one_by_one(pub, five, "five", numbered(WARM * 2))
        one_by_one(pub5, ident, "ident", numbered(WARM * 2))
        one_by_one(pub5, five, "five", numbered(WARM * 2), properties=b"\x01\x01")
        one_by_one(pub, pub, "self", numbered(WARM * 2))
        one_by_one(pub, a, "other/large", [b"x" * 1100] * (WARM * 2))
        one_by_one(pub, a, "other/retained", numbered(WARM), retain=1)
        pub.publish("other/retained", b"", retain=1)
        a.message()
    grown.equal("publish_routed_directly", 0)


@tap.test
def order(server):
    """Among bursts, QoS 1 and other topics each message comes once and in order."""
    rng = random.Random(7)
    with server.client(wire.V311) as sub, server.client(wire.V311) as pub, \
            broker.Growth(server) as grown:
        sub.subscribe("order/+", 1)
        sent = {"order/a": [], "order/b": []}
        got = {"order/a": [], "order/b": []}
        number = 0
        for _ in range(600):
            raw = b""
            for _ in range(rng.choice((1, 1, 1, 1, 2, 5, 40))):
                topic = rng.choice(list(sent))
                sent[topic].append(b"%d" % number)
                raw += wire.publish(wire.V311, topic, b"%d" % number,
                                    qos=int(rng.random() < 0.05), mid=1 + number % 60000)
                number += 1
            pub.send(raw)
            if rng.random() < 0.7:
                take(sub, sent, got)
        take(sub, sent, got)
        tap.equal(got, sent, "messages by topic")
        sub.expect_silence(0.3)
    grown.at_least("publish_routed_directly", 1)


def take(sub, sent, got):
    """Read until all has come that was sent."""
    while sum(map(len, got.values())) < sum(map(len, sent.values())):
        m = sub.message()
        got[m.topic].append(m.payload)
        if m.qos:
            sub.send(wire.ack(wire.PUBACK, m.mid))


@tap.test
def slow(server):
    """A subscriber that does not read for a while gets all of it, in order."""
    with server.client(wire.V311, rcvbuf=4096) as sub, server.client(wire.V311) as pub:
        sub.subscribe("slow")
        warm(pub, sub, "slow")
        payloads = [b"%04d" % i + b"." * 600 for i in range(400)]
        for p in payloads:
            pub.publish("slow", p)
            time.sleep(0.002)
        for want in payloads:
            tap.equal(sub.message().payload, want, "message")
        one_by_one(pub, sub, "slow", numbered(50))


@tap.test
def keep_alive(server):
    """Who does nothing but that is alive; then its silence counts."""
    with server.client(wire.V311) as sub, server.client(wire.V311, keepalive=2) as pub:
        sub.subscribe("alive")
        warm(pub, sub, "alive")
        with broker.Growth(server) as grown:
            for _ in range(25):
                one_by_one(pub, sub, "alive", [b"still"])
                time.sleep(0.2)
        grown.at_least("publish_routed_directly", 10)
        start = time.monotonic()
        pub.expect_close(10)
        tap.true(time.monotonic() - start > 2, "closed too soon")


@tap.test
def changes(server):
    """UNSUBSCRIBE, a second subscriber and forwarding off are in effect for the next message."""
    broker.only_kmqtt()
    with server.client(wire.V311) as sub, server.client(wire.V311) as late, \
            server.client(wire.V311) as pub:
        sub.subscribe("change")
        warm(pub, sub, "change")
        late.subscribe("change")
        one_by_one(pub, sub, "change", [b"both"])
        tap.equal(late.message().payload, b"both", "message")
        late.unsubscribe("change")
        warm(pub, sub, "change")
        late.expect_silence(0.3)
        server.param("forwarding", 0)
        try:
            with broker.Growth(server) as grown:
                one_by_one(pub, sub, "change", numbered(5))
            grown.equal("publish_routed_kernel", 0)
        finally:
            server.param("forwarding", 1)
        sub.unsubscribe("change")
        pub.publish("change", b"nobody")
        pub.ping()
        sub.expect_silence(0.3)


if __name__ == "__main__":
    with broker.Broker() as daemon:
        tap.run(daemon)
