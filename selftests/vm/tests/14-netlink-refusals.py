#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# core
"""What the netlink family is asked wrongly, it refuses with an errno and a text."""
import errno
import os
import socket
import struct

from lib import broker, tap

GENL_ID_CTRL = 16
CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 3, 1, 2
NLM_F_REQUEST, NLM_F_ACK, NLM_F_ROOT = 1, 4, 0x100
NLM_F_ACK_TLVS = 0x200
NLMSG_ERROR, NLMSGERR_ATTR_MSG = 2, 1
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
# Numbers of kmod/uapi/kmqtt.h.
BIND, ATTACH, CLOSE, STATS_GET, PARAM_SET = 1, 2, 4, 15, 16
INJECT, PAD, CONN, FD, PARAM = 13, 1, 6, 9, 59
AN_NAME, AN_VALUE = 2, 3
NESTED = 0x8000


def attr(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


class Genl:
    """A generic netlink socket that reads extended acknowledgements."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
        self.sock.settimeout(10)
        self.sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self.sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self.sock.bind((0, 0))
        self.seq = 0
        self.family = None

    def __enter__(self):
        self.send(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, attr(CTRL_ATTR_FAMILY_NAME, b"kmqtt\0"))
        reply = self.sock.recv(65536)
        at = 20
        while at < struct.unpack_from("=I", reply)[0]:
            length, kind = struct.unpack_from("=HH", reply, at)
            if kind == CTRL_ATTR_FAMILY_ID:
                self.family = struct.unpack_from("=H", reply, at + 4)[0]
            at += (length + 3) & ~3
        self.sock.recv(65536)
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, family, cmd, body, flags=0, reserved=0):
        self.seq += 1
        self.sock.send(struct.pack("=IHHIIBBH", 20 + len(body), family,
                                   NLM_F_REQUEST | NLM_F_ACK | flags, self.seq, 0,
                                   cmd, 1, reserved) + body)

    def ask(self, cmd, body=b"", **options):
        """The error, 0 for none, and its text."""
        self.send(self.family, cmd, body, **options)
        while True:
            raw = self.sock.recv(65536)
            _, kind, flags, seq = struct.unpack_from("=IHHI", raw)
            if kind != NLMSG_ERROR or seq != self.seq:
                continue
            error = -struct.unpack_from("=i", raw, 16)[0]
            at = 36
            while flags & NLM_F_ACK_TLVS and at < len(raw):
                length, what = struct.unpack_from("=HH", raw, at)
                if what == NLMSGERR_ATTR_MSG:
                    return error, raw[at + 4:at + length - 1].decode()
                at += (length + 3) & ~3
            return error, ""


def refused(nl, want, cmd, body=b"", **options):
    error, text = nl.ask(cmd, body, **options)
    tap.equal(errno.errorcode.get(error, error), errno.errorcode[want], "answer (%s)" % text)
    tap.true(text, "no text with %s" % errno.errorcode[want])
    tap.note("%s: %s" % (errno.errorcode[want], text))


def param(name, value):
    return attr(PARAM | NESTED, attr(AN_NAME, name + b"\0") + attr(AN_VALUE, struct.pack("=q", value)))


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


@tap.test
def without_capability(_server):
    """Without CAP_NET_ADMIN nothing is answered, reads included: EPERM."""
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            with Genl() as nl:
                status = 0 if nl.ask(STATS_GET)[0] == errno.EPERM else 2
        finally:
            os._exit(status)
    tap.equal(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0, "status of the child")


with broker.Broker() as daemon:
    tap.run(daemon)
