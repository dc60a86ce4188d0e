#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# core
"""QoS 1 and 2, both ways, byte for byte."""
from lib import broker, tap, wire
from lib.wire import PUBACK, PUBCOMP, PUBREC, PUBREL


@tap.test
def qos1(server):
    """QoS 1: PUBACK to the sender, PUBLISH with a packet id to the subscriber."""
    for version in wire.VERSIONS:
        with server.client(version) as sub, server.client(wire.V311) as pub:
            sub.subscribe("one/t", 1)
            pub.publish("one/t", b"x", qos=1, mid=513)
            pub.expect(wire.ack(PUBACK, 513), "PUBACK")
            got = sub.message()
            tap.equal((got.topic, got.payload, got.qos, got.dup, got.retain),
                      ("one/t", b"x", 1, 0, 0), "message")
            sub.send(wire.ack(PUBACK, got.mid))
            sub.ping()


@tap.test
def qos2(server):
    """QoS 2: the whole exchange on both sides."""
    for version in wire.VERSIONS:
        with server.client(version) as sub, server.client(wire.V311) as pub:
            sub.subscribe("two/t", 2)
            pub.publish("two/t", b"x", qos=2, mid=77)
            pub.expect(wire.ack(PUBREC, 77), "PUBREC")
            pub.send(wire.ack(PUBREL, 77))
            pub.expect(wire.ack(PUBCOMP, 77), "PUBCOMP")
            got = sub.message()
            tap.equal((got.topic, got.payload, got.qos, got.dup), ("two/t", b"x", 2, 0),
                      "message")
            sub.send(wire.ack(PUBREC, got.mid))
            sub.expect(wire.ack(PUBREL, got.mid), "PUBREL")
            sub.send(wire.ack(PUBCOMP, got.mid))
            sub.ping()


@tap.test
def qos2_once(server):
    """QoS 2: sent again with DUP before PUBREL, it is delivered once."""
    broker.only_kmqtt()                         # Mosquitto 2.0.11 closes the connection
    with server.client(wire.V311) as sub, server.client(wire.V311) as pub:
        sub.subscribe("once/t")
        for dup in (0, 1, 1):
            pub.publish("once/t", b"x", qos=2, mid=5, dup=dup)
            pub.expect(wire.ack(PUBREC, 5), "PUBREC")
        pub.send(wire.ack(PUBREL, 5))
        pub.expect(wire.ack(PUBCOMP, 5), "PUBCOMP")
        tap.equal(sub.message().payload, b"x", "payload")
        sub.expect_silence()
        pub.publish("once/t", b"y", qos=2, mid=5)
        pub.expect(wire.ack(PUBREC, 5), "PUBREC")
        pub.send(wire.ack(PUBREL, 5))
        pub.expect(wire.ack(PUBCOMP, 5), "PUBCOMP")
        tap.equal(sub.message().payload, b"y", "payload")


@tap.test
def lower_qos(server):
    """The lower of the publisher's and the subscriber's QoS is used."""
    with server.client(wire.V311) as pub:
        subs = [server.client(wire.V311) for _ in range(3)]
        for qos, sub in enumerate(subs):
            sub.subscribe("low/t", qos)
        for qos in range(3):
            pub.publish("low/t", b"%d" % qos, qos=qos, mid=qos + 1)
            if qos == 1:
                pub.expect(wire.ack(PUBACK, 2), "PUBACK")
            if qos == 2:
                pub.expect(wire.ack(PUBREC, 3), "PUBREC")
                pub.send(wire.ack(PUBREL, 3))
                pub.expect(wire.ack(PUBCOMP, 3), "PUBCOMP")
            for limit, sub in enumerate(subs):
                got = sub.message()
                tap.equal((got.payload, got.qos), (b"%d" % qos, min(qos, limit)), "message")
                if got.qos == 1:
                    sub.send(wire.ack(PUBACK, got.mid))
                if got.qos == 2:
                    sub.send(wire.ack(PUBREC, got.mid))
                    sub.expect(wire.ack(PUBREL, got.mid), "PUBREL")
                    sub.send(wire.ack(PUBCOMP, got.mid))
        for sub in subs:
            sub.close()


@tap.test
def order(server):
    """One publisher's QoS 0 and 1 on a topic keep their order."""
    with server.client(wire.V311) as sub, server.client(wire.V311) as pub:
        sub.subscribe("ord/t", 0)
        data = b"".join(wire.publish(wire.V311, "ord/t", b"%d" % i, qos=i % 3 == 1, mid=i + 1)
                        for i in range(300))
        pub.send(data)
        got = [int(sub.message().payload) for _ in range(300)]
        tap.equal(got, list(range(300)), "order")


@tap.test
def window(server):
    """No more than Receive Maximum messages are on their way; PUBACK lets the next out."""
    with server.client(wire.V5, properties=wire.prop(wire.RECEIVE_MAX, 2)) as sub, \
            server.client(wire.V311) as pub:
        sub.subscribe("win/t", 1)
        for i in range(6):
            pub.publish1("win/t", b"%d" % i, mid=i + 1)
        first = [sub.message(), sub.message()]
        sub.expect_silence(0.4)
        for i in range(6):
            tap.equal(first[0].payload, b"%d" % i, "payload")
            sub.send(wire.ack(PUBACK, first.pop(0).mid))
            if i < 4:
                first.append(sub.message())
        sub.expect_silence(0.3)


@tap.test
def resent(server):
    """What was not acknowledged comes again with DUP when the session comes back."""
    with server.client(wire.V311, client_id="again", clean=False) as sub, \
            server.client(wire.V311) as pub:
        sub.subscribe("again/t", 1)
        pub.publish1("again/t", b"x")
        first = sub.message()
        sub.close()
        pub.publish1("again/t", b"y", mid=2)
        with server.client(wire.V311, client_id="again", clean=False) as back:
            tap.equal(back.present, 1, "Session Present")
            got = back.message()
            tap.equal((got.payload, got.mid, got.dup), (b"x", first.mid, 1), "message")
            # DUP depends on whether the broker had seen the close by then.
            tap.equal(back.message().payload, b"y", "message")
            back.unsubscribe("again/t", 4)
    with server.client(wire.V311, client_id="again"):
        pass


with broker.Broker() as daemon:
    tap.run(daemon)
