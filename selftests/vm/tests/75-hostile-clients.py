#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
"""What has brought down other brokers: answered as specified, counted, nobody else notices."""
import time

from lib import broker, tap, wire
from lib.crowd import Crowd, Undisturbed

LEVELS = 201
DEEP = "/" * LEVELS                             # one level more than is allowed
QUOTA, TOPIC, FILTER, CLIENT_ID, RECEIVE_MAX, TAKEN = 0x97, 0x90, 0x8f, 0x85, 0x93, 0x8e


def gone(server):
    if not broker.MOSQUITTO:
        broker.wait_for(lambda: server.stats()["connections"] == 0, "connections gone", 30)


@tap.test
def wildcards_in_names(server):
    """Client ids and user names of wildcards, levels and $ are just names."""
    with Undisturbed(server):
        for name in ("#", "+", "a/#", "+/+/#", "$SYS", "$share/x/t", "/", "%c", "%u", "..",
                     " ", "\u00e4\u6f22\U0001f41d", "n" * 65000):
            for version in (wire.V311, wire.V5):
                with server.client(version, client_id=name, username=name, password="") as c:
                    c.subscribe("names/#", 0)
                    c.publish("names/" + name[:20].replace("#", "").replace("+", ""), b"n")
                    tap.equal(c.message().payload, b"n", "payload")
                    if not broker.MOSQUITTO and version == wire.V5:
                        server.ctl("client", "list")
                        server.ctl("client", "kick", "--", name)
                        c.expect_disconnect(0x98)
    gone(server)


@tap.test
def long_names(server):
    """The longest client id and user name are taken or refused, no more."""
    for version in (wire.V311, wire.V5):
        for size in (65531, 65532, 65535):
            with server.client(version, join=False) as c:
                c.send(wire.connect(version, "i" * size, username="u" * size, password="p"))
                raw = c.read()
                tap.equal(raw[0], 0x20, "CONNACK")
                if raw[3]:
                    tap.true(size > 65531, "refused: " + tap.show(raw))
                    c.expect_close()
                else:
                    c.ping()
    gone(server)


@tap.test
def deep_topics(server):
    """More than 201 levels: topic 0x90, filter 0x8F (3.x: closed, 0x80); 201 are fine."""
    broker.only_kmqtt()
    topics = (DEEP, "/" * 65535, "a/" * 32767)
    count = 0
    with Undisturbed(server), broker.Growth(server) as grown:
        for version in wire.VERSIONS:
            with server.client(version) as c:
                for name in ("/" * (LEVELS - 1), "+/" * (LEVELS - 1) + "#"):
                    c.subscribe(name)
                for name in (*topics, "+/" * 32767, "+/" * LEVELS + "#"):
                    c.subscribe(name, granted=FILTER if version == wire.V5 else 0x80)
                c.publish("/" * (LEVELS - 1), b"deep")
                tap.equal(c.message().payload, b"deep", "payload")
            for topic in topics:
                for options in ({}, {"qos": 1}, {"retain": 1}):
                    with server.client(version) as c:
                        c.publish(topic, b"deep", **options)
                        c.expect_disconnect(TOPIC)
                        count += 1
    grown.equal("closed_topic_name_invalid", count)
    gone(server)


@tap.test
def wills(server):
    """A will delay above the session's expiry ends with the session."""
    with Undisturbed(server), server.client(wire.V5, keepalive=0) as watch:
        watch.subscribe("will/#")
        for expiry, delay, least, most in ((0, 100, 0, 2), (1, 100, 0.9, 4), (100, 1, 0.9, 4)):
            will = wire.Will("will/%d" % expiry, properties=wire.prop(wire.WILL_DELAY, delay))
            c = server.client(wire.V5, will=will,
                              properties=wire.prop(wire.SESSION_EXPIRY, expiry))
            start = time.monotonic()
            c.close()
            tap.equal(watch.message().topic, "will/%d" % expiry, "topic")
            took = time.monotonic() - start
            tap.true(least <= took <= most, "will after %.1f s, not %d-%d s" % (
                took, least, most))
        watch.expect_silence()
    gone(server)


