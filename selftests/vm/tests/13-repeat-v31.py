#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# core
"""3.1 sets DUP when SUBSCRIBE, UNSUBSCRIBE and PUBREL are sent again."""
from lib import broker, tap, wire


def again(data):
    """The packet with DUP set."""
    return bytes([data[0] | 8]) + data[1:]


@tap.test
def accepted_in_31(server):
    """A 3.1 client may repeat SUBSCRIBE, PUBREL and UNSUBSCRIBE with DUP."""
    with server.client(wire.V31) as c:
        c.send(again(wire.subscribe(wire.V31, [("a/b", 0)], mid=7)))
        c.expect(wire.suback(wire.V31, [0], mid=7), "SUBACK")
        c.send(wire.publish(wire.V31, "x", b"p", qos=2, mid=9))
        c.expect(bytes([0x50, 2, 0, 9]), "PUBREC")
        c.send(again(bytes([0x62, 2, 0, 9])))
        c.expect(bytes([0x70, 2, 0, 9]), "PUBCOMP")
        c.send(again(wire.unsubscribe(wire.V31, ["a/b"], mid=8)))
        c.expect(wire.unsuback(wire.V31, mid=8), "UNSUBACK")
        c.ping()


@tap.test
def malformed_later(server):
    """In 3.1.1 and 5.0 the bit is reserved: the connection is closed (5.0: 0x81)."""
    for version in (wire.V311, wire.V5):
        for data in (wire.subscribe(version, [("a/b", 0)]), wire.unsubscribe(version, ["a/b"]),
                     bytes([0x62, 2, 0, 1])):
            with server.client(version) as c:
                c.send(again(data))
                if version == wire.V5:
                    raw = c.read()
                    tap.equal((raw[0], raw[2]), (0xe0, 0x81), "DISCONNECT")
                c.expect_close()


with broker.Broker() as daemon:
    tap.run(daemon)
