#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# core
# timeout: 120
"""Enhanced authentication (4.12), with the methods that only mqttd-test has."""
import sys
import time

from lib import broker, tap, wire

METHOD, OTHER = "TEST-ROUNDS", "TEST-ONCE"
SUCCESS, CONTINUE, AGAIN = 0x00, 0x18, 0x19
PROTOCOL, NOT_AUTHORIZED, SHUTTING_DOWN, UNAVAILABLE = 0x82, 0x87, 0x8b, 0x88


def with_method(method=METHOD, data=None):
    found = wire.prop(wire.AUTH_METHOD, method)
    return found + (b"" if data is None else wire.prop(wire.AUTH_DATA, data))


def begin(server, client_id, user="alice", **options):
    """Up to the first question."""
    c = server.client(wire.V5, client_id=client_id, join=False)
    c.send(wire.connect(wire.V5, client_id, properties=with_method(data=user), **options))
    c.expect(wire.auth(CONTINUE, METHOD, "1"), "AUTH")
    return c


def go_on(c, user="alice"):
    """Answer both questions of an exchange that has begun."""
    c.send(wire.auth(CONTINUE, METHOD, user + "1"))
    c.expect(wire.auth(CONTINUE, METHOD, "2"), "AUTH")
    c.send(wire.auth(CONTINUE, METHOD, user + "2"))


def joined(server, client_id, user="alice", **options):
    c = begin(server, client_id, user, **options)
    go_on(c, user)
    c.joined()
    return c


def refused(c, reason):
    raw = c.read()
    tap.equal((raw[0], raw[2], raw[3]), (0x20, 0, reason), "CONNACK")
    c.expect_close()


@tap.test
def unknown(server):
    """A method that is not known is refused with 0x8C, data without a method with 0x82."""
    for method in ("SCRAM-NONE", "", "TEST-ROUND", "TEST-ROUNDSS"):
        with server.client(wire.V5, join=False) as c:
            c.send(wire.connect(wire.V5, "unknown", properties=with_method(method)))
            refused(c, 0x8c)
    with server.client(wire.V5, join=False) as c:
        c.send(wire.connect(wire.V5, "data", properties=wire.prop(wire.AUTH_DATA, "x")))
        refused(c, PROTOCOL)


@tap.test
def rounds(server):
    """An exchange: each AUTH names the method, and so does the CONNACK."""
    with joined(server, "rounds") as c:
        tap.equal(c.properties[wire.AUTH_METHOD], METHOD.encode(), "method in CONNACK")
        tap.equal(c.properties[wire.AUTH_DATA], b"welcome", "data in CONNACK")
        c.subscribe("rounds")
        c.publish("rounds", b"x")
        tap.equal(c.message().payload, b"x", "payload")
        tap.true("alice" in server.ctl("-j", "client", "show", "rounds").stdout, "no user name")


@tap.test
def at_once(server):
    """A method that needs no more than the CONNECT; refused if it says no."""
    with server.client(wire.V5, join=False) as c:
        c.send(wire.connect(wire.V5, "once", properties=with_method(OTHER, "sesame")))
        c.joined()
        tap.equal(c.properties[wire.AUTH_METHOD], OTHER.encode(), "method in CONNACK")
        tap.true(wire.AUTH_DATA not in c.properties, "data in CONNACK")
    for data in ("please", None):
        with server.client(wire.V5, join=False) as c:
            c.send(wire.connect(wire.V5, "once", properties=with_method(OTHER, data)))
            refused(c, NOT_AUTHORIZED)


@tap.test
def wrong_answers(server):
    """Wrong answers are refused with 0x87, a second method or AUTH 0x19 with 0x82."""
    wrong = ((wire.auth(CONTINUE, METHOD, "bob1"), NOT_AUTHORIZED),
             (wire.auth(CONTINUE, METHOD), NOT_AUTHORIZED),
             (wire.auth(CONTINUE, OTHER, "alice1"), PROTOCOL),
             (wire.auth(CONTINUE, None), PROTOCOL),
             (wire.auth(AGAIN, METHOD, "alice1"), PROTOCOL),
             (wire.auth(SUCCESS, METHOD), PROTOCOL),
             (wire.packet(wire.AUTH, 0, b""), PROTOCOL),
             (wire.auth(CONTINUE, METHOD, "alice1", wire.prop(wire.EXPIRY, 1)), 0x81))
    for data, reason in wrong:
        with begin(server, "wrong") as c:
            c.send(data)
            refused(c, reason)


@tap.test
def other_packets(server):
    """Before the CONNACK any packet but AUTH and DISCONNECT is a Protocol Error."""
    for data in (wire.PING, wire.publish(wire.V5, "early", b"x"),
                 wire.subscribe(wire.V5, [("early", 0)]), wire.ack(wire.PUBACK),
                 wire.connect(wire.V5, "early")):
        with begin(server, "early") as c:
            c.send(data)
            refused(c, PROTOCOL)
    with begin(server, "early") as c, broker.Growth(server) as grown:
        c.send(wire.BYE)
        c.expect_close()
        broker.wait_for(lambda: server.stats()["closed_disconnect"]
                        > grown.before["closed_disconnect"], "counted", 10)


