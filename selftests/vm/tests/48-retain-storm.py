#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
"""1,000 retained topics change at QoS 0 while clients subscribe, unsubscribe and reconnect:
what a client has of a topic in the end is what its publisher set last, CONNACK comes first."""
import random
import socket
import threading

from lib import broker, tap, wire
from lib.crowd import Crowd

SEED = 7
TOPICS = 1000
PUBLISHERS = 2
CLIENTS = 5
# A publisher's messages without a break: they and the retained stay below the queue limits.
BURST = 300
FILTERS = ("r/#", "r/+/+", "+/+/#")


class Publisher:
    """Has topics of its own, to which it publishes ascending numbers."""

    def __init__(self, server, number):
        self.client = server.client(wire.VERSIONS[number % 3], keepalive=0)
        self.topics = ["r/%d/%d" % (number, i) for i in range(TOPICS // PUBLISHERS)]
        self.random = random.Random(SEED + number)
        self.count = 0
        self.last = {}

    def burst(self, topics):
        data = []
        for topic in topics:
            self.count += 1
            self.last[topic] = self.count
            data.append(wire.publish(self.client.version, topic, b"%d" % self.count, retain=1))
        self.client.send(b"".join(data))
        # The daemon answers when it has handled those before.
        self.client.publish1("burst", b"")

    def some(self):
        return self.random.choices(self.topics, k=BURST)


class Watcher:
    """Subscribes, unsubscribes and reconnects; knows what it has been sent since."""

    def __init__(self, server, crowd, number):
        self.server, self.crowd, self.number = server, crowd, number
        self.random = random.Random(SEED * 100 + number)
        self.filter = FILTERS[number % len(FILTERS)]
        self.mid = 0
        self.gone = []
        self.connect()

    def connect(self):
        # The first packet is a CONNACK or this fails.
        self.client = self.server.client(wire.VERSIONS[self.number % 3], keepalive=0)
        self.crowd.add(self.client)
        self.subscribed = False
        self.subscribe()

    def subscribe(self):
        self.mid += 1
        v5 = self.client.version == wire.V5
        # Retain Handling 1 is like 0 while there is no such subscription.
        handling = 0 if not v5 or self.subscribed else self.random.randrange(2)
        self.client.send(wire.subscribe(self.client.version,
                                        [(self.filter, handling << 4), ("mark", 0)], self.mid))
        self.subscribed = True
        self.suback = wire.suback(self.client.version, [0, 0], self.mid)

    def unsubscribe(self):
        self.mid += 1
        self.client.send(wire.unsubscribe(self.client.version, [self.filter], self.mid))
        self.subscribed = False

    def act(self):
        what = self.random.randrange(5)
        if what == 0:
            # The reader sees the end and lets go of the descriptor, which is closed later.
            self.gone.append(self.client)
            self.client.sock.shutdown(socket.SHUT_RDWR)
            self.connect()
        elif what == 1 and self.subscribed:
            self.unsubscribe()
        elif what in (2, 3):
            self.subscribe()

    def has(self, raw):
        return raw in self.crowd.packets[self.client]

    def marked(self, mark):
        return self.has(wire.publish(self.client.version, "mark", mark))

    def values(self):
        """The last value of each topic; none of a topic ever goes back."""
        found = {}
        for m in self.crowd.messages(self.client):
            if m.topic == "mark":
                continue
            value = int(m.payload)
            tap.true(value >= found.get(m.topic, 0), "%s: %s from %d back to %d" % (
                self.client.id, m.topic, found.get(m.topic, 0), value))
            found[m.topic] = value
        return found


def storm(server, bursts):
    publishers = [Publisher(server, i) for i in range(PUBLISHERS)]
    marker = server.client()
    with Crowd() as crowd:
        for p in publishers:
            p.burst(p.topics)
        watchers = [Watcher(server, crowd, i) for i in range(CLIENTS)]
        for n in range(bursts):
            threads = [threading.Thread(target=p.burst, args=(p.some(),)) for p in publishers]
            for t in threads:
                t.start()
            for w in watchers:
                w.act()
            for t in threads:
                t.join()
            if n == bursts - 1:
                for w in watchers:
                    w.subscribe()
            crowd.wait(lambda: all(w.has(w.suback) for w in watchers), "SUBACK", 60)
            mark = b"%d" % n
            marker.publish1("mark", mark)
            crowd.wait(lambda m=mark: all(w.marked(m) for w in watchers), "mark %d" % n, 60)
        want = {}
        for p in publishers:
            want.update(p.last)
        for w in watchers:
            got = w.values()
            tap.equal(len(got), TOPICS, "topics that %s knows" % w.client.id)
            for topic, value in want.items():
                tap.equal(got[topic], value, "last value of %s at %s" % (topic, w.client.id))
        tap.note("%d connections" % sum(len(w.gone) + 1 for w in watchers))
        tap.equal(crowd.error, None, "error of the reader")
    for w in watchers:
        for c in w.gone + [w.client]:
            c.close()
    for c in [marker] + [p.client for p in publishers]:
        c.close()


@tap.test
def forwarding(server):
    """The kernel routes what is not retained."""
    storm(server, 8)


@tap.test
def no_forwarding(server):
    """The daemon routes everything."""
    broker.only_kmqtt()
    server.param("forwarding", 0)
    try:
        storm(server, 4)
    finally:
        server.param("forwarding", 1)


with broker.Broker("max_queued_messages 0\n") as daemon:
    tap.run(daemon)
