#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
# core
"""What was acknowledged survives kill -9 of mqttd, with the connections and without them.

KMQTT_KILLS: how often mqttd is killed in the counted load, 5 times by default.
"""
import json
import os
import threading
import time

from lib import broker, tap, wire
from lib.crowd import Crowd

# Session Expiry Interval, a minute.
KEPT = b"\x11\x00\x00\x00\x3c"


def again(server, keep=False):
    """kill -9 and a new daemon; unless @keep all connections are gone with the module."""
    server.kill()
    if not keep:
        broker.unload()
    server.start()


def durable(server, version, name, **options):
    """A client whose session outlives its connection."""
    extra = {"properties": KEPT} if version == wire.V5 else {}
    return server.client(version, client_id="%s-%d" % (name, version), clean=False,
                         **extra, **options)


def shown(server, name):
    return json.loads(server.ctl("-j", "client", "show", name).stdout)


@tap.test
def queued(server):
    """What was queued for a client that is away, in order, with what it had not acknowledged."""
    for version in wire.VERSIONS:
        with durable(server, version, "queued") as c, server.client() as pub:
            c.subscribe("queued/%d" % version, 2)
            pub.publish1("queued/%d" % version, b"unacknowledged")
            first = c.message()
    with server.client() as pub:
        for i in range(50):
            for version in wire.VERSIONS:
                pub.publish1("queued/%d" % version, b"%d" % i, mid=i + 1)
    again(server)
    for version in wire.VERSIONS:
        with durable(server, version, "queued") as c:
            if version != wire.V31:
                tap.equal(c.present, 1, "session present")
            got = c.message()
            tap.equal((got.payload, got.mid, got.dup), (b"unacknowledged", first.mid, 1), "first")
            c.send(wire.ack(wire.PUBACK, got.mid))
            for i in range(50):
                got = c.message()
                tap.equal((got.payload, got.qos), (b"%d" % i, 1), "message")
                c.send(wire.ack(wire.PUBACK, got.mid))
            # Its answer says that what was sent before is stored.
            c.subscribe("queued/none")
    # What was acknowledged is gone.
    again(server)
    for version in wire.VERSIONS:
        with durable(server, version, "queued") as c:
            c.expect_silence()


@tap.test
def retained(server):
    """Retained messages: set, replaced, cleared."""
    with server.client() as pub:
        for i in range(20):
            pub.publish1("kept/%d" % i, b"old", retain=True)
        for i in range(10):
            pub.publish("kept/%d" % i, b"new %d" % i, retain=True)
        pub.publish1("kept/19", b"", retain=True)
    again(server)
    with server.client() as sub:
        sub.subscribe("kept/#")
        got = {m.topic: m.payload for m in (sub.message() for _ in range(19))}
        sub.expect_silence()
    want = {"kept/%d" % i: b"new %d" % i if i < 10 else b"old" for i in range(19)}
    tap.equal(got, want, "retained messages")


@tap.test
def subscriptions(server):
    """Subscriptions with their options, and those that were given up."""
    with durable(server, wire.V5, "subs") as c:
        c.subscribe("subs/a", 1, 1, b"\x0b\x07")
        c.subscribe("subs/b", 0x04, 2)
        c.subscribe("subs/c", 2, 3)
        c.unsubscribe("subs/c")
    again(server)
    with durable(server, wire.V5, "subs") as c, server.client() as pub:
        tap.equal(c.present, 1, "session present")
        pub.publish1("subs/c", b"nobody")
        pub.publish1("subs/b", b"b")
        tap.equal(c.message().payload, b"b", "message")
        pub.publish1("subs/a", b"a")
        got = c.message()
        tap.equal((got.payload, got.qos, got.properties), (b"a", 1, [(0x0b, 7)]), "message")
        c.send(wire.ack(wire.PUBACK, got.mid))
        c.publish("subs/b", b"mine")
        c.unsubscribe("subs/b", 4)
        c.unsubscribe("subs/c", 5, 0x11)


@tap.test
def expiry(server):
    """A session ends when its time is over, the daemon's absence included."""
    for name, seconds in (("short", 2), ("long", 60)):
        with server.client(wire.V5, client_id=name, clean=False,
                           properties=b"\x11" + seconds.to_bytes(4, "big")) as c:
            c.leave()
    server.kill()
    broker.unload()
    time.sleep(3)
    server.start()
    for name, present in (("short", 0), ("long", 1)):
        with server.client(wire.V5, client_id=name, clean=False) as c:
            tap.equal(c.present, present, "session present of " + name)


