#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
"""mqttctl: each command, each exit status."""
import json
import os
import select
import subprocess
import time

from lib import broker, tap, wire

OK, ERROR, USAGE, MISSING, NOT_FOUND = range(5)


def ctl(server, *arguments, status=OK, error=None):
    """Output of mqttctl, after its exit status and error text were what they should be."""
    done = server.ctl(*arguments, check=False)
    tap.equal(done.returncode, status, "status of %s (%s)" % (arguments, done.stderr.strip()))
    if error:
        tap.true(error in done.stderr, "%r is not in %r" % (error, done.stderr))
    return done.stdout


def ask(server, *arguments):
    return json.loads(ctl(server, "-j", *arguments))


def number_of(server, name):
    return [c["conn"] for c in ask(server, "client", "list") if c.get("client_id") == name][0]


@tap.test
def client_list(server):
    """client list: a table with a heading, JSON with all."""
    with server.client(wire.V5, client_id="listed") as c:
        rows = ctl(server, "client", "list").splitlines()
        tap.equal(rows[0].split()[:2], ["CONN", "CLIENT"], "heading")
        row = [r for r in rows if " listed " in r][0].split()
        tap.equal(row[3:5], ["5.0", "open"], "version and state")
        found = [x for x in ask(server, "client", "list") if x.get("client_id") == "listed"]
        tap.equal(len(found), 1, "clients of that id")
        tap.equal(found[0]["keepalive"], 600, "keep alive")
        c.leave()


@tap.test
def client_show(server):
    """client show: by client id, by number, with its routes and session."""
    with server.client(wire.V311, client_id="shown") as c:
        c.subscribe("show/+")
        by_id = ask(server, "client", "show", "shown")
        tap.equal([r["filter"] for r in by_id["routes"]], ["show/+"], "filters")
        tap.equal(by_id["session"]["id"], "shown", "session")
        by_number = ask(server, "client", "show", str(by_id["connection"]["conn"]))
        tap.equal(by_number["connection"]["client_id"], "shown", "the same by number")
        tap.true("connection.client_id: \"shown\"" not in ctl(server, "client", "show", "shown"),
                 "strings are in quotes")
        c.leave()
    ctl(server, "client", "show", "nobody", status=NOT_FOUND, error="no such client")


@tap.test
def numbers_as_ids(server):
    """A client id that is a number goes before the connection of that number."""
    with server.client(wire.V311, client_id="first") as a:
        number = number_of(server, "first")
        with server.client(wire.V311, client_id=str(number)) as b:
            shown = ask(server, "client", "show", str(number))
            tap.equal(shown["connection"]["client_id"], str(number), "client id")
            b.leave()
        a.leave()


@tap.test
def kick(server):
    """client kick: 5.0 is told 0x98; by number too; only once."""
    with server.client(wire.V5, client_id="kicked") as c:
        ctl(server, "client", "kick", "kicked")
        c.expect_disconnect(0x98)
    with server.client(wire.V311, client_id="kicked") as c:
        ctl(server, "client", "kick", str(number_of(server, "kicked")))
        c.expect_close()
    ctl(server, "client", "kick", "kicked", status=NOT_FOUND, error="no such client")


@tap.test
def routes(server):
    """route list: filter, QoS and options of each route."""
    with server.client(wire.V5, client_id="routed") as c:
        c.subscribe("r/#", options=1 | 4 | 8)
        route = [r for r in ask(server, "route", "list") if r["filter"] == "r/#"][0]
        tap.equal(route["qos"], 1, "QoS")
        tap.equal(set(route["flags"]), {"no-local", "retain-as-published"}, "flags")
        tap.true("r/#" in ctl(server, "route", "list"), "the table lacks it")
        c.leave()


@tap.test
def params(server):
    """param: all, one, change, refusals."""
    every = ask(server, "param", "get")
    tap.equal(every["forwarding"], 1, "forwarding")
    ctl(server, "param", "set", "forwarding", "off")
    tap.equal(ask(server, "param", "get", "forwarding"), {"forwarding": 0}, "after off")
    with server.client(wire.V311) as c, broker.Growth(server) as grown:
        c.publish("t", b"x")
        c.ping()
        c.leave()
    grown.equal("publish_routed_kernel", 0)
    grown.equal("publish_punted", 1)
    ctl(server, "param", "set", "forwarding", "on")
    ctl(server, "param", "get", "nosuch", status=NOT_FOUND, error="nosuch")
    ctl(server, "param", "set", "nosuch", "1", status=NOT_FOUND, error="kernel refuses")
    ctl(server, "param", "set", "close_timeout", "0", status=ERROR, error="range")
    ctl(server, "param", "set", "close_timeout", "ten", status=USAGE, error="ten")
    tap.equal(ask(server, "param", "get"), every, "the parameters at the end")


