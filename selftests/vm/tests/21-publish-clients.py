#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
# core
"""QoS 0 between mosquitto_pub, mosquitto_sub and Paho, in all pairs of versions."""
from lib import broker, tap, tools, wire


@tap.test
def mosquitto_clients(server):
    """mosquitto_pub to mosquitto_sub: all pairs of versions, exact and wildcard."""
    with broker.Growth(server) as grown:
        for to in wire.VERSIONS:
            subs = [tools.Sub(server.port, to, name, 3)
                    for name in ("tools/one/t", "tools/+/t", "tools/#")]
            for sender in wire.VERSIONS:
                tools.pub(server.port, sender, "tools/one/t", "from %d" % sender)
            for sub in subs:
                tap.equal(sub.result(), ["tools/one/t from %d" % v for v in wire.VERSIONS],
                          "messages of version %d" % to)
    grown.equal("publish_routed_kernel", 9)


@tap.test
def paho_clients(server):
    """Paho to Paho: all pairs of versions, exact and wildcard."""
    with broker.Growth(server) as grown:
        for to in wire.VERSIONS:
            with tools.Paho(server.port, to) as sub:
                sub.subscribe("paho/+/t")
                for sender in wire.VERSIONS:
                    with tools.Paho(server.port, sender) as pub:
                        pub.publish("paho/%d/t" % sender, b"p%d" % sender)
                got = sorted((m.topic, m.payload, m.qos) for m in sub.wait(3))
                tap.equal(got, [("paho/%d/t" % v, b"p%d" % v, 0) for v in wire.VERSIONS],
                          "messages of version %d" % to)
    grown.equal("publish_routed_kernel", 9)


@tap.test
def mixed(server):
    """mosquitto_pub -V 31 to Paho 5.0, Paho 5.0 to mosquitto_sub -V 31."""
    with tools.Paho(server.port, wire.V5) as five:
        five.subscribe("mix/#")
        tools.pub(server.port, wire.V31, "mix/a", "old")
        tap.equal(five.wait(1)[0].payload, b"old", "payload")
        sub = tools.Sub(server.port, wire.V31, "mix/#", 1)
        five.publish("mix/b", b"new", properties=tools.publish_properties(
            ContentType="text", UserProperty=[("k", "v")]))
        tap.equal(sub.result(), ["mix/b new"], "messages")


@tap.test
def paho_qos(server):
    """Paho: QoS 1 and 2 in all pairs of versions."""
    for to in wire.VERSIONS:
        with tools.Paho(server.port, to) as sub:
            sub.subscribe("pq/#", 2)
            for sender in wire.VERSIONS:
                with tools.Paho(server.port, sender) as pub:
                    for qos in (1, 2):
                        pub.publish("pq/%d" % sender, b"q%d" % qos, qos)
            got = sorted((m.topic, m.payload, m.qos) for m in sub.wait(6))
            tap.equal(got, [("pq/%d" % v, b"q%d" % q, q) for v in wire.VERSIONS
                            for q in (1, 2)], "messages of version %d" % to)


with broker.Broker() as daemon:
    tap.run(daemon)
