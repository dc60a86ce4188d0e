#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
"""A consumer that does not read costs its own queue and nothing else."""
import json
import time

from lib import broker, tap, wire
from lib.crowd import Crowd, Undisturbed

# What the kernel lets a connection have of routed messages, and of send buffer.
QUEUE = 1 << 20
SMALL, LARGE = 2000, 60000
# Port of the listener that disconnects slow consumers.
STRICT = 1884
DEAF = 50
BATCH = 100


def deaf(server, version=wire.V311, name="slow/#", **options):
    """A client that subscribes and then reads no more."""
    c = wire.Client(version, rcvbuf=4096, **{"port": server.port, **options})
    c.subscribe(name)
    return c


def shown(server, client):
    found = json.loads(server.ctl("-j", "client", "show", client.id).stdout)
    return found["connection"]["stats"]


def flood(server, crowd, batches):
    """Seconds for @batches that everybody in @crowd got, none dropped by haste."""
    start = time.monotonic()
    with server.client(wire.V311) as pub:
        for done in range(batches):
            pub.send(b"".join(wire.publish(wire.V311, "slow/t", b"%06d" % i + bytes(SMALL))
                              for i in range(done * BATCH, done * BATCH + BATCH)))
            crowd.wait_all((done + 1) * BATCH)
        pub.leave()
    return time.monotonic() - start


def in_order(messages):
    numbers = [int(m.payload[:6]) for m in messages]
    tap.equal(numbers, sorted(set(numbers)), "order")
    return len(numbers)


def readers(server):
    found = [server.client(wire.VERSIONS[i % 3]) for i in range(10)]
    for c in found:
        c.subscribe("slow/#")
    return found


@tap.test
def one_of_many(server):
    """One that does not read: ten others get everything, it loses what does not fit, counted."""
    batches = 20
    good = readers(server)
    with Crowd(good) as crowd:
        alone = flood(server, crowd, batches)
    with deaf(server, keepalive=0) as slow, broker.Growth(server) as grown:
        with Crowd(good) as crowd:
            beside = flood(server, crowd, batches)
            for c in good:
                tap.equal(in_order(crowd.messages(c)), batches * BATCH, "messages of " + c.id)
        if not broker.MOSQUITTO:
            dropped = shown(server, slow)["dropped"]
            tap.true(dropped > 0, "nothing was dropped")
            tap.equal(len(crowd.closed), 0, "closed readers")
            left = batches * BATCH - dropped
            got = [slow.message() for _ in range(left)]
            in_order(got)
        # It is alive, and what comes now it gets.
            good[0].publish("slow/t", b"999999 end")
            tap.equal(slow.message().payload, b"999999 end", "message after reading again")
            slow.ping()
    tap.note("%.2f s without, %.2f s beside it" % (alone, beside))
    tap.true(beside < alone * 3 + 2, "%.1f s instead of %.1f s" % (beside, alone))
    if not broker.MOSQUITTO:
        grown.equal("publish_dropped_queue_full", dropped)
    for c in good:
        c.close()