def watch(server, proc, seconds=40):
    """Events of the first connection that proc saw from its attach to its close."""
    seen, text, end = {}, b"", time.monotonic() + seconds
    while time.monotonic() < end:
        # It does not say when it listens: connect until it does.
        with server.client(wire.V5, client_id="watched") as c:
            c.leave()
        while select.select([proc.stdout], [], [], 1)[0]:
            piece = os.read(proc.stdout.fileno(), 65536)
            tap.true(piece, "mqttctl monitor ended")
            text += piece
            *lines, text = text.split(b"\n")
            for event in map(json.loads, lines):
                events = seen.setdefault(event["conn"], [])
                events.append(event)
                if event["event"] == "close" and events[0]["event"] == "attach":
                    return events
    raise AssertionError("no connection was seen within %d s: %s" % (seconds, seen))


@tap.test
def monitor(server):
    """monitor: attach, accept and close of a connection, as JSON lines."""
    with subprocess.Popen(["mqttctl", "-j", "monitor"], stdout=subprocess.PIPE) as proc:
        try:
            seen = watch(server, proc)
        finally:
            proc.terminate()
    tap.equal([e["event"] for e in seen], ["attach", "accept", "close"], "events")
    tap.equal(seen[1]["client_id"], "watched", "client id")
    tap.equal(seen[2]["cause"], "disconnect", "cause")


@tap.test
def usage(server):
    """Wrong command lines: status 2 and what is wrong."""
    for arguments, error in (((), "command is missing"), (("foo",), "\"foo\""),
                             (("client",), "client kick ID"), (("client", "foo"), "\"foo\""),
                             (("client", "show"), "argument is missing"),
                             (("stats", "x"), "too many arguments"), (("-x", "stats"), "\"-x\""),
                             (("stats", "-s"), "path is missing"),
                             (("param", "set", "x"), "param set NAME VALUE")):
        ctl(server, *arguments, status=USAGE, error=error)
    for words in (("client", "list"), ("client", "show"), ("client", "kick"), ("route", "list"),
                  ("stats",), ("monitor",), ("param", "get"), ("param", "set"), ()):
        tap.true(ctl(server, *words, "--help").startswith("Usage: mqttctl"), "help of %s" % (words,))


@tap.test
def permission(server):
    """Without CAP_NET_ADMIN of the initial user namespace: status 3 and what to do."""
    for wrapper in (["setpriv", "--reuid", "65534", "--clear-groups"], ["unshare", "-U", "-r"]):
        for command in (["stats"], ["client", "list"], ["param", "set", "forwarding", "off"]):
            done = broker.run(*wrapper, "mqttctl", *command, check=False)
            tap.equal(done.returncode, MISSING, "status of %s" % (wrapper + command,))
            tap.true("run as root" in done.stderr, done.stderr)
    tap.equal(ask(server, "param", "get", "forwarding"), {"forwarding": 1}, "forwarding")


@tap.test
def without_daemon(server):
    """mqttd away: the kernel lists, shows and kicks; what it cannot says so."""
    with server.client(wire.V311, client_id="orphan") as c:
        server.kill()
        shown = ask(server, "client", "show", "orphan")
        tap.true("session" not in shown, "a session without mqttd")
        ctl(server, "client", "show", "nobody", status=MISSING, error="systemctl start mqttd")
        ctl(server, "client", "kick", "nobody", status=MISSING, error="systemctl start mqttd")
        ctl(server, "client", "kick", "orphan")
        c.expect_close()
    server.start()


@tap.test
def without_module(server):
    """No module: status 3 and modprobe."""
    server.stop()
    broker.unload()
    for command in (["stats"], ["client", "list"], ["client", "kick", "x"], ["monitor"],
                    ["param", "get"], ["route", "list"], ["client", "show", "x"]):
        ctl(server, *command, status=MISSING, error="module kmqtt is not loaded: modprobe kmqtt")


if __name__ == "__main__":
    broker.only_kmqtt()
    with broker.Broker() as the_server:
        tap.run(the_server)
