#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
"""The oracle: the same client scripts with forwarding on, off, and against Mosquitto.

The traces with forwarding on and off are equal.  Mosquitto's may differ where
the scripts say so and why (lib/oracle.scripts); a difference that is listed
and does not occur is a failure too.
"""
import concurrent.futures
import difflib
import os
import subprocess
import sys

from lib import broker, script, tap

SCRIPTS = script.load(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                   "lib", "oracle.scripts"))
PASSWORDS = "/tmp/kmqtt-oracle-passwords"
CONF = """per_listener_settings true
persistence false
log_type error
set_tcp_nodelay true
listener %d 127.0.0.1
allow_anonymous true
listener %d 127.0.0.1
allow_anonymous false
password_file """ + PASSWORDS + "\n"


def ports(first):
    return {"main": first, "auth": first + 1}


class Mosquitto:
    """Mosquitto beside the module, on ports of its own."""

    def __init__(self, first):
        self.port = first
        self.path = "/tmp/kmqtt-oracle-mosquitto.conf"
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(CONF % (first, first + 1) + "user root\n")
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(["mosquitto", "-c", self.path],
                                        stdin=subprocess.DEVNULL)
        broker.wait_for(lambda: not broker.port_free(self.port), "Mosquitto accepts")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        os.unlink(self.path)


_traces = {}


def traces(server, forwarding):
    """Played once for all tests."""
    if forwarding not in _traces:
        server.param("forwarding", forwarding)
        try:
            with broker.Growth(server) as grown:
                found = script.play_all(SCRIPTS, ports(server.port))
        finally:
            server.param("forwarding", 1)
        if forwarding:
            grown.at_least("publish_routed_kernel", 100)
        else:
            grown.equal("publish_routed_kernel", 0)
        _traces[forwarding] = found
    return _traces[forwarding]


def changes(old, new):
    """Lines of @old with "- ", those of @new with "+ ", without what they share."""
    out = []
    match = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, a, b, c, d in match.get_opcodes():
        if tag != "equal":
            out += ["- " + line for line in old[a:b]] + ["+ " + line for line in new[c:d]]
    return out


def differences(theirs, ours, strict):
    """"-" or "+", client, line."""
    out = []
    for client in ours:
        out += changes(["%s %s" % (client, line) for line in script.lines(theirs[client], strict)],
                       ["%s %s" % (client, line) for line in script.lines(ours[client], strict)])
    return out


@tap.test
def on_and_off(server):
    """Forwarding off changes nothing that a client can see."""
    on, off = traces(server, 1), traces(server, 0)
    wrong = 0
    for one in SCRIPTS:
        found = differences(off[one.name], on[one.name], True)
        wrong += bool(found)
        for line in found:
            tap.note("%s: %s" % (one.name, line))
    tap.equal(wrong, 0, "scripts that differ (- off, + on)")


def traces_of_mosquitto():
    with Mosquitto(broker.wire.PORT + 10) as other:
        return script.play_all(SCRIPTS, ports(other.port))


@tap.test
def mosquitto(server):
    """Mosquitto differs where it is said why, and everywhere there."""
    ours, theirs = traces(server, 1), THEIRS.result()
    wrong = 0
    for one in SCRIPTS:
        found = differences(theirs[one.name], ours[one.name], False)
        if found == one.differences:
            continue
        wrong += 1
        for line in changes(one.differences, found):
            tap.note("%s: %s" % (one.name, line))
    tap.equal(wrong, 0, "scripts that differ otherwise (- listed, + found)")


broker.run("mosquitto_passwd", "-b", "-c", PASSWORDS, "alice", "secret")
os.chmod(PASSWORDS, 0o644)
if broker.MOSQUITTO:
    print("1..0 # SKIP kmqtt only")
    sys.exit(0)
first = broker.wire.PORT
# Mosquitto plays its part meanwhile: all of it is mostly waiting.
with broker.Broker(base=CONF % (first, first + 1)) as daemon, \
        concurrent.futures.ThreadPoolExecutor(1) as pool:
    THEIRS = pool.submit(traces_of_mosquitto)
    tap.run(daemon)
