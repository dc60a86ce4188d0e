#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# core
"""MQTT 5.0: what the broker says of itself and of its refusals, and how large that may be."""
import sys

from lib import broker, tap, wire

CONF = """listener %d 127.0.0.1
allow_anonymous true
max_qos 1
persistence false
retain_available false
max_keepalive 100
allow_zero_length_clientid false
log_type error
log_type warning
"""
RETAIN, QOS, TOO_LARGE, QUOTA = 0x9a, 0x9b, 0x95, 0x97
# Its PUBLISH is refused with 0x97, see 43-large-strings.py.
TOO_MUCH = wire.prop(wire.USER_PROPERTY, ("k", b"x" * 60000)) * 20


def connack(server, data, close=True):
    """Reason code and properties of the answer to a CONNECT; its length."""
    with server.client(wire.V5, join=False) as c:
        c.send(data)
        raw = c.read()
        tap.equal(raw[0], 0x20, "first byte")
        if close:
            tap.equal(raw[2], 0, "Session Present")
            c.expect_close()
    return raw[3], dict(wire.read_props(raw, 4)[0]), len(raw)


@tap.test
def told(server):
    """CONNACK: Maximum QoS, Retain Available, Server Keep Alive where they differ."""
    for keepalive, want in ((0, 100), (101, 100), (65535, 100), (100, None), (10, None)):
        code, found, _ = connack(server, wire.connect(wire.V5, "told", keepalive=keepalive), False)
        tap.equal(code, 0, "reason code")
        tap.equal(found.get(wire.SERVER_KEEPALIVE), want, "Server Keep Alive of %d" % keepalive)
        tap.equal((found[wire.MAX_QOS], found[wire.RETAIN_AVAILABLE]), (1, 0), "what it can")
        # What it can do it need not say.
        tap.true(not {40, 41, 42} & set(found), "filters: %r" % found)


@tap.test
def will_refused(server):
    """A will that asks for more than that: CONNACK 0x9B, 0x9A, and why."""
    for will, reason in ((wire.Will("w", qos=2), QOS), (wire.Will("w", retain=1), RETAIN)):
        code, found, _ = connack(server, wire.connect(wire.V5, "will", will=will))
        tap.equal(code, reason, "reason code")
        tap.true(b"will" in found[wire.REASON_STRING], "Reason String %r" % found)


@tap.test
def id_refused(server):
    """An empty client id where none is assigned: CONNACK 0x85, in 3.1.1 return code 2."""
    tap.equal(connack(server, wire.connect(wire.V5, ""))[0], 0x85, "reason code")
    with server.client(wire.V311, join=False) as c:
        c.send(wire.connect(wire.V311, ""))
        c.expect(bytes.fromhex("20020002"), "CONNACK")
        c.expect_close()


@tap.test
def publish_refused(server):
    """So does a PUBLISH: DISCONNECT 0x9B, 0x9A."""
    for options, reason in (({"qos": 2}, QOS), ({"retain": 1}, RETAIN),
                            ({"qos": 1, "retain": 1}, RETAIN)):
        with server.client(wire.V5) as c:
            c.publish("more", b"x", **options)
            c.expect_disconnect(reason)


@tap.test
def subscribe_granted(server):
    """A SUBSCRIBE that asks for more is granted what there is."""
    for version in wire.VERSIONS:
        with server.client(version, keepalive=60) as c, server.client(wire.V5) as pub:
            c.send(wire.subscribe(version, [("g/0", 0), ("g/1", 1), ("g/2", 2)]))
            c.expect(wire.suback(version, [0, 1, 1]), "SUBACK")
            pub.publish1("g/2", b"x")
            tap.equal(c.message().qos, 1, "QoS")


