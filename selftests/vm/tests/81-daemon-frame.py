#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 150
"""mqttd as a daemon: configuration, reload, listeners, signals, notifications."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time

from lib import broker, tap, wire

CONTROL = "/run/mqttd/control.sock"
REFUSED311 = bytes.fromhex("20020005")


@contextlib.contextmanager
def running(conf="", **options):
    with broker.Broker(conf, **options) as server:
        yield server


def rewrite(server, text):
    with open(server.conf, "w", encoding="utf-8") as f:
        f.write(text)


def mqttd(*arguments, status):
    done = broker.run("mqttd", *arguments, check=False)
    tap.equal(done.returncode, status, "status of mqttd %s (%s)" % (
        " ".join(arguments), done.stderr.strip()))
    return done.stdout + done.stderr


def answer(server, version=wire.V311, **options):
    """The CONNACK that a new client gets, or None if it is just closed."""
    with server.client(version, join=False) as c:
        try:
            c.send(wire.connect(version, wire.new_id(), **options))
            return c.read()
        except (wire.Closed, OSError):
            return None


@tap.test
def bad_conf():
    """A wrong configuration: all problems with file, line and what to do, status 3."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
        f.write("listener 1883\nfoo bar\n\ncafile /x\nmax_qos 7\npassword_file\n")
        f.flush()
        for arguments in (("-c", f.name), ("--test-config", f.name)):
            text = mqttd(*arguments, status=3)
            for want in (':2: unknown option "foo"; see mqttd.conf(5)', ":4: option \"cafile\"",
                         ":5: max_qos is a number from 0 to 2", ":6: password_file needs a value"):
                tap.true(f.name + want in text, "%r is not in %r" % (want, text))
    mqttd("-c", "/nonexistent", status=3)
    mqttd("--foo", status=2)


@tap.test
def local_only():
    """Without a listener: loopback of both families, anonymous, and nothing else."""
    with running(base="log_type error\n") as server:
        done = broker.run("ss", "-Hltn")
        bound = sorted(line.split()[3] for line in done.stdout.splitlines() if ":1883" in line)
        tap.equal(bound, ["127.0.0.1:1883", "[::1]:1883"], "listening sockets")
        with server.client(wire.V5, host="::1") as c:
            c.ping()
            c.leave()


@tap.test
def listener_closed():
    """With a listener and nothing else nobody is let in."""
    with running(base="listener %d\n") as server:
        tap.equal(answer(server), REFUSED311, "CONNACK")
        tap.equal(answer(server, username=b"joe", password=b"x"), REFUSED311, "CONNACK")


@tap.test
def passwords():
    """password_file of mosquitto_passwd: the right password enters, others do not."""
    with tempfile.NamedTemporaryFile("w") as f:
        broker.run("mosquitto_passwd", "-b", f.name, "new", "secret7")
        broker.run("mosquitto_passwd", "-H", "sha512", "-b", f.name, "old", "secret6")
        with running("password_file %s\n" % f.name, base="listener %d\n") as server:
            for user, password in ((b"new", b"secret7"), (b"old", b"secret6")):
                tap.equal(answer(server, username=user, password=password)[3], 0, "return code")
                tap.equal(answer(server, username=user, password=b"x"), REFUSED311, "CONNACK")
            tap.equal(answer(server, username=b"nobody", password=b"secret7"), REFUSED311,
                      "CONNACK")
            tap.equal(answer(server), REFUSED311, "CONNACK")


@tap.test
def reload():
    """SIGHUP: new settings hold for new clients, errors change nothing, nobody is dropped."""
    base = "listener 1883 127.0.0.1\nallow_anonymous "
    with running(base=base + "true\n") as server, server.client(wire.V311) as old:
        rewrite(server, base + "false\n")
        server.process.send_signal(signal.SIGHUP)
        broker.wait_for(lambda: answer(server) == REFUSED311, "strangers are refused", 10)
        old.ping()
        rewrite(server, base + "true\nfoo\n")
        server.process.send_signal(signal.SIGHUP)
        time.sleep(1)
        tap.equal(answer(server), REFUSED311, "CONNACK after a reload with an error")
        rewrite(server, base + "true\n")
        server.process.send_signal(signal.SIGHUP)
        broker.wait_for(lambda: answer(server)[3] == 0, "strangers are let in", 10)
        old.ping()
        old.leave()


@tap.test
def max_connections():
    """max_connections: one more is closed, and is let in when another has left."""
    with running("max_connections 2\n") as server:
        broker.wait_for(lambda: not json.loads(server.ctl("-j", "client", "list").stdout),
                        "the first probe is gone", 10)
        with server.client() as a, server.client() as b:
            tap.equal(answer(server), None, "answer to the third")
            a.ping()
            b.leave()
            broker.wait_for(lambda: answer(server) is not None, "room for another", 10)
            a.leave()


@tap.test
def out_of_descriptors():
    """No descriptors left: mqttd waits, goes on, and serves who waited."""
    with running() as server, server.client() as old:
        pid = str(server.process.pid)
        limit = broker.run("prlimit", "--pid", pid, "--nofile", "--noheadings",
                           "-o", "HARD").stdout.strip()
        used = max(int(fd) for fd in os.listdir("/proc/%s/fd" % pid)) + 1
        broker.run("prlimit", "--pid", pid, "--nofile=%d:%s" % (used, limit))
        with server.client(join=False) as waiting:
            waiting.send(wire.connect(wire.V311, "waiting"))
            time.sleep(1)
            old.ping()
            broker.run("prlimit", "--pid", pid, "--nofile=%s:%s" % (limit, limit))
            tap.equal(waiting.read()[3], 0, "return code")
            waiting.leave()
        old.leave()