@tap.test
def qos2_ids(server):
    """QoS 2 ids used again, never released, released unasked."""
    with Undisturbed(server), server.client(wire.V5, keepalive=0) as sub:
        sub.subscribe("two/#")
        with server.client(wire.V311, keepalive=0) as c:
            for payload in (b"first", b"other", b"third"):
                c.publish("two/a", payload, qos=2, mid=7)
                c.expect(wire.ack(wire.PUBREC, 7), "PUBREC")
            tap.equal(sub.message().payload, b"first", "payload")
            c.send(wire.ack(wire.PUBREL, 7) * 2)
            c.expect(wire.ack(wire.PUBCOMP, 7), "PUBCOMP")
            c.expect(wire.ack(wire.PUBCOMP, 7), "second PUBCOMP")
            for kind in (wire.PUBACK, wire.PUBREC, wire.PUBCOMP):
                c.send(wire.ack(kind, 99))
            c.send(wire.PING)
            got = c.read()
            if got[0] >> 4 == wire.PUBREL:
                got = c.read()
            tap.equal(got, wire.PONG, "answer after acknowledgements of nothing")
            sub.expect_silence(0.2)
        with server.client(wire.V311, keepalive=0) as c, Crowd([c], False) as crowd:
            one = b"".join(wire.packet(wire.PUBLISH, 4, b"\0\4none" + i.to_bytes(2, "big"))
                           for i in range(1, 65536))
            for at in range(0, len(one), 1 << 16):
                c.send(one[at:at + (1 << 16)])
            crowd.wait_all(65535, 60 * broker.SLOW)
            tap.equal([int.from_bytes(p[2:4], "big") for p in crowd.packets[c]],
                      list(range(1, 65536)), "PUBRECs")
        if not broker.MOSQUITTO:
            with server.client(wire.V5) as c, broker.Growth(server) as grown:
                most = c.properties.get(wire.RECEIVE_MAX, 65535)
                tap.true(most < 1000, "Receive Maximum %d" % most)
                for i in range(most):
                    c.publish("none", qos=2, mid=i + 1)
                    tap.equal(c.read()[0] >> 4, wire.PUBREC, "type")
                c.ping()
                c.publish("none", qos=2, mid=most + 1)
                c.expect_disconnect(RECEIVE_MAX)
            grown.equal("closed_receive_maximum", 1)
    gone(server)


@tap.test
def many_filters(server):
    """Thousands of filters in one SUBSCRIBE: taken, or refused with 0x97."""
    with Undisturbed(server), server.client(wire.V5, keepalive=0) as c:
        c.send(wire.subscribe(wire.V5, [("many/%d" % i, 0) for i in range(2000)]))
        tap.equal(len(c.read(60 * broker.SLOW)), 2000 + 6, "SUBACK")
        c.publish("many/1999", b"x")
        c.message()
        c.send(wire.unsubscribe(wire.V5, ["many/%d" % i for i in range(2000)]))
        tap.equal(len(c.read(60 * broker.SLOW)), 2000 + 6, "UNSUBACK")
        c.ping()
    if not broker.MOSQUITTO:
        with server.client(wire.V5) as c, broker.Growth(server) as grown:
            c.send(wire.subscribe(wire.V5, [("m", 0)] * 100000))
            c.expect_disconnect(QUOTA)
        grown.equal("closed_quota", 1)
    gone(server)


@tap.test
def shared_and_plain(server):
    """$share/x/t and t, subscribed and unsubscribed in every mixture, under a flood."""
    names = ("t", "$share/x/t", "$share/y/t", "$share/x/#", "+")
    with Undisturbed(server), server.client(wire.V311, keepalive=0) as pub:
        crowd = [server.client(wire.VERSIONS[i % 3], keepalive=0) for i in range(4)]
        for n in range(60):
            pub.send(wire.publish(wire.V311, "t", b"flood") * 20)
            c = crowd[n % 4]
            change = wire.unsubscribe if n * 7 % 5 > 2 else wire.subscribe
            name = names[n * 11 % 5]
            c.send(change(c.version, [name if change is wire.unsubscribe else (name, 0)]))
            while c.read()[0] >> 4 == wire.PUBLISH:
                pass
        pub.ping()
        for c in crowd:
            c.send(wire.unsubscribe(c.version, list(names)))
            while c.read()[0] >> 4 == wire.PUBLISH:
                pass
        one, two, three = crowd[:3]
        one.subscribe("t")
        two.subscribe("$share/x/t")
        three.subscribe("$share/x/t")
        for i in range(20):
            pub.publish("t", b"%d" % i)
        for i in range(20):
            tap.equal(one.message().payload, b"%d" % i, "plain")
        got = []
        for c in (two, three):
            c.send(wire.PING)
            while True:
                raw = c.read()
                if raw == wire.PONG:
                    break
                got.append(int(wire.parse_publish(c.version, raw).payload))
        tap.equal(sorted(got), list(range(20)), "shared, together")
        for name in ("$share/x", "$share/x/", "$share//t", "$share/a+/t", "$share/a#/t"):
            if not broker.MOSQUITTO:
                three.subscribe(name, granted=FILTER if three.version == wire.V5 else 0x80)
        for c in crowd:
            c.close()
    gone(server)
    if not broker.MOSQUITTO:
        tap.equal(server.stats()["routes"], 0, "routes left")


