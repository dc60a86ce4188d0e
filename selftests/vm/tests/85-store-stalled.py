#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""A disk that stalls or is full stops those whose packets have to be stored, and nobody else."""
import contextlib
import functools
import os
import time

from lib import broker, tap, wire

LARGE = b"x" * 60000
FULL = "16m"
MEMORY = 8 << 20


class Stalling(broker.Broker):
    """A broker whose commits wait while there is the file .stall."""

    def __init__(self):
        super().__init__("memory_limit %d\n" % MEMORY, durable=True, program="mqttd-crash")
        self.stall = os.path.join(self.dir, "stall")

    def start(self, wait=True):
        os.environ["MQTTD_STALL"] = self.stall
        super().start(wait)

    def hold(self):
        with open(self.stall, "w", encoding="utf-8"):
            pass

    def let_go(self):
        if os.path.exists(self.stall):
            os.unlink(self.stall)

    def __exit__(self, *error):
        self.let_go()
        super().__exit__(*error)


def away(server, name, topic):
    """A new stored session whose client is away."""
    with server.client(wire.V311, client_id=name, clean=True) as c:
        c.leave()
    with server.client(wire.V311, client_id=name, clean=False) as c:
        c.subscribe(topic, 1)
        c.leave()


def stuck(server, topic, payload=b"kept", **options):
    """A client whose PUBLISH has to be stored; the disk must be in the way already."""
    c = server.client(wire.V311)
    c.publish(topic, payload, qos=1, mid=7, **options)
    c.expect_silence(1)
    return c


def exchange(server, version, topic):
    """A clean client connects, subscribes, gets what another publishes at each QoS, and goes."""
    with server.client(version) as sub, server.client(version) as pub:
        sub.subscribe(topic + "/#", 2)
        for qos in range(3):
            pub.publish(topic + "/%d" % qos, b"free", qos=qos, mid=qos + 1)
            got = sub.message()
            tap.equal((got.topic, got.qos), (topic + "/%d" % qos, qos), "message")
            if qos == 1:
                sub.send(wire.ack(wire.PUBACK, got.mid))
                tap.equal(pub.read()[0] >> 4, wire.PUBACK, "PUBACK")
        tap.equal(pub.read()[0] >> 4, wire.PUBREC, "PUBREC")
        pub.send(wire.ack(wire.PUBREL, 3))
        tap.equal(pub.read()[0] >> 4, wire.PUBCOMP, "PUBCOMP")
        sub.send(wire.ack(wire.PUBREC, got.mid))
        tap.equal(sub.read()[0] >> 4, wire.PUBREL, "PUBREL")
        sub.send(wire.ack(wire.PUBCOMP, got.mid))
        sub.unsubscribe(topic + "/#")
        pub.publish1(topic + "/0", b"nobody")
        sub.expect_silence(0.3)
        sub.leave()
        pub.leave()


def stalling(function):
    """A test whose disk goes on afterwards, however it ended."""
    @functools.wraps(function)
    def wrapper(server):
        try:
            function(server)
        finally:
            server.let_go()
    return wrapper


@tap.test
@stalling
def others_go_on(server):
    """Who stores nothing connects, subscribes, publishes at each QoS and goes."""
    away(server, "away", "kept/#")
    with server.client(wire.V5, client_id="old") as before:
        before.subscribe("before/#", 1)
        server.hold()
        held = stuck(server, "kept/1")
        for version in wire.VERSIONS:
            exchange(server, version, "free/%d" % version)
        # One that was there, and takes over from itself; its will comes.
        with server.client(wire.V5) as watch:
            watch.subscribe("will/#", 1)
            with server.client(wire.V5, client_id="old", will=wire.Will("will/x", qos=1)) as now:
                before.expect_disconnect(0x8e)
                now.subscribe("before/#", 1)
            tap.equal(watch.message(10).topic, "will/x", "will")
            watch.close()
        held.expect_silence(0.3)
        server.let_go()
        held.expect(wire.ack(wire.PUBACK, 7), "PUBACK")
        held.leave()
    with server.client(wire.V311, client_id="away", clean=False) as c:
        tap.equal(c.message().topic, "kept/1", "what was stored")
        c.close()