@tap.test
def second_daemon():
    """A second mqttd in the namespace: refused with the reason, harms nothing."""
    with running() as server, server.client() as c:
        with tempfile.NamedTemporaryFile("w") as f:
            f.write("listener 1999 127.0.0.1\ncontrol_socket /run/second.sock\n")
            f.flush()
            tap.true(mqttd("-c", f.name, status=1).strip(), "no reason was given")
        with tempfile.NamedTemporaryFile("w") as f:
            f.write("listener 1883 127.0.0.1\n")
            f.flush()
            text = mqttd("-c", f.name, status=1)
            tap.true("cannot listen on 127.0.0.1 port 1883: Address already in use" in text, text)
        c.ping()
        server.ctl("client", "show", "nobody", check=False)
        c.leave()


@tap.test
def stop():
    """SIGTERM: 5.0 clients are told 0x8B, status 0."""
    with running() as server, server.client(wire.V5) as c:
        server.process.terminate()
        c.expect_disconnect(0x8B)
        tap.equal(server.process.wait(20), 0, "status")
        tap.true(not os.path.exists(CONTROL), "the control socket is left behind")


@tap.test
def handover():
    """SIGUSR2: clients stay, QoS 0 flows without mqttd, the next one serves them."""
    with running() as server, server.client(client_id="stays") as c:
        c.subscribe("h/#")
        server.process.send_signal(signal.SIGUSR2)
        tap.equal(server.process.wait(20), 0, "status")
        c.publish("h/1", b"alone")
        c.expect(wire.publish(wire.V311, "h/1", b"alone"), "PUBLISH")
        server.start()
        c.subscribe("i/#", mid=2)
        c.publish("i/1", b"again")
        c.expect(wire.publish(wire.V311, "i/1", b"again"), "PUBLISH")
        c.leave()


@tap.test
def detached():
    """-d: returns when clients are served, writes the pid file, stops by it."""
    with tempfile.NamedTemporaryFile("w") as f:
        f.write("listener 1883 127.0.0.1\nallow_anonymous true\npid_file /run/mqttd-test.pid\n"
                "log_dest file /run/mqttd-test.log\n")
        f.flush()
        broker.load()
        mqttd("-d", "-c", f.name, status=0)
        with wire.Client(wire.V311) as c:
            c.ping()
            c.leave()
        with open("/run/mqttd-test.pid", encoding="utf-8") as pid:
            os.kill(int(pid.read()), signal.SIGTERM)
        broker.wait_for(lambda: not os.path.exists("/run/mqttd-test.pid"), "it ends", 20)
        broker.unload()
        with open("/run/mqttd-test.log", encoding="utf-8") as log:
            tap.true("ready" in log.read(), "the log lacks its first line")


@tap.test
def detached_failure():
    """-d: what fails after it left the terminal is told there, status 1."""
    broker.unload()
    tap.true("modprobe kmqtt" in mqttd("-d", status=1), "what to do")


def control(question):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(20)
        sock.connect(CONTROL)
        sock.send(question)
        out = b""
        while True:
            piece = sock.recv(1 << 20)
            if not piece:
                return json.loads(out)
            out += piece


def answers():
    try:
        return control(b'{"cmd":"client list"}')["ok"]
    except ConnectionError:                     # too many ask
        return False


@tap.test
def control_socket():
    """Control socket: wrong questions get an answer, strangers are kept out."""
    with running() as server, server.client(client_id="asked") as c:
        tap.equal(control(b'{"cmd":"version"}')["ok"], True, "ok")
        for question in (b"{", b"[]", b"1", b"{}", b'{"cmd":1}', b'{"cmd":"x"}', b"\0\xff",
                         b'{"cmd":"client show"}', b'{"cmd":"client kick","id":5}',
                         b"[" * 5000):
            tap.equal(control(question)["code"], "usage", "code for %r" % question[:30])
        tap.equal(control(b'{"cmd":"client kick","id":"nobody"}')["code"], "not-found", "code")
        done = broker.run("setpriv", "--reuid", "65534", "--clear-groups", "python3", "-c",
                          "import socket\ns=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n"
                          "s.connect('%s')" % CONTROL, check=False)
        tap.true("PermissionError" in done.stderr, done.stderr)
        idle = []
        for _ in range(40):
            idle.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            idle[-1].connect(CONTROL)
        for sock in idle:
            sock.close()
        broker.wait_for(answers, "it answers again", 10)
        c.ping()
        c.leave()


@tap.test
def notifications():
    """sd_notify: READY, RELOADING and READY, WATCHDOG, STOPPING."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, \
            tempfile.NamedTemporaryFile("w") as f:
        path = "/run/mqttd-test-notify"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        sock.bind(path)
        sock.settimeout(20)
        f.write("listener 1883 127.0.0.1\nlog_type error\n")
        f.flush()
        broker.load()
        environment = dict(os.environ, NOTIFY_SOCKET=path, WATCHDOG_USEC="400000")

        def until(want):
            for _ in range(50):
                text = sock.recv(4096).decode()
                if text.startswith(want):
                    return
            raise AssertionError("no %s" % want)

        with subprocess.Popen(["mqttd", "-c", f.name], env=environment) as proc:
            try:
                until("READY=1")
                until("WATCHDOG=1")
                proc.send_signal(signal.SIGHUP)
                until("RELOADING=1\nMONOTONIC_USEC=")
                until("READY=1")
                proc.terminate()
                until("STOPPING=1")
                tap.equal(proc.wait(20), 0, "status")
            finally:
                proc.kill()
        os.unlink(path)
        broker.unload()


if __name__ == "__main__":
    broker.only_kmqtt()
    tap.run()
