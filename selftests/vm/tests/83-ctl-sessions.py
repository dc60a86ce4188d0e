#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
"""mqttctl session, subscription, retained, publish: also where there are many."""
import json
import os
import socket
import subprocess
import threading
import time

from lib import broker, tap, wire

OK, ERROR, USAGE, MISSING, NOT_FOUND = range(5)
# More than a page, and more than one level of the tables.
MANY = 1500
SOCKET = "/run/mqttd/control.sock"


def ctl(server, *arguments, status=OK, error=None):
    """Output of mqttctl, after its exit status and error text were what they should be."""
    done = server.ctl(*arguments, check=False)
    tap.equal(done.returncode, status, "status of %s (%s)" % (arguments, done.stderr.strip()))
    if error:
        tap.true(error in done.stderr, "%r is not in %r" % (error, done.stderr))
    return done.stdout


def ask(server, *arguments):
    return json.loads(ctl(server, "-j", *arguments))


def away(server, name, *filters):
    with server.client(wire.V311, client_id=name, clean=False) as c:
        for one in filters:
            c.subscribe(one, 1)
        c.leave()


@tap.test
def sessions(server):
    """session list, show, delete: those that are away, too."""
    away(server, "gone", "g/+", "g/#")
    with server.client(wire.V5, client_id="here", will=wire.Will("will/here", b"w"),
                       properties=wire.prop(wire.SESSION_EXPIRY, 500)) as c:
        rows = {s["id"]: s for s in ask(server, "session", "list")}
        tap.equal(rows["gone"]["state"], "offline", "state")
        tap.equal(rows["gone"]["subscriptions"], 2, "subscriptions")
        tap.true("session_expiry" not in rows["gone"], "3.1.1 sessions do not expire")
        tap.equal((rows["here"]["state"], rows["here"]["session_expiry"], rows["here"]["will"]),
                  ("connected", 500, True), "state, expiry, will")
        table = ctl(server, "session", "list").splitlines()
        tap.equal(table[0].split()[:3], ["CLIENT", "STATE", "EXPIRY"], "heading")
        tap.equal([r.split()[1:3] for r in table if r.startswith("gone ")],
                  [["offline", "never"]], "row")
        tap.equal(ask(server, "session", "show", "here")["id"], "here", "session")
        tap.true("subscriptions: 2\n" in ctl(server, "session", "show", "gone"), "text")
        ctl(server, "session", "delete", "here")
        c.expect_disconnect(0x98)
    ctl(server, "session", "delete", "gone")
    with server.client(wire.V311, client_id="gone", clean=False) as c:
        tap.equal(c.present, 0, "session present")
        c.leave()
    broker.wait_for(lambda: "here" not in {s["id"] for s in ask(server, "session", "list")},
                    "the session goes")
    ctl(server, "session", "delete", "gone")
    for command in ("show", "delete"):
        ctl(server, "session", command, "gone", status=NOT_FOUND, error="no such session")
    ctl(server, "session", "show", status=USAGE, error="argument is missing")


@tap.test
def subscriptions(server):
    """subscription list: of all and of one."""
    away(server, "s1", "one/+", "$share/g/two")
    with server.client(wire.V5, client_id="s2") as c:
        c.subscribe("three/#", options=2 | 4 | 8 | 0x10,
                    properties=wire.prop(wire.SUBSCRIPTION_ID, 33))
        rows = {(s["id"], s["filter"]): s for s in ask(server, "subscription", "list")}
        tap.equal(set(rows), {("s1", "one/+"), ("s1", "two"), ("s2", "three/#")}, "rows")
        tap.equal(rows["s1", "two"]["share"], "g", "share name")
        three = rows["s2", "three/#"]
        tap.equal([three[n] for n in ("qos", "subscription_id", "retain_handling", "no_local",
                                      "retain_as_published")], [2, 33, 1, True, True], "options")
        tap.equal([s["filter"] for s in ask(server, "subscription", "list", "s1")],
                  ["one/+", "two"], "of one")
        text = ctl(server, "subscription", "list", "s2").splitlines()
        tap.equal(text[1].split(), ["s2", "three/#", "-", "2", "33", "1",
                                    "no-local,retain-as-published"], "row")
        c.leave()
    ctl(server, "subscription", "list", "nobody", status=NOT_FOUND, error="no such session")
    ctl(server, "session", "delete", "s1")
    tap.equal(ask(server, "subscription", "list"), [], "subscriptions at the end")


