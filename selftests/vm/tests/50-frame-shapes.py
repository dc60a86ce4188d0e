#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
"""However TCP cuts the stream, and whatever the size, the packets are the same."""
import hashlib
import random

from lib import broker, tap, wire


@tap.test
def byte_by_byte(server):
    """A whole session sent byte by byte."""
    for version in wire.VERSIONS:
        with server.client(version, join=False) as c, server.client(wire.V311) as sub:
            sub.subscribe("slow/#")
            data = (wire.connect(version, "slow", will=wire.Will("slow/will"))
                    + wire.subscribe(version, [("slow/t", 0)], 3)
                    + wire.publish(version, "slow/t", b"p" * 150)
                    + wire.publish(version, "slow/t", b"q", qos=1, mid=9, retain=0) + wire.PING)
            for at in range(len(data)):
                c.send(data[at:at + 1])
            c.joined()
            c.expect(wire.suback(version, [0], 3), "SUBACK")
            kinds = sorted(c.read()[0] for _ in range(4))
            tap.equal(kinds, [0x30, 0x30, 0x40, 0xd0], "packets")
            c.send(wire.BYE[:1])
            c.send(wire.BYE[1:])
            c.expect_close()
            tap.equal([len(sub.message().payload) for _ in range(2)], [150, 1], "sizes")
            sub.expect_silence(0.2)


@tap.test
def many_in_one(server):
    """Thousands of packets in few segments, of sizes around each length of the header."""
    with server.client(wire.V311) as sub, server.client(wire.V5) as five, \
            server.client(wire.V311) as pub:
        sub.subscribe("many/#")
        five.subscribe("many/#")
        sizes = [n - 8 for n in (126, 127, 128, 129, 16382, 16383, 16384, 16385)] \
            + [0, 1, 2, 4080, 4096, 4100] + [5] * 1000
        packets = [wire.publish(wire.V311, "many/t", bytes([i & 255]) * n)
                   for i, n in enumerate(sizes)]
        pub.send(b"".join(packets))
        for i, want in enumerate(packets):
            sub.expect(want, "PUBLISH %d" % i)
            got = five.message()
            tap.equal((len(got.payload), got.payload[:1]),
                      (sizes[i], bytes([i & 255])[:sizes[i]]), "message %d" % i)


@tap.test
def cut_anywhere(server):
    """The same stream cut at random places."""
    rand = random.Random(1)
    with server.client(wire.V311) as sub, server.client(wire.V311) as pub:
        sub.subscribe("cut/#")
        packets = [wire.publish(wire.V311, "cut/%d" % i, rand.randbytes(rand.choice(
            (0, 1, 117, 118, 119, 120, 500, 16400)))) for i in range(300)]
        stream, at = b"".join(packets), 0
        while at < len(stream):
            step = rand.choice((1, 2, 3, 7, 100, 1448, 5000))
            pub.send(stream[at:at + step])
            at += step
        for want in packets:
            sub.expect(want, "PUBLISH")


def large(server, size):
    payload = random.Random(size).randbytes(size)
    want = hashlib.sha256(payload).digest()
    with server.client(wire.V311) as three, server.client(wire.V5) as five, \
            server.client(wire.V31) as pub, server.client(wire.V311) as small:
        small.subscribe("small")
        for sub in (three, five):
            sub.subscribe("large/t", 1)
        for qos in (0, 1):
            pub.publish("large/t", payload, qos=qos)
            small.publish("small", b"meanwhile")
            tap.equal(small.message().payload, b"meanwhile", "payload")
            for sub in (three, five):
                got = sub.message()
                tap.equal((got.qos, hashlib.sha256(got.payload).digest()), (qos, want),
                          "QoS and digest")
                if qos:
                    sub.send(wire.ack(wire.PUBACK, got.mid))
            if qos:
                pub.expect(wire.ack(wire.PUBACK), "PUBACK")


@tap.test
def one_mebibyte(server):
    """A payload of 1 MiB, at QoS 0 and 1, to 3.1.1 and 5.0."""
    large(server, 1 << 20)


@tap.test
def eight_mebibytes(server):
    """A payload of 8 MiB, at QoS 0 and 1, to 3.1.1 and 5.0."""
    large(server, 8 << 20)


with broker.Broker() as daemon:
    tap.run(daemon)
