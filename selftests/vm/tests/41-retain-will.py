#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# core
"""Retained messages and wills."""
import socket
import time

from lib import broker, tap, wire


@tap.test
def retained(server):
    """A retained message comes after SUBACK with RETAIN, the newest only, and can be removed."""
    for version in wire.VERSIONS:
        with server.client(wire.V311) as pub:
            for qos in (0, 1):
                pub.publish("ret/t", b"old", retain=1)
                if qos:
                    pub.publish1("ret/t", b"new", retain=1)
                else:
                    pub.publish("ret/t", b"new", retain=1)
                    pub.ping()
                with server.client(version) as sub:
                    sub.subscribe("ret/#")
                    sub.expect(wire.publish(version, "ret/t", b"new", retain=1), "PUBLISH")
                    sub.expect_silence(0.2)
                    pub.publish1("ret/t", b"", retain=1)
                    sub.expect(wire.publish(version, "ret/t", b""), "PUBLISH")
                with server.client(version) as sub:
                    sub.subscribe("ret/#")
                    sub.expect_silence(0.2)


@tap.test
def retained_live(server):
    """While retained messages are stored, a subscriber gets each value once, in order."""
    with server.client(wire.V311) as sub, server.client(wire.V311) as pub:
        pub.publish("rl/t", b"0", retain=1)
        sub.send(wire.subscribe(wire.V311, [("rl/t", 0)]))
        for i in range(1, 200):
            pub.publish("rl/t", b"%d" % i, retain=1)
        sub.expect(wire.suback(wire.V311, [0]), "SUBACK")
        last = -1
        while last != 199:
            got = sub.message()
            value = int(got.payload)
            tap.true(value == last + 1 or last == -1, "%d after %d" % (value, last))
            tap.true(last == -1 or not got.retain, "RETAIN on a live message")
            last = value
        pub.publish1("rl/t", b"", retain=1)


@tap.test
def will(server):
    """A connection that ends without DISCONNECT publishes its will."""
    for version in wire.VERSIONS:
        for qos in range(3):
            with server.client(wire.V311) as sub:
                sub.subscribe("will/t", 0)
                dying = server.client(version, will=wire.Will("will/t", b"dead", qos))
                dying.close()
                sub.expect(wire.publish(wire.V311, "will/t", b"dead"), "PUBLISH")


@tap.test
def will_retained(server):
    """A retained will is live for who is there and retained for who comes."""
    with server.client(wire.V311) as sub:
        sub.subscribe("will/r")
        server.client(wire.V311, will=wire.Will("will/r", b"dead", 1, 1)).close()
        sub.expect(wire.publish(wire.V311, "will/r", b"dead"), "PUBLISH")
        with server.client(wire.V311) as late:
            late.subscribe("will/r")
            late.expect(wire.publish(wire.V311, "will/r", b"dead", retain=1), "PUBLISH")
            late.publish("will/r", b"", retain=1)
            late.expect(wire.publish(wire.V311, "will/r", b""), "PUBLISH")


@tap.test
def no_will(server):
    """After DISCONNECT there is no will; in 5.0 reason 0x04 asks for it."""
    with server.client(wire.V311) as sub:
        sub.subscribe("nowill/#")
        for version in wire.VERSIONS:
            with server.client(version, will=wire.Will("nowill/t", b"no")) as c:
                c.leave()
        sub.expect_silence(0.5)
        with server.client(wire.V5, will=wire.Will("nowill/asked", b"yes")) as c:
            c.send(wire.packet(wire.DISCONNECT, 0, b"\4"))
            tap.equal(sub.message().topic, "nowill/asked", "topic")


@tap.test
def will_of_malformed(server):
    """A connection closed for its fault publishes its will."""
    with server.client(wire.V311) as sub:
        sub.subscribe("fault/t")
        with server.client(wire.V5, will=wire.Will("fault/t", b"x")) as c:
            c.send(bytes.fromhex("36 05 0001 61 0001"))
            tap.equal(sub.message().payload, b"x", "payload")


@tap.test
def will_delay(server):
    """5.0: a delayed will comes late, or not at all if its session comes back."""
    life = wire.prop(wire.SESSION_EXPIRY, 100)
    delayed = wire.Will("wd/t", b"late", properties=wire.prop(wire.WILL_DELAY, 2))
    with server.client(wire.V311) as sub:
        sub.subscribe("wd/t")
        server.client(wire.V5, client_id="wd", will=delayed, properties=life).close()
        start = time.monotonic()
        tap.equal(sub.message().payload, b"late", "payload")
        tap.true(time.monotonic() - start > 1, "the will did not wait")
        server.client(wire.V5, client_id="wd", clean=False, will=delayed,
                      properties=life).close()
        time.sleep(0.5)
        with server.client(wire.V5, client_id="wd", clean=False):
            sub.expect_silence(3)


@tap.test
def one_segment(server):
    """CONNECT, PUBLISH, DISCONNECT and FIN at once: published, and no will."""
    broker.only_kmqtt()                         # Mosquitto may see the FIN first
    for version in wire.VERSIONS:
        for qos in range(2):
            with server.client(wire.V311) as sub:
                sub.subscribe("seg/#")
                for _ in range(10):
                    with server.client(version, join=False) as c:
                        c.send(wire.connect(version, wire.new_id(),
                                            will=wire.Will("seg/will", b"no"))
                               + wire.publish(version, "seg/t", b"yes", qos=qos) + wire.BYE)
                        c.sock.shutdown(socket.SHUT_WR)
                        tap.equal(sub.message().topic, "seg/t", "topic")
                sub.expect_silence(0.5)


@tap.test
def one_segment_reset(server):
    """The same with the socket closed at once: no will either."""
    with server.client(wire.V311) as sub:
        sub.subscribe("rst/#")
        for _ in range(20):
            with server.client(wire.V311, join=False) as c:
                c.send(wire.connect(wire.V311, wire.new_id(), will=wire.Will("rst/will", b"no"))
                       + wire.publish(wire.V311, "rst/t", b"yes") + wire.BYE)
        for _ in range(20):
            tap.equal(sub.message().topic, "rst/t", "topic")
        sub.expect_silence(0.5)


with broker.Broker() as daemon:
    tap.run(daemon)