@tap.test
def same_id(server):
    """A storm of connections with one client id in a flood: one is left, all are told."""
    with Undisturbed(server), server.client(wire.V311, keepalive=0) as pub:
        last = None
        with broker.Growth(server) as grown:
            for n in range(8):
                crowd = [server.client(wire.VERSIONS[i % 3], client_id="storm", join=False)
                         for i in range(12)]
                for c in crowd:
                    c.send(wire.connect(c.version, c.id, clean=n % 2) +
                           wire.subscribe(c.version, [("storm/#", n % 3)]))
                    pub.send(wire.publish(wire.V311, "storm/t", b"flood" * 20) * 10)
                pub.ping()
                if last:
                    last.close()
                for c in crowd:
                    if n % 4 == 3:
                        c.close()
                settle(server, 4 if n % 4 != 3 else 3)
                last = survivor(crowd) if n % 4 != 3 else None
        # The last of them, in the order of their arrival, works.
        if last is None:
            last = server.client(wire.V5, client_id="storm")
            last.subscribe("storm/end")
        last.close()
        if not broker.MOSQUITTO:
            tap.note("%d taken over" % grown["closed_session_taken_over"])
            tap.true(grown["closed_session_taken_over"] >= 6 * 11, "too few were taken over")
    gone(server)


def settle(server, count):
    if broker.MOSQUITTO:
        time.sleep(1)
    else:
        broker.wait_for(lambda: server.stats()["connections"] == count, "take-overs done", 20)


def survivor(crowd):
    """The one connection that is left; the others end, 5.0 after being told."""
    left = []
    for c in crowd:
        kinds, last = set(), b""
        c.send_quietly(wire.PING)
        try:
            while True:
                last = c.read(10)
                kinds.add(last[0] >> 4)
                if last == wire.PONG:
                    left.append(c)
                    break
        except wire.Closed:
            if c.version == wire.V5 and wire.CONNACK in kinds:
                tap.true(last[0] == 0xe0 and last[2] == TAKEN, tap.show(last))
    tap.equal(len(left), 1, "connections of that id")
    return left[0]


@tap.test
def with_refused_connect(server):
    """What is in the segment of a CONNECT that is refused is not handled."""
    with Undisturbed(server), server.client(wire.V5, keepalive=0) as sub:
        sub.subscribe("sneak/#")
        for data in (wire.connect(wire.V311, "sneak", level=6),
                     wire.connect(wire.V311, "", clean=False),
                     wire.connect(wire.V5, "sneak", properties=wire.prop(21, "method")),
                     wire.connect(wire.V311, b"\xff"), wire.PING):
            for qos in (0, 1, 2):
                with server.client(join=False) as c:
                    c.send(data + wire.publish(wire.V311, "sneak/a", b"x", qos=qos, retain=1)
                           + wire.subscribe(wire.V311, [("sneak/#", 0)]) + wire.BYE)
                    try:
                        raw = c.read()
                        tap.true(raw[0] == 0x20 and raw[3], tap.show(raw))
                        c.expect_close()
                    except wire.Closed:
                        pass
        sub.expect_silence()
        with server.client() as late:
            late.subscribe("sneak/#")
            late.expect_silence(0.3)
    gone(server)


with broker.Broker("max_inflight_messages 20\n") as daemon:
    tap.run(daemon)
