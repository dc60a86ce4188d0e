#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# core
"""kill -9 of mqttd in a QoS 0 stream, and what the next daemon takes over."""
import threading
import time

from lib import broker, tap, wire

COUNT = 4000


@tap.test
def stream(server):
    """Nothing of a counted QoS 0 stream is lost, nobody disconnected; SUBSCRIBEs are served."""
    broker.only_kmqtt()
    with server.client(wire.V311) as sub, server.client(wire.V5) as pub, \
            server.client(wire.V311) as old, server.client(wire.V311) as pending:
        sub.subscribe("count/#")
        old.subscribe("count/#")
        old.unsubscribe("count/#")

        def send():
            for i in range(COUNT):
                pub.publish("count/t", b"%d" % i)
                time.sleep(0.0005)

        sender = threading.Thread(target=send)
        sender.start()
        for i in range(COUNT // 4):
            tap.equal(sub.message().payload, b"%d" % i, "message")
        server.kill()
        pending.send(wire.subscribe(wire.V311, [("late/#", 0)], 21))
        for i in range(COUNT // 4, COUNT // 2):
            tap.equal(sub.message().payload, b"%d" % i, "message without a daemon")
        server.start()
        pending.expect(wire.suback(wire.V311, [0], 21), "SUBACK that was pending")
        old.subscribe("late/#", mid=22)
        for i in range(COUNT // 2, COUNT):
            tap.equal(sub.message().payload, b"%d" % i, "message")
        sender.join()
        pub.publish("late/x", b"both")
        tap.equal(pending.message().payload, b"both", "payload")
        tap.equal(old.message().payload, b"both", "payload")
        for one in (sub, pub, old, pending):
            one.ping()


with broker.Broker() as daemon:
    tap.run(daemon)