@tap.test
def retained(server):
    """retained list, show, clear: filters, payloads of any kind, who is told."""
    with server.client(wire.V5, client_id="pub") as c, server.client(wire.V5) as watch:
        c.publish1("ret/a", b"text \xc3\xa4", retain=1)
        c.publish1("ret/b", b"\0\xff", retain=1)
        c.publish1("ret/c/d", b"x" * 300000, retain=1,
                   properties=wire.prop(wire.EXPIRY, 1000) + wire.prop(wire.CONTENT_TYPE, "t/p")
                   + wire.prop(wire.USER_PROPERTY, ("k", "v")))
        rows = {m["topic"]: m for m in ask(server, "retained", "list")}
        tap.equal(set(rows), {"ret/a", "ret/b", "ret/c/d"}, "topics")
        tap.equal([rows["ret/a"][n] for n in ("bytes", "qos", "from")], [7, 1, "pub"], "row")
        tap.true(900 < rows["ret/c/d"]["expires_in"] <= 1000, "expiry")
        tap.equal(len(ask(server, "retained", "list", "ret/+")), 2, "by filter")
        tap.equal(len(ask(server, "retained", "list", "$SYS/broker/version")), 1, "of $SYS")
        tap.true("never" in ctl(server, "retained", "list", "ret/a"), "table")
        tap.equal(ask(server, "retained", "show", "ret/a")["payload"], "text \u00e4", "payload")
        tap.equal(ask(server, "retained", "show", "ret/b")["payload_hex"], "00ff", "payload")
        shown = ask(server, "retained", "show", "ret/c/d")
        tap.equal((shown["content_type"], shown["user_properties"], len(shown["payload"])),
                  ("t/p", [["k", "v"]], 300000), "message")
        raw = subprocess.run(["mqttctl", "retained", "show", "--payload", "ret/b"],
                             stdout=subprocess.PIPE, check=True, timeout=30)
        tap.equal(raw.stdout, b"\0\xff", "payload alone")
        watch.subscribe("ret/+", options=0x20)
        tap.equal(ctl(server, "retained", "clear", "ret/+"), "2 cleared\n", "output")
        tap.equal(sorted((m.topic, m.payload) for m in (watch.message(), watch.message())),
                  [("ret/a", b""), ("ret/b", b"")], "what subscribers get")
        tap.equal(ask(server, "retained", "clear", "ret/#"), {"cleared": 1}, "the rest")
        c.leave()
        watch.leave()
    tap.equal(ask(server, "retained", "list"), [], "retained at the end")
    ctl(server, "retained", "show", "ret/a", status=NOT_FOUND, error="no retained message")
    for command in ("list", "clear"):
        ctl(server, "retained", command, "a/#/b", status=USAGE, error="no topic filter")
    ctl(server, "retained", "clear", status=USAGE, error="argument is missing")


