#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
"""500 clients at once."""
from lib import broker, tap, wire

COUNT = 500


@tap.test
def all_to_all(server):
    """500 clients connect, subscribe, hear one and are heard by one."""
    clients = [server.client(wire.VERSIONS[i % 3]) for i in range(COUNT)]
    for i, c in enumerate(clients):
        c.send(wire.subscribe(c.version, [("all/t", 0), ("own/%d" % i, 0)]))
    for c in clients:
        c.expect(wire.suback(c.version, [0, 0]), "SUBACK")
    with server.client(wire.V5) as one, broker.Growth(server) as grown:
        one.subscribe("to/+")
        for i in range(5):
            one.publish("all/t", b"%d" % i)
        for i in range(COUNT):
            one.publish("own/%d" % i, b"own")
        for c in clients:
            for i in range(5):
                c.expect(wire.publish(c.version, "all/t", b"%d" % i), "PUBLISH")
            tap.equal(c.message().payload, b"own", "payload")
        for i, c in enumerate(clients):
            c.publish("to/%d" % i, b"x")
        got = sorted(int(one.message().topic[3:]) for _ in range(COUNT))
        tap.equal(got, list(range(COUNT)), "senders")
    grown.equal("publish_routed_kernel", 5 + COUNT * 2)
    grown.equal("publish_queued", COUNT * 7)
    for c in clients:
        c.close()
    if not broker.MOSQUITTO:
        broker.wait_for(lambda: server.stats()["connections"] == 0, "all are gone", 30)
        tap.equal(server.stats()["routes"], 0, "routes")


@tap.test
def again(server):
    """500 come and go, half of them in the middle of a packet."""
    for _ in range(2):
        clients = [server.client(wire.V311) for i in range(COUNT)]
        for i, c in enumerate(clients):
            if i % 2:
                c.send(wire.publish(wire.V311, "half", b"x" * 3000)[:-1])
            c.close()
    with server.client() as c:
        c.ping()


with broker.Broker() as daemon:
    tap.run(daemon)
