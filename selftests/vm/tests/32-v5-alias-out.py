#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# core
"""Topic Aliases that the broker uses towards clients (5.0: 3.3.2.3.4)."""
import random
import time

from lib import broker, tap, wire

# What the kernel takes of them, and the topics that are worth one.
MOST, SHORTEST, LONGEST = 64, 4, 255


class Reader(wire.Client):
    """A 5.0 client that allows @most aliases and holds the broker to the rules."""

    def __init__(self, server, most, **options):
        self.most, self.topics, self.new, self.used = most, {}, 0, 0
        options["properties"] = options.pop("extra", b"") + (
            wire.prop(wire.ALIAS_MAX, most) if most else b"")
        super().__init__(wire.V5, port=server.port, **options)

    def next(self, timeout=wire.TIMEOUT):
        """The next message, its topic put in where an alias stood."""
        got = self.message(timeout)
        aliases = [value for ident, value in got.properties if ident == wire.ALIAS]
        tap.true(len(aliases) <= 1, "more than one alias")
        if not aliases:
            tap.true(got.topic, "neither topic nor alias")
            return got
        tap.true(1 <= aliases[0] <= self.most, "alias %d of %d" % (aliases[0], self.most))
        if got.topic:
            self.new += 1
            self.topics[aliases[0]] = got.topic
        else:
            self.used += 1
            tap.true(aliases[0] in self.topics, "alias %d was never set" % aliases[0])
        if got.qos == 1:
            self.send(wire.ack(wire.PUBACK, got.mid))
        return got._replace(topic=self.topics[aliases[0]])


def topic_of(number):
    return "alias/topic/%d" % number


@tap.test
def established(server):
    """The first message of a topic tells the alias, the others have no topic."""
    with Reader(server, 10) as sub, server.client(wire.V311) as pub:
        sub.subscribe("#")
        for i in range(30):
            pub.publish(topic_of(i % 10), b"%d" % i)
        for i in range(30):
            got = sub.next()
            tap.equal((got.topic, got.payload), (topic_of(i % 10), b"%d" % i), "message")
        if broker.MOSQUITTO:
            raise tap.Skip("it uses none")
        tap.equal((sub.new, sub.used), (10, 20), "aliases told and used")
    # What one connection was told another does not know.
    with Reader(server, 10, client_id=sub.id) as sub, server.client(wire.V5) as pub:
        sub.subscribe("#")
        pub.publish(topic_of(1), b"x")
        tap.equal(sub.next().topic, topic_of(1), "topic")
        tap.equal(sub.new, 1, "aliases told on a new connection")


@tap.test
def bounded(server):
    """No alias above the client's maximum, none at all for 0, and then byte for byte."""
    with Reader(server, 3) as few, Reader(server, 65535) as many, Reader(server, 0) as none, \
            server.client(wire.V5) as pub:
        for c in (few, many, none):
            c.subscribe("alias/#")
        sent = [wire.publish(wire.V5, topic_of(i % 100), b"%d" % i) for i in range(400)]
        pub.send(b"".join(sent))
        for i in range(400):
            want = (topic_of(i % 100), b"%d" % i)
            got = few.next(), many.next()
            tap.equal([(m.topic, m.payload) for m in got], [want, want], "messages")
            none.expect(sent[i], "PUBLISH")
        tap.true(len(few.topics) <= 3 and len(many.topics) <= MOST, "too many aliases")
        if not broker.MOSQUITTO:
            tap.equal((len(few.topics), len(many.topics)), (3, MOST), "aliases")


@tap.test
def changes(server):
    """A topic that comes again and again gets the alias of one that does not."""
    broker.only_kmqtt()
    with Reader(server, 1) as sub, server.client(wire.V311) as pub:
        sub.subscribe("alias/#")
        for name in ["alias/old"] * 3 + ["alias/once"] + ["alias/new"] * 6:
            pub.publish(name)
            tap.equal(sub.next().topic, name, "topic")
        tap.equal(sub.topics, {1: "alias/new"}, "alias at the end")
        tap.true(sub.used >= 5, "the alias was used %d times" % sub.used)


@tap.test
def worth(server):
    """Topics that are too short to save anything, or too long to remember, have none."""
    with Reader(server, 10) as sub, server.client(wire.V311) as pub:
        sub.subscribe("#")
        for size in (1, SHORTEST - 1, SHORTEST, LONGEST, LONGEST + 1, 65535):
            name, before = "x" * size, len(sub.topics)
            for _ in range(3):
                pub.publish(name)
                tap.equal(sub.next().topic, name, "topic")
            if not broker.MOSQUITTO:
                tap.equal(len(sub.topics) - before, SHORTEST <= size <= LONGEST, "aliases")


