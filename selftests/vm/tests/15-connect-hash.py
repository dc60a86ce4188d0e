#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 150
"""Passwords whose hashes take long: nobody else waits for them."""
import base64
import hashlib
import os
import time

from lib import broker, tap, wire

PATH = "/tmp/kmqtt-slow-passwords"
QUICK = {"username": "quick", "password": "secret"}
SLOW = {"username": "slow", "password": "secret"}


def line(user, iterations):
    salt = os.urandom(12)
    key = hashlib.pbkdf2_hmac("sha512", b"secret", salt, iterations)
    return "%s:$7$%d$%s$%s\n" % (user, iterations, base64.b64encode(salt).decode(),
                                 base64.b64encode(key).decode())


def iterations_of(seconds):
    """What takes so long here."""
    start = time.monotonic()
    hashlib.pbkdf2_hmac("sha512", b"secret", b"salt", 2000)
    return int(2000 * seconds / (time.monotonic() - start))


def begin(server, client_id, version=wire.V311, **who):
    """A client that has sent its CONNECT and not read the answer."""
    c = server.client(version, client_id=client_id, join=False)
    c.send(wire.connect(version, client_id, **who))
    return c


@tap.test
def others_go_on(server):
    """While a password is hashed, others connect, subscribe and publish."""
    broker.only_kmqtt()
    with begin(server, "s", **SLOW) as slow:
        with server.client(wire.V5, **QUICK) as quick:
            quick.subscribe("a", 1)
            quick.publish("a", b"x", qos=1)
            kinds = sorted(quick.read()[0] >> 4 for _ in range(2))
            tap.equal(kinds, [wire.PUBLISH, wire.PUBACK], "packets")
        slow.expect_silence(0.01)
        slow.joined()
        slow.ping()


@tap.test
def wrong(server):
    """A wrong password and an unknown user take as long and are refused."""
    for who in ({"username": "slow", "password": "wrong"},
                {"username": "nobody", "password": "secret"}):
        with begin(server, "w", **who) as c:
            c.expect(bytes([0x20, 2, 0, 5]), "CONNACK")
            c.expect_close()
        with begin(server, "w", wire.V5, **who) as c:
            raw = c.read()
            tap.equal((raw[0], raw[3]), (0x20, 0x87), "CONNACK")
            c.expect_close()


@tap.test
def same_id(server):
    """Of one client id the older connection has its turn first, whatever it takes."""
    broker.only_kmqtt()
    with begin(server, "same", **SLOW) as first, begin(server, "same", **QUICK) as second, \
            begin(server, "same", **SLOW) as third:
        first.joined()
        first.expect_close()
        second.joined()
        second.expect_close()
        third.joined()
        third.ping()


@tap.test
def same_id_refused(server):
    """If the older one is refused, or goes away, the next has its turn."""
    broker.only_kmqtt()
    with begin(server, "next", username="slow", password="wrong") as first, \
            begin(server, "next", **SLOW) as second, begin(server, "next", **QUICK) as third:
        first.expect(bytes([0x20, 2, 0, 5]), "CONNACK")
        second.close()
        third.joined()
        third.ping()


@tap.test
def gone(server):
    """Clients that do not wait for the answer leave nothing behind."""
    broker.only_kmqtt()
    for i in range(5):
        begin(server, "g%d" % (i % 3), **SLOW).close()
    with server.client(wire.V311, **QUICK) as c:
        c.ping()
    broker.wait_for(lambda: not server.stats()["connections"], "all are gone", 60)


@tap.test
def stop(server):
    """SIGTERM with hashes under way ends the daemon soon."""
    broker.only_kmqtt()
    with server.client(wire.V311, **QUICK) as c:
        c.ping()
        waiting = [begin(server, "t%d" % i, **SLOW) for i in range(10)]
        c.ping()
        start = time.monotonic()
        server.process.terminate()
        tap.equal(server.process.wait(30), 0, "status")
        tap.true(time.monotonic() - start < 10, "it took too long")
    for one in waiting:
        one.close()


def main():
    with open(PATH, "w", encoding="utf-8") as f:
        f.write(line("quick", 1) + line("slow", iterations_of(0.7)))
    os.chmod(PATH, 0o644)
    conf = broker.CONF.replace("anonymous true", "anonymous false")
    with broker.Broker("password_file %s\n" % PATH, base=conf) as server:
        tap.run(server)


main()
