#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
"""What one peer can make the kernel hold is bounded, and given back when it goes."""
import os
import signal
import socket
import time

from lib import broker, tap, wire
from lib.crowd import Undisturbed

MB = 1 << 20
LARGEST = wire.varint(268435455)


def settled(server, before, what="memory given back"):
    broker.wait_for(lambda: server.stats()["connections"] == 0, "connections gone", 30)
    broker.wait_for(lambda: server.stats()["memory"] <= before + 20000, what, 20)


def free_bytes():
    with open("/proc/meminfo", encoding="ascii") as f:
        return sum(int(line.split()[1]) * 1024 for line in f if line.startswith("MemAvailable"))


@tap.test
def announced(server):
    """500 announce 256 MB and send little: only what has come is held."""
    broker.only_kmqtt()
    before, free = server.stats()["memory"], free_bytes()
    head = b"\x30" + LARGEST + b"\0\4many"
    with Undisturbed(server):
        crowd = [server.client(wire.VERSIONS[i % 3], keepalive=0) for i in range(500)]
        joined = free_bytes()
        for i, c in enumerate(crowd):
            c.send(head + bytes((i % 8) * 2500))
        time.sleep(0.5)
        memory = server.stats()["memory"] - before
        taken = joined - free_bytes()
        tap.note("connections %d KB, held %d KB, taken %d KB" % (
            (free - joined) / 1024, memory / 1024, taken / 1024))
        # 16 pages ahead of what has come, at most.
        tap.true(memory < 500 * (20000 + 17 * 4096), "%d bytes are held" % memory)
        tap.true(taken < memory * 2 + 12 * MB, "%d bytes are taken" % taken)
        for c in crowd:
            c.close()
    settled(server, before)


@tap.test
def announced_first(server):
    """256 MB announced as the first packet: closed at once, whatever it calls itself."""
    broker.only_kmqtt()
    before = server.stats()["memory"]
    with Undisturbed(server), broker.Growth(server) as grown:
        for first in (0x10, 0x30, 0x82, 0xf0):
            for body in (b"", b"\0\4MQTT\5\2\0\0\0", bytes(60000)):
                with server.client(join=False) as c:
                    try:
                        c.send(bytes([first]) + LARGEST + body)
                    except OSError:
                        continue
                    c.expect_close(5)
    tap.equal(grown["closed_packet_too_large"] + grown["closed_protocol_error"], 12, "closes")
    settled(server, before)


@tap.test
def limit(server):
    """At memory_limit who asks for more is closed (5.0: 0x97) and counted, others live."""
    broker.only_kmqtt()
    before = server.stats()["memory"]
    server.param("memory_limit", 8 * MB)
    try:
        with Undisturbed(server), server.client(wire.V5) as small:
            reasons = []
            with broker.Growth(server) as grown:
                for i in range(12):
                    with server.client(wire.VERSIONS[i % 3]) as c:
                        reasons.append(greedy(c, small))
            # One alone is stopped by the limit, none is told anything else.
            tap.equal(reasons, [b"", b"", b"\xe0\x01\x97"] * 4, "last packets")
            grown.equal("closed_quota", 12)
            # Many together: some are closed, what they hold stays within the limit.
            crowd = [server.client(wire.V311, keepalive=0) for _ in range(20)]
            with broker.Growth(server) as grown:
                share(crowd, b"\x30" + LARGEST + b"\0\1b")
                small.ping()
                tap.true(server.stats()["memory"] <= 8 * MB, "above the limit")
            tap.true(1 <= grown["closed_quota"] < 20, "%d closed" % grown["closed_quota"])
            for c in crowd:
                c.close()
    finally:
        server.param("memory_limit", 256 * MB)
    settled(server, before)


