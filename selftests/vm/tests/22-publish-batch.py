#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# core
"""Many PUBLISHes in one write: the kernel routes those with one topic together, nobody can tell."""
import random

from lib import broker, tap, wire

V5_MAX_PACKET = b"\x27" + (40).to_bytes(4, "big")
ALIAS_MAX = b"\x22\x00\x05"
SUBID = b"\x0b\x07"


def burst(version, topic, payloads):
    return b"".join(wire.publish(version, topic, p) for p in payloads)


def numbered(n, size=0):
    return [b"%d" % i + b"." * size for i in range(n)]


def warm(pub, sub, topic):
    """Let the kernel know the topic: what it sees first it routes one by one."""
    for _ in range(3):
        pub.publish(topic, b"warm")
        tap.equal(sub.message().payload, b"warm", "first messages")


def expect_all(sub, payloads, topic=None):
    for want in payloads:
        got = sub.message()
        tap.equal(got.payload[:40], want[:40], "next message")
        tap.equal(len(got.payload), len(want), "its length")
        if topic:
            tap.equal(got.topic, topic, "topic")


@tap.test
def all_versions(server):
    """Each version sends 1,000 at once, each gets them in order, in its own encoding."""
    with server.client(wire.V31) as a, server.client(wire.V311) as b, \
            server.client(wire.V5) as c:
        for sub in (a, b, c):
            sub.subscribe("batch/t")
        for sender in (a, b, c):
            payloads = numbered(1000) + numbered(3, 200) + numbered(40, 5000) + [b""]
            with broker.Growth(server) as grown:
                sender.send_quietly(burst(sender.version, "batch/t", payloads))
                for sub in (a, b, c):
                    expect_all(sub, payloads, "batch/t")
                sender.ping()
            grown.equal("publish_routed_kernel", len(payloads))
            grown.equal("publish_received", len(payloads))
            grown.equal("publish_queued", 3 * len(payloads))
            grown.equal("payload_bytes_received", sum(len(p) for p in payloads))


@tap.test
def own_headers(server):
    """Who wants headers of its own gets them: Subscription Identifier, alias, No Local."""
    with server.client(wire.V5) as ident, server.client(wire.V5, properties=ALIAS_MAX) as alias, \
            server.client(wire.V5) as other, server.client(wire.V5) as pub:
        ident.subscribe("own/t", properties=SUBID)
        alias.subscribe("own/t")
        other.subscribe("own/+")
        pub.subscribe("own/#", options=4)
        warm(pub, other, "own/t")
        for sub in (ident, alias):
            for _ in range(3):
                sub.message()
        payloads = numbered(300)
        pub.send(burst(wire.V5, "own/t", payloads))
        expect_all(other, payloads)
        for i, want in enumerate(payloads):
            got = ident.message()
            tap.equal((got.payload, got.properties), (want, [(0x0B, 7)]), "message %d" % i)
        for want in payloads:
            tap.equal(alias.message().payload, want, "with an alias")
        pub.ping()
        pub.expect_silence()


@tap.test
def too_large(server):
    """Maximum Packet Size holds for each message, not for all together."""
    with server.client(wire.V5, properties=V5_MAX_PACKET) as small, \
            server.client(wire.V311) as pub, server.client(wire.V311) as sub:
        small.subscribe("max/t")
        sub.subscribe("max/t")
        warm(pub, sub, "max/t")
        expect_all(small, [b"warm"] * 3)
        payloads = [b"%d" % i + b"x" * (60 if i % 3 == 1 else 0) for i in range(100)]
        with broker.Growth(server) as grown:
            pub.send(burst(wire.V311, "max/t", payloads))
            expect_all(sub, payloads)
            expect_all(small, [p for p in payloads if len(p) < 30])
        grown.equal("publish_dropped_too_large", sum(len(p) > 30 for p in payloads))
        small.ping()


@tap.test
def topics_mixed(server):
    """Batches of several topics, other packets between them: the order of each stays."""
    rng = random.Random(7)
    with server.client(wire.V311) as sub, server.client(wire.V5) as pub:
        sub.subscribe("mix/+")
        topics = ["mix/a", "mix/b", "mix/cc"]
        for topic in topics:
            warm(pub, sub, topic)
        sent, data = [], b""
        while len(sent) < 2000:
            topic = rng.choice(topics)
            for _ in range(rng.choice((1, 1, 2, 5, 70))):
                payload = b"%d" % len(sent)
                properties = b"\x01\x01" if rng.random() < 0.02 else b""
                data += wire.publish(wire.V5, topic, payload, properties=properties)
                sent.append((topic, payload))
            if rng.random() < 0.2:
                data += b"\xc0\x00"
        pings = data.count(b"\xc0\x00")
        pub.send_quietly(data)
        for topic, payload in sent:
            got = sub.message()
            tap.equal((got.topic, got.payload), (topic, payload), "message")
        for _ in range(pings):
            pub.expect(b"\xd0\x00", "PINGRESP")


