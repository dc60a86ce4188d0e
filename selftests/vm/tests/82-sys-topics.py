#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
"""The $SYS topics: names, figures, updates, and who may write there."""
import signal
import time

from lib import broker, tap, wire

ROOT = "$SYS/broker/"
NOT_AUTHORIZED = 0x87
LOADS = ("bytes/received", "bytes/sent", "connections", "messages/received", "messages/sent",
         "publish/dropped", "publish/received", "publish/sent", "sockets")
NAMES = {
    "bytes/received", "bytes/sent", "clients/active", "clients/connected",
    "clients/disconnected", "clients/expired", "clients/inactive", "clients/maximum",
    "clients/total", "heap/current", "heap/maximum", "messages/received", "messages/sent",
    "messages/stored", "publish/bytes/received", "publish/bytes/sent",
    "publish/messages/dropped", "publish/messages/received", "publish/messages/sent",
    "retained messages/count", "shared_subscriptions/count", "store/messages/bytes",
    "store/messages/count", "subscriptions/count", "uptime", "version",
} | {"load/%s/%dmin" % (name, minutes) for name in LOADS for minutes in (1, 5, 15)}


def retained(server, name="$SYS/#"):
    """{topic without its root: payload} of what a new subscription gets, all retained."""
    found = {}
    with server.client(wire.V5) as c:
        c.subscribe(name)
        try:
            # The PINGRESP does not wait for retained messages: silence ends them.
            while True:
                got = c.message(0.7)
                if got.retain:
                    found[got.topic.removeprefix(ROOT)] = got.payload.decode()
        except TimeoutError:
            return found
        finally:
            c.close()


def figure(server, name):
    return float(retained(server, ROOT + name)[name])


def becomes(server, name, want, seconds=20 * broker.SLOW):
    """Wait until the figure @name is @want; who waits counts, and stays."""
    got = None
    end = time.monotonic() + seconds
    with server.client() as c:
        c.subscribe(ROOT + name)
        while got != want:
            try:
                got = float(c.message(max(end - time.monotonic(), 0)).payload)
            except TimeoutError:
                raise AssertionError("%s is %s, not %s" % (name, got, want)) from None


@tap.test
def names(server):
    """All topics are there, retained, and no other."""
    found = retained(server)
    tap.equal(set(found) - NAMES, set(), "topics that are unknown")
    tap.equal(NAMES - set(found), set(), "topics that are missing")
    product = "mosquitto" if broker.MOSQUITTO else "kmqtt"
    tap.true(found["version"].startswith(product + " version "), found["version"])
    tap.true(found["uptime"].endswith(" seconds"), found["uptime"])
    for name in NAMES - {"version", "uptime"}:
        tap.true(float(found[name]) >= 0, "%s is %s" % (name, found[name]))
        tap.equal("." in found[name], name.startswith("load/"), "decimals of " + name)


@tap.test
def wildcards(server):
    """Filters that begin with a wildcard do not match them, retained or live."""
    with server.client() as c:
        for name in ("#", "+/#", "+/broker/version", "+/broker/#"):
            c.subscribe(name)
        c.expect_silence(3)


@tap.test
def only_changes(server):
    """Each update brings what has changed, without RETAIN; uptime always changes."""
    with server.client() as c, server.client() as other:
        c.subscribe(ROOT + "#")
        seen, values = [], {}
        end = time.monotonic() + 30 * broker.SLOW
        while sum(1 for t in seen if t == ROOT + "uptime") < 6:
            tap.true(time.monotonic() < end, "few updates: %s" % seen)
            got = c.message()
            if not got.retain:
                seen.append(got.topic)
                tap.true(values.get(got.topic) != got.payload,
                         "%s came twice: %s" % (got.topic, got.payload))
            values[got.topic] = got.payload
        tap.true(ROOT + "version" not in seen, "the version came again")
        tap.true(ROOT + "messages/sent" in seen, "nothing was sent in all that time")
        other.leave()


