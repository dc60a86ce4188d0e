#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# core
"""Each refusal of a CONNECT has its answer."""
import os

from lib import broker, tap, wire


def refused(server, data, answer, version=wire.V311):
    """@answer: CONNACK, or b"" for a close without one."""
    with server.client(version, join=False) as c:
        c.send(data)
        if version == wire.V5 and answer:
            raw = c.read()
            tap.equal(raw[:1] + raw[2:4], bytes([0x20, 0, answer[0]]), "CONNACK")
        elif answer:
            c.expect(bytes([0x20, 2, 0]) + answer, "CONNACK")
        c.expect_close()


@tap.test
def anonymous(server):
    """A client without user name is refused: 5, in 5.0 0x87."""
    for version in (wire.V31, wire.V311):
        refused(server, wire.connect(version, "nobody"), b"\5")
    refused(server, wire.connect(wire.V5, "nobody"), b"\x87", wire.V5)


@tap.test
def password(server):
    """A wrong password and an unknown user are refused as not authorized: 5, in 5.0 0x87."""
    for user, word in (("alice", "wrong"), ("alice", ""), ("alice", None), ("bob", "secret")):
        for version in (wire.V31, wire.V311):
            refused(server, wire.connect(version, "who", username=user, password=word),
                    b"\5")
        with server.client(wire.V5, join=False) as c:
            c.send(wire.connect(wire.V5, "who", username=user, password=word))
            raw = c.read()
            tap.equal((raw[0], raw[3]), (0x20, 0x87), "CONNACK")
            c.expect_close()


@tap.test
def right_password(server):
    """The right password is accepted in each version."""
    for version in wire.VERSIONS:
        with server.client(version, username="alice", password="secret") as c:
            c.ping()


@tap.test
def version_unknown(server):
    """An unknown protocol version is refused: 1, in the form of 5.0 0x84."""
    for level in (2, 6, 127):
        with server.client(join=False) as c:
            c.send(wire.connect(wire.V311, "old", level=level, username="alice",
                                password="secret"))
            raw = c.read()
            tap.true(raw in (bytes.fromhex("20020001"), bytes.fromhex("2003008400")),
                     "CONNACK " + raw.hex(" "))
            c.expect_close()


@tap.test
def name_unknown(server):
    """A protocol name that is not MQTT's closes the connection."""
    broker.only_kmqtt()
    for name in ("HTTP", "MQTTX", "", "mqtt"):
        with server.client(join=False) as c:
            c.send(wire.connect(wire.V311, "alien", name=name))
            try:
                raw = c.read()
                tap.true(raw[0] == 0x20 and raw[3], "accepted: " + raw.hex(" "))
                c.expect_close()
            except wire.Closed:
                pass


@tap.test
def long_id(server):
    """3.1: a client id of 0 or 24 characters is refused with 2; 23 are accepted."""
    broker.only_kmqtt()
    who = {"username": "alice", "password": "secret"}
    for name in ("", "x" * 24):
        refused(server, wire.connect(wire.V31, name, **who), b"\2")
    with server.client(wire.V31, client_id="y" * 23, **who) as c:
        c.ping()
    with server.client(wire.V311, client_id="z" * 200, **who) as c:
        c.ping()


@tap.test
def malformed(server):
    """A malformed CONNECT closes the connection, and its cause is counted."""
    broken = (wire.connect(wire.V311, "r", flags=0x03),             # reserved flag
              wire.connect(wire.V311, "q", flags=0x1e),             # will QoS 3
              wire.connect(wire.V311, "p", flags=0x42),             # password without user
              wire.connect(wire.V311, b"\xff\xfe"),                 # not UTF-8
              wire.connect(wire.V311, b"a\0b"),
              wire.packet(wire.CONNECT, 1, wire.connect(wire.V311, "f")[2:]),
              wire.packet(wire.CONNECT, 0, wire.connect(wire.V311, "t")[2:-1]),
              wire.packet(wire.CONNECT, 0, b""))
    with broker.Growth(server) as grown:
        for data in broken:
            with server.client(join=False) as c:
                c.send(data)
                try:
                    raw = c.read()
                    tap.true(raw[0] == 0x20 and raw[3], "accepted: " + raw.hex(" "))
                    c.expect_close()
                except wire.Closed:
                    pass
    if not broker.MOSQUITTO:
        tap.equal(grown["closed_malformed"] + grown["closed_protocol_error"], len(broken),
                  "closes by malformed packets")


@tap.test
def first_packet(server):
    """A first packet other than CONNECT closes the connection without an answer."""
    for data in (wire.PING, wire.publish(wire.V311, "a", b"b"), wire.BYE,
                 wire.subscribe(wire.V311, [("#", 0)]), bytes.fromhex("20020000"),
                 b"GET / HTTP/1.1\r\n\r\n"):
        with server.client(join=False) as c:
            c.send(data)
            c.expect_close()


@tap.test
def second_connect(server):
    """A second CONNECT closes the connection (5.0: 0x82)."""
    who = {"username": "alice", "password": "secret"}
    for version in wire.VERSIONS:
        with server.client(version, **who) as c:
            c.send(wire.connect(version, "again", **who))
            if version == wire.V5 and not broker.MOSQUITTO:
                raw = c.read()
                tap.equal((raw[0], raw[2]), (0xe0, 0x82), "DISCONNECT")
            c.expect_close()


def main():
    path = "/tmp/kmqtt-passwords"
    broker.run("mosquitto_passwd", "-b", "-c", path, "alice", "secret")
    os.chmod(path, 0o644)
    conf = broker.CONF.replace("anonymous true", "anonymous false")
    with broker.Broker("password_file %s\n" % path, base=conf) as server:
        tap.run(server)


main()
