#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
# core
"""Keep Alive: who is silent is closed in time; nobody pays for what we do not read."""
import contextlib
import json
import os
import signal
import time

from lib import broker, tap, wire
from lib.crowd import Crowd

KEEPALIVE = 2
LIMIT = KEEPALIVE * 1.5
# What a timer of a loaded machine may be late.
LATE = 1.5
TOLD = b"\xe0\x01\x8d"


@contextlib.contextmanager
def stopped(server):
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


def until_closed(client, timeout=wire.TIMEOUT):
    """Its last packet, and when it was closed."""
    last = b""
    end = time.monotonic() + timeout
    try:
        while True:
            last = client.read(end - time.monotonic())
    except wire.Closed:
        return last, time.monotonic()


@tap.test
def silent(server):
    """Closed after 1.5 times the Keep Alive (5.0: told 0x8D), will published, counted."""
    with server.client(wire.V5, keepalive=0) as watch, broker.Growth(server) as grown:
        watch.subscribe("gone/#")
        quiet = [wire.Client(v, port=server.port, keepalive=KEEPALIVE,
                             will=wire.Will("gone/%d" % v)) for v in wire.VERSIONS]
        for c in quiet:
            c.ping()
        start = time.monotonic()
        with Crowd(quiet) as crowd:
            crowd.wait(lambda: len(crowd.closed) == len(quiet), "all are closed")
        for c in quiet:
            took = crowd.closed[c] - start
            if broker.MOSQUITTO:                # it looks every few seconds
                continue
            tap.true(LIMIT - 0.3 <= took <= LIMIT + LATE, "%s closed after %.1f s" % (c.id, took))
            if c.version == wire.V5:
                tap.equal(crowd.packets[c][-1][:3], TOLD, "last packet")
        tap.equal(sorted(watch.message().topic for _ in range(3)),
                  ["gone/3", "gone/4", "gone/5"], "wills")
    grown.equal("closed_keepalive", 3)


@tap.test
def alive(server):
    """Any packet keeps a connection; Keep Alive 0 needs none; the server's own counts."""
    with server.client(wire.V5, keepalive=0) as idle, \
            server.client(wire.V311, keepalive=KEEPALIVE) as pings, \
            server.client(wire.V5, keepalive=KEEPALIVE) as talks, \
            server.client(wire.V31, keepalive=KEEPALIVE) as acks:
        end = time.monotonic() + LIMIT * 2
        while time.monotonic() < end:
            pings.ping()
            talks.publish("t", b"x")
            acks.publish1("t", b"x")
            time.sleep(0.5)
        for c in (idle, pings, talks, acks):
            c.ping()


@tap.test
def long_packet(server):
    """A long packet that takes its time keeps its connection, until it gets no longer."""
    with server.client(wire.V311, keepalive=KEEPALIVE) as c:
        start = time.monotonic()
        c.send(b"\x30" + wire.varint(200000) + b"\0\4slow")
        while time.monotonic() < start + LIMIT * 1.7:
            c.send(bytes(3000))
            time.sleep(0.2)
        start = time.monotonic()
        _, when = until_closed(c)
        tap.true(broker.MOSQUITTO or when - start <= LIMIT + LATE,
                 "closed only after %.1f s" % (when - start))


@tap.test
def barrier(server):
    """Behind a barrier of a daemon that stands still: not closed, PINGREQ answered, once."""
    broker.only_kmqtt()
    ahead = (b"", wire.publish(wire.V311, "a", bytes(10)) * 3,
             wire.publish(wire.V311, "a", bytes(1000)) * 40,
             wire.publish(wire.V311, "a", bytes(20000)) * 2,
             wire.publish(wire.V311, "a", b"q", qos=1, mid=9))
    clients = [server.client(wire.V311, keepalive=KEEPALIVE) for _ in ahead]
    mute = server.client(wire.V5, keepalive=KEEPALIVE)
    pings = 6
    with stopped(server):
        start = time.monotonic()
        mute.send(wire.subscribe(wire.V5, [("b", 0)]))
        for c, data in zip(clients, ahead):
            c.send(wire.subscribe(wire.V311, [("b/" + c.id, 0)], 7) + data)
        for i in range(pings):
            for c in clients:
                # In one segment or in two.
                c.send(wire.PING[:1])
                if i % 2:
                    time.sleep(0.05)
                c.send(wire.PING[1:])
            for c in clients:
                c.expect(wire.PONG, "PINGRESP behind a barrier")
            time.sleep(LIMIT * 1.5 / pings)
        tap.true(time.monotonic() - start > LIMIT * 1.2, "too short to tell anything")
    for c, data in zip(clients, ahead):
        c.expect(wire.suback(wire.V311, [0], 7), "SUBACK")
        if data[:1] == b"\x32":
            c.expect(wire.ack(wire.PUBACK, 9), "PUBACK")
        # Each PINGREQ had its answer: this is the answer to a new one.
        c.ping()
        c.publish("b/" + c.id, b"alive")
        tap.equal(c.message().payload, b"alive", "payload")
        c.expect_silence(0.2)
        c.close()
    mute.expect(wire.suback(wire.V5, [0]), "SUBACK")
    mute.ping()
    mute.close()