@tap.test
def clients(server):
    """Clients here, away, expired, and their subscriptions."""
    with server.client(wire.V311, client_id="away", clean=False) as c:
        c.subscribe("nowhere", 1)
        c.leave()
    with server.client(wire.V5, client_id="short",
                       properties=wire.prop(wire.SESSION_EXPIRY, 1)) as c:
        c.leave()
    with server.client() as a, server.client(wire.V5) as b:
        a.subscribe("sys/a")
        b.subscribe("$share/g/sys/a")
        # The one that asks counts as well.
        becomes(server, "clients/connected", 3)
        becomes(server, "clients/active", 3)
        becomes(server, "clients/expired", 1)
        becomes(server, "clients/disconnected", 1)
        becomes(server, "clients/inactive", 1)
        becomes(server, "clients/total", 4)
        tap.true(figure(server, "clients/maximum") >= 4, "maximum")
        becomes(server, "shared_subscriptions/count", 1)
        becomes(server, "subscriptions/count", 3)
        a.leave()
        b.leave()
    becomes(server, "shared_subscriptions/count", 0)
    with server.client(wire.V311, client_id="away") as c:
        c.leave()


@tap.test
def messages(server):
    """QoS 0 between clients counts in messages and bytes, received and sent."""
    with server.client() as pub, server.client() as one, server.client(wire.V5) as two:
        one.subscribe("load/#")
        two.subscribe("load/#")
        before = retained(server)
        for i in range(1000):
            pub.publish("load/%d" % (i % 7), b"x" * (i % 50))
        payload = sum(i % 50 for i in range(1000))
        for c in (one, two):
            for _ in range(1000):
                c.message()
        becomes(server, "publish/messages/received", 1000 + float(
            before["publish/messages/received"]))
        becomes(server, "publish/bytes/received", payload + float(
            before["publish/bytes/received"]))
        after = retained(server)
        # What we have asked for since counts, too.
        for name, least in (("publish/messages/sent", 2000), ("publish/bytes/sent", 2 * payload),
                            ("messages/received", 1000), ("messages/sent", 2000),
                            ("bytes/received", payload + 10 * 1000),
                            ("bytes/sent", 2 * payload + 20 * 1000)):
            grown = float(after[name]) - float(before[name])
            tap.true(least <= grown <= 5 * least, "%s grew by %d, not %d" % (name, grown, least))
        tap.true(float(after["load/publish/received/1min"]) > 10, "load of publish/received")
        tap.true(float(after["load/publish/sent/1min"]) >
                 float(after["load/publish/sent/15min"]) > 0, "load of publish/sent")
        for c in (pub, one, two):
            c.leave()


@tap.test
def exact(server):
    """The kernel counts what leaves, to the message and byte, merged or not."""
    broker.only_kmqtt()
    with server.client() as pub, server.client() as one, server.client(wire.V5) as two, \
            server.client(wire.V5) as idle:
        one.subscribe("exact/#")
        two.subscribe("exact/#", properties=wire.prop(wire.SUBSCRIPTION_ID, 7))
        with broker.Growth(server) as grown:
            for i in range(300):
                pub.publish("exact/t", b"y" * (i % 9), qos=i % 2, mid=i + 1)
            pub.publish("exact/t", b"z" * 50000)
            for c in (one, two):
                for _ in range(301):
                    c.message()
            for i in range(150):
                pub.read()
            idle.ping()
        payload = sum(i % 9 for i in range(300)) + 50000
        grown.equal("publish_received", 301)
        grown.equal("payload_bytes_received", payload)
        grown.equal("publish_sent", 602)
        grown.equal("payload_bytes_sent", 2 * payload)
        grown.equal("packets_received", 302)
        grown.equal("packets_sent", 602 + 150 + 1)


@tap.test
def stored(server):
    """Retained and queued messages count in the store."""
    with server.client(wire.V311, client_id="queue", clean=False) as c:
        c.subscribe("store/q", 1)
        c.leave()
    before = retained(server)
    with server.client() as pub:
        for i in range(5):
            pub.publish1("store/%d" % i, b"r" * 100, mid=i + 1, retain=1)
        for i in range(3):
            pub.publish1("store/q", b"q" * 10, mid=i + 1)
        becomes(server, "retained messages/count", 5 + float(before["retained messages/count"]))
        after = retained(server)
        tap.equal(float(after["store/messages/count"]) - float(before["store/messages/count"]), 8,
                  "messages more in the store")
        tap.equal(after["messages/stored"], after["store/messages/count"], "its other name")
        grown = float(after["store/messages/bytes"]) - float(before["store/messages/bytes"])
        # The figures are messages as well and may have a digit more.
        tap.true(530 <= grown < 600, "bytes more in the store: %d" % grown)
        for i in range(5):
            pub.publish1("store/%d" % i, b"", mid=i + 1, retain=1)
        pub.leave()
    with server.client(wire.V311, client_id="queue") as c:
        c.leave()
    becomes(server, "retained messages/count", float(before["retained messages/count"]))


