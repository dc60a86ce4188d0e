#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
"""SIGTERM: everybody is told, and wills are published as far as somebody can hear them."""
import signal
import time

from lib import broker, tap, wire

LIFE = wire.prop(wire.SESSION_EXPIRY, 1000)
DELAY = wire.prop(wire.WILL_DELAY, 500)


def told(client):
    """The broker's end, as the version says it."""
    if client.version == wire.V5 and not broker.MOSQUITTO:
        raw = client.read()
        tap.equal((raw[0], raw[2]), (0xe0, 0x8b), "DISCONNECT")
    client.expect_close()


@tap.test
def wills():
    """Wills of who is online, delayed ones too, and of who waited offline, come first."""
    with broker.Broker() as server, server.client(wire.V5) as sub, \
            server.client(wire.V311) as old:
        for one in (sub, old):
            one.subscribe("end/#", 1)
        offline = wire.Will("end/offline", b"1", properties=DELAY)
        server.client(wire.V5, will=offline, properties=LIFE).close()
        with server.client(wire.V311, will=wire.Will("end/now", b"2", 1)) as a, \
                server.client(wire.V5, will=wire.Will("end/delayed", b"3", properties=DELAY),
                              properties=LIFE) as b, \
                server.client(wire.V311, will=wire.Will("end/left", b"no")) as c:
            c.leave()
            sub.expect_silence(0.5)
            server.process.send_signal(signal.SIGTERM)
            for one in (sub, old):
                got = sorted(one.message().topic for _ in range(3))
                tap.equal(got, ["end/delayed", "end/now", "end/offline"], "wills")
            for one in (sub, old, a, b):
                told(one)
        tap.equal(server.process.wait(20), 0, "status")


@tap.test
def left_before():
    """A DISCONNECT that was under way withdraws the will."""
    broker.only_kmqtt()
    for _ in range(5):
        with broker.Broker() as server, server.client(wire.V311) as sub:
            sub.subscribe("gone/#")
            many = [server.client(wire.V311, will=wire.Will("gone/t", b"no")) for _ in range(20)]
            for one in many:
                one.send(wire.BYE)
            server.process.send_signal(signal.SIGTERM)
            sub.expect_close()
            for one in many:
                one.close()
            tap.equal(server.process.wait(20), 0, "status")


@tap.test
def quick():
    """With nobody there, and with 200 clients, the end comes within 5 s."""
    for count in (0, 200):
        with broker.Broker() as server:
            many = [server.client(wire.V311) for _ in range(count)]
            start = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            tap.equal(server.process.wait(20), 0, "status")
            tap.true(time.monotonic() - start < 5, "%d clients: too slow" % count)
            for one in many:
                one.expect_close()
                one.close()


tap.run()
