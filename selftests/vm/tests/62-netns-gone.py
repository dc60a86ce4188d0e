#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 360
"""A network namespace whose name and daemon are gone: it ends with its grace.

  initial namespace               namespace gone-N
  clients  kmN 10.9.N.1/24 ------ kmP 10.9.N.2/24  mqttd, port 1883
  mqttd, port 1883, that must not notice
The sockets that the module holds keep gone-N alive; the device kmN goes with it.
"""
import itertools
import json
import os
import threading
import time

from lib import broker, tap, wire

# What the end of a namespace may take beyond the grace.
MARGIN = 2 * broker.SLOW
GRACE = 3

_numbers = itertools.count(1)


class Away(broker.Broker):
    """A broker in a namespace of its own, with clients in the initial one."""

    def __init__(self, grace):
        self.number = next(_numbers)
        self.device = "km%d" % self.number
        self.host = "10.9.%d.2" % self.number
        self.grace = grace
        # Each mqttd has its control socket.
        super().__init__(conf="control_socket /run/mqttd/%s.sock\n" % self.device,
                         base="listener %d\nallow_anonymous true\npersistence false\n"
                              "log_type error\nlog_type warning\n",
                         netns="gone-%d" % self.number)
        self.clients = []

    def __enter__(self):
        broker.run("ip", "netns", "add", self.netns)
        broker.run("ip", "link", "add", self.device, "type", "veth", "peer", "kmP",
                   "netns", self.netns)
        broker.run("ip", "addr", "add", "10.9.%d.1/24" % self.number, "dev", self.device)
        broker.run("ip", "link", "set", self.device, "up")
        for words in (["addr", "add", self.host + "/24", "dev", "kmP"],
                      ["link", "set", "kmP", "up"], ["link", "set", "lo", "up"]):
            broker.run("ip", "-n", self.netns, *words)
        self.start()
        if self.grace is not None:
            self.param("daemon_grace", self.grace)
        return self

    def __exit__(self, *_):
        for c in self.clients:
            c.close()
        if self.process.poll() is None:
            self.kill()
        if os.path.exists("/run/netns/" + self.netns):
            broker.run("ip", "netns", "del", self.netns)

    def client(self, version=wire.V311, **options):
        c = wire.Client(version, port=self.port, host=self.host, **options)
        self.clients.append(c)
        return c

    def there(self):
        return os.path.exists("/sys/class/net/" + self.device)

    def forsake(self):
        """Take name and daemon away; the time of the daemon's death."""
        broker.run("ip", "netns", "del", self.netns)
        self.kill()
        return time.monotonic()


class Load:
    """Publishers and subscribers in the middle of it, until they are disconnected."""

    def __init__(self, away):
        self.last = {}
        self.count = 0
        self.failures = []
        self.threads = []
        for version in wire.VERSIONS:
            sub = away.client(version)
            sub.subscribe("load/#")
            self.begin(self.read, sub)
            self.begin(self.publish, away.client(version))
        # Its queue fills and so does its socket.
        away.client(wire.V311).subscribe("load/#")
        broker.wait_for(lambda: self.count > 500, "traffic flows")

    def begin(self, function, client):
        thread = threading.Thread(target=function, args=(client,), daemon=True)
        self.threads.append(thread)
        thread.start()

    def read(self, client):
        try:
            while True:
                self.last[client.id] = client.read()
                self.count += 1
        except wire.Closed:
            pass
        except Exception as why:                # whatever it is, the test failed
            self.failures.append(repr(why))

    def publish(self, client):
        data = wire.publish(client.version, "load/t", b"x" * 400) * 5
        try:
            while True:
                client.send(data)
                time.sleep(0.005)
        except OSError:
            pass

    def ended(self):
        for thread in self.threads:
            thread.join(wire.TIMEOUT)
        tap.true(not any(t.is_alive() for t in self.threads), "a client is still connected")
        tap.equal(self.failures, [], "failures")


class Undisturbed(threading.Thread):
    """A pair of clients of the broker of the initial namespace."""

    def __init__(self, server):
        super().__init__()
        self.pair = server.client(wire.V5), server.client(wire.V311)
        self.pair[0].subscribe("home/#")
        self.ended = threading.Event()
        self.longest = 0
        self.failure = None

    def run(self):
        try:
            number = 0
            while not self.ended.wait(0.01):
                start = time.monotonic()
                self.pair[1].publish("home/t", b"%d" % number)
                tap.equal(self.pair[0].message().payload, b"%d" % number, "payload")
                self.pair[0].ping()
                number += 1
                self.longest = max(self.longest, time.monotonic() - start)
        except Exception as why:                # whatever it is, the test failed
            self.failure = repr(why)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join(wire.TIMEOUT * 2)
        for c in self.pair:
            c.close()


