#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
"""The end of mqttd by signals, and a second one while the first lives."""
import json
import os
import signal
import subprocess
import time

from lib import broker, tap, wire

SHUTTING_DOWN = 0x8B


def running(server):
    """An earlier test may have failed without a daemon."""
    if server.process.poll() is not None:
        server.start()


def end(server, number):
    server.process.send_signal(number)
    tap.equal(server.process.wait(20), 0, "exit status after signal %d" % number)


def closing(server, number):
    """A signal closes all: those that are idle, that flood, that do not read."""
    running(server)
    clients = [server.client(v) for v in wire.VERSIONS]
    waiting = server.client(wire.V311, join=False)
    stalled = server.client(wire.V5)
    stalled.subscribe("flood")
    for _ in range(200):
        clients[0].publish("flood", b"x" * 20000)
    clients[0].ping()
    start = time.monotonic()
    end(server, number)
    tap.true(time.monotonic() - start < 5 * broker.SLOW, "the end took more than 5 s")
    for c in clients:
        c.expect_disconnect(SHUTTING_DOWN)
    waiting.expect_close()
    for c in clients + [waiting, stalled]:
        c.close()
    server.start()
    tap.equal(json.loads(server.ctl("-j", "client", "list").stdout), [], "clients then")


@tap.test
def terminate(server):
    """SIGTERM: 5.0 is told 0x8B, all are closed, soon."""
    closing(server, signal.SIGTERM)


@tap.test
def interrupt(server):
    """SIGINT: the same."""
    closing(server, signal.SIGINT)


@tap.test
def wills(server):
    """SIGTERM: wills reach those who are there, before they are disconnected."""
    running(server)
    with server.client(wire.V5) as sub, server.client(wire.V311) as old:
        for c in (sub, old):
            c.subscribe("will/#")
        later = wire.prop(wire.WILL_DELAY, 600)
        ones = [server.client(v, will=wire.Will("will/%d" % v)) for v in wire.VERSIONS]
        ones.append(server.client(wire.V5, properties=wire.prop(wire.SESSION_EXPIRY, 3600),
                                  will=wire.Will("will/delayed", properties=later)))
        # Its will waits for the delay when the daemon is told to end.
        away = server.client(wire.V5, properties=wire.prop(wire.SESSION_EXPIRY, 3600),
                             will=wire.Will("will/waiting", properties=later))
        away.send(wire.disconnect5(4))
        away.expect_close()
        end(server, signal.SIGTERM)
        want = sorted(["will/3", "will/4", "will/5", "will/delayed", "will/waiting"])
        for c in (sub, old):
            tap.equal(sorted(c.message().topic for _ in want), want, "wills")
            c.expect_disconnect(SHUTTING_DOWN)
        for c in ones:
            c.expect_disconnect(SHUTTING_DOWN)
            c.close()
    server.start()


@tap.test
def kept(server):
    """SIGUSR2: connections, subscriptions with all options and wills go over to the next."""
    running(server)
    with server.client(wire.V5) as pub, \
            server.client(wire.V5, will=wire.Will("kept/will")) as sub, \
            server.client(wire.V31, client_id="old") as old:
        sub.subscribe("kept/#", options=0 | 4 | 8, properties=wire.prop(wire.SUBSCRIPTION_ID, 77))
        old.subscribe("kept/#")
        before = json.loads(server.ctl("-j", "route", "list").stdout)
        end(server, signal.SIGUSR2)
        # QoS 0 goes on while there is no daemon.
        pub.publish("kept/a", b"alone")
        tap.equal(sub.message().properties, [(wire.SUBSCRIPTION_ID, 77)], "properties")
        tap.equal(old.message().payload, b"alone", "payload")
        server.start()
        tap.equal(json.loads(server.ctl("-j", "route", "list").stdout), before, "routes")
        shown = json.loads(server.ctl("-j", "client", "show", "old").stdout)
        tap.equal(shown["session"]["subscriptions"], 1, "subscriptions in the new daemon")
        # No Local is the new daemon's business for QoS 1.
        sub.publish1("kept/b", b"own")
        tap.equal(old.message().payload, b"own", "payload")
        sub.expect_silence()
        sub.send(wire.disconnect5(4))
        m = old.message()
        tap.equal((m.topic, m.payload), ("kept/will", b"gone"), "the will after the hand-over")
        for c in (pub, old):
            c.leave()


@tap.test
def second(server):
    """A second daemon: EBUSY with the kernel's words, status 1; the first goes on undisturbed."""
    pid_file = os.path.join(server.dir, "mqttd.pid")
    running(server)
    server.stop()
    with open(server.conf, "a", encoding="utf-8") as f:
        f.write("pid_file %s\n" % pid_file)
    server.start()
    conf = server.conf + ".second"
    with open(server.conf, encoding="utf-8") as f:
        text = f.read()
    with open(conf, "w", encoding="utf-8") as f:
        f.write(text.replace("listener %d " % server.port, "listener %d " % (server.port + 1)))
    with server.client(wire.V5) as sub, server.client(wire.V311) as pub:
        sub.subscribe("first/#", 1)
        for _ in range(3):
            done = subprocess.run(["mqttd", "-c", conf], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=20, check=False)
            tap.equal(done.returncode, 1, "exit status")
            for words in ("another mqttd serves this network namespace: stop it first",
                          "another daemon owns this network namespace"):
                tap.true(words in done.stderr, "%r is not in %r" % (words, done.stderr))
            pub.publish("first/0", b"x")
            tap.equal(sub.message().payload, b"x", "payload")
            pub.publish1("first/1", b"y")
            m = sub.message()
            tap.equal(m.payload, b"y", "payload")
            sub.send(wire.ack(wire.PUBACK, m.mid))
        server.ctl("client", "list")
        with open(pid_file, encoding="ascii") as f:
            tap.equal(int(f.read()), server.process.pid, "pid file")
        for c in (sub, pub):
            c.leave()
    tap.true(broker.port_free(server.port + 1), "the second one listens")


if __name__ == "__main__":
    broker.only_kmqtt()
    with broker.Broker() as the_server:
        tap.run(the_server)
