#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
"""Retained messages of 1 and 8 MiB, published by mosquitto_pub at each QoS."""
import os

from lib import broker, tap, wire

MIB = 1 << 20


@tap.test
def large(server):
    """Live subscribers get them in order, a new one gets the last."""
    path = "/tmp/kmqtt-large"
    with server.client(wire.V311) as sub, server.client(wire.V5) as five:
        sub.subscribe("large/#")
        five.subscribe("large/#")
        for qos in range(3):
            for size in (1, 8, 1):
                data = os.urandom(size * MIB)
                with open(path, "wb") as f:
                    f.write(data)
                broker.run("mosquitto_pub", "-r", "-q", str(qos), "-t", "large/t", "-f", path,
                           "-p", str(server.port))
                for one in (sub, five):
                    got = one.message()
                    tap.true(got.payload == data, "%d MiB differ at QoS %d" % (size, qos))
                with server.client(wire.V311) as late:
                    late.subscribe("large/t")
                    got = late.message()
                    tap.true(got.retain and got.payload == data, "the retained %d MiB" % size)
    os.unlink(path)


@tap.test
def in_a_row(server):
    """Many in one stream, with small ones among them, keep their order."""
    with server.client(wire.V311) as sub, server.client(wire.V311) as pub:
        sub.subscribe("row/#")
        for i in range(12):
            size = (10, 700000, 100, 90000)[i % 4]
            pub.publish("row/t", b"%d " % i + b"x" * size, retain=1, qos=i // 4 % 2, mid=i + 1)
            tap.equal(int(sub.message().payload.split()[0]), i, "message")
        pub.publish("row/t", b"", retain=1)


with broker.Broker() as daemon:
    tap.run(daemon)
