#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# core
"""CONNACK of success in each version, and what follows from CONNECT."""
import select
import time

from lib import broker, tap, wire

CONF = "allow_zero_length_clientid true\n"


@tap.test
def accepted(server):
    """3.1, 3.1.1: CONNACK byte for byte."""
    for version in (wire.V31, wire.V311):
        with server.client(version, join=False) as c:
            c.send(wire.connect(version, "plain"))
            c.expect(bytes.fromhex("20020000"), "CONNACK")
            c.leave()


@tap.test
def accepted5(server):
    """5.0: CONNACK of success with properties that can be read."""
    with server.client(wire.V5, join=False) as c:
        c.send(wire.connect(wire.V5, "five"))
        raw = c.read()
        tap.equal(raw[0], 0x20, "first byte")
        tap.equal(raw[2:4], b"\0\0", "flags and reason code")
        found = dict(wire.read_props(raw, 4)[0])
        tap.true(wire.ASSIGNED_ID not in found, "an id was assigned to a client that has one")
        tap.true(found.get(wire.ALIAS_MAX, 0) > 0, "no topic aliases: %r" % found)
        c.leave()


@tap.test
def assigned(server):
    """5.0: a client without id is told its id, which works."""
    with server.client(wire.V5, client_id="") as c:
        name = c.properties[wire.ASSIGNED_ID].decode()
        tap.true(name, "the assigned id is empty")
        with server.client(wire.V5, client_id="") as other:
            tap.true(other.properties[wire.ASSIGNED_ID].decode() != name, "same id twice")
        c.ping()


@tap.test
def zero_length(server):
    """3.1.1: a client without id is accepted with Clean Session, else refused with 2."""
    with server.client(wire.V311, join=False) as c:
        c.send(wire.connect(wire.V311, ""))
        c.expect(bytes.fromhex("20020000"), "CONNACK")
    with server.client(wire.V311, join=False) as c:
        c.send(wire.connect(wire.V311, "", clean=False))
        c.expect(bytes.fromhex("20020002"), "CONNACK")
        c.expect_close()


@tap.test
def pinged(server):
    """PINGREQ is answered, many in a segment by as many."""
    for version in wire.VERSIONS:
        with server.client(version) as c:
            c.ping()
            c.send(wire.PING * 100)
            for _ in range(100):
                c.expect(wire.PONG, "PINGRESP")


@tap.test
def behind_connect(server):
    """What follows CONNECT in its segment is handled after it."""
    for version in wire.VERSIONS:
        with server.client(version, join=False) as c:
            c.send(wire.connect(version, "eager") + wire.subscribe(version, [("eager/t", 0)], 7)
                   + wire.publish(version, "eager/t", b"x") + wire.PING)
            c.joined()
            c.expect(wire.suback(version, [0], 7), "SUBACK")
            got = [c.read(), c.read()]
            tap.equal(sorted(got), sorted([wire.publish(version, "eager/t", b"x"), wire.PONG]),
                      "PUBLISH and PINGRESP")


@tap.test
def taken_over(server):
    """A second CONNECT with the id ends the first connection (5.0: 0x8E)."""
    for version in wire.VERSIONS:
        with server.client(version, client_id="twin") as old:
            with server.client(version, client_id="twin") as new:
                if version == wire.V5 and not broker.MOSQUITTO:
                    raw = old.read()
                    tap.equal((raw[0], raw[2]), (0xe0, 0x8e), "DISCONNECT")
                old.expect_close()
                new.ping()


@tap.test
def session_present(server):
    """Session Present tells whether the session was there."""
    for version in (wire.V311, wire.V5):
        name = "sess%d" % version
        keep = {"clean": False}
        if version == wire.V5:
            keep["properties"] = wire.prop(wire.SESSION_EXPIRY, 300)
        for want in (0, 1):
            with server.client(version, client_id=name, **keep) as c:
                tap.equal(c.present, want, "Session Present")
                c.leave()
        with server.client(version, client_id=name) as c:
            tap.equal(c.present, 0, "Session Present after a clean start")
            c.leave()


@tap.test
def keep_alive(server):
    """Keep alive: closed after 1.5 times its time of silence, not before, not with PINGREQ."""
    before = time.monotonic()
    with server.client(wire.V311, keepalive=2) as silent, \
            server.client(wire.V311, keepalive=2) as lively, broker.Growth(server) as grown:
        start = time.monotonic()
        while not select.select([silent.sock], [], [], 0.4)[0]:
            tap.true(time.monotonic() - start < 30, "not closed")
            lively.ping()
        silent.expect_close()
        closed = time.monotonic()
        tap.true(closed - before > 3, "closed too early, after %.1f s" % (closed - before))
        # Mosquitto looks once a second or less.
        tap.true(broker.MOSQUITTO or closed - start < 4.5,
                 "closed too late, after %.1f s" % (closed - start))
        lively.ping()
    grown.equal("closed_keepalive", 1)


@tap.test
def keep_alive5(server):
    """Keep alive in 5.0: DISCONNECT 0x8D first."""
    broker.only_kmqtt()
    with server.client(wire.V5, keepalive=1) as c:
        raw = c.read()
        tap.equal((raw[0], raw[2]), (0xe0, 0x8d), "DISCONNECT")
        c.expect_close()


@tap.test
def disconnected(server):
    """DISCONNECT closes and is counted."""
    for version in wire.VERSIONS:
        with broker.Growth(server) as grown, server.client(version) as c:
            c.leave()
        if not broker.MOSQUITTO:
            broker.wait_for(lambda: server.stats()["connections"] == 0, "connection gone")
            tap.equal(server.stats()["closed_disconnect"] > grown.before["closed_disconnect"],
                      True, "counted")


with broker.Broker(CONF) as daemon:
    tap.run(daemon)