@tap.test
def user_name(server):
    """A User Name in CONNECT must be the one the method proves."""
    with joined(server, "named", username="alice"):
        pass
    with begin(server, "named", username="root") as c:
        go_on(c)
        refused(c, NOT_AUTHORIZED)


@tap.test
def take_over(server):
    """Who has not authenticated takes no session over, who has does."""
    with joined(server, "twin") as old:
        with begin(server, "twin") as new:
            old.ping()
            new.send(wire.auth(CONTINUE, METHOD, "no"))
            refused(new, NOT_AUTHORIZED)
        old.ping()
        with joined(server, "twin"):
            old.expect_disconnect(0x8e)


@tap.test
def anew(server):
    """Authentication anew: other packets go on, its end is AUTH 0x00, or DISCONNECT 0x87."""
    with joined(server, "anew") as c:
        c.subscribe("anew")
        for _ in range(2):
            c.send(wire.auth(AGAIN, METHOD, "alice"))
            c.expect(wire.auth(CONTINUE, METHOD, "1"), "AUTH")
            c.publish("anew", b"x")
            tap.equal(c.message().payload, b"x", "payload")
            go_on(c)
            c.expect(wire.auth(SUCCESS, METHOD, "welcome"), "AUTH")
        c.ping()
        c.send(wire.auth(AGAIN, METHOD, "alice"))
        c.expect(wire.auth(CONTINUE, METHOD, "1"), "AUTH")
        c.send(wire.auth(CONTINUE, METHOD, "no") + wire.publish(wire.V5, "anew", b"late"))
        c.expect_disconnect(NOT_AUTHORIZED)


@tap.test
def anew_wrong(server):
    """Anew as somebody else: 0x87; by another method, twice at once, unasked: 0x82."""
    with joined(server, "else") as c:
        c.send(wire.auth(AGAIN, METHOD, "bob"))
        c.expect(wire.auth(CONTINUE, METHOD, "1"), "AUTH")
        go_on(c, "bob")
        c.expect_disconnect(NOT_AUTHORIZED)
    wrong = (wire.auth(AGAIN, OTHER, "sesame"), wire.auth(CONTINUE, METHOD, "alice1"),
             wire.auth(AGAIN, METHOD, "alice") * 2, wire.packet(wire.AUTH, 0, b""))
    for data in wrong:
        with joined(server, "else") as c:
            c.send(data)
            if data == wrong[2]:
                c.expect(wire.auth(CONTINUE, METHOD, "1"), "AUTH")
            c.expect_disconnect(PROTOCOL)
    with server.client(wire.V5) as c:           # without a method in CONNECT
        tap.true(wire.AUTH_METHOD not in c.properties, "a method in CONNACK")
        c.send(wire.auth(AGAIN, METHOD, "alice"))
        c.expect_disconnect(PROTOCOL)


@tap.test
def will(server):
    """A failed authentication anew publishes the will, a failed CONNECT none."""
    with server.client(wire.V311) as sub:
        sub.subscribe("will/#")
        c = begin(server, "mortal", will=wire.Will("will/never"))
        c.send(wire.auth(CONTINUE, METHOD, "no"))
        refused(c, NOT_AUTHORIZED)
        with joined(server, "mortal", will=wire.Will("will/now")) as c:
            c.send(wire.auth(AGAIN, METHOD))
            c.expect_disconnect(NOT_AUTHORIZED)
        tap.equal(sub.message().topic, "will/now", "topic")


@tap.test
def half_done(server):
    """Half-done exchanges do not outlive the daemon: CONNACK 0x88, DISCONNECT 0x8B."""
    with begin(server, "half") as half, joined(server, "full") as full, \
            joined(server, "done") as done:
        full.send(wire.auth(AGAIN, METHOD, "alice"))
        full.expect(wire.auth(CONTINUE, METHOD, "1"), "AUTH")
        server.kill()
        server.start()
        refused(half, UNAVAILABLE)
        full.expect_disconnect(SHUTTING_DOWN)
        done.ping()
        done.send(wire.auth(AGAIN, METHOD, "alice"))    # it knows the method
        done.expect(wire.auth(CONTINUE, METHOD, "1"), "AUTH")
        go_on(done)
        done.expect(wire.auth(SUCCESS, METHOD, "welcome"), "AUTH")


@tap.test
def in_time(server):
    """A client that does not go on is closed when the CONNECT timeout is over."""
    start = time.monotonic()
    with begin(server, "slow") as c:
        c.expect_close(80)
        tap.true(time.monotonic() - start > 20, "closed too early")


if broker.MOSQUITTO:
    print("1..0 # SKIP kmqtt only")
    sys.exit(0)
with broker.Broker(program="mqttd-test") as daemon:
    tap.run(daemon)
