#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
"""mqttd dies at its n-th batch of commands or transaction, for every n of a session.

KMQTT_CRASH_STRIDE=1 tries every n; without it every 5th, from a random one.
"""
import os
import random
import threading
import time

from lib import broker, tap, wire

STRIDE = int(os.environ.get("KMQTT_CRASH_STRIDE", "5"))
KEPT = b"\x11\x00\x00\x00\x3c"


class Mortal(broker.Broker):
    """A broker whose daemon dies at a point, once; the next one follows at once."""

    def __init__(self):
        super().__init__(durable=True)
        self.watcher = None
        self.died = False
        self.over = False

    def live(self, point):
        self.died = self.over = False
        self.program = "mqttd-crash"
        os.environ["MQTTD_CRASH_AT"] = str(point)
        try:
            self.start(wait=False)
        finally:
            del os.environ["MQTTD_CRASH_AT"]
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()

    def watch(self):
        while not self.over:
            if self.process.poll() is not None:
                self.died = True
                self.program = "mqttd"
                self.start(wait=False)
                return
            time.sleep(0.01)

    def leave(self):
        self.over = True
        self.watcher.join()
        self.stop()


def patient(function):
    """Until there is somebody to connect to."""
    end = time.monotonic() + 30
    while True:
        try:
            return function()
        except (OSError, wire.Closed):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class Story:
    """What clients do, and what must have come of it, whoever died meanwhile."""

    def __init__(self, server, number):
        self.server = server
        self.number = number
        self.topic = "crash/%d" % number
        self.got = []
        self.sub = None

    def open(self, version, name, clean=False, **options):
        extra = {"properties": KEPT} if version == wire.V5 and not clean else {}
        return patient(lambda: self.server.client(
            version, client_id="%s-%d" % (name, self.number), clean=clean, **extra, **options))

    def take(self, count):
        """Read and acknowledge until @count different messages have come."""
        while len(set(self.got)) < count:
            raw = self.sub.read(20)
            kind, mid = raw[0] >> 4, None
            if kind == wire.PUBLISH:
                m = wire.parse_publish(self.sub.version, raw)
                self.got.append(m.payload)
                mid, kind = m.mid, (0, wire.PUBACK, wire.PUBREC)[m.qos]
            elif kind == wire.PUBREL:
                mid, kind = int.from_bytes(raw[2:4], "big"), wire.PUBCOMP
            self.sub.send(wire.ack(kind, mid))

    def send(self, client, payload, qos, mid, retain=False):
        client.publish(self.topic, payload, qos=qos, mid=mid, retain=retain)
        tap.equal(client.read(20)[0] >> 4, wire.PUBACK if qos == 1 else wire.PUBREC, "answer")
        if qos == 2:
            client.send(wire.ack(wire.PUBREL, mid))
            tap.equal(client.read(20)[0] >> 4, wire.PUBCOMP, "answer")

    def tell(self):
        self.sub = self.open(wire.V311, "sub")
        self.sub.subscribe("crash/%d" % self.number, 2)
        pub = self.open(wire.V5, "pub")
        self.send(pub, b"one", 1, 1)
        self.send(pub, b"two", 2, 2)
        self.send(pub, b"kept", 1, 3, retain=True)
        self.take(3)
        self.sub.close()
        self.send(pub, b"three", 1, 4)
        self.send(pub, b"four", 2, 5)
        mortal = self.open(wire.V5, "mortal", clean=True,
                           will=wire.Will(self.topic, b"will", 1))
        mortal.close()
        self.sub = self.open(wire.V311, "sub")
        tap.equal(self.sub.present, 1, "session present")
        self.take(6)
        # Taken over; its session goes on.
        again = self.open(wire.V5, "pub")
        tap.equal(again.present, 1, "session present of who takes over")
        pub.close()
        self.send(again, b"five", 2, 6)
        self.take(7)
        self.sub.send(wire.unsubscribe(wire.V311, [self.topic], 9))
        self.drain(wire.UNSUBACK)
        self.send(again, b"nobody", 1, 7)
        self.judge()
        self.leave(again)

    def drain(self, until):
        """What may still come before that answer."""
        while True:
            raw = self.sub.read(20)
            if raw[0] >> 4 == until:
                return
            if raw[0] >> 4 == wire.PUBREL:
                self.sub.send(wire.ack(wire.PUBCOMP, int.from_bytes(raw[2:4], "big")))
            else:
                m = wire.parse_publish(self.sub.version, raw)
                self.got.append(m.payload)
                self.sub.send(wire.ack((0, wire.PUBACK, wire.PUBREC)[m.qos], m.mid))

    def judge(self):
        once = [p for p in self.got if p in (b"two", b"four", b"five")]
        tap.equal(once, [b"two", b"four", b"five"], "QoS 2")
        acked = list(dict.fromkeys(p for p in self.got if p not in once))
        tap.equal(acked, [b"one", b"kept", b"three", b"will"], "QoS 1, repeats aside")
        with self.open(wire.V311, "reader", clean=True) as reader:
            reader.subscribe(self.topic)
            tap.equal(reader.message().payload, b"kept", "retained message")

    def leave(self, pub):
        pub.send(wire.publish(wire.V5, self.topic, b"", qos=1, retain=1, mid=8))
        pub.read(20)
        for c in (pub, self.sub):
            c.close()
        for version, name in ((wire.V5, "pub"), (wire.V311, "sub")):
            self.open(version, name, clean=True).close()


@tap.test
def sweep(server):
    """At every point: what was acknowledged comes, QoS 2 once, nobody is closed."""
    broker.only_kmqtt()
    point, tried = random.randint(1, STRIDE), 0
    while True:
        server.live(point)
        try:
            Story(server, point).tell()
        except Exception as error:
            raise AssertionError("death at point %d (it %s): %r" % (
                point, "died" if server.died else "lives", error)) from error
        finally:
            server.leave()
        tried += 1
        if not server.died:
            break
        point += STRIDE
    tap.note("%d points tried, the last is before %d" % (tried, point))
    tap.true(point > 50, "only %d points" % point)


if __name__ == "__main__":
    daemon = Mortal()
    broker.load()
    try:
        tap.run(daemon)
    finally:
        broker.unload()
