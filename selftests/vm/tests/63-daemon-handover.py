#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 360
"""Hand-overs under traffic: every packet is answered, nobody is disconnected."""
import signal
import threading
import time

from lib import broker, tap, wire

ROUNDS = 20


class Busy(threading.Thread):
    """A client that sends and waits for the answer, again and again."""

    def __init__(self, server, version, turn):
        super().__init__()
        self.client = server.client(version)
        self.turn = turn
        self.rounds = 0
        self.ended = threading.Event()
        self.failure = None

    def run(self):
        try:
            while not self.ended.is_set():
                self.turn(self.client, self.rounds)
                self.rounds += 1
            self.client.leave()
        except Exception as why:                # whatever it is, the test failed
            self.failure = "%s, MQTT %d, turn %d: %r" % (
                self.turn.__name__, self.client.version, self.rounds, why)

    def finish(self):
        self.ended.set()
        self.join(wire.TIMEOUT * 4)
        self.client.close()
        if self.is_alive():
            return "%s does not end" % self.turn.__name__
        return self.failure


def routes(client, number):
    """SUBSCRIBE and UNSUBSCRIBE of several filters."""
    name = "busy/%s/%d" % (client.id, number % 5)
    mid = number % 60000 + 1
    client.subscribe(name, mid=mid)
    client.unsubscribe(name, mid=mid)


def listed(client, number):
    """An UNSUBSCRIBE that completes in several parts."""
    names = ["busy/%s/%d" % (client.id, i) for i in range(5)]
    mid = number % 60000 + 1
    client.send(wire.subscribe(client.version, [(n, 0) for n in names], mid))
    client.expect(wire.suback(client.version, [0] * 5, mid), "SUBACK")
    client.send(wire.unsubscribe(client.version, names, mid))
    client.expect(wire.unsuback(client.version, mid, [0] * 5), "UNSUBACK")


def acknowledged(client, number):
    """QoS 1, which nobody gets."""
    client.publish1("nobody/%d" % (number % 3), b"%d" % number, mid=number % 60000 + 1)


def twice(client, number):
    """QoS 2 in both steps."""
    mid = number % 60000 + 1
    client.publish("nobody/2", b"%d" % number, qos=2, mid=mid)
    raw = client.read()
    tap.equal((raw[0], raw[2:4]), (wire.PUBREC << 4, mid.to_bytes(2, "big")), "PUBREC")
    client.send(wire.ack(wire.PUBREL, mid))
    raw = client.read()
    tap.equal((raw[0], raw[2:4]), (wire.PUBCOMP << 4, mid.to_bytes(2, "big")), "PUBCOMP")


def looped(client, number):
    """QoS 0 through the kernel to oneself, between SUBACK and UNSUBACK."""
    topic = "loop/" + client.id
    client.subscribe(topic)
    client.publish(topic, b"%d" % number)
    tap.equal(client.message().payload, b"%d" % number, "payload")
    client.unsubscribe(topic)


def storm(server, replace):
    """Busy clients while @replace changes the daemon."""
    clients = [Busy(server, version, turn) for version in wire.VERSIONS
               for turn in (routes, listed, acknowledged, twice, looped)]
    for c in clients:
        c.start()
    try:
        for number in range(ROUNDS):
            time.sleep(0.02 + number % 4 * 0.05)
            replace(server)
            server.start()
            if any(c.failure for c in clients):
                break
    finally:
        failures = [f for f in (c.finish() for c in clients) if f]
    tap.true(not failures, "\n".join(failures))
    tap.note("turns: %s" % " ".join("%d" % c.rounds for c in clients))
    tap.true(min(c.rounds for c in clients) >= ROUNDS, "a client stood still")


def hand_over(server):
    server.process.send_signal(signal.SIGUSR2)
    tap.equal(server.process.wait(20), 0, "exit status after SIGUSR2")


@tap.test
def handover(server):
    """SIGUSR2 twenty times."""
    storm(server, hand_over)


@tap.test
def killed(server):
    """kill -9 twenty times."""
    storm(server, lambda s: s.kill())


if __name__ == "__main__":
    broker.only_kmqtt()
    with broker.Broker() as the_server:
        tap.run(the_server)
