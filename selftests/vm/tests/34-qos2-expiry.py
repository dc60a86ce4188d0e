#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Message Expiry does not break a QoS 2 exchange that has begun (5.0: 4.3.3)."""
import time

from lib import broker, tap, wire

SHORT = wire.prop(wire.EXPIRY, 1)
KEPT = {"clean": False, "properties": wire.prop(wire.SESSION_EXPIRY, 60)}


@tap.test
def sent(server):
    """A PUBLISH that was sent is sent again, whatever its expiry."""
    with server.client(wire.V5, client_id="late", **KEPT) as sub, \
            server.client(wire.V5) as pub:
        sub.subscribe("exp/q2", 2)
        pub.publish("exp/q2", b"x", qos=2, mid=3, properties=SHORT)
        first = sub.message()
        time.sleep(2.2)
    with server.client(wire.V5, client_id="late", **KEPT) as sub:
        again = sub.message()
        tap.equal((again.mid, again.dup, again.payload), (first.mid, 1, b"x"), "message")
        sub.send(wire.ack(wire.PUBREC, again.mid))
        sub.expect(wire.ack(wire.PUBREL, again.mid), "PUBREL")
        sub.send(wire.ack(wire.PUBCOMP, again.mid))
        sub.leave()


@tap.test
def received(server):
    """The exchange with the publisher is finished after the message has expired."""
    with server.client(wire.V5) as pub:
        pub.publish("exp/none", b"x", qos=2, mid=4, properties=SHORT)
        pub.expect(wire.ack(wire.PUBREC, 4), "PUBREC")
        time.sleep(2.2)
        pub.publish("exp/none", b"x", qos=2, mid=4, dup=1, properties=SHORT)
        pub.expect(wire.ack(wire.PUBREC, 4), "second PUBREC")
        pub.send(wire.ack(wire.PUBREL, 4))
        pub.expect(wire.ack(wire.PUBCOMP, 4), "PUBCOMP")


with broker.Broker() as daemon:
    tap.run(daemon)
