#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
"""QoS 0, 1, 2 and RETAIN mixed on one topic: nothing is lost, order is kept.

With forwarding on, off, and switched while messages flow, of each publisher.
"""
import collections
import random
import struct
import threading
import time

from lib import broker, tap, wire

COUNT = 300                             # of each publisher
BURST, WINDOW = 12, 6
TOPIC = "order/t"
KINDS = ((0, 0),) * 6 + ((1, 0), (2, 0), (0, 1), (1, 1))


def in_threads(jobs):
    """Run all; raise what one of them raised."""
    errors = []

    def run(job):
        try:
            job()
        except Exception as error:      # for the main thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def answer(client, raw):
    """Go on with the exchange of QoS 1 or 2; true when it is over for a publisher."""
    kind = raw[0] >> 4
    mid = raw[2:4]
    if kind == wire.PUBREC:
        client.send(wire.packet(wire.PUBREL, 2, mid))
    elif kind == wire.PUBREL:
        client.send(wire.packet(wire.PUBCOMP, 0, mid))
    return kind in (wire.PUBACK, wire.PUBCOMP)


def publish_all(client, name, seed):
    """COUNT numbered messages in bursts, a bounded number of them unacknowledged."""
    rand = random.Random(seed)
    sent = open_count = mid = 0
    while sent < COUNT:
        burst = b""
        for _ in range(min(BURST, COUNT - sent)):
            qos, retain = rand.choice(KINDS)
            mid = mid % 60000 + 1
            open_count += qos > 0
            burst += wire.publish(client.version, TOPIC, "%s %d" % (name, sent), qos,
                                  retain, mid)
            sent += 1
        client.send(burst)
        while open_count > (WINDOW if sent < COUNT else 0):
            open_count -= answer(client, client.read())


def receive_all(client, names, got):
    """Until the last message of each publisher has come."""
    last = {"%s %d" % (name, COUNT - 1) for name in names}
    while last:
        raw = client.read()
        if raw[0] >> 4 != wire.PUBLISH:
            answer(client, raw)
            continue
        message = wire.parse_publish(client.version, raw)
        text = message.payload.decode()
        name, number = text.split()
        got[name].append(int(number))
        last.discard(text)
        if message.qos:
            client.send(wire.packet(wire.PUBACK if message.qos == 1 else wire.PUBREC, 0,
                                    struct.pack("!H", message.mid)))


def check(server):
    """Two publishers, four subscribers."""
    pubs = {"a": server.client(wire.V311), "b": server.client(wire.V5)}
    subs = [(server.client(version), collections.defaultdict(list))
            for version in (wire.V31, wire.V311, wire.V5, wire.V5)]
    for (sub, _), (name, qos) in zip(subs, ((TOPIC, 0), ("order/+", 1), ("#", 2), (TOPIC, 0))):
        sub.subscribe(name, qos)
    jobs = [lambda s=sub, g=got: receive_all(s, pubs, g) for sub, got in subs]
    jobs += [lambda n=name: publish_all(pubs[n], n, n) for name in pubs]
    try:
        in_threads(jobs)
        pubs["a"].publish1(TOPIC, retain=1)
    finally:
        for pub in pubs.values():
            pub.close()
        for sub, _ in subs:
            sub.close()
    for number, (_, got) in enumerate(subs):
        for name in pubs:
            judge(got[name], "subscriber %d, publisher %s" % (number, name))


def judge(numbers, who):
    for want, number in enumerate(numbers):
        tap.equal(number, want, who + ": next message")
    tap.equal(len(numbers), COUNT, who + ": messages")


@tap.test
def forwarding_on(server):
    """With forwarding on."""
    broker.only_kmqtt()                 # Mosquitto forwards QoS 2 on PUBREL
    with broker.Growth(server) as grown:
        check(server)
    grown.at_least("publish_routed_kernel", 1)


@tap.test
def forwarding_off(server):
    """With forwarding off."""
    broker.only_kmqtt()
    server.param("forwarding", 0)
    try:
        with broker.Growth(server) as grown:
            check(server)
    finally:
        server.param("forwarding", 1)
    grown.equal("publish_routed_kernel", 0)


@tap.test
def forwarding_toggled(server):
    """With forwarding switched on and off while messages flow."""
    broker.only_kmqtt()
    done = threading.Event()
    switches = []

    def toggle():
        end = time.monotonic() + 60
        while not done.wait(0.02) and time.monotonic() < end:
            server.param("forwarding", len(switches) & 1)
            switches.append(None)

    thread = threading.Thread(target=toggle)
    thread.start()
    try:
        with broker.Growth(server) as grown:
            for _ in range(2):
                check(server)
    finally:
        done.set()
        thread.join()
        server.param("forwarding", 1)
    tap.true(len(switches) >= 6, "only %d switches" % len(switches))
    grown.at_least("publish_routed_kernel", 1)
    grown.at_least("publish_injected", COUNT // 10)


# Where a Receive Maximum holds QoS 1 and 2 back, QoS 0 passes them: none here.
with broker.Broker("max_inflight_messages 0\n") as daemon:
    tap.run(daemon)