@tap.test
def publish(server):
    """publish: each QoS, retained, properties, large payloads, from a file and stdin."""
    away(server, "later", "pub/#")
    with server.client(wire.V5) as sub, server.client(wire.V311) as old:
        sub.subscribe("pub/#", 2)
        old.subscribe("pub/#", 0)
        for qos in range(3):
            ctl(server, "publish", "-t", "pub/%d" % qos, "-m", "-x", "-q", str(qos))
            got = sub.message()
            tap.equal((got.topic, got.payload, got.qos), ("pub/%d" % qos, b"-x", qos), "message")
            tap.equal(old.message().payload, b"-x", "at QoS 0")
        sub.send(wire.ack(wire.PUBREC, 2))
        sub.expect(wire.ack(wire.PUBREL, 2), "PUBREL")
        ctl(server, "publish", "-q", "1", "--topic", "pub/p", "-n",
            "-D", "publish", "user-property", "a", "b", "-D", "publish", "content-type", "c/t",
            "-D", "publish", "user-property", "a", "c",
            "--property", "publish", "message-expiry-interval", "300",
            "-D", "publish", "correlation-data", "cd", "-D", "publish", "response-topic", "re/p",
            "-D", "publish", "payload-format-indicator", "1")
        got = sub.message()
        tap.equal(got.payload, b"", "payload")
        found = [p for p in got.properties if p[0] != wire.EXPIRY]
        tap.equal(found, [(wire.USER_PROPERTY, (b"a", b"b")), (wire.CONTENT_TYPE, b"c/t"),
                          (wire.USER_PROPERTY, (b"a", b"c")), (wire.CORRELATION, b"cd"),
                          (wire.RESPONSE_TOPIC, b"re/p"), (wire.PAYLOAD_FORMAT, 1)], "properties")
        tap.true(295 <= dict(got.properties)[wire.EXPIRY] <= 300, "expiry")
        tap.equal(old.message().topic, "pub/p", "topic")
        path = os.path.join(server.dir, "payload")
        data = os.urandom(700000)
        with open(path, "wb") as f:
            f.write(data)
        ctl(server, "publish", "-t", "pub/f", "-f", path, "-r")
        tap.equal(sub.message().payload, data, "payload of a file")
        tap.equal(old.message().payload, data, "payload of a file")
        subprocess.run(["mqttctl", "publish", "-t", "pub/f", "-f", "-"], input=b"in\0put",
                       check=True, timeout=30)
        tap.equal(sub.message().payload, b"in\0put", "payload of stdin")
    tap.equal(ask(server, "retained", "show", "pub/f")["bytes"], 700000, "retained")
    tap.equal(ask(server, "session", "show", "later")["queued"], 3, "queued for who is away")
    ctl(server, "session", "delete", "later")
    ctl(server, "publish", "-t", "pub/f", "-n", "-r")
    tap.equal(ask(server, "retained", "list"), [], "retained at the end")


@tap.test
def publish_refusals(server):
    """publish: what is wrong is named."""
    good = ("-t", "a", "-m", "b")
    for arguments, error in (
            ((), "-t TOPIC"), (("-m", "x"), "-t TOPIC"), (("-t", "a"), "-m MESSAGE"),
            (good + ("-n",), "one of -m"), (("-t", "a/#", "-m", "x"), "-t: \"a/#\""),
            (("-t", "", "-m", "x"), "-t: \"\""), (good + ("-q", "3"), "-q is 0, 1 or 2"),
            (good + ("-q",), "missing after -q"), (good + ("-x",), "unknown option \"-x\""),
            (good + ("more",), "too many arguments"),
            (good + ("-D", "connect", "x", "y"), "\"publish\""),
            (good + ("-D", "publish", "nosuch", "y"), "unknown property \"nosuch\""),
            (good + ("-D", "publish", "content-type"), "missing after content-type"),
            (good + ("-D", "publish", "user-property", "k"), "missing after user-property"),
            (good + ("-D", "publish", "message-expiry-interval", "-1"), "number of seconds"),
            (good + ("-D", "publish", "payload-format-indicator", "2"), "0 or 1"),
            (good + ("-D", "publish", "response-topic", "a/+"), "no topic"),
            (good + 2 * ("-D", "publish", "content-type", "x"), "may stand once")):
        ctl(server, "publish", *arguments, status=USAGE, error=error)
    ctl(server, "publish", "-t", "a", "-f", "/nosuch", status=ERROR, error="-f /nosuch: No such")
    ctl(server, "session", "list", "-t", status=USAGE, error="unknown option \"-t\"")