@tap.test
def qos1_is_kept(server):
    """QoS 1 for one that does not read is not dropped; it comes when it reads."""
    with deaf(server, keepalive=0) as slow, server.client() as sub, server.client() as pub:
        slow.subscribe("slow/#", 1)
        sub.subscribe("slow/#", 1)
        for i in range(200):
            pub.publish1("slow/q", b"%06d" % i + bytes(LARGE // 2), mid=i + 1)
            got = sub.message()
            tap.equal(int(got.payload[:6]), i, "number")
            sub.send(wire.ack(wire.PUBACK, got.mid))
        for i in range(200):
            got = slow.message()
            tap.equal((int(got.payload[:6]), got.qos), (i, 1), "number, QoS")
            slow.send(wire.ack(wire.PUBACK, got.mid))
        slow.ping()


@tap.test
def bounded(server):
    """Many that do not read: memory stays within their queues and buffers, and is given back."""
    broker.only_kmqtt()
    broker.wait_for(lambda: server.stats()["connections"] == 0, "connections gone", 20)
    before, tcp = server.stats()["memory"], tcp_bytes()
    slow = [deaf(server, name="slow/%d" % i, keepalive=0) for i in range(DEAF)]
    with Undisturbed(server), server.client() as pub:
        start = time.monotonic()
        for _ in range(30):
            for i in range(0, DEAF, 10):
                pub.send(b"".join(wire.publish(wire.V311, "slow/%d" % j, bytes(LARGE))
                                  for j in range(i, i + 10)))
        pub.ping()
        memory, now = server.stats()["memory"] - before, tcp_bytes() - tcp
        tap.note("%.1f s" % (time.monotonic() - start))
    tap.note("queues hold %d KB each, sockets %d KB" % (memory / DEAF / 1024, now / DEAF / 1024))
    tap.true(memory > DEAF * LARGE, "the queues hold only %d bytes" % memory)
    tap.true(memory <= DEAF * (QUEUE + 100000), "the queues hold %d bytes" % memory)
    tap.true(now <= DEAF * 400 * 1024, "the sockets hold %d bytes" % now)
    for c in slow:
        c.close()
    broker.wait_for(lambda: server.stats()["connections"] == 0, "connections gone", 30)
    broker.wait_for(lambda: server.stats()["memory"] <= before, "memory given back", 10)
    broker.wait_for(lambda: tcp_bytes() <= tcp + (4 << 20), "sockets' memory given back", 20)


@tap.test
def total(server):
    """At the memory limit those who read go on, those who do not pay."""
    broker.only_kmqtt()
    server.param("memory_limit", 16 << 20)
    slow = [deaf(server, name="slow/%d" % i, keepalive=0) for i in range(40)]
    with Undisturbed(server), server.client() as pub:
        for i in range(40 * 25):
            pub.publish("slow/%d" % (i % 40), bytes(LARGE))
        pub.ping()
        memory = server.stats()["memory"]
        time.sleep(1)
    server.param("memory_limit", 256 << 20)
    tap.true((10 << 20) < memory <= (16 << 20), "memory is %d bytes" % memory)
    for c in slow:
        c.close()
    broker.wait_for(lambda: server.stats()["memory"] < 1 << 20, "memory given back", 30)


@tap.test
def honest(server):
    """What is counted is what is held: small messages, and few of many in a segment."""
    broker.only_kmqtt()
    server.param("memory_limit", 4 << 20)
    try:
        # The rest of each segment is for nobody.
        hold(server, 20, SMALL, 700, b"")
        hold(server, 10, 2200, 250, wire.publish(wire.V311, "nobody", bytes(7000)) * 4)
    finally:
        server.param("memory_limit", 256 << 20)


def hold(server, n, size, count, others):
    """@n connections get @count messages of @size each and read none."""
    slow = [deaf(server, name="slow/%d" % i, keepalive=0) for i in range(n)]
    before = steady()
    with server.client() as pub:
        for _ in range(count):
            pub.send(b"".join(wire.publish(wire.V311, "slow/%d" % i, bytes(size)) + others
                              for i in range(n)))
        pub.ping()
        memory, taken = server.stats()["memory"], before - steady()
    tap.note("%d KB counted, %d KB taken" % (memory / 1024, taken / 1024))
    # Beside it there are the sockets, their overhead, and what others do.
    tap.true(taken < (4 << 20) + n * 300000 + (7 << 20),
             "%d bytes taken, %d counted" % (taken, memory))
    for c in slow:
        c.close()
    broker.wait_for(lambda: server.stats()["connections"] == 0, "connections gone", 30)


def steady():
    """Available memory, once what is being freed is free: the same for two seconds."""
    seen = []
    for _ in range(60):
        seen = seen[-4:] + [available()]
        if len(seen) == 5 and max(seen) - min(seen) < 500000:
            break
        time.sleep(0.4)
    return seen[-1]


def available():
    with open("/proc/meminfo", encoding="ascii") as f:
        return sum(int(line.split()[1]) * 1024 for line in f if line.startswith("MemAvailable"))


@tap.test
def disconnected(server):
    """slow_consumer disconnect: it is closed (5.0: 0x97), counted; others stay."""
    broker.only_kmqtt()
    # Time to see that they are being closed, and to read again.
    server.param("close_timeout", 2000 * broker.SLOW * 2)
    try:
        close_slow(server)
    finally:
        server.param("close_timeout", 2000)


def close_slow(server):
    good = readers(server)
    with deaf(server, wire.V5, port=STRICT, keepalive=0) as slow5, \
            deaf(server, port=STRICT, keepalive=0) as slow3, \
            broker.Growth(server) as grown, Crowd(good) as crowd:
        want = grown.before["closed_slow"] + 2
        for _ in range(20):
            flood(server, crowd, 1)
            if server.stats()["closed_slow"] == want:
                break
            for c in good:
                crowd.packets[c].clear()
        tap.equal(drain(slow5)[:3], b"\xe0\x01\x97", "last packet of 5.0")
        tap.equal(drain(slow3)[0] >> 4, wire.PUBLISH, "type of the last packet of 3.1.1")
        tap.equal(len(crowd.closed), 0, "closed readers")
    grown.equal("closed_slow", 2)


@tap.test
def unloaded(server):
    """The module goes while connections still wait for their last packet to leave."""
    broker.only_kmqtt()
    with deaf(server) as slow3, deaf(server, wire.V5) as slow5, server.client() as pub:
        for _ in range(60):
            pub.publish("slow/t", bytes(LARGE))
        pub.ping()
        server.stop()
        broker.unload()
        for c in (slow3, slow5):
            drain(c)
        server.start()


def drain(client):
    """The last packet before the end."""
    last = b""
    try:
        while True:
            last = client.read()
    except wire.Closed:
        return last


def tcp_bytes():
    """Memory of all TCP sockets."""
    with open("/proc/net/sockstat", encoding="ascii") as f:
        for line in f:
            if line.startswith("TCP:"):
                return int(line.split()[-1]) * 4096
    return 0


CONF = "listener %d 127.0.0.1\nslow_consumer disconnect\n" % STRICT
# Pages in the free lists of the processors do not count as available: let there
# be few, or what is taken cannot be told from what was freed.
with open("/proc/sys/vm/percpu_pagelist_high_fraction", "w", encoding="ascii") as setting:
    setting.write("10000")
with broker.Broker("" if broker.MOSQUITTO else CONF) as daemon:
    tap.run(daemon)
