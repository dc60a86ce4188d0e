#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# core
"""MQTT 5.0: properties, topic aliases and subscription options, QoS 0 in the kernel."""
import time

from lib import broker, tap, wire

# Everything a PUBLISH hands on as it is.
PASS = (wire.prop(wire.PAYLOAD_FORMAT, 1) + wire.prop(wire.CONTENT_TYPE, "text/plain")
        + wire.prop(wire.RESPONSE_TOPIC, "answer/here") + wire.prop(wire.CORRELATION, b"\0\xff")
        + wire.prop(wire.USER_PROPERTY, ("k", "v1")) + wire.prop(wire.USER_PROPERTY, ("k", "v2"))
        + wire.prop(wire.USER_PROPERTY, ("", "æ")))
NO_LOCAL, AS_PUBLISHED = 4, 8


@tap.test
def passed_through(server):
    """Properties pass unchanged to 5.0 and disappear for 3.x."""
    with server.client(wire.V5) as five, server.client(wire.V311) as three, \
            server.client(wire.V5) as pub:
        five.subscribe("p/t")
        three.subscribe("p/t")
        for _ in range(3):
            pub.publish("p/t", b"text", properties=PASS)
            got = five.message()
            want = wire.read_props(wire.props(PASS), 0)[0]
            # User properties keep their order; that of the others is free.
            tap.equal([p for p in got.properties if p[0] == wire.USER_PROPERTY],
                      [p for p in want if p[0] == wire.USER_PROPERTY], "user properties")
            tap.equal(sorted(got.properties, key=repr), sorted(want, key=repr), "properties")
            tap.equal(got.payload, b"text", "payload")
            three.expect(wire.publish(wire.V311, "p/t", b"text"), "PUBLISH")


@tap.test
def alias(server):
    """A topic alias stands for its topic, can be set anew, and is the sender's own."""
    with server.client(wire.V5) as pub, server.client(wire.V5) as other, \
            server.client(wire.V311) as sub:
        sub.subscribe("al/#")
        one, two = wire.prop(wire.ALIAS, 1), wire.prop(wire.ALIAS, 2)
        other.publish("al/other", b"0", properties=one)
        pub.publish("al/a", b"1", properties=one)
        pub.publish("al/b", b"2", properties=two)
        pub.publish("", b"3", properties=one)
        pub.publish("", b"4", properties=two)
        pub.publish("al/c", b"5", properties=one)
        pub.publish("", b"6", properties=one)
        got = sorted((sub.message() for _ in range(7)), key=lambda m: m.payload)
        tap.equal([m.topic for m in got], ["al/other", "al/a", "al/b", "al/a", "al/b", "al/c",
                                           "al/c"], "topics")
        other.publish("", b"7", properties=one)
        tap.equal(sub.message().topic, "al/other", "topic of the other's alias")


@tap.test
def alias_qos1(server):
    """A topic alias set at QoS 0 works at QoS 1 and the other way round."""
    with server.client(wire.V5) as pub, server.client(wire.V311) as sub:
        sub.subscribe("aq/#")
        pub.publish("aq/a", b"1", properties=wire.prop(wire.ALIAS, 3))
        pub.publish1("", b"2", properties=wire.prop(wire.ALIAS, 3))
        pub.publish1("aq/b", b"3", properties=wire.prop(wire.ALIAS, 3))
        pub.publish("", b"4", properties=wire.prop(wire.ALIAS, 3))
        tap.equal([(m.topic, m.payload) for m in (sub.message() for _ in range(4))],
                  [("aq/a", b"1"), ("aq/a", b"2"), ("aq/b", b"3"), ("aq/b", b"4")], "messages")


@tap.test
def subscription_ids(server):
    """Subscription Identifiers of all matching filters come with the message."""
    with server.client(wire.V5) as sub, server.client(wire.V5) as pub:
        for name, ident in (("si/a", 1), ("si/+", 268435455), ("#", 128)):
            sub.subscribe(name, properties=wire.prop(wire.SUBSCRIPTION_ID, ident))
        sub.subscribe("si/b")
        for topic, want in (("si/a", [1, 128, 268435455]), ("si/b", [128, 268435455]),
                            ("x", [128]), ("si/a", [1, 128, 268435455])):
            pub.publish(topic, b"x")
            idents = []
            while len(idents) < len(want):      # one message with all, or one for each
                got = sub.message()
                tap.equal(got.topic, topic, "topic")
                idents += [v for p, v in got.properties if p == wire.SUBSCRIPTION_ID]
            tap.equal(sorted(idents), want, "identifiers of " + topic)
            if topic == "si/b":                 # the filter without one may come by itself
                pub.ping()
                while True:
                    try:
                        tap.equal(sub.message(0.3).topic, "si/b", "topic")
                    except TimeoutError:
                        break


