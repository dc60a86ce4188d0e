#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 90
"""retry_interval and max_pubrel_wait: what clients leave unanswered."""
import sys
import time

from lib import broker, tap, wire
from lib.wire import PUBACK, PUBCOMP, PUBREC, PUBREL

RETRY = 2
WAIT = 15 if broker.SLOW > 1 else 5
SLACK = 1.5 * broker.SLOW                       # the timer's second, and a slow kernel
IN_TIME = WAIT - 1 - SLACK


def sent(server, version, qos):
    """A subscriber with an unanswered message."""
    sub = server.client(version)
    sub.subscribe(sub.id, qos)
    with server.client(wire.V311) as pub:
        pub.publish(sub.id, b"x", qos=qos)
        pub.read()
    got = sub.message()
    tap.equal((got.qos, got.dup), (qos, 0), "QoS and DUP")
    return sub, got


@tap.test
def puback_missing(server):
    """3.1, QoS 1: the PUBLISH comes again with DUP until it is acknowledged."""
    sub, first = sent(server, wire.V31, 1)
    with sub:
        for _ in range(2):
            start = time.monotonic()
            got = sub.message()
            tap.equal((got.dup, got.mid, got.payload), (1, first.mid, b"x"), "repetition")
            waited = time.monotonic() - start
            tap.true(waited > RETRY - 1.2, "again after %.1f s" % waited)
        sub.send(wire.ack(PUBACK, first.mid))
        sub.expect_silence(RETRY + SLACK)


@tap.test
def qos2_missing(server):
    """3.1, QoS 2: PUBLISH and PUBREL come again with DUP until they are answered."""
    sub, first = sent(server, wire.V31, 2)
    with sub:
        got = sub.message()
        tap.equal((got.dup, got.mid), (1, first.mid), "repetition")
        sub.send(wire.ack(PUBREC, first.mid))
        sub.expect(wire.ack(PUBREL, first.mid), "PUBREL")
        again = bytearray(wire.ack(PUBREL, first.mid))
        again[0] |= 8
        sub.expect(bytes(again), "PUBREL again")
        sub.send(wire.ack(PUBCOMP, first.mid))
        sub.expect_silence(RETRY + SLACK)


@tap.test
def only_31(server):
    """3.1.1 and 5.0: nothing comes again on the same connection."""
    subs = [sent(server, version, qos)[0] for version in (wire.V311, wire.V5)
            for qos in (1, 2)]
    time.sleep(RETRY + SLACK)
    for sub in subs:
        sub.ping()
        sub.close()


def closed_in_time(client, start):
    client.expect_disconnect(0x83)
    waited = time.monotonic() - start
    tap.true(waited > WAIT - 0.5, "closed after %.1f s" % waited)


@tap.test
def pubrec_owed(server):
    """Who owes a PUBREC or PUBCOMP for too long is disconnected, with its will."""
    with server.client(wire.V311) as witness:
        witness.subscribe("due/will")
        start = time.monotonic()
        subs = []
        for version in wire.VERSIONS:
            sub = server.client(version, will=wire.Will("due/will", b"%d" % version))
            sub.subscribe("due/t", 2)
            subs.append(sub)
        with server.client(wire.V311) as pub:
            pub.publish("due/t", b"x", qos=2)
            pub.read()
        for sub in subs[1:]:
            sub.send(wire.ack(PUBREC, sub.message().mid))
            sub.expect(wire.ack(PUBREL, 1), "PUBREL")
        for sub in subs[1:]:
            closed_in_time(sub, start)
            sub.close()
        # 3.1: whatever it is sent again does not make it owe less long.
        try:
            while subs[0].read():
                pass
        except wire.Closed:
            tap.true(time.monotonic() - start < WAIT + RETRY + 2 * SLACK, "3.1 closed too late")
        subs[0].close()
        got = sorted(witness.message().payload for _ in wire.VERSIONS)
        tap.equal(got, sorted(b"%d" % v for v in wire.VERSIONS), "wills")


@tap.test
def pubrel_owed(server):
    """Who owes a PUBREL for too long is disconnected; a late one on a new connection counts."""
    for version in (wire.V311, wire.V5):
        life = wire.prop(wire.SESSION_EXPIRY, 60) if version == wire.V5 else b""
        with server.client(version, client_id="owes", clean=False, properties=life) as pub:
            start = time.monotonic()
            for mid in (1, 2, 3):
                pub.publish("due/t", b"x", qos=2, mid=mid)
                pub.expect(wire.ack(PUBREC, mid), "PUBREC")
            for mid in (3, 1):
                pub.send(wire.ack(PUBREL, mid))
                pub.expect(wire.ack(PUBCOMP, mid), "PUBCOMP")
            closed_in_time(pub, start)
        with server.client(version, client_id="owes", clean=False, properties=life) as pub:
            tap.equal(pub.present, 1, "Session Present")
            pub.send(wire.ack(PUBREL, 2))
            pub.expect(wire.ack(PUBCOMP, 2), "PUBCOMP")
        server.client(version, client_id="owes").leave()


@tap.test
def puback_owed(server):
    """A PUBACK may be late, and so may the rest of who answers each step in time."""
    sub, _ = sent(server, wire.V311, 1)
    with sub:
        time.sleep(WAIT + SLACK)
        sub.ping()
    sub, first = sent(server, wire.V311, 2)
    with sub:
        time.sleep(IN_TIME)
        sub.send(wire.ack(PUBREC, first.mid))
        sub.expect(wire.ack(PUBREL, first.mid), "PUBREL")
        time.sleep(IN_TIME)
        sub.send(wire.ack(PUBCOMP, first.mid))
        time.sleep(IN_TIME)
        sub.ping()


if broker.MOSQUITTO:
    print("1..0 # SKIP kmqtt only")
    sys.exit(0)
with broker.Broker("retry_interval %d\nmax_pubrel_wait %d\n" % (RETRY, WAIT)) as daemon:
    tap.run(daemon)
