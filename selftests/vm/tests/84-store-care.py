#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
"""mqttctl store check and backup of a broker in use."""
import grp
import json
import os
import socket
import subprocess
import threading
import time

from lib import broker, tap, wire

OK, ERROR, USAGE, MISSING, NOT_FOUND = range(5)
# More than a page of SQLite's, so that a backup has many.
PAYLOAD = b"x" * 6000
# A user who is in group mqttd.
KEEPER = 12345
SOCKET = "/run/mqttd/control.sock"


def ctl(server, *arguments, status=OK, error=None):
    """Output of mqttctl, after its exit status and error text were what they should be."""
    done = server.ctl(*arguments, check=False)
    tap.equal(done.returncode, status, "status of %s (%s)" % (arguments, done.stderr.strip()))
    if error:
        tap.true(error in done.stderr, "%r is not in %r" % (error, done.stderr))
    return done.stdout


class Load(threading.Thread):
    """Publishes numbers at QoS 1 for a session that is away; .acknowledged of them are."""

    def __init__(self, server, name):
        super().__init__()
        self.client = server.client(wire.V5, client_id="load-" + name)
        self.name = name
        self.acknowledged, self.done, self.error, self.slowest = 0, False, None, 0

    def run(self):
        try:
            while not self.done:
                begin = time.monotonic()
                self.client.publish1("load/" + self.name, b"%d" % self.acknowledged)
                self.slowest = max(self.slowest, time.monotonic() - begin)
                self.acknowledged += 1
        except Exception as error:              # seen by who waits
            self.error = error

    def end(self):
        self.done = True
        self.join()
        if self.error:
            raise self.error
        self.client.close()


@tap.test
def backup_in_use(server):
    """The copy holds whatever was acknowledged before, and is a store."""
    copy = os.path.join(server.dir, "copy.db")
    with server.client(wire.V311, client_id="away", clean=False) as c:
        c.subscribe("load/#", 1)
        c.leave()
    with server.client() as c:
        for i in range(300):
            c.publish1("large/%d" % i, PAYLOAD, retain=1)
        c.leave()
    loads = [Load(server, name) for name in ("a", "b", "c")]
    for one in loads:
        one.start()
    time.sleep(1)
    before = {one.name: one.acknowledged for one in loads}
    result = json.loads(ctl(server, "-j", "store", "backup", copy))
    tap.equal(result, {"file": copy, "bytes": os.stat(copy).st_size}, "result")
    sound = json.loads(ctl(server, "-j", "store", "check"))
    tap.equal((sound["sound"], sound["sessions"], sound["retained"]), (True, 1, 300), "check")
    for one in loads:
        one.end()
    tap.note("before: %s, slowest acknowledgement %.2f s"
             % (before, max(one.slowest for one in loads)))
    tap.true(all(before.values()), "nothing was acknowledged before")
    tap.true(all(one.acknowledged > before[one.name] + 1 for one in loads),
             "nothing was acknowledged meanwhile")
    tap.equal(os.stat(copy).st_mode & 0o7777, 0o600, "mode")
    tap.equal([f for f in os.listdir(server.dir) if f.startswith("copy")], ["copy.db"], "files")

    server.stop()
    broker.unload()
    for name in os.listdir(server.dir):
        if name.startswith("mqttd.db"):
            os.unlink(os.path.join(server.dir, name))
    os.rename(copy, os.path.join(server.dir, "mqttd.db"))
    server.start()
    with server.client(wire.V311, client_id="away", clean=False) as c:
        tap.equal(c.present, 1, "session present")
        got = {name: [] for name in before}
        while any(len(got[name]) < before[name] for name in got):
            m = c.message()
            got[m.topic.split("/")[1]].append(int(m.payload))
            c.send(wire.ack(wire.PUBACK, m.mid))
        c.close()
    for name, numbers in got.items():
        tap.equal(numbers, list(range(len(numbers))), "messages of " + name)
    tap.equal(len(json.loads(ctl(server, "-j", "retained", "list", "large/#"))), 300, "retained")
    ctl(server, "session", "delete", "away")