@tap.test
def beyond(server):
    """Behind more than the look-ahead nothing is lost: what waits is handled, in order."""
    broker.only_kmqtt()
    with server.client(wire.V311, keepalive=KEEPALIVE) as c, server.client(wire.V5) as sub:
        sub.subscribe("far/#")
        with stopped(server):
            c.send(wire.subscribe(wire.V311, [("b", 0)], 7))
            for i in range(150):
                c.send(wire.publish(wire.V311, "far/t", b"%d " % i + bytes(1000)))
            c.send(wire.PING)
            time.sleep(LIMIT * 1.4)
        c.expect(wire.suback(wire.V311, [0], 7), "SUBACK")
        c.expect(wire.PONG, "PINGRESP")
        for i in range(150):
            tap.equal(int(sub.message().payload.split()[0]), i, "message")
        c.ping()


@tap.test
def silent_behind(server):
    """The clock goes on when the barrier opens: who then is silent is closed."""
    broker.only_kmqtt()
    with server.client(wire.V5, keepalive=KEEPALIVE) as c, broker.Growth(server) as grown:
        with stopped(server):
            c.send(wire.subscribe(wire.V5, [("b", 0)]))
            time.sleep(LIMIT * 1.5)
        start = time.monotonic()
        c.expect(wire.suback(wire.V5, [0]), "SUBACK")
        last, when = until_closed(c)
        tap.equal(last[:3], TOLD, "last packet")
        tap.true(LIMIT - KEEPALIVE <= when - start <= LIMIT + LATE,
                 "closed after %.1f s" % (when - start))
    grown.equal("closed_keepalive", 1)


def stuff(client):
    """PINGREQs until the broker reads no more."""
    client.sock.settimeout(0.5)
    try:
        while True:
            client.sock.send(wire.PING * 8192)
    except TimeoutError:
        return time.monotonic()


def last_progress(server, client):
    """Wait until @client is closed; when the broker last read from it or wrote to it."""
    moved, since = None, time.monotonic()
    while True:
        before = time.monotonic()
        shown = server.ctl("-j", "client", "show", client.id, check=False)
        found = {} if shown.returncode else json.loads(shown.stdout)
        if "connection" not in found:
            return since
        counters = found["connection"]["stats"]
        now = counters["bytes_rx"], counters["bytes_tx"]
        if now != moved:
            moved, since = now, before
        tap.true(before - since < wire.TIMEOUT, "never closed")
        time.sleep(0.1)


@tap.test
def deaf(server):
    """Who does not take our answers is closed by the clock of our transmission."""
    broker.only_kmqtt()
    with server.client(wire.V5, keepalive=0) as watch, broker.Growth(server) as grown, \
            wire.Client(wire.V311, port=server.port, rcvbuf=4096, keepalive=KEEPALIVE,
                        will=wire.Will("deaf")) as c:
        watch.subscribe("deaf")
        stuff(c)
        since = last_progress(server, c)
        tap.equal(watch.message().topic, "deaf", "will")
        took = time.monotonic() - since
        tap.true(LIMIT - LATE <= took <= LIMIT + LATE, "closed after %.1f s" % took)
    grown.equal("closed_keepalive", 1)


@tap.test
def slow(server):
    """Who takes them slowly is not: the answers that leave keep the connection."""
    broker.only_kmqtt()
    with wire.Client(wire.V311, port=server.port, rcvbuf=4096, keepalive=KEEPALIVE) as c:
        stuff(c)
        end = time.monotonic() + LIMIT * 2.5
        while time.monotonic() < end:
            tap.true(c.sock.recv(60000), "closed")
            time.sleep(0.02)


with broker.Broker() as daemon:
    tap.run(daemon)