def share(crowd, head):
    """Each of @crowd sends 1 MB, in turn."""
    for round_ in range(16):
        for c in crowd:
            try:
                c.send((b"" if round_ else head) + bytes(MB // 16))
            except OSError:
                pass


def greedy(client, small):
    """Sends a packet that does not fit into the limit; its last answer."""
    client.send(b"\x30" + LARGEST + b"\0\1a")
    try:
        for _ in range(160):
            client.send(bytes(65536))
    except OSError:
        pass
    small.ping()
    try:
        last = client.read(5)
    except wire.Closed:
        return b""
    try:
        client.expect_close(5)
    except wire.Closed:
        pass
    return last[:3]


@tap.test
def punts(server):
    """While the daemon stands still punts are bounded, reading pauses; then all is answered."""
    before = server.stats().get("memory", 0)
    count = 3000
    filters = [("flood/" + "f" * 900, 0)]
    clients = [server.client(wire.VERSIONS[i % 3], keepalive=0) for i in range(6)]
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        for c in clients:
            c.sock.setblocking(False)
        sent = [push(c, [wire.subscribe(c.version, filters, mid=i + 1) for i in range(count)])
                if i % 2 else
                push(c, [wire.publish(c.version, "q1", bytes(900), qos=1, mid=i + 1)
                         for i in range(count)])
                for i, c in enumerate(clients)]
        time.sleep(0.5)
        if not broker.MOSQUITTO:
            memory = server.stats()["memory"] - before
            tap.note("%d KB for %d clients" % (memory / 1024, len(clients)))
            # Punts of a connection, and the look-ahead behind them.
            tap.true(memory < len(clients) * (MB + 200000), "%d bytes are held" % memory)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    for i, (c, rest) in enumerate(zip(clients, sent)):
        c.sock.setblocking(True)
        c.send(rest)
        for mid in range(1, count + 1):
            want = (wire.suback(c.version, [0], mid) if i % 2 else
                    wire.ack(wire.PUBACK, mid))
            got = c.read()
            # In 5.0 PUBACK may say that nobody subscribed.
            tap.equal((got[0], got[2:4]), (want[0], want[2:4]), "answer %d to %s" % (mid, c.id))
        c.close()
    if not broker.MOSQUITTO:
        settled(server, before)


def push(client, packets):
    """Send what the socket takes now; what it did not take."""
    data = b"".join(packets)
    at = 0
    end = time.monotonic() + 0.3
    while at < len(data) and time.monotonic() < end:
        try:
            at += client.sock.send(data[at:at + 65536])
            end = time.monotonic() + 0.3
        except BlockingIOError:
            time.sleep(0.02)
    return data[at:]


@tap.test
def answers(server):
    """Answers that cannot leave stop the reading; memory stays bounded, then all come."""
    before = server.stats().get("memory", 0)
    count = 600000
    pings = wire.Client(wire.V311, port=server.port, rcvbuf=4096, keepalive=0)
    acks = wire.Client(wire.V5, port=server.port, rcvbuf=4096, keepalive=0)
    one = [wire.publish(wire.V5, "none", qos=1, mid=i + 1) for i in range(20)]
    with Undisturbed(server):
        for c in (pings, acks):
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
            c.sock.setblocking(False)
        left = push(pings, [wire.PING * count])
        rest = push(acks, one * 10000)
        if not broker.MOSQUITTO:
            tap.true(left and rest, "it read on: %d, %d bytes left" % (len(left), len(rest)))
            memory = server.stats()["memory"] - before
            tap.note("%d KB held, %d of %d pings sent" % (
                memory / 1024, count - len(left) // 2, count))
            tap.true(memory < 4 * MB, "%d bytes are held" % memory)
    # It takes its answers: what was read is answered, nothing lost, and it goes on.
    pings.sock.setblocking(True)
    pings.sock.settimeout(wire.TIMEOUT)
    want = 2 * count - len(left) - len(left) % 2
    got = 0
    while got < want:
        got += len(pings.sock.recv(262144))
    tap.equal(got, want, "bytes of PINGRESP")
    pings.close()
    acks.close()
    if not broker.MOSQUITTO:
        settled(server, before)


@tap.test
def properties(server):
    """Thousands of user properties are passed on, and not kept."""
    before = server.stats().get("memory", 0)
    some = wire.prop(wire.USER_PROPERTY, ("", "")) * 13000
    many = some * 3
    with server.client(wire.V5, keepalive=0) as sub, \
            server.client(wire.V5, properties=many) as pub:
        sub.subscribe("props")
        for qos in (0, 1, 2):
            pub.publish("props", b"p", qos=qos, properties=some)
            tap.equal(len(sub.message().properties), 13000, "user properties")
            if qos:
                pub.read()
        pub.subscribe("other", properties=many)
        pub.publish("props", b"p", properties=many)
        tap.equal(len(sub.message().properties), 39000, "user properties of QoS 0")
    if not broker.MOSQUITTO:
        settled(server, before)


@tap.test
def aliases(server):
    """All topic aliases with the largest topics: bounded by the announced maximum."""
    broker.only_kmqtt()
    before = server.stats()["memory"]
    with Undisturbed(server), server.client(wire.V5, keepalive=0) as pub:
        most = pub.properties[wire.ALIAS_MAX]
        for again in range(20):
            for i in range(1, most + 1):
                topic = ("%d-%d-" % (again, i)).ljust(65535, "x")
                pub.publish(topic, b"", properties=wire.prop(wire.ALIAS, i))
        pub.ping()
        memory = server.stats()["memory"] - before
        tap.true(most * 65535 < memory < most * 70000 + 200000, "%d bytes are held" % memory)
    settled(server, before)


with broker.Broker() as daemon:
    tap.run(daemon)