def refused(server, topic):
    """What a client publishes there is acknowledged as it must be, and nobody gets it."""
    with server.client(wire.V5, client_id="watch") as watch:
        watch.subscribe(topic.replace("$share", "+") if topic.startswith("$share") else topic)
        time.sleep(0.1)
        for version in wire.VERSIONS:
            for retain in (0, 1):
                with server.client(version) as pub:
                    pub.publish(topic, b"forged", retain=retain)
                    pub.publish(topic, b"forged", qos=1, mid=7, retain=retain)
                    code = bytes([NOT_AUTHORIZED]) if version == wire.V5 else b""
                    pub.expect(wire.packet(wire.PUBACK, 0, b"\0\7" + code), "PUBACK")
                    pub.publish(topic, b"forged", qos=2, mid=8, retain=retain)
                    pub.expect(wire.packet(wire.PUBREC, 0, b"\0\x08" + code), "PUBREC")
                    if version != wire.V5:
                        pub.send(wire.ack(wire.PUBREL, 8))
                        pub.expect(wire.ack(wire.PUBCOMP, 8), "PUBCOMP")
                    pub.ping()
                    pub.leave()
        with server.client(will=wire.Will(topic, b"forged", qos=1, retain=1)) as dying:
            dying.close()
        end = time.monotonic() + 2
        while time.monotonic() < end:
            try:
                tap.true(watch.message(0.5).payload != b"forged", "forged: " + topic)
            except TimeoutError:
                pass
        watch.leave()
    if not topic.startswith("$share"):
        tap.true("forged" not in retained(server, topic).values(), "forged and retained: " + topic)


@tap.test
def closed_to_clients(server):
    """Clients cannot publish to the server's topics, wills included."""
    for topic in (ROOT + "uptime", "$SYS/mine", "$SYSTEM", "$share/g/t"):
        refused(server, topic)


@tap.test
def bridge_state(server):
    """Bridges may say whether they are connected; other topics of $ are anybody's."""
    for topic in (ROOT + "connection/b1/state", "$other/x"):
        with server.client() as watch, server.client(wire.V5) as pub:
            watch.subscribe(topic)
            for qos in range(3):
                pub.publish(topic, b"%d" % qos, qos=qos, retain=1, mid=qos + 1)
                if qos:
                    tap.equal(pub.read()[0] >> 4, (0, wire.PUBACK, wire.PUBREC)[qos], "answer")
                if qos == 2:
                    pub.send(wire.ack(wire.PUBREL, 3))
                    pub.expect(wire.ack(wire.PUBCOMP, 3), "PUBCOMP")
                got = watch.message()
                tap.equal((got.topic, got.payload), (topic, b"%d" % qos), "message")
            for i in range(3):
                pub.publish(topic, b"live%d" % i)
                tap.equal(watch.message().payload, b"live%d" % i, "payload")
            pub.publish1(topic, b"", retain=1)
            watch.message()
            pub.leave()
            watch.leave()


@tap.test
def interval(server):
    """sys_interval 0: none, also after a reload; and back."""
    broker.only_kmqtt()
    with open(server.conf, encoding="utf-8") as f:
        text = f.read()

    def reload(seconds):
        with open(server.conf, "w", encoding="utf-8") as out:
            out.write(text.replace("sys_interval 1", "sys_interval %d" % seconds))
        server.process.send_signal(signal.SIGHUP)

    with server.client() as c:
        c.subscribe(ROOT + "uptime")
        c.message()
        reload(0)
        broker.wait_for(lambda: not retained(server), "the topics go")
        c.sock.setblocking(False)
        try:
            while c.sock.recv(4096):
                pass
        except BlockingIOError:
            c.sock.setblocking(True)
        c.buffer.clear()
        c.expect_silence(3)
        reload(1)
        got = c.message()
        tap.equal((got.topic, got.retain), (ROOT + "uptime", 0), "topic and RETAIN")
    tap.equal(set(retained(server)), NAMES, "topics afterwards")


if __name__ == "__main__":
    with broker.Broker(conf="sys_interval 1\n") as the_server:
        tap.run(the_server)