@tap.test
def connack_too_large(server):
    """A client that does not take the CONNACK is refused with 0x95, or closed in silence."""
    _, _, length = connack(server, wire.connect(wire.V5, "fits"), False)
    for most, code in ((length, 0), (length - 1, TOO_LARGE), (5, TOO_LARGE)):
        found = connack(server, wire.connect(wire.V5, "fits", properties=wire.prop(
            wire.MAX_PACKET, most)), bool(code))
        tap.equal(found[0], code, "reason code at %d" % most)
        tap.true(found[2] <= most, "CONNACK of %d bytes at %d" % (found[2], most))
    with server.client(wire.V5, join=False) as c:
        c.send(wire.connect(wire.V5, "tiny", properties=wire.prop(wire.MAX_PACKET, 4)))
        c.expect_close()


@tap.test
def suback_too_large(server):
    """SUBACK and UNSUBACK that a client does not take: DISCONNECT 0x95, and nothing done."""
    names = ["s/%d" % i for i in range(40)]
    with server.client(wire.V5, client_id="sub", clean=False, properties=wire.prop(
            wire.MAX_PACKET, 45) + wire.prop(wire.SESSION_EXPIRY, 60)) as c:
        c.send(wire.subscribe(wire.V5, [(n, 0) for n in names]))
        c.expect(wire.suback(wire.V5, [0] * 40), "SUBACK of 45 bytes")
        c.send(wire.subscribe(wire.V5, [(n + "/x", 0) for n in names + ["s/40"]]))
        c.expect_disconnect(TOO_LARGE)
    with server.client(wire.V5, client_id="sub", clean=False,
                       properties=wire.prop(wire.MAX_PACKET, 44)) as c:
        tap.equal(c.present, 1, "Session Present")
        c.send(wire.unsubscribe(wire.V5, names))
        c.expect_disconnect(TOO_LARGE)


@tap.test
def reason_string(server):
    """A Reason String comes as far as the client takes packets of that length."""
    will = wire.Will("w", retain=1)
    code, found, length = connack(server, wire.connect(wire.V5, "why", will=will))
    tap.equal(code, RETAIN, "reason code")
    tap.true(found[wire.REASON_STRING], "no Reason String")
    for most, there in ((length + 6, True), (length - 1, False)):
        code, found, size = connack(server, wire.connect(
            wire.V5, "why", will=will, properties=wire.prop(wire.MAX_PACKET, most)))
        tap.equal((code, wire.REASON_STRING in found), (RETAIN, there), "answer")
        tap.true(size <= most, "CONNACK of %d bytes at %d" % (size, most))


@tap.test
def problem_info(server):
    """Request Problem Information 0: no Reason String in PUBACK, but in CONNACK."""
    for value, there in ((None, True), (1, True), (0, False)):
        wanted = b"" if value is None else wire.prop(wire.PROBLEM_INFO, value)
        with server.client(wire.V5, properties=wanted) as c:
            c.publish("much", qos=1, mid=9, properties=TOO_MUCH)
            raw = c.read()
            tap.equal((raw[0], raw[2:5]), (0x40, b"\0\x09" + bytes([QUOTA])), "PUBACK")
            found = dict(wire.read_props(raw, 5)[0]) if len(raw) > 5 else {}
            tap.equal(wire.REASON_STRING in found, there, "Reason String in PUBACK")
        code, found, _ = connack(server, wire.connect(
            wire.V5, "why", will=wire.Will("w", retain=1), properties=wanted))
        tap.equal((code, wire.REASON_STRING in found), (RETAIN, True), "CONNACK")


@tap.test
def kicked(server):
    """A DISCONNECT says why, within the client's Maximum Packet Size, and no expiry."""
    for most in (None, 20):
        wanted = b"" if most is None else wire.prop(wire.MAX_PACKET, most)
        with server.client(wire.V5, client_id="kicked", properties=wanted) as c:
            server.ctl("client", "kick", "kicked")
            raw = c.read()
            tap.equal((raw[0], raw[2]), (0xe0, 0x98), "DISCONNECT")
            found = dict(wire.read_props(raw, 3)[0]) if len(raw) > 3 else {}
            tap.equal(sorted(found), [] if most else [wire.REASON_STRING], "properties")
            c.expect_close()


if broker.MOSQUITTO:
    print("1..0 # SKIP kmqtt only")
    sys.exit(0)
with broker.Broker(base=CONF) as daemon:
    tap.run(daemon)