def question(text, *more):
    """Ask by hand; the answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(20)
        sock.connect(SOCKET)
        sock.send(text.encode())
        for piece in more:
            sock.send(piece)
        out = b""
        while True:
            piece = sock.recv(65536)
            if not piece:
                return json.loads(out)
            out += piece


@tap.test
def by_hand(server):
    """What mqttctl does not ask: bad pages and packets are refused, and nothing breaks."""
    for text, code in (('{"cmd":"session list","from":7}', "usage"),
                       ('{"cmd":"session list","from":{"instance":"0","place":"0","number":"0"}}',
                        "internal"),
                       ('{"cmd":"retained clear","filter":"#/a"}', "usage"),
                       ('{"cmd":"retained show"}', "usage"), ('{"cmd":"session delete"}', "usage"),
                       ('{"cmd":"publish"}', "usage"), ('{"cmd":"publish","bytes":-1}', "usage"),
                       ('{"cmd":"publish","bytes":1e12}', "usage")):
        tap.equal(question(text)["code"], code, "code for " + text)
    packet = wire.publish(wire.V5, "hand/t", b"x")
    for bad in (b"\0" * 10, packet[:-1] + b"xy", wire.PING, wire.publish(wire.V5, "a/#", b""),
                wire.publish(wire.V5, "", b"", properties=wire.prop(wire.ALIAS, 1))):
        answer = question('{"cmd":"publish","bytes":%d}' % len(bad), bad)
        tap.equal(answer["ok"], False, "answer to %s" % bad.hex())
    tap.equal(question('{"cmd":"publish","bytes":5}', packet)["code"], "usage", "too many bytes")
    with server.client() as sub:
        sub.subscribe("hand/#")
        pieces = [packet[i:i + 1] for i in range(len(packet))]
        tap.equal(question('{"cmd":"publish","bytes":%d}' % len(packet), *pieces)["ok"], True, "ok")
        tap.equal(sub.message().payload, b"x", "payload")
        sub.leave()


@tap.test
def many(server):
    """Thousands of rows come in pages, complete, while others are served."""
    with server.client() as c:
        for i in range(MANY):
            c.publish("many/%d" % i, b"%d" % i, retain=1)
            if i % 200 == 199:
                c.ping()
        c.ping()
        for at in range(0, MANY, 100):
            names = [("sub/%d" % i, 0) for i in range(at, at + 100)]
            c.send(wire.subscribe(wire.V311, names))
            c.expect(wire.suback(wire.V311, [0] * 100), "SUBACK")
        broker.wait_for(lambda: len(ask(server, "retained", "list", "many/#")) == MANY, "retained")
        answer = question('{"cmd":"retained list","filter":"many/#"}')
        tap.true(len(answer["result"]) <= 256 and answer["next"], "a page of %d rows"
                 % len(answer["result"]))
        stop = threading.Event()
        changes = []

        def churn():
            """Sessions, subscriptions and retained messages come and go."""
            with server.client(wire.V5, client_id="churn") as other:
                while not stop.is_set():
                    n = len(changes)
                    other.subscribe("follow/%d" % n)
                    other.publish1("churn/%d" % n, b"x", retain=1)
                    other.unsubscribe("follow/%d" % n)
                    other.publish1("churn/%d" % n, b"", retain=1)
                    changes.append(n)

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            for _ in range(2):
                found = [m["topic"] for m in ask(server, "retained", "list", "many/#")]
                tap.equal(sorted(found), sorted("many/%d" % i for i in range(MANY)), "topics")
                found = [s["filter"] for s in ask(server, "subscription", "list")
                         if s["filter"].startswith("sub/")]
                tap.equal(sorted(found), sorted("sub/%d" % i for i in range(MANY)), "filters")
            tap.equal(len(ctl(server, "subscription", "list", c.id).splitlines()), MANY + 1, "lines")
        finally:
            stop.set()
            thread.join()
        tap.true(changes, "nobody else was served")
        tap.equal(ask(server, "retained", "clear", "many/#"), {"cleared": MANY}, "cleared")
        tap.equal(ask(server, "retained", "list", "many/#"), [], "afterwards")
        c.close()


@tap.test
def away_daemon(server):
    """Without mqttd: status 3 and what to do."""
    server.kill()
    for command in (["session", "list"], ["session", "show", "x"], ["session", "delete", "x"],
                    ["subscription", "list"], ["retained", "list"], ["retained", "show", "x"],
                    ["retained", "clear", "x"], ["publish", "-t", "x", "-n"]):
        ctl(server, *command, status=MISSING, error="systemctl start mqttd")
    server.start()
    time.sleep(0.1)
    ctl(server, "session", "list")


if __name__ == "__main__":
    broker.only_kmqtt()
    with broker.Broker() as the_server:
        tap.run(the_server)
