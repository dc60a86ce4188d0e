#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# core
"""QoS 0: who gets what, byte for byte, in all pairs of versions."""
from lib import broker, tap, wire

# Filter, topics that match, topics that do not.
FILTERS = (
    ("a/b/c", ("a/b/c",), ("a/b", "a/b/c/d", "a/b/x", "/a/b/c", "A/b/c")),
    ("a/+/c", ("a/b/c", "a//c"), ("a/c", "a/b/b/c")),
    ("a/#", ("a", "a/b", "a/b/c", "a/"), ("ab", "b/a", "/a")),
    ("+", ("a", "finance"), ("/finance", "a/b")),
    ("+/+", ("/finance", "a/b", "/"), ("finance", "a/b/c")),
    ("/+", ("/finance", "/"), ("finance", "/a/b")),
    ("#", ("a", "/", "a/b/c", "/x"), ("$own/x", "$own")),
    ("+/x", ("a/x", "/x"), ("$own/x",)),
    ("$own/#", ("$own/x", "$own"), ("own/x",)),
    ("$own/+", ("$own/x",), ("$own",)),
    ("æ/日本/#", ("æ/日本", "æ/日本/x"), ("æ/日",)),
)


@tap.test
def bytes_exact(server):
    """Each version gets what each other sends, in its own encoding."""
    with server.client(wire.V31) as a, server.client(wire.V311) as b, \
            server.client(wire.V5) as c, broker.Growth(server) as grown:
        everybody = (a, b, c)
        for one in everybody:
            one.subscribe("exact/t")
        for sender in everybody:
            for payload in (b"", b"x", b"\0" * 119, bytes(range(256)) * 65):
                sender.publish("exact/t", payload)
                for one in everybody:
                    one.expect(wire.publish(one.version, "exact/t", payload), "PUBLISH")
        for one in everybody:
            one.ping()
    grown.equal("publish_routed_kernel", 12)
    grown.equal("publish_punted", 0)


@tap.test
def filters(server):
    """Wildcards match as specified, topics of $ no leading wildcard."""
    for version in (wire.V311, wire.V5):
        for name, yes, no in FILTERS:
            with server.client(version) as sub, server.client() as pub:
                sub.subscribe(name)
                for topic in no:
                    pub.publish(topic, b"no")
                # Twice: the second goes through the topic cache.
                for topic in yes + yes:
                    pub.publish(topic, b"yes")
                    got = sub.message()
                    tap.equal((got.topic, got.payload), (topic, b"yes"), "for " + name)
                for topic in no:
                    pub.publish(topic, b"no")
                pub.ping()
                sub.expect_silence(0.15)


@tap.test
def overlapping(server):
    """Overlapping filters of one client: the message comes once."""
    with server.client(wire.V311) as sub, server.client() as pub:
        for name in ("o/#", "o/+", "o/x", "+/x", "#"):
            sub.subscribe(name)
        for _ in range(3):
            pub.publish("o/x", b"1")
            tap.equal(sub.message().payload, b"1", "payload")
        pub.ping()
        sub.expect_silence()


@tap.test
def unsubscribed(server):
    """After UNSUBACK nothing comes; other filters stay."""
    for version in wire.VERSIONS:
        with server.client(version) as sub, server.client() as pub:
            sub.subscribe("u/a")
            sub.subscribe("u/+/b")
            sub.unsubscribe("u/a", 9)
            pub.publish("u/a", b"no")
            pub.publish("u/x/b", b"yes")
            tap.equal(sub.message().topic, "u/x/b", "topic")
            sub.unsubscribe("u/never", 10, 0x11)
            sub.expect_silence(0.2)


@tap.test
def many_filters(server):
    """A SUBSCRIBE of many filters is answered in order, an invalid one with 0x80."""
    with server.client(wire.V311) as sub:
        names = [("m/%d" % i, i % 3) for i in range(200)]
        sub.send(wire.subscribe(wire.V311, names, 77))
        sub.expect(wire.suback(wire.V311, [q for _, q in names], 77), "SUBACK")


@tap.test
def ordered(server):
    """3,000 messages come complete and in order."""
    with server.client(wire.V311) as sub, server.client(wire.V5) as pub, \
            broker.Growth(server) as grown:
        sub.subscribe("order/#")
        for i in range(3000):
            pub.publish("order/%d" % (i % 3), b"%d" % i)
            if i % 500 == 499:
                pub.ping()
        for i in range(3000):
            got = sub.message()
            tap.equal((got.topic, got.payload), ("order/%d" % (i % 3), b"%d" % i), "message")
    grown.equal("publish_routed_kernel", 3000)


@tap.test
def itself(server):
    """A client gets what it publishes itself."""
    for version in wire.VERSIONS:
        with server.client(version) as c:
            c.subscribe("self/#")
            c.publish("self/x", b"me")
            c.expect(wire.publish(version, "self/x", b"me"), "PUBLISH")


with broker.Broker() as daemon:
    tap.run(daemon)
