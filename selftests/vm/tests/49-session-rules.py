#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
"""How sessions and wills begin and end, and which acknowledgement fits which message."""
import socket
import struct
import sys
import time

from lib import broker, tap, wire
from lib.wire import PUBACK, PUBCOMP, PUBREC, PUBREL

HOUR = 3600
NEVER = 0xffffffff
SETTLED = 0.5 * broker.SLOW         # a close has been handled: there is no packet that says so


def life(seconds):
    return wire.prop(wire.SESSION_EXPIRY, seconds)


def leave(client, *properties):
    """5.0 DISCONNECT with properties."""
    client.send(wire.disconnect5(0, b"".join(properties)))
    client.expect_close()
    client.close()
    time.sleep(SETTLED)


def present(server, clean=False, expiry=0):
    with server.client(wire.V5, client_id="rule", clean=clean, properties=life(expiry)) as c:
        c.send(wire.disconnect5(0))
        c.expect_close()
        return c.present


@tap.test
def clean_start(server):
    """Clean Start ends the session, the Session Expiry Interval says whether one stays."""
    for expiry, stays in ((0, 0), (60, 1), (NEVER, 1)):
        for clean in (True, False):
            leave(server.client(wire.V5, client_id="rule", clean=clean,
                                properties=life(expiry)))
            tap.equal(present(server), stays, "Session Present after %d" % expiry)
            time.sleep(SETTLED)
            tap.equal(present(server), 0, "Session Present after 0")
            time.sleep(SETTLED)
    leave(server.client(wire.V5, client_id="rule", properties=life(60)))
    tap.equal(present(server, clean=True), 0, "Session Present with Clean Start")


@tap.test
def expiry_at_disconnect(server):
    """DISCONNECT changes the interval: to never, to 1 s, to 0."""
    c = server.client(wire.V5, client_id="rule", properties=life(1))
    leave(c, life(NEVER))
    time.sleep(2)
    c = server.client(wire.V5, client_id="rule", clean=False, properties=life(600))
    tap.equal(c.present, 1, "Session Present after never")
    leave(c, life(1))
    time.sleep(2 + SETTLED)
    c = server.client(wire.V5, client_id="rule", clean=False, properties=life(600))
    tap.equal(c.present, 0, "Session Present after 1 s")
    leave(c, life(0))
    tap.equal(present(server), 0, "Session Present after 0")


@tap.test
def expiry_limit(server):
    """persistent_client_expiration limits the interval, and CONNACK tells it."""
    for asked, told in ((NEVER, HOUR), (2 * HOUR, HOUR), (HOUR, None), (60, None)):
        with server.client(wire.V5, client_id="limit", properties=life(asked)) as c:
            tap.equal(c.properties.get(wire.SESSION_EXPIRY), told, "told of %d" % asked)
    server.client(wire.V5, client_id="limit").close()


@tap.test
def reset_after_disconnect(server):
    """A socket that is reset: a will, but not after DISCONNECT."""
    with server.client(wire.V311) as sub:
        sub.subscribe("rad/#")
        for version in wire.VERSIONS:
            for bye in (b"", wire.BYE):
                for _ in range(5):
                    c = server.client(version, will=wire.Will("rad/%d" % len(bye), b"x"))
                    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack("ii", 1, 0))
                    if bye:
                        c.send(bye)
                        # Handled, or the reset may overtake it in the network.
                        c.expect_close()
                    c.close()
                    if not bye:
                        tap.equal(sub.message().topic, "rad/0", "topic")
        sub.expect_silence(SETTLED)


@tap.test
def gone_while_subscribing(server):
    """A connection that ended, unanswered, behind its SUBSCRIBE: a new daemon goes on."""
    server.param("close_timeout", 100)
    for clean in (True, False):
        for version in wire.VERSIONS:
            with server.client(wire.V5) as sub:
                sub.subscribe("gws/#", 0)
                c = server.client(version, client_id="gws", clean=clean,
                                  will=wire.Will("gws/will", b"x", 1, 1))
                server.kill()
                c.send(wire.subscribe(version, [("gws/+", 1), ("gws/#", 0)]))
                time.sleep(SETTLED)
                server.ctl("client", "kick", "gws")
                if version == wire.V5:
                    c.expect_disconnect(0x98)
                else:
                    c.expect_close()
                c.close()
                server.start()
                got = sub.message()
                tap.equal((got.topic, got.payload), ("gws/will", b"x"), "will")
                with server.client() as other:
                    other.publish1("gws/will", b"", retain=1)
                tap.equal(sub.message().payload, b"", "the will, cleared")
                sub.ping()
            server.client(version, client_id="gws").close()     # no session is left
    server.param("close_timeout", 2000)


