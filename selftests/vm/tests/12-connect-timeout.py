#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 150
"""A connection that sends no CONNECT, or not all of it, does not stay."""
import time

from lib import broker, tap, wire

# More than the daemon's default, times what a loaded guest adds.
LIMIT = 60


@tap.test
def silent(server):
    """No CONNECT and half a CONNECT: both closed in time, and counted."""
    broker.only_kmqtt()
    half = wire.connect(wire.V311, "half")[:9]
    with server.client(join=False) as mute, server.client(join=False) as slow, \
            server.client() as good, broker.Growth(server) as grown:
        slow.send(half)
        start = time.monotonic()
        mute.expect_close(LIMIT)
        slow.expect_close(LIMIT)
        tap.true(time.monotonic() - start > 1, "closed at once")
        good.ping()
    grown.equal("closed_connect_timeout", 2)


with broker.Broker() as daemon:
    tap.run(daemon)
