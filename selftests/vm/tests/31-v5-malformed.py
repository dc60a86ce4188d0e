#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# core
"""Malformed packets: the specified reason code, counted by cause, nobody else harmed."""
from lib import broker, tap, wire

MALFORMED, PROTOCOL, TOPIC, ALIAS, TOO_LARGE = 0x81, 0x82, 0x90, 0x94, 0x95


def pub(topic, properties=b"", **options):
    return wire.publish(wire.V5, topic, b"x", properties=properties, **options)


# What is wrong, the packet, reason codes that say so, counters that may count it.
CASES = (
    ("five-byte Remaining Length", bytes.fromhex("30ffffffff7f"), (MALFORMED,)),
    ("QoS 3", bytes.fromhex("36 05 0001 61 0001 00"), (MALFORMED,)),
    ("DUP at QoS 0", pub("a", dup=1), (MALFORMED, PROTOCOL)),
    ("packet type 0", bytes.fromhex("0000"), (MALFORMED, PROTOCOL)),
    ("CONNACK from a client", bytes.fromhex("2003000000"), (PROTOCOL, MALFORMED)),
    ("SUBACK from a client", bytes.fromhex("900400010000"), (PROTOCOL, MALFORMED)),
    ("PINGRESP from a client", wire.PONG, (PROTOCOL, MALFORMED)),
    ("PINGREQ with flags", bytes.fromhex("c100"), (MALFORMED,)),
    ("PINGREQ with a body", bytes.fromhex("c00100"), (MALFORMED, PROTOCOL)),
    ("topic of bytes that are no UTF-8", pub(b"a\xc0\xaf"), (MALFORMED, TOPIC)),
    ("topic with a surrogate", pub(b"a\xed\xa0\x80"), (MALFORMED, TOPIC)),
    ("topic with NUL", pub(b"a\0b"), (MALFORMED, TOPIC)),
    ("topic with #", pub("a/#"), (MALFORMED, TOPIC, PROTOCOL)),
    ("topic with +", pub("a/+/b"), (MALFORMED, TOPIC, PROTOCOL)),
    ("topic longer than the packet", bytes.fromhex("30 04 0010 6162"), (MALFORMED,)),
    ("no topic, no alias", pub(""), (PROTOCOL, TOPIC, MALFORMED)),
    ("alias 0", pub("a", wire.prop(wire.ALIAS, 0)), (ALIAS, PROTOCOL)),
    ("alias above the maximum", pub("a", wire.prop(wire.ALIAS, 65535)), (ALIAS,)),
    ("alias never set", pub("", wire.prop(wire.ALIAS, 7)), (PROTOCOL, ALIAS)),
    ("alias twice", pub("a", wire.prop(wire.ALIAS, 1) * 2), (PROTOCOL,)),
    ("expiry twice", pub("a", wire.prop(wire.EXPIRY, 1) * 2), (PROTOCOL,)),
    ("unknown property", pub("a", b"\x7f\x00"), (MALFORMED, PROTOCOL)),
    ("property of CONNECT", pub("a", wire.prop(wire.SESSION_EXPIRY, 1)), (MALFORMED, PROTOCOL)),
    ("subscription identifier of a client", pub("a", wire.prop(wire.SUBSCRIPTION_ID, 1)),
     (PROTOCOL, MALFORMED)),
    ("payload format 2", pub("a", wire.prop(wire.PAYLOAD_FORMAT, 2)), (PROTOCOL, MALFORMED)),
    ("property cut off", wire.packet(wire.PUBLISH, 0, wire.binary("a") + b"\x03\x02\0\0"),
     (MALFORMED,)),
    ("Property Length beyond the packet",
     wire.packet(wire.PUBLISH, 0, wire.binary("a") + b"\x7f"), (MALFORMED,)),
    ("packet id 0", pub("a", qos=1, mid=0), (MALFORMED, PROTOCOL)),
    ("QoS 1 without packet id", bytes.fromhex("32 03 0001 61"), (MALFORMED,)),
    ("SUBSCRIBE without filter", bytes.fromhex("82 03 0001 00"), (PROTOCOL, MALFORMED)),
    ("SUBSCRIBE with flags 0", bytes.fromhex("80 07 0001 00 0001 61 00"), (MALFORMED,)),
    ("SUBSCRIBE without options", bytes.fromhex("82 06 0001 00 0001 61"), (MALFORMED,)),
    ("SUBSCRIBE of QoS 3", wire.subscribe(wire.V5, [("a", 3)]), (MALFORMED, PROTOCOL)),
    ("SUBSCRIBE with reserved options", wire.subscribe(wire.V5, [("a", 0xc0)]),
     (MALFORMED, PROTOCOL)),
    ("SUBSCRIBE with identifier 0",
     wire.subscribe(wire.V5, [("a", 0)], properties=bytes([11, 0])), (PROTOCOL, MALFORMED)),
    ("UNSUBSCRIBE without filter", bytes.fromhex("a2 03 0001 00"), (PROTOCOL, MALFORMED)),
    ("PUBREL with flags 0", bytes.fromhex("6002 0001"), (MALFORMED,)),
    ("DISCONNECT with flags", bytes.fromhex("e100"), (MALFORMED,)),
    ("PUBACK with a reason of SUBACK", wire.packet(wire.PUBACK, 0, b"\0\1\x8f"), (PROTOCOL,)),
    ("PUBREC with a reason of PUBREL", wire.packet(wire.PUBREC, 0, b"\0\1\x92"), (PROTOCOL,)),
    ("PUBREL with a reason of PUBACK", wire.packet(wire.PUBREL, 2, b"\0\1\x97"), (PROTOCOL,)),
    ("PUBCOMP with an unknown reason", wire.packet(wire.PUBCOMP, 0, b"\0\1\x7f"), (PROTOCOL,)),
    ("AUTH with flags", bytes.fromhex("f100"), (MALFORMED,)),
    ("AUTH without a method", bytes.fromhex("f000"), (PROTOCOL, MALFORMED)),
)
COUNTERS = ("closed_malformed", "closed_protocol_error", "closed_topic_name_invalid",
            "closed_topic_alias_invalid")