@tap.test
@stalling
def order(server):
    """What one client sent stays in order, and what is not stored is not shown."""
    away(server, "away", "kept/#")
    with server.client() as sub, server.client() as late:
        sub.subscribe("kept/#", 1)
        sub.subscribe("free/#", 1)
        late.subscribe("free/#", 1)
        server.hold()
        held = stuck(server, "kept/2")
        sub.expect_silence(0.3)                 # it is not stored
        # QoS 0 waits only for what is on the same topic.
        for i in range(5):
            held.publish("free/t", b"%d" % i, qos=(i + 1) % 2, mid=10 + i)
        late.expect_silence(1)                  # behind it
        held.expect_silence(0.3)
        server.let_go()
        held.expect(wire.ack(wire.PUBACK, 7), "PUBACK")
        for i in (0, 2, 4):
            held.expect(wire.ack(wire.PUBACK, 10 + i), "PUBACK")
        got = [sub.message() for _ in range(6)]
        tap.equal([m.payload for m in got], [b"kept"] + [b"%d" % i for i in range(5)], "order")
        tap.equal([late.message().payload for _ in range(5)], [b"%d" % i for i in range(5)],
                  "order")
        held.close()
        sub.close()
        late.close()
    with server.client(wire.V311, client_id="away", clean=True) as c:
        c.leave()


@tap.test
@stalling
def retained(server):
    """A retained value is shown when it is stored, and once; other filters do not wait."""
    with server.client() as pub, server.client() as early:
        pub.publish1("ret/a", b"old", retain=1)
        pub.publish1("other/a", b"stored", retain=1)
        early.subscribe("ret/#")
        tap.equal(early.message().payload, b"old", "retained")
        server.hold()
        pub.publish("ret/a", b"new", retain=1)
        early.expect_silence(1)
        with server.client() as free:
            free.subscribe("other/#")
            tap.equal(free.message().payload, b"stored", "retained")
            free.leave()
        late = server.client()
        late.send(wire.subscribe(wire.V311, [("ret/#", 0)]))
        late.expect_silence(1)
        server.let_go()
        tap.equal(early.message().payload, b"new", "live")
        late.expect(wire.suback(wire.V311, [0]), "SUBACK")
        got = late.message()
        tap.equal((got.payload, got.retain), (b"new", 1), "retained")
        late.expect_silence(1)
        late.leave()
        early.leave()
        pub.leave()


@tap.test
@stalling
def sessions(server):
    """A stored session waits: to be made, to be resumed, to be ended by a clean CONNECT."""
    away(server, "away", "kept/#")
    away(server, "ended", "kept/#")
    server.hold()
    waiting = []
    for name, clean in (("made", False), ("away", False), ("ended", True)):
        c = server.client(wire.V311, join=False)
        c.send(wire.connect(wire.V311, name, clean=clean))
        waiting.append(c)
    exchange(server, wire.V311, "free")
    for c in waiting:
        c.expect_silence(0.3)
    server.let_go()
    for c, present in zip(waiting, (0, 1, 0)):
        c.expect(bytes([0x20, 2, present, 0]), "CONNACK")
        c.close()


@tap.test
@stalling
def killed(server):
    """kill -9 while the disk stalls: the next daemon stores what was not, once."""
    away(server, "away", "kept/#")
    with server.client() as free:
        free.subscribe("free/#", 1)
        server.hold()
        held = stuck(server, "kept/3")
        exchange(server, wire.V311, "between")
        server.kill()
        server.let_go()
        server.start()
        held.expect(wire.ack(wire.PUBACK, 7), "PUBACK")
        held.publish1("free/x", b"on", mid=8)
        tap.equal(free.message().payload, b"on", "message")
        held.leave()
        free.close()
    with server.client(wire.V311, client_id="away", clean=False) as c:
        tap.equal(c.message().topic, "kept/3", "message")
        c.expect_silence(0.5)
        c.close()


@tap.test
@stalling
def owed(server):
    """What is queued in memory is acknowledged when a crash would no longer lose it in silence."""
    away(server, "away", "kept/#")
    with server.client(wire.V5, properties=wire.prop(wire.RECEIVE_MAX, 1)) as sub:
        sub.subscribe("kept/#", 1)
        sub.subscribe("free/#", 1)
        server.hold()
        held = stuck(server, "kept/4")          # takes the one place, and is not stored
        with server.client(wire.V311) as pub:
            pub.publish("free/queued", b"owed", qos=1, mid=5)
            pub.expect_silence(1)               # the kernel does not know that it is owed
            server.kill()
            server.let_go()
            server.start()
            held.expect(wire.ack(wire.PUBACK, 7), "PUBACK")
            pub.expect(wire.ack(wire.PUBACK, 5), "PUBACK")
            for topic in "kept/4", "free/queued":
                got = sub.message()
                tap.equal(got.topic, topic, "message")
                sub.send(wire.ack(wire.PUBACK, got.mid))
            pub.leave()
        held.leave()
        sub.close()
    with server.client(wire.V311, client_id="away", clean=True) as c:
        c.leave()


