#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# core
"""What the netlink family is asked wrongly, it refuses with an errno and a text."""
import errno
import struct

from lib import broker, tap
from lib.genl import (ATTACH, AN_NAME, BIND, CLOSE, CONN, CONN_GET, EVENTS_GET, FD, Genl, INJECT,
                      NESTED, NLM_F_DUMP, NLM_F_ROOT, PAD, PARAM, PARAM_SET, ROUTE_GET, STATS_GET,
                      attr, param)


def refused(nl, want, cmd, body=b"", **options):
    error, text = nl.ask(cmd, body, **options)
    tap.equal(errno.errorcode.get(error, error), errno.errorcode[want], "answer (%s)" % text)
    tap.true(text, "no text with %s" % errno.errorcode[want])
    tap.note("%s: %s" % (errno.errorcode[want], text))


@tap.test
def well_formed(_server):
    """A well-formed request is answered."""
    with Genl() as nl:
        tap.equal(nl.ask(PARAM_SET, param(b"close_timeout", 2000)), (0, ""), "PARAM_SET")


@tap.test
def malformed(_server):
    """Unknown and malformed attributes, reserved bits: EINVAL with a text."""
    with Genl() as nl:
        refused(nl, errno.EINVAL, STATS_GET, attr(200, b"\0\0\0\0"))
        refused(nl, errno.EINVAL, STATS_GET, attr(PAD, b""))
        refused(nl, errno.EINVAL, STATS_GET, flags=NLM_F_ROOT)
        refused(nl, errno.EINVAL, STATS_GET, reserved=1)
        refused(nl, errno.EINVAL, CLOSE, attr(CONN, b"\0\0\0\0"))
        # Not marked as nested.
        refused(nl, errno.EINVAL, PARAM_SET, attr(PARAM, b""))


@tap.test
def parameters(_server):
    """A parameter that is unknown, out of range or without value is refused."""
    with Genl() as nl:
        refused(nl, errno.EINVAL, PARAM_SET)
        refused(nl, errno.ENOENT, PARAM_SET, param(b"colour", 1))
        for name, value in ((b"forwarding", 2), (b"daemon_grace", -2), (b"close_timeout", 0),
                            (b"close_timeout", 60001), (b"max_connections", 0)):
            refused(nl, errno.ERANGE, PARAM_SET, param(name, value))
        refused(nl, errno.EINVAL, PARAM_SET, attr(PARAM | NESTED, attr(AN_NAME, b"forwarding\0")))


@tap.test
def not_the_owner(_server):
    """While a daemon owns the namespace, another socket may not act for it."""
    with Genl() as nl:
        refused(nl, errno.EBUSY, BIND)
        refused(nl, errno.EPERM, ATTACH, attr(FD, struct.pack("=I", 0)))
        refused(nl, errno.EPERM, INJECT)
        refused(nl, errno.EPERM, CLOSE, attr(CONN, struct.pack("=Q", 1)))
        refused(nl, errno.EPERM, EVENTS_GET, flags=NLM_F_DUMP)


@tap.test
def absent(_server):
    """A connection that is not there."""
    with Genl() as nl:
        nobody = attr(CONN, struct.pack("=Q", 1 << 60))
        refused(nl, errno.ENOENT, CONN_GET, nobody)
        refused(nl, errno.ENOENT, ROUTE_GET, nobody, flags=NLM_F_DUMP)


with broker.Broker() as daemon:
    tap.run(daemon)
