# SPDX-License-Identifier: GPL-2.0
"""Generic netlink by hand: what the broker's own programs would never send."""
import socket
import struct

GENL_ID_CTRL = 16
CTRL_CMD_GETFAMILY = 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_MCAST_GROUPS = 1, 2, 7
CTRL_ATTR_MCAST_GRP_ID = 2
NLM_F_REQUEST, NLM_F_ACK, NLM_F_ROOT, NLM_F_DUMP = 1, 4, 0x100, 0x300
NLM_F_ACK_TLVS = 0x200
NLMSG_ERROR, NLMSG_DONE, NLMSGERR_ATTR_MSG = 2, 3, 1
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 1, 10, 11
NESTED = 0x8000

# Numbers of kmod/uapi/kmqtt.h.
(BIND, ATTACH, ACCEPT, CLOSE, RELEASE, CONN_GET, ROUTE_ADD, ROUTE_DEL, ROUTE_GET, ACL_SET,
 ACL_DEL, DELIVER, INJECT, EVENTS_GET, STATS_GET, PARAM_SET, PARAM_GET) = range(1, 18)
PAD, CONN, FD, PARAM = 1, 6, 9, 59
AN_NAME, AN_VALUE = 2, 3


def attr(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def attrs(data):
    """Attributes by their number."""
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        found[kind & ~NESTED] = data[at + 4:at + length]
        at += (length + 3) & ~3
    return found


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
        self.group = None

    def __enter__(self):
        self.send(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, attr(CTRL_ATTR_FAMILY_NAME, b"kmqtt\0"))
        found = attrs(self.sock.recv(65536)[20:])
        self.family = struct.unpack("=H", found[CTRL_ATTR_FAMILY_ID])[0]
        # The family has one group.
        group = attrs(attrs(found[CTRL_ATTR_MCAST_GROUPS])[1])
        self.group = struct.unpack("=I", group[CTRL_ATTR_MCAST_GRP_ID])[0]
        self.sock.recv(65536)
        return self

    def __exit__(self, *_):
        self.sock.close()

    def join(self):
        """Become a member of the group; raises OSError."""
        self.sock.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, self.group)

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
            if kind not in (NLMSG_ERROR, NLMSG_DONE) or seq != self.seq:
                continue
            error = -struct.unpack_from("=i", raw, 16)[0]
            if not flags & NLM_F_ACK_TLVS:
                return error, ""
            # The end of a dump does not repeat the request's header.
            told = attrs(raw[20 if kind == NLMSG_DONE else 36:])
            return error, told.get(NLMSGERR_ATTR_MSG, b"")[:-1].decode()


def param(name, value):
    return attr(PARAM | NESTED, attr(AN_NAME, name + b"\0") + attr(AN_VALUE, struct.pack("=q", value)))