@tap.test
@stalling
def bounded(server):
    """Stored sessions are refused before all that they are sent fills the memory."""
    names = ["away%d" % i for i in range(30)]
    for name in names:
        away(server, name, "kept/#")
    with contextlib.ExitStack() as stack, server.client() as pub:
        for i in range(10):
            pub.publish1("kept/%d" % i, LARGE, mid=i + 1)
        server.hold()
        for name in names:
            c = stack.enter_context(server.client(wire.V311, join=False))
            c.send(wire.connect(wire.V311, name, clean=False))
            try:
                tap.equal(c.read(0.5), bytes([0x20, 2, 0, 3]), "CONNACK")
                break
            except TimeoutError:
                pass
        tap.note("refused: " + name)
        tap.true(name not in names[:3] + names[-1:], "refused: " + name)
        exchange(server, wire.V5, "free")
        server.let_go()
        pub.publish1("kept/last", mid=100)
        pub.leave()
    for name in names:
        with server.client(wire.V311, client_id=name, clean=False) as c:
            for i in list(range(10)) + ["last"]:
                got = c.message()
                tap.equal(got.topic, "kept/%s" % i, "message")
                c.send(wire.ack(wire.PUBACK, got.mid))
            c.ping()
            c.leave()


@tap.test
def full(server):
    """On a full disk nothing is acknowledged that is not stored; others go on; space heals it."""
    server.stop()
    broker.unload()
    disk = os.path.join(server.dir, "disk")
    log = os.path.join(server.dir, "log")
    os.mkdir(disk)
    broker.run("mount", "-t", "tmpfs", "-o", "size=" + FULL, "tmpfs", disk)
    other = broker.Broker("persistence true\npersistence_location %s\nlog_dest file %s\n"
                          "log_type notice\n" % (disk, log),
                          base=broker.CONF.replace("persistence false\n", ""))
    filler = os.path.join(disk, "filler")
    try:
        with other:
            away(other, "away", "kept/#")
            with other.client() as pub:
                pub.publish1("ret/small", b"before", retain=1)
                start = time.monotonic()
                with open(filler, "wb", buffering=0) as f:
                    try:
                        while f.write(LARGE):
                            pass
                    except OSError:
                        pass
                # The log may have room of its own for a few.
                sent = 0
                while sent < 1000:
                    pub.publish("kept/%d" % sent, LARGE, qos=1, mid=sent + 1)
                    sent += 1
                    try:
                        pub.expect(wire.ack(wire.PUBACK, sent), "PUBACK")
                    except TimeoutError:
                        break
                tap.note("%d were acknowledged on the full disk" % (sent - 1))
                tap.true(sent < 1000, "the disk is not full")
                exchange(other, wire.V5, "free")
                time.sleep(5)
                with open(log, encoding="utf-8") as f:
                    lines = [l for l in f if "cannot write" in l]
                # Told once, and again each minute.
                most = 1 + (time.monotonic() - start) // 60
                tap.true(1 <= len(lines) <= most, "%d errors in the log" % len(lines))
                tap.true("full" in lines[0], lines[0])
                pub.expect_silence(0.3)
                os.unlink(filler)
                pub.expect(wire.ack(wire.PUBACK, sent), "PUBACK")
                pub.leave()
            with open(log, encoding="utf-8") as f:
                tap.true("can be written again" in f.read(), "nothing told that it goes on")
            other.kill()
            broker.unload()
            other.start()
            with other.client(wire.V311, client_id="away", clean=False) as c:
                for i in range(sent):
                    got = c.message()
                    tap.equal(got.topic, "kept/%d" % i, "message")
                    c.send(wire.ack(wire.PUBACK, got.mid))
                c.ping()
                c.leave()
    finally:
        broker.run("umount", disk)
        server.start()


if __name__ == "__main__":
    broker.only_kmqtt()
    with Stalling() as the_server:
        tap.run(the_server)
