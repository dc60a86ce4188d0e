#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 360
"""Load, traffic, unload: 20 times, with live connections at the unload."""
import signal
import threading
import time

from lib import broker, tap, wire

CYCLES = 20
# An open dump may hold the module for a moment; the unload itself must end.
BUSY = 5 * broker.SLOW
UNLOAD = BUSY + 60


class Flood(threading.Thread):
    """Publishes until its connection ends; counts."""

    def __init__(self, server, version, qos):
        super().__init__(daemon=True)
        self.client = server.client(version)
        self.qos = qos

    def run(self):
        try:
            self.publish()
        except (OSError, wire.Closed):
            pass

    def publish(self):
        mid = 0
        while True:
            if self.qos:
                mid = mid % 60000 + 1
                self.client.publish("cycle/acked", b"x" * 50, qos=1, mid=mid)
                self.client.read()
            else:
                self.client.send(wire.publish(self.client.version, "cycle/t", b"x" * 300) * 20)

    def ended(self):
        self.join(wire.TIMEOUT)
        self.client.close()
        return not self.is_alive()


class Sink(threading.Thread):
    """Subscribes and reads until its connection ends."""

    def __init__(self, server, version):
        super().__init__(daemon=True)
        self.client = server.client(version)
        self.client.subscribe("cycle/#")
        self.last = None
        self.count = 0

    def run(self):
        try:
            while True:
                self.last = self.client.read()
                self.count += 1
        except (OSError, wire.Closed):
            pass

    ended = Flood.ended


def stalled(server):
    """A subscriber that does not read: its queue is full at the unload."""
    c = server.client(wire.V311)
    c.subscribe("cycle/#")
    return c


def unload():
    """rmmod, in a thread of its own so that a hang is seen."""
    start = time.monotonic()
    failure = []

    def remove():
        try:
            broker.unload(BUSY)
        except AssertionError as why:
            failure.append(why)

    thread = threading.Thread(target=remove, daemon=True)
    thread.start()
    thread.join(UNLOAD)
    tap.true(not thread.is_alive(), "rmmod hangs")
    tap.true(not failure, failure)
    return time.monotonic() - start


def cycle(server, end):
    """One life of the module; @end is what becomes of the daemon before its end."""
    server.start()
    sinks = [Sink(server, v) for v in wire.VERSIONS]
    floods = [Flood(server, v, qos) for v in wire.VERSIONS for qos in (0, 1)]
    idle = [server.client(v) for v in wire.VERSIONS]
    slow = stalled(server)
    for one in sinks + floods:
        one.start()
    broker.wait_for(lambda: all(s.count > 50 for s in sinks), "traffic flows")
    end(server)
    took = unload()
    for one in sinks + floods:
        tap.true(one.ended(), "a client was not disconnected")
    for c in idle:
        c.expect_disconnect(0x8B)
        c.close()
    slow.close()
    return took


def cycles(server, end):
    took = [cycle(server, end) for _ in range(CYCLES // 2)]
    tap.note("unload took %.2f to %.2f s" % (min(took), max(took)))


@tap.test
def daemon_dead(server):
    """Ten cycles with the daemon killed before the unload."""
    cycles(server, lambda s: s.kill())


@tap.test
def daemon_alive(server):
    """Ten cycles with the daemon alive, which then ends with an error."""
    def alive(_server):
        pass

    for _ in range(CYCLES // 2):
        cycle(server, alive)
        status = server.process.wait(wire.TIMEOUT)
        tap.equal(status, 1, "exit status of mqttd")


@tap.test
def nothing_left(server):
    """Afterwards nothing of the module is left, and it can be loaded again."""
    with open("/proc/modules", encoding="ascii") as f:
        tap.true("kmqtt" not in f.read(), "the module is still there")
    with open("/proc/slabinfo", encoding="ascii") as f:
        tap.true("kmqtt" not in f.read(), "a slab cache is still there")
    names = broker.run("ps", "-e", "-o", "comm=").stdout
    tap.true("kmqtt/" not in names, "a worker is still there:\n" + names)
    server.start()
    with server.client() as c:
        c.ping()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(wire.TIMEOUT)


if __name__ == "__main__":
    broker.only_kmqtt()
    server_without_start = broker.Broker()
    try:
        tap.run(server_without_start)
    finally:
        server_without_start.__exit__()