@tap.test
def will(server):
    """A will that waits for its delay is published once, after the restart."""
    watch = durable(server, wire.V311, "watch")
    watch.subscribe("late/will", 1)
    c = server.client(wire.V5, client_id="mortal", clean=False, properties=KEPT,
                      will=wire.Will("late/will", payload=b"gone", qos=1,
                                     properties=b"\x18\x00\x00\x00\x02"))
    c.close()
    broker.wait_for(lambda: "connection" not in shown(server, "mortal"), "its connection gone")
    watch.leave()
    again(server)
    with durable(server, wire.V311, "watch") as watch:
        tap.equal(watch.message(10).payload, b"gone", "will")
        watch.expect_silence()
    again(server)
    with durable(server, wire.V311, "watch") as watch:
        got = watch.message()
        tap.equal((got.payload, got.dup), (b"gone", 1), "will, not acknowledged")
        watch.send(wire.ack(wire.PUBACK, got.mid))
        watch.expect_silence(3)


@tap.test
def twice(server):
    """A QoS 2 PUBLISH that comes again after the crash is not a second message."""
    for keep in (True, False):
        name = "twice/%d" % keep
        with durable(server, wire.V311, name) as sub:
            sub.subscribe(name, 2)
            sub.leave()
        pub = durable(server, wire.V5, "sender")
        pub.publish(name, b"once", qos=2, mid=9)
        tap.equal(pub.read()[0] >> 4, wire.PUBREC, "PUBREC")
        again(server, keep)
        if not keep:
            pub.close()
            pub = durable(server, wire.V5, "sender")
            pub.publish(name, b"once", qos=2, mid=9, dup=True)
            tap.equal(pub.read()[0] >> 4, wire.PUBREC, "PUBREC")
        pub.send(wire.ack(wire.PUBREL, 9))
        tap.equal(pub.read()[:4], bytes.fromhex("70020009"), "PUBCOMP")
        pub.leave()
        with durable(server, wire.V311, name) as sub:
            got = sub.message()
            tap.equal((got.payload, got.qos), (b"once", 2), "message")
            sub.send(wire.ack(wire.PUBREC, got.mid))
            sub.expect(wire.ack(wire.PUBREL, got.mid), "PUBREL")
            again(server, keep)
            if not keep:
                sub = durable(server, wire.V311, name)
                sub.expect(wire.ack(wire.PUBREL, got.mid), "PUBREL again")
            sub.send(wire.ack(wire.PUBCOMP, got.mid))
            sub.ping()
            sub.expect_silence()
            sub.leave()


class Publisher(threading.Thread):
    """Publishes numbers at @qos, each acknowledged before the next; returns with @done."""

    def __init__(self, server, qos, topic):
        super().__init__()
        self.client = durable(server, wire.V5, "counting-%d" % qos)
        self.qos, self.topic = qos, topic
        self.sent, self.done, self.error = 0, False, None

    def run(self):
        try:
            while not self.done:
                self.one(self.sent)
                self.sent += 1
        except Exception as error:              # seen by who waits
            self.error = error

    def one(self, number):
        mid = number % 1000 + 1
        self.client.publish(self.topic, b"%d" % number, qos=self.qos, mid=mid)
        tap.equal(self.client.read(30)[0] >> 4, wire.PUBACK if self.qos == 1 else wire.PUBREC,
                  "answer")
        if self.qos == 2:
            self.client.send(wire.ack(wire.PUBREL, mid))
            tap.equal(self.client.read(30)[0] >> 4, wire.PUBCOMP, "answer")


@tap.test
def counted(server):
    """kill -9 in a counted QoS 1 and QoS 2 load: nothing lost, QoS 2 not twice, nobody closed."""
    broker.only_kmqtt()
    subs = [durable(server, v, "counts-%d" % q) for v in wire.VERSIONS for q in (1, 2)]
    for c in subs:
        c.subscribe("count/%s" % c.id.split("-")[1], 2)
    pubs = [Publisher(server, q, "count/%d" % q) for q in (1, 2)]
    with Crowd(subs) as crowd:
        for p in pubs:
            p.start()
        for _ in range(int(os.environ.get("KMQTT_KILLS", "5"))):
            time.sleep(1)
            again(server, keep=True)
        time.sleep(1)
        for p in pubs:
            p.done = True
            p.join()
            if p.error:
                raise p.error
        want = {"1": pubs[0].sent, "2": pubs[1].sent}
        tap.note("sent: %s" % want)
        for c in subs:
            n = want[c.id.split("-")[1]]
            crowd.wait(lambda c=c, n=n: len(distinct(crowd, c)) >= n, "all of %d" % n, 30)
        tap.equal(len(crowd.closed), 0, "closed connections")
        for c in subs:
            check(crowd, c, want[c.id.split("-")[1]])
    for c in subs + [p.client for p in pubs]:
        c.close()


def distinct(crowd, client):
    return {m.payload for m in crowd.messages(client)}


def check(crowd, client, want):
    got = [int(m.payload) for m in crowd.messages(client)]
    if "-2-" in client.id:
        tap.equal(got, list(range(want)), "QoS 2 messages of " + client.id)
    else:
        tap.equal(sorted(set(got)), list(range(want)), "QoS 1 messages of " + client.id)
        tap.note("%s: %d again" % (client.id, len(got) - want))


if __name__ == "__main__":
    with broker.Broker(durable=True) as daemon:
        tap.run(daemon)
