#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
"""Many retained messages go to a new subscription bit by bit, and nobody else waits for it."""
import os
import signal
import subprocess
import time

from lib import broker, tap, wire

COUNT = 20000
# What others wait for an answer of the daemon meanwhile, in seconds.
LIMIT = 1.5 * broker.SLOW
BIG = 300
SIZE = 32768            # BIG of them are more than twice what a transmit list takes


def fill(server):
    with server.client(wire.V311) as pub:
        for i in range(0, COUNT, 500):
            pub.send(b"".join(wire.publish(wire.V311, "big/%d/%d" % (j % 100, j), b"value",
                                           retain=1) for j in range(i, i + 500)))
            pub.ping()
        pub.publish1("done", b"")


def rss(server):
    with open("/proc/%d/status" % server.process.pid, encoding="ascii") as f:
        return next(int(l.split()[1]) for l in f if l.startswith("VmRSS"))


def round_trips(client, until):
    """The longest that a QoS 1 PUBLISH waited for its PUBACK, and how many there were."""
    worst = count = 0
    while not until():
        start = time.monotonic()
        client.publish1("trip", b"x", mid=count % 60000 + 1)
        worst = max(worst, time.monotonic() - start)
        count += 1
    return worst, count


@tap.test
def all_of_them(server):
    """Each comes once; a QoS 1 PUBLISH of another client is answered meanwhile."""
    fill(server)
    command = ["mosquitto_sub", "-p", str(server.port), "-t", "big/#", "-C", str(COUNT), "-W",
               "150", "-F", "%t"]
    with server.client(wire.V311) as other, \
         subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sub:
        # Its output is larger than the pipe: read by a process of its own.
        lines = subprocess.Popen(["sort"], stdin=sub.stdout, stdout=subprocess.PIPE, text=True)
        start = time.monotonic()
        worst, count = round_trips(other, lambda: sub.poll() is not None)
        tap.note("%d messages in %d ms; %d round trips, at worst %d ms" % (
            COUNT, (time.monotonic() - start) * 1000, count, worst * 1000))
        got = lines.communicate(timeout=60)[0].split()
    tap.equal(sub.returncode, 0, "status of mosquitto_sub")
    tap.equal(got, sorted("big/%d/%d" % (j % 100, j) for j in range(COUNT)), "topics")
    tap.true(worst < LIMIT, "a PUBLISH waited %d ms" % (worst * 1000))


@tap.test
def not_read(server):
    """Clients that ask for all and do not read cost little memory, and nobody time."""
    broker.only_kmqtt()
    before = rss(server)
    with server.client(wire.V311) as other:
        lazy = [server.client(wire.VERSIONS[i % 3], rcvbuf=4096, keepalive=0) for i in range(20)]
        for c in lazy:
            c.send(wire.subscribe(c.version, [("big/#", 0), ("#", 1), ("+/+/#", 2)]))
        end = time.monotonic() + 5
        worst, _ = round_trips(other, lambda: time.monotonic() > end)
        used = rss(server) - before
        tap.note("%d KiB for %d; at worst %d ms" % (used, len(lazy), worst * 1000))
        tap.true(worst < LIMIT, "a PUBLISH waited %d ms" % (worst * 1000))
        # Lists of what they are owed would be 100 MB at least.
        tap.true(used < 32768, "%d KiB more" % used)
        for c in lazy:
            c.close()
        other.publish1("trip", b"x")


@tap.test
def handed_over(server):
    """kill -9 amid the retained messages: the next daemon sends them, then live ones."""
    broker.only_kmqtt()
    with server.client(wire.V311, keepalive=0) as pub, \
         server.client(wire.V5, keepalive=0, rcvbuf=32768) as sub:
        for i in range(BIG):
            pub.publish1("r/%d" % i, b"%06d" % i + bytes(SIZE - 6), mid=i + 1, retain=1)
        sub.send(wire.subscribe(wire.V5, [("r/#", 0)]))
        pub.publish1("done", b"")
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(20)
        server.start()
        pub.publish("r/live", b"live")
        sub.expect(wire.suback(wire.V5, [0]), "SUBACK")
        got = set()
        while True:
            m = sub.message(30)
            if not m.retain:
                break
            got.add(int(m.payload[:6]))
        tap.equal(m.topic, "r/live", "the first live message")
        tap.equal(got, set(range(BIG)), "retained messages before it")
        for i in range(BIG):
            pub.publish1("r/%d" % i, b"", mid=i + 1, retain=1)


with broker.Broker(durable=True) as daemon:
    tap.run(daemon)