@tap.test
def behind_others(server):
    """Behind a QoS 1 PUBLISH, a retained one and a SUBSCRIBE nothing is overtaken."""
    with server.client(wire.V311) as sub, server.client(wire.V311) as pub:
        sub.subscribe("order/t", 1)
        warm(pub, sub, "order/t")
        data = burst(wire.V311, "order/t", numbered(100))
        data += wire.publish(wire.V311, "order/t", b"one", qos=1, mid=5)
        data += burst(wire.V311, "order/t", numbered(100))
        data += wire.publish(wire.V311, "order/t", b"kept", retain=1)
        data += burst(wire.V311, "order/t", numbered(100))
        data += wire.subscribe(wire.V311, [("order/own", 0)], mid=9)
        data += burst(wire.V311, "order/own", numbered(100))
        pub.send_quietly(data)
        want = numbered(100) + [b"one"] + numbered(100) + [b"kept"] + numbered(100)
        for payload in want:
            got = sub.message()
            tap.equal(got.payload, payload, "message")
            if got.qos:
                sub.send(wire.ack(wire.PUBACK, got.mid))
        answers = sorted([pub.read(), pub.read()])
        tap.equal(answers, sorted([wire.ack(wire.PUBACK, 5),
                                   wire.suback(wire.V311, [0], 9)]), "answers")
        expect_all(pub, numbered(100), "order/own")
        pub.publish("order/t", retain=1)


@tap.test
def shared(server):
    """A share group still chooses for each message, and others get all of them."""
    with server.client(wire.V5) as a, server.client(wire.V5) as b, \
            server.client(wire.V311) as sub, server.client(wire.V311) as pub:
        for one in (a, b):
            one.subscribe("$share/g/shared/t")
        sub.subscribe("shared/t")
        payloads = numbered(400)
        pub.send(burst(wire.V311, "shared/t", payloads))
        expect_all(sub, payloads)
        pub.ping()
        got = []
        for one in (a, b):
            mine = [one.message().payload for _ in range(200)]
            tap.equal(mine, sorted(mine, key=int), "order")
            got += mine
        tap.equal(sorted(got, key=int), payloads, "each once")


@tap.test
def malformed(server):
    """What comes before a malformed packet counts, what comes behind it does not."""
    for bad in (b"\x36\x02\x00\x00", wire.publish(wire.V311, "bad/#", b"x"),
                wire.publish(wire.V311, "bad/t", b"", qos=1, mid=0), b"\x30\xff\xff\xff\xff\x01"):
        with server.client(wire.V311) as sub, server.client(wire.V311) as pub:
            sub.subscribe("bad/t")
            warm(pub, sub, "bad/t")
            pub.send_quietly(burst(wire.V311, "bad/t", numbered(70)) + bad +
                             burst(wire.V311, "bad/t", [b"no"]))
            expect_all(sub, numbered(70))
            pub.expect_close()
            sub.ping()
            sub.expect_silence()


@tap.test
def queue_limit(server):
    """A full queue takes as many of a batch as there is room for, and counts the rest."""
    with server.client(wire.V311, client_id="full") as full, server.client(wire.V311) as sub, \
            server.client(wire.V311) as pub:
        for one in (full, sub):
            one.subscribe("limit/t")
        warm(pub, sub, "limit/t")
        expect_all(full, [b"warm"] * 3)
        payloads = numbered(6000, 1000)
        with broker.Growth(server) as grown:
            for i in range(0, len(payloads), 50):
                pub.send(burst(wire.V311, "limit/t", payloads[i:i + 50]))
                expect_all(sub, payloads[i:i + 50])
        dropped = grown["publish_dropped_queue_full"]
        tap.true(dropped > 0, "some were dropped: %d" % dropped)
        got = [full.message().payload for _ in range(len(payloads) - dropped)]
        full.ping()
        full.expect_silence()
        numbers = [int(p.rstrip(b".")) for p in got]
        tap.equal(numbers, sorted(set(numbers)), "order, and none twice")
        tap.true(numbers[:100] == list(range(100)), "the first ones came")


if __name__ == "__main__":
    with broker.Broker() as daemon:
        tap.run(daemon)