def gone_in_time(away, died):
    """The namespace lives until its grace is over and is gone MARGIN later."""
    while away.there():
        tap.true(time.monotonic() - died < away.grace + MARGIN,
                 "the namespace is there %d s after its grace" % MARGIN)
        time.sleep(0.02)
    took = time.monotonic() - died
    tap.note("gone %.2f s after the daemon, grace %d s" % (took, away.grace))
    tap.true(took > away.grace - 0.1, "it did not wait for the daemon")


def conn_count(server):
    return len(json.loads(server.ctl("-j", "client", "list").stdout))


@tap.test
def under_load(server):
    """Namespace and daemon go under load: forwarding until the grace is over, then all is gone."""
    with Undisturbed(server) as home, Away(GRACE) as away:
        load = Load(away)
        died = away.forsake()
        time.sleep(GRACE * 0.6)
        before = load.count
        time.sleep(GRACE * 0.2)
        tap.true(load.count > before, "nothing is forwarded within the grace")
        gone_in_time(away, died)
        load.ended()
    tap.equal(home.failure, None, "what went wrong in the initial namespace")
    tap.note("longest round trip at home: %.3f s" % home.longest)
    tap.equal(conn_count(server), 0, "connections of the initial namespace")


@tap.test
def told(_server):
    """At the end of the grace 5.0 clients are told 0x8B, the others are closed."""
    with Away(1) as away:
        clients = [away.client(v) for v in wire.VERSIONS]
        died = away.forsake()
        for c in clients:
            c.expect_disconnect(0x8B)
        gone_in_time(away, died)


@tap.test
def at_once(_server):
    """daemon_grace 0: closed with the daemon."""
    with Away(0) as away:
        load = Load(away)
        died = away.forsake()
        load.ended()
        gone_in_time(away, died)


@tap.test
def daemon_back(_server):
    """A daemon that comes back within the grace stops it."""
    grace = 5 * broker.SLOW
    with Away(grace) as away:
        c = away.client(wire.V5)
        away.kill()
        away.start()
        time.sleep(grace + 1)
        c.ping()
        c.leave()


@tap.test
def daemon_late(server):
    """A daemon that comes while the grace ends hears of what is closing: ids are free again."""
    for tenths in range(5, 14, 2):
        server.param("daemon_grace", 1)
        with server.client(wire.V5, client_id="late") as old:
            server.kill()
            time.sleep(tenths / 10)
            server.start()
            with server.client(wire.V5, client_id="late") as new:
                new.leave()
            tap.equal(old.read()[0], wire.DISCONNECT << 4, "what the former one got")
    server.param("daemon_grace", 600)
    tap.equal(conn_count(server), 0, "connections")


@tap.test
def for_ever(server):
    """daemon_grace -1 is for the initial namespace only."""
    with Away(None) as away:
        done = away.ctl("param", "set", "daemon_grace", "-1", check=False)
        tap.true(done.returncode, "daemon_grace -1 in a namespace")
        tap.true("initial network namespace" in done.stderr, done.stderr)
        tap.equal(json.loads(away.ctl("-j", "param", "get", "daemon_grace").stdout),
                  {"daemon_grace": 600}, "the parameter then")
    server.param("daemon_grace", -1)
    with server.client(wire.V5) as c:
        server.kill()
        time.sleep(3)
        c.ping()
        server.start()
        c.ping()
        c.leave()


@tap.test
def second_daemon(server):
    """Each namespace has its own daemon, clients and routes."""
    with Away(GRACE) as away:
        here, there = server.client(), away.client()
        for c in (here, there):
            c.subscribe("#")
        here.publish("a", b"here")
        there.publish("a", b"there")
        for c, text in ((here, b"here"), (there, b"there")):
            tap.equal(c.message().payload, text, "payload")
            c.expect_silence()
            c.leave()


if __name__ == "__main__":
    broker.only_kmqtt()
    with broker.Broker() as the_server:
        tap.run(the_server)
