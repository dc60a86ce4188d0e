#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""In the guest: a counted load on a broker whose store is on the disk, or its judgement.

clients.py load: publishes without end; each line of output is a fact that a client
knows: "acked QOS N", "got QOS N ID" before it acknowledges, "released ID".
clients.py rest: the facts of the former life on standard input; those of the rest.
"""
import os
import subprocess
import sys
import termios
import threading

sys.path.insert(0, "/kmqtt/selftests/vm/tests")
from lib import broker, wire  # noqa: E402
from lib.crowd import Crowd  # noqa: E402

DISK = "/var/lib/mqttd"
CONF = "listener %d 127.0.0.1\nallow_anonymous true\nlog_type error\nmax_queued_messages 0\n"
LOCK = threading.Lock()


def tell(*fact):
    """It must be out before anything follows from it."""
    with LOCK:
        os.write(1, (" ".join(map(str, fact)) + "\n").encode())
        termios.tcdrain(1)


class Witness(Crowd):
    """Subscribers that tell what they get before they acknowledge it."""

    def _read(self, client):
        old = client.send
        client.send = lambda data: None
        before = len(self.packets[client])
        super()._read(client)
        client.send = old
        for raw in self.packets[client][before:]:
            self.one(client, raw)

    def one(self, client, raw):
        kind = raw[0] >> 4
        if kind == wire.CONNACK:
            tell("session", client.id, raw[2])
        elif kind == wire.PUBLISH:
            m = wire.parse_publish(client.version, raw)
            tell("got", m.qos, m.payload.decode(), m.mid)
            client.send(wire.ack(wire.PUBACK if m.qos == 1 else wire.PUBREC, m.mid))
        elif kind == wire.PUBREL:
            mid = int.from_bytes(raw[2:4], "big")
            tell("released", mid)
            client.send(wire.ack(wire.PUBCOMP, mid))


def publish(server, qos):
    client = server.client(wire.V311, client_id="pub-%d" % qos, clean=False)
    number = 0
    while True:
        mid = number % 1000 + 1
        client.publish("power/%d" % qos, b"%d" % number, qos=qos, mid=mid)
        client.read(60)
        if qos == 2:
            client.send(wire.ack(wire.PUBREL, mid))
            client.read(60)
        tell("acked", qos, number)
        number += 1


def load(server):
    """One subscriber stays, one is away while messages are published."""
    here, away = (server.client(wire.V311, client_id=name, clean=False)
                  for name in ("here", "away"))
    for c in (here, away):
        c.subscribe("power/#", 2)
    away.leave()
    with Witness([here]) as crowd:
        for qos in (1, 2):
            threading.Thread(target=publish, args=(server, qos), daemon=True).start()
        crowd.wait(lambda: False, "the end", 600)


def rest(server):
    """What both have not had, until nothing more comes."""
    for name in ("here", "away"):
        c = server.client(wire.V311, client_id=name, join=False)
        tell("client", c.id)
        with Witness([c]) as crowd:
            c.send(wire.connect(wire.V311, c.id, clean=False))
            count = -1
            while len(crowd.packets[c]) != count:
                count = len(crowd.packets[c])
                try:
                    crowd.wait(lambda c=c, n=count: len(crowd.packets[c]) > n, "more", 5)
                except AssertionError:
                    pass
        c.close()


os.makedirs(DISK, exist_ok=True)
for module in ("virtio_blk", "ext4"):
    subprocess.run(["modprobe", "-q", module], check=False)
subprocess.run(["mount", "-t", "ext4", "/dev/vda", DISK], check=True)
with broker.Broker(base=CONF) as daemon:
    {"load": load, "rest": rest}[sys.argv[1]](daemon)
subprocess.run(["umount", DISK], check=True)