@tap.test
def no_local(server):
    """No Local: not to itself, but to others and from others."""
    with server.client(wire.V5) as me, server.client(wire.V5) as you:
        me.subscribe("nl/#", NO_LOCAL)
        # Somebody has subscribed, if only the publisher itself: no reason code 0x10.
        me.publish("nl/a", b"me", qos=1)
        me.expect(wire.ack(wire.PUBACK, 1), "PUBACK")
        you.publish("none/a", b"you", qos=1)
        you.expect(bytes.fromhex("40 03 0001 10"), "PUBACK with nobody")
        you.subscribe("nl/#", NO_LOCAL)
        for _ in range(2):
            me.publish("nl/a", b"me")
            tap.equal(you.message().payload, b"me", "payload")
            you.publish("nl/a", b"you")
            tap.equal(me.message().payload, b"you", "payload")
        if broker.MOSQUITTO:                    # it keeps the old option
            return
        me.subscribe("nl/#", 0)
        me.publish("nl/a", b"now")
        tap.equal(me.message().payload, b"now", "payload")


@tap.test
def as_published(server):
    """Retain As Published keeps the RETAIN flag, else it is clear."""
    with server.client(wire.V5) as keep, server.client(wire.V5) as clear, \
            server.client(wire.V5) as pub:
        keep.subscribe("rap/x", AS_PUBLISHED)
        clear.subscribe("rap/x", 0)
        for retain in (1, 0):
            for qos in (0, 1):
                if qos:
                    pub.publish1("rap/x", b"r", retain=retain)
                else:
                    pub.publish("rap/x", b"r", retain=retain)
                tap.equal(keep.message().retain, retain, "RETAIN")
                tap.equal(clear.message().retain, 0, "RETAIN")
        pub.publish("rap/x", b"", retain=1)
        pub.ping()


@tap.test
def retain_handling(server):
    """Retain Handling: 0 always, 1 for a new subscription, 2 never."""
    with server.client(wire.V5) as pub, server.client(wire.V5) as sub:
        pub.publish1("rh/x", b"kept", retain=1)
        for handling, want in ((0, (True, True)), (1, (True, False)), (2, (False, False))):
            for expected in want:
                sub.subscribe("rh/x", handling << 4, granted=0)
                if expected:
                    got = sub.message()
                    tap.equal((got.payload, got.retain), (b"kept", 1), "retained message")
                else:
                    sub.expect_silence(0.3)
            sub.unsubscribe("rh/x")
        pub.publish1("rh/x", b"", retain=1)


@tap.test
def expiry(server):
    """Message Expiry: what is left is sent on, an expired retained message is gone."""
    with server.client(wire.V5) as pub, server.client(wire.V5) as sub:
        sub.subscribe("exp/#")
        pub.publish("exp/live", b"x", properties=wire.prop(wire.EXPIRY, 100))
        left = dict(sub.message().properties)[wire.EXPIRY]
        tap.true(98 <= left <= 100, "expiry is %d" % left)
        pub.publish1("exp/r", b"short", retain=1, properties=wire.prop(wire.EXPIRY, 1))
        pub.publish1("exp/s", b"long", retain=1, properties=wire.prop(wire.EXPIRY, 60))
        sub.message()
        sub.message()
        time.sleep(2.2)
        with server.client(wire.V5) as late:
            late.subscribe("exp/#")
            got = late.message()
            tap.equal((got.topic, got.retain), ("exp/s", 1), "retained message")
            tap.true(dict(got.properties)[wire.EXPIRY] <= 58, "expiry did not age")
            late.expect_silence()
        pub.publish1("exp/s", b"", retain=1)


@tap.test
def client_maximum(server):
    """Nothing above the client's Maximum Packet Size is sent to it, what fits is."""
    broker.only_kmqtt()                         # Mosquitto is a byte off
    with server.client(wire.V5, properties=wire.prop(wire.MAX_PACKET, 100)) as small, \
            server.client(wire.V5) as large, server.client(wire.V311) as pub, \
            broker.Growth(server) as grown:
        small.subscribe("max/t")
        large.subscribe("max/t")
        # Fixed header 2, topic 7, properties 1: a payload of 90 is 100 bytes.
        for size in (90, 91, 5000, 90):
            pub.publish("max/t", b"x" * size)
        tap.equal([len(large.message().payload) for _ in range(4)], [90, 91, 5000, 90], "sizes")
        tap.equal([len(small.message().payload) for _ in range(2)], [90, 90], "sizes")
    grown.equal("publish_dropped_too_large", 2)


with broker.Broker() as daemon:
    tap.run(daemon)