@tap.test
def will_causes(server):
    """Protocol error, keep alive, take-over and kick publish the will, once."""
    with server.client(wire.V311) as sub:
        sub.subscribe("wc/#", 2)
        for version in wire.VERSIONS:
            will = wire.Will("wc/t", b"x", 2)

            def died():
                got = sub.message()
                tap.equal((got.payload, got.qos), (b"x", 2), "will")
                sub.send(wire.ack(PUBREC, got.mid))
                sub.expect(wire.ack(PUBREL, got.mid), "PUBREL")
                sub.send(wire.ack(PUBCOMP, got.mid))

            with server.client(version, will=will) as c:
                c.send(wire.connect(version, "again"))
                died()
            with server.client(version, will=will, keepalive=1):
                died()
            with server.client(version, client_id="taken", will=will) as c:
                with server.client(version, client_id="taken") as new:
                    died()
                    c.expect_disconnect(0x8e)
                    new.leave()
            with server.client(version, client_id="kicked", will=will):
                server.ctl("client", "kick", "kicked")
                died()
        sub.expect_silence(SETTLED)


@tap.test
def delayed_will(server):
    """The delay ends with the session: by its expiry, Clean Start, or DISCONNECT with 0."""
    will = wire.Will("dw/t", b"x", properties=wire.prop(wire.WILL_DELAY, 600))
    with server.client(wire.V311) as sub:
        sub.subscribe("dw/t")
        for expiry in (0, 1):
            start = time.monotonic()
            server.client(wire.V5, client_id="dw", will=will, properties=life(expiry)).close()
            tap.equal(sub.message().payload, b"x", "will")
            waited = time.monotonic() - start
            tap.true(expiry <= waited + 0.1, "will after %.1f s" % waited)
        server.client(wire.V5, client_id="dw", will=will, properties=life(600)).close()
        sub.expect_silence(SETTLED)
        with server.client(wire.V5, client_id="dw", clean=True) as c:
            tap.equal(sub.message().payload, b"x", "will at Clean Start")
            c.leave()
        c = server.client(wire.V5, client_id="dw", will=will, properties=life(600))
        c.send(wire.disconnect5(4, life(0)))
        tap.equal(sub.message().payload, b"x", "will at DISCONNECT with expiry 0")
        c.close()


@tap.test
def delayed_will_taken_over(server):
    """Take-over: no delayed will if the session goes on, else at once."""
    will = wire.Will("dt/t", b"x", properties=wire.prop(wire.WILL_DELAY, 600))
    with server.client(wire.V311) as sub:
        sub.subscribe("dt/t")
        first = server.client(wire.V5, client_id="dt", will=will, properties=life(600))
        second = server.client(wire.V5, client_id="dt", clean=False, will=will,
                               properties=life(600))
        tap.equal(second.present, 1, "Session Present")
        sub.expect_silence(SETTLED)
        third = server.client(wire.V5, client_id="dt", clean=True)
        tap.equal(sub.message().payload, b"x", "will")
        sub.expect_silence(SETTLED)
        for c in (first, second, third):
            c.close()


def in_flight(server, version, qos):
    sub = server.client(version)
    sub.subscribe("ack/t", qos)
    with server.client(wire.V311) as pub:
        pub.publish("ack/t", b"x", qos=qos)
        pub.read()
    return sub, sub.message().mid


@tap.test
def wrong_ack(server):
    """An acknowledgement of the wrong kind is a protocol error."""
    for version in wire.VERSIONS:
        for qos, wrong in ((2, PUBACK), (2, PUBCOMP), (1, PUBREC), (1, PUBCOMP)):
            sub, mid = in_flight(server, version, qos)
            sub.send(wire.ack(wrong, mid))
            sub.expect_disconnect(0x82)
            sub.close()


@tap.test
def pubrec_again(server):
    """PUBREC twice gets PUBREL twice; of an unknown packet id 0x92 in 5.0."""
    for version in wire.VERSIONS:
        sub, mid = in_flight(server, version, 2)
        for _ in range(2):
            sub.send(wire.ack(PUBREC, mid))
            sub.expect(wire.ack(PUBREL, mid), "PUBREL")
        for _ in range(2):
            sub.send(wire.ack(PUBCOMP, mid))
        sub.ping()
        sub.send(wire.ack(PUBREC, mid))
        want = wire.ack(PUBREL, mid)
        if version == wire.V5:
            want = bytes([want[0], 3]) + want[2:] + b"\x92"
        sub.expect(want, "PUBREL of an unknown packet id")
        sub.close()


@tap.test
def id_in_use(server):
    """5.0: a QoS 1 PUBLISH with the packet id of an unreleased QoS 2 one gets 0x91."""
    with server.client(wire.V5) as pub, server.client(wire.V311) as sub:
        sub.subscribe("use/t")
        pub.publish("use/t", b"2", qos=2, mid=7)
        pub.expect(wire.ack(PUBREC, 7), "PUBREC")
        pub.publish("use/t", b"1", qos=1, mid=7)
        pub.expect(bytes.fromhex("40 03 0007 91"), "PUBACK")
        pub.send(wire.ack(PUBREL, 7))
        pub.expect(wire.ack(PUBCOMP, 7), "PUBCOMP")
        pub.publish("use/t", b"3", qos=1, mid=7)
        pub.expect(wire.ack(PUBACK, 7), "PUBACK")
        tap.equal([sub.message().payload for _ in range(2)], [b"2", b"3"], "payloads")


if broker.MOSQUITTO:
    print("1..0 # SKIP kmqtt only")
    sys.exit(0)
with broker.Broker("persistent_client_expiration 1h\n") as daemon:
    tap.run(daemon)
