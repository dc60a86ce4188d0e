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


@tap.test
def meanwhile(server):
    """What the dead daemon has not seen is answered as new by the next one."""
    broker.only_kmqtt()
    with server.client(wire.V5) as there, server.client(wire.V5) as absent, \
            server.client(wire.V5) as pub, server.client(wire.V311) as ping:
        there.subscribe("filter")
        server.kill()
        there.send(wire.unsubscribe(wire.V5, ["filter"], 1))
        absent.send(wire.unsubscribe(wire.V5, ["filter"], 2))
        pub.publish("nobody", b"x", qos=1, mid=3)
        ping.ping()
        there.expect_silence()
        server.start()
        there.expect(wire.unsuback(wire.V5, 1, [0]), "UNSUBACK")
        absent.expect(wire.unsuback(wire.V5, 2, [0x11]), "UNSUBACK of no subscription")
        tap.equal(pub.read()[:4], bytes.fromhex("40030003"), "PUBACK")
        for one in (there, absent, pub, ping):
            one.leave()


@tap.test
def outstanding(server):
    """Who is owed QoS 1 or 2 that died with the daemon is closed, 5.0 with 0x8B; others stay."""
    broker.only_kmqtt()
    clients = []

    def subscriber(version, qos):
        c = server.client(version)
        clients.append(c)
        c.subscribe("owed/%d" % qos, qos)
        return c

    with server.client(wire.V5) as pub:
        owed = [subscriber(v, q) for v in wire.VERSIONS for q in (1, 2)]
        settled = [subscriber(v, q) for v in wire.VERSIONS for q in (1, 2)]
        for qos in (1, 2):
            pub.publish("owed/%d" % qos, b"x", qos=qos, mid=qos)
            pub.read()
        pub.send(wire.ack(wire.PUBREL, 2))
        pub.read()
        for c in owed + settled:
            m = c.message()
            if c in settled and m.qos == 1:
                c.send(wire.ack(wire.PUBACK, m.mid))
            elif c in settled:
                c.send(wire.ack(wire.PUBREC, m.mid))
                tap.equal(c.read()[0] >> 4, wire.PUBREL, "PUBREL")
                c.send(wire.ack(wire.PUBCOMP, m.mid))
        # Whatever was sent before a SUBSCRIBE has been handled when it is answered.
        for c in settled:
            c.subscribe("settled")
        server.kill()
        server.start()
        for c in owed:
            c.expect_disconnect(0x8B)
        pub.publish("settled", b"live")
        for c in settled:
            tap.equal(c.message().payload, b"live", "payload")
        pub.ping()
        for c in clients:
            c.close()


if __name__ == "__main__":
    with broker.Broker() as daemon:
        tap.run(daemon)