@tap.test
def check(server):
    """A sound store is 0, a damaged one 1 and told; clients are served with either."""
    text = ctl(server, "store", "check")
    tap.true(text.startswith("sound: true\n") and "\nretained: 300\n" in text, "output: %r" % text)
    server.stop()
    broker.unload()
    store = os.path.join(server.dir, "mqttd.db")
    broker.run("python3", "-c", "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]);"
               "d.execute('INSERT INTO inbound VALUES (12345, 1)'); d.commit()", store)
    server.start()
    with server.client() as c:
        ctl(server, "store", "check", status=ERROR, error="damaged:\n1 rows without a session")
        c.publish1("still", b"served", retain=1)
        c.leave()
    answer = json.loads(ctl(server, "-j", "store", "check", status=ERROR))
    tap.equal(answer["sound"], False, "sound")


@tap.test
def refusals(server):
    """What cannot be done is said."""
    copy = os.path.join(server.dir, "copy")
    ctl(server, "store", "backup", status=USAGE, error="argument is missing")
    ctl(server, "store", "check", "x", status=USAGE, error="too many")
    store = os.path.join(server.dir, "mqttd.db")
    ctl(server, "store", "backup", "--force", store, status=ERROR, error="a database in use")
    ctl(server, "store", "backup", "/proc/none", status=ERROR, error="/proc/none: ")
    # A folder that is full.
    small = os.path.join(server.dir, "small")
    os.mkdir(small)
    broker.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small)
    try:
        ctl(server, "store", "backup", small + "/copy", status=ERROR, error="full")
        tap.equal(os.listdir(small), [], "files")
    finally:
        broker.run("umount", small)
    ctl(server, "store", "backup", copy)
    ctl(server, "store", "backup", copy, status=ERROR, error="File exists")
    ctl(server, "store", "backup", copy, "--force")


@tap.test
def sandbox(server):
    """The caller's rights and folders count, not the daemon's."""
    home = os.path.join(server.dir, "home")
    os.mkdir(home)
    os.chown(home, KEEPER, KEEPER)
    as_keeper = ["setpriv", "--reuid", str(KEEPER), "--regid", str(KEEPER),
                 "--groups", str(grp.getgrnam("mqttd").gr_gid), "--inh-caps=-all"]
    # A mount that the daemon does not see, as /tmp with PrivateTmp.
    broker.run("unshare", "-m", "sh", "-c", "mount -t tmpfs -o mode=777 tmpfs %s && cd %s && "
               "%s mqttctl store backup copy && test -s copy" % (home, home, " ".join(as_keeper)))
    tap.equal(os.listdir(home), [], "files where the daemon looks")
    broker.run(*as_keeper, "mqttctl", "store", "backup", home + "/copy")
    # Nor does the daemon write for who may not.
    done = subprocess.run(as_keeper + ["mqttctl", "store", "backup", "/etc/copy"],
                          stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    tap.equal((done.returncode, os.path.exists("/etc/copy")), (ERROR, False), "status, file")
    tap.true("/etc/copy: Permission denied" in done.stderr, done.stderr)


@tap.test
def descriptors(server):
    """Descriptors that come with a question, asked for or not, do not stay."""
    folder = "/proc/%d/fd" % server.process.pid
    before = len(os.listdir(folder))
    for _ in range(20):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(20)
            sock.connect(SOCKET)
            socket.send_fds(sock, [b'{"cmd":"version"}'], [0, 1, 2])
            while sock.recv(65536):
                pass
    broker.wait_for(lambda: len(os.listdir(folder)) <= before, "descriptors to go")


@tap.test
def none(server):
    """Without a store there is nothing to check or copy."""
    copy = os.path.join(server.dir, "nothing")
    server.stop()
    with broker.Broker() as other:
        ctl(other, "store", "check", status=NOT_FOUND, error="persistence is false")
        ctl(other, "store", "backup", copy, status=NOT_FOUND, error="persistence is false")
        tap.true(not os.path.exists(copy), "there is a file")
    ctl(server, "store", "check", status=MISSING, error="systemctl start mqttd")
    ctl(server, "store", "backup", copy, status=MISSING, error="systemctl start mqttd")
    server.start()


if __name__ == "__main__":
    broker.only_kmqtt()
    with broker.Broker(durable=True) as the_server:
        tap.run(the_server)