@tap.test
def of_the_daemon(server):
    """QoS 1, QoS 2, retained and queued messages use the same aliases, in order."""
    life = wire.prop(wire.SESSION_EXPIRY, 1000)
    with server.client(wire.V5) as pub:
        pub.publish1("alias/kept", b"k", retain=1)
        with Reader(server, 5, extra=life) as sub:
            sub.subscribe("alias/#", 1)
            got = sub.next()
            tap.equal((got.topic, got.payload, got.retain), ("alias/kept", b"k", 1), "retained")
            for i in range(60):
                qos = i % 3
                pub.publish("alias/kept", b"%d" % i, qos=qos, mid=1)
                if qos:
                    pub.read()
                if qos == 2:
                    pub.send(wire.ack(wire.PUBREL))
                    pub.expect(wire.ack(wire.PUBCOMP), "PUBCOMP")
                got = sub.next()
                tap.equal((got.topic, got.payload, got.qos), ("alias/kept", b"%d" % i,
                                                             min(qos, 1)), "message")
            if not broker.MOSQUITTO:
                tap.equal((sub.new, sub.used), (1, 60), "aliases told and used")
        for i in range(10):
            pub.publish1("alias/%d" % (i % 2), b"q%d" % i)
        with Reader(server, 5, extra=life, client_id=sub.id, clean=False) as sub:
            for i in range(10):
                got = sub.next()
                tap.equal((got.topic, got.payload), ("alias/%d" % (i % 2), b"q%d" % i), "queued")
            if not broker.MOSQUITTO:
                tap.equal((sub.new, sub.used), (2, 8), "aliases told and used")
        pub.publish1("alias/kept", b"", retain=1)


@tap.test
def packet_size(server):
    """The three bytes of an alias never make a packet larger than the client takes."""
    for spare in range(8):
        with server.client(wire.V311) as pub:
            payload = bytes(200)
            size = len(wire.publish(wire.V5, "alias/size", payload)) + spare
            limit = wire.prop(wire.MAX_PACKET, size)
            with Reader(server, 5, extra=limit) as sub:
                sub.subscribe("alias/#")
                for _ in range(3):
                    pub.publish("alias/size", payload)
                    tap.equal(sub.next().topic, "alias/size", "topic")
                if not broker.MOSQUITTO:
                    tap.equal(sub.new, spare >= 3, "alias told with %d bytes to spare" % spare)


@tap.test
def dropped(server):
    """Messages that were dropped, or waited half sent, leave every alias right."""
    random.seed(1)
    count = 0
    with Reader(server, 8, rcvbuf=4096) as sub, server.client(wire.V5) as pub:
        sub.subscribe("alias/#")
        with broker.Growth(server) as grown:
            for _ in range(5):
                # Fills the socket, then the queue; every second one expires there.
                for i in range(60):
                    name = topic_of(random.randrange(20))
                    text = b"%d %s %d " % (count, name.encode(), i % 2)
                    pub.publish(name, text + bytes(random.randrange(40000)),
                                properties=wire.prop(wire.EXPIRY, 1) if i % 2 else b"")
                    count += 1
                pub.ping()
                time.sleep(1.5)
                # Some of it leaves, to the middle of a packet.
                for _ in range(random.randrange(30)):
                    sub.buffer += sub.sock.recv(20000)
            pub.publish1("alias/end", b"%d alias/end 0" % count)
            last = -1
            while last < count:
                got = sub.next()
                number, name = got.payload.split(b" ")[:2]
                tap.equal(got.topic, name.decode(), "topic of message %d" % int(number))
                tap.true(int(number) > last, "message %d after %d" % (int(number), last))
                last = int(number)
        sub.ping()
    grown.at_least("publish_dropped_queue_full", 1)
    grown.at_least("publish_dropped_expired", 1)


@tap.test
def given_back(server):
    """What a connection's aliases take is given back with it."""
    broker.only_kmqtt()
    broker.wait_for(lambda: server.stats()["connections"] == 0, "connections gone")
    before = server.stats()["memory"]
    with Reader(server, 64) as sub, server.client(wire.V311) as pub:
        sub.subscribe("#")
        for i in range(200):
            pub.publish("%d/" % i + "x" * 200)
            sub.next()
        pub.ping()
        took = server.stats()["memory"] - before
        tap.true(64 * 200 < took < 64 * 300 + 8192, "aliases take %d bytes" % took)
    broker.wait_for(lambda: server.stats()["connections"] == 0, "connections gone")
    broker.wait_for(lambda: server.stats()["memory"] == before, "memory given back")


with broker.Broker("max_queued_messages 0\n") as daemon:
    tap.run(daemon)
