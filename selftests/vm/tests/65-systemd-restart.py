#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
"""SIGTERM of systemd: with a restart mqttd hands over, otherwise it closes all."""
import os
import signal
import socket
import time

from lib import broker, sdbus, tap, wire


def terminate(server, job, handover, asked=True, limit=10):
    """SIGTERM while the unit's job is @job; clients stay or are told 0x8B."""
    with server.client(wire.V5) as sub, server.client(wire.V311) as pub:
        sub.subscribe("restart/#")
        with sdbus.Manager(job) as manager:
            start = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            tap.equal(server.process.wait(30), 0, "exit status")
        took = time.monotonic() - start
        tap.true(took < limit * broker.SLOW, "the end took %.1f s" % took)
        tap.equal(bool(manager.asked), asked, "mqttd asked")
        if handover:
            pub.publish("restart/alone", b"x")
            tap.equal(sub.message().payload, b"x", "payload without a daemon")
        else:
            for c in (sub, pub):
                c.expect_disconnect(0x8B)
        server.start()
        if handover:
            sub.subscribe("more", mid=2)
            pub.publish("more", b"y")
            tap.equal(sub.message().payload, b"y", "payload after the restart")
            sub.leave()
            pub.leave()


@tap.test
def restart(server):
    """systemctl restart and try-restart: the connections stay."""
    for job in ("restart", "try-restart"):
        terminate(server, job, True)


@tap.test
def stop(server):
    """systemctl stop, and a kill without any job: all are closed."""
    for job in ("stop", None):
        terminate(server, job, False)


@tap.test
def no_answer(server):
    """systemd refuses or says nothing: closed, in bounded time."""
    for job in ("error", "silence"):
        terminate(server, job, False)


@tap.test
def absent(server):
    """No systemd there: closed at once."""
    with server.client(wire.V5) as c:
        server.process.send_signal(signal.SIGTERM)
        tap.equal(server.process.wait(20), 0, "exit status")
        c.expect_disconnect(0x8B)
    server.start()


@tap.test
def not_of_systemd(server):
    """Started by somebody else, mqttd does not ask."""
    del os.environ["INVOCATION_ID"]
    server.stop()
    server.start()
    terminate(server, "restart", False, asked=False)


def told(sock, want, seconds=wire.TIMEOUT):
    """Wait for a notification that has the line @want; all its lines."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sock.settimeout(max(0.01, end - time.monotonic()))
        lines = sock.recv(4096).decode().splitlines()
        if want in lines:
            return lines
    raise AssertionError("systemd was not told " + want)


@tap.test
def notified(server):
    """Type=notify: ready once it serves, reloading, alive for the watchdog, stopping."""
    path = os.path.join(server.dir, "notify")
    server.stop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        os.environ.update(NOTIFY_SOCKET=path, WATCHDOG_USEC="1000000")
        server.start(wait=False)
        told(sock, "READY=1", broker.START)
        with server.client() as c:
            c.ping()
            told(sock, "WATCHDOG=1")
            server.process.send_signal(signal.SIGHUP)
            lines = told(sock, "RELOADING=1")
            tap.true(any(l.startswith("MONOTONIC_USEC=") for l in lines), lines)
            told(sock, "READY=1")
            server.process.send_signal(signal.SIGTERM)
            told(sock, "STOPPING=1")
            tap.equal(server.process.wait(20), 0, "exit status")
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC"):
        del os.environ[name]
    server.start()


if __name__ == "__main__":
    broker.only_kmqtt()
    # systemd sets it for what it starts.
    os.environ["INVOCATION_ID"] = "0123456789abcdef0123456789abcdef"
    with broker.Broker() as the_server:
        tap.run(the_server)