def counted(server):
    stats = server.stats()
    return sum(stats[name] for name in COUNTERS)


@tap.test
def reasons(server):
    """5.0: DISCONNECT with the reason, then the close; counted once each."""
    broker.only_kmqtt()
    wrong = []
    before = counted(server)
    with server.client(wire.V5) as sub, server.client(wire.V311) as good:
        sub.subscribe("#")
        for name, data, codes in CASES:
            with server.client(wire.V5) as bad:
                bad.ping()
                bad.send(data)
                try:
                    raw = bad.read()
                    if raw[0] != 0xe0 or raw[1] < 1 or raw[2] not in codes:
                        wrong.append("%s: %s" % (name, raw[:16].hex(" ")))
                    bad.expect_close()
                except (wire.Closed, TimeoutError, AssertionError) as error:
                    wrong.append("%s: %s" % (name, error))
            good.publish("fine", b"still")
            got = sub.message()
            if (got.topic, got.payload) != ("fine", b"still"):
                wrong.append("%s: was published: %r" % (name, got))
                sub.message()
    for text in wrong:
        tap.note(text)
    tap.equal(len(wrong), 0, "wrong answers")
    broker.wait_for(lambda: counted(server) - before >= len(CASES), "all counted", 10)
    tap.equal(counted(server) - before, len(CASES), "counted closes")


@tap.test
def silent_in_3(server):
    """3.1.1: closed without a packet; the same faults without properties."""
    broker.only_kmqtt()                         # Mosquitto lets some of them pass
    cases = (bytes.fromhex("30ffffffff7f"), bytes.fromhex("36 05 0001 61 0001"),
             bytes.fromhex("0000"), bytes.fromhex("20020000"), bytes.fromhex("d000"),
             wire.publish(wire.V311, "a/#", b""), wire.publish(wire.V311, "a/+", b""),
             wire.publish(wire.V311, b"a\xff", b""), wire.publish(wire.V311, b"a\0", b""),
             wire.publish(wire.V311, "", b""), bytes.fromhex("30 04 0010 6162"),
             bytes.fromhex("82 02 0001"), bytes.fromhex("82 05 0001 0001 61"),
             wire.subscribe(wire.V311, [("a", 3)]),
             bytes.fromhex("a2 02 0001"), wire.publish(wire.V311, "a", b"", qos=1, mid=0),
             bytes.fromhex("f000"))
    with server.client(wire.V311) as sub, server.client(wire.V311) as good:
        sub.subscribe("#")
        for data in cases:
            with server.client(wire.V311) as bad:
                bad.send(data)
                try:
                    raw = bad.read()
                except wire.Closed:
                    raw = b""
                tap.equal(raw, b"", "answer to %s" % data.hex(" "))
            good.publish("fine", b"still")
            tap.equal(sub.message().topic, "fine", "topic")


@tap.test
def server_maximum(server):
    """A packet above the Maximum Packet Size we announced: 0x95, counted, before it is sent."""
    broker.only_kmqtt()
    with broker.Growth(server) as grown:
        with server.client(wire.V5) as c:
            tap.equal(c.properties[wire.MAX_PACKET], 100000, "Maximum Packet Size")
            c.publish("fits", b"x" * 90000)
            c.ping()
            c.send(b"\x30" + wire.varint(100001) + b"\0\1a")
            raw = c.read()
            tap.equal((raw[0], raw[2]), (0xe0, TOO_LARGE), "DISCONNECT")
            c.expect_close()
        with server.client(join=False) as c:    # before CONNECT nothing large is taken
            c.send(b"\x10" + wire.varint(268435455) + b"\0\4MQTT\4\2\0\0")
            c.expect_close()
        broker.wait_for(lambda: server.stats()["closed_packet_too_large"]
                        - grown.before["closed_packet_too_large"] >= 1, "counted", 5)


with broker.Broker("max_packet_size 100000\n") as daemon:
    tap.run(daemon)
