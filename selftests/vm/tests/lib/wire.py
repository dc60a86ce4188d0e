# SPDX-License-Identifier: GPL-2.0
"""MQTT packets made and taken apart by hand, and a client that sends and expects them.

Protocol versions are the levels of CONNECT: 3 is 3.1, 4 is 3.1.1, 5 is 5.0.
"""
import collections
import itertools
import os
import select
import socket
import struct
import time

V31, V311, V5 = 3, 4, 5
VERSIONS = (V31, V311, V5)
PORT = 1883
# How much longer what is measured by the clock takes on a debug kernel.
SLOW = 5 if os.uname().release.endswith(("kasan", "kcsan")) else 1
# Longer than anything takes on a loaded machine.
TIMEOUT = 60 if SLOW > 1 else 20
# How long nothing must come before we believe that nothing comes.
SILENCE = 0.7

(CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE,
 UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH) = range(1, 16)

PAYLOAD_FORMAT, EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION = 1, 2, 3, 8, 9
SUBSCRIPTION_ID, SESSION_EXPIRY, ASSIGNED_ID, SERVER_KEEPALIVE = 11, 17, 18, 19
WILL_DELAY, RECEIVE_MAX, ALIAS_MAX, ALIAS = 24, 33, 34, 35
AUTH_METHOD, AUTH_DATA, PROBLEM_INFO, RESPONSE_WANTED = 21, 22, 23, 25
REASON_STRING = 31
MAX_QOS, RETAIN_AVAILABLE, USER_PROPERTY, MAX_PACKET = 36, 37, 38, 39

KINDS = {1: "B", 2: "I", 3: "s", 8: "s", 9: "s", 11: "v", 17: "I", 18: "s", 19: "H", 21: "s",
         22: "s", 23: "B", 24: "I", 25: "B", 26: "s", 28: "s", 31: "s", 33: "H", 34: "H",
         35: "H", 36: "B", 37: "B", 38: "p", 39: "I", 40: "B", 41: "B", 42: "B"}

_ids = itertools.count(1)


def new_id(prefix="c"):
    return "%s%d" % (prefix, next(_ids))


def varint(number):
    out = bytearray()
    while True:
        number, byte = divmod(number, 128)
        out.append(byte | (0x80 if number else 0))
        if not number:
            return bytes(out)


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def binary(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack("!H", len(data)) + data


def prop(ident, value):
    kind = KINDS[ident]
    if kind == "s":
        body = binary(value)
    elif kind == "p":
        body = binary(value[0]) + binary(value[1])
    elif kind == "v":
        body = varint(value)
    else:
        body = struct.pack("!" + kind, value)
    return bytes([ident]) + body


def props(data):
    """Property Length and properties."""
    return varint(len(data)) + data


def read_props(data, at):
    """Return [(identifier, value)] and where they end."""
    length, at = read_varint(data, at)
    end, out = at + length, []
    while at < end:
        ident, at = data[at], at + 1
        kind = KINDS[ident]
        if kind == "v":
            value, at = read_varint(data, at)
        elif kind in "sp":
            parts = []
            for _ in range(1 if kind == "s" else 2):
                size = struct.unpack_from("!H", data, at)[0]
                parts.append(bytes(data[at + 2:at + 2 + size]))
                at += 2 + size
            value = parts[0] if kind == "s" else tuple(parts)
        else:
            value = struct.unpack_from("!" + kind, data, at)[0]
            at += struct.calcsize("!" + kind)
        out.append((ident, value))
    if at != end:
        raise AssertionError("properties end at %d, not %d" % (at, end))
    return out, at


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


class Will(collections.namedtuple("Will", "topic payload qos retain properties")):
    def __new__(cls, topic, payload=b"gone", qos=0, retain=0, properties=b""):
        return super().__new__(cls, topic, payload, qos, retain, properties)


def connect(version, client_id, keepalive=600, clean=True, username=None, password=None,
            will=None, properties=b"", name=None, level=None, flags=None):
    """@name, @level and @flags replace the right ones."""
    if name is None:
        name = "MQIsdp" if version == V31 else "MQTT"
    bits = 0x02 if clean else 0
    body = binary(client_id)
    if will:
        bits |= 0x04 | will.qos << 3 | will.retain << 5
        if version == V5:
            body += props(will.properties)
        body += binary(will.topic) + binary(will.payload)
    if username is not None:
        bits |= 0x80
        body += binary(username)
    if password is not None:
        bits |= 0x40
        body += binary(password)
    head = binary(name) + struct.pack("!BBH", version if level is None else level,
                                      bits if flags is None else flags, keepalive)
    if version == V5:
        head += props(properties)
    return packet(CONNECT, 0, head + body)


def publish(version, topic, payload=b"", qos=0, retain=0, mid=1, dup=0, properties=b""):
    payload = payload.encode() if isinstance(payload, str) else payload
    body = binary(topic)
    if qos:
        body += struct.pack("!H", mid)
    if version == V5:
        body += props(properties)
    return packet(PUBLISH, dup << 3 | qos << 1 | retain, body + payload)


def subscribe(version, filters, mid=1, properties=b""):
    """@filters: (filter, options) each."""
    body = struct.pack("!H", mid)
    if version == V5:
        body += props(properties)
    for name, options in filters:
        body += binary(name) + bytes([options])
    return packet(SUBSCRIBE, 2, body)


def suback(version, codes, mid=1):
    return packet(SUBACK, 0, struct.pack("!H", mid) + (b"\0" if version == V5 else b"")
                  + bytes(codes))


def unsubscribe(version, filters, mid=1):
    body = struct.pack("!H", mid) + (b"\0" if version == V5 else b"")
    return packet(UNSUBSCRIBE, 2, body + b"".join(binary(f) for f in filters))


def unsuback(version, mid=1, codes=(0,)):
    body = struct.pack("!H", mid)
    if version == V5:
        body += b"\0" + bytes(codes)
    return packet(UNSUBACK, 0, body)


def ack(kind, mid=1):
    """PUBACK, PUBREC, PUBREL or PUBCOMP of success, the same in all versions."""
    return packet(kind, 2 if kind == PUBREL else 0, struct.pack("!H", mid))


PING = packet(PINGREQ, 0, b"")
PONG = packet(PINGRESP, 0, b"")
BYE = packet(DISCONNECT, 0, b"")


def auth(reason, method=None, data=None, properties=b""):
    if data is not None:
        properties = prop(AUTH_DATA, data) + properties
    if method is not None:
        properties = prop(AUTH_METHOD, method) + properties
    return packet(AUTH, 0, bytes([reason]) + props(properties))


def disconnect5(reason, properties=b""):
    return packet(DISCONNECT, 0, bytes([reason]) + props(properties))


Message = collections.namedtuple("Message", "topic payload qos retain dup mid properties")


def parse_publish(version, raw):
    flags = raw[0] & 15
    length, at = read_varint(raw, 1)
    size = struct.unpack_from("!H", raw, at)[0]
    topic, at = bytes(raw[at + 2:at + 2 + size]).decode(), at + 2 + size
    mid, found = None, []
    if flags >> 1 & 3:
        mid, at = struct.unpack_from("!H", raw, at)[0], at + 2
    if version == V5:
        found, at = read_props(raw, at)
    return Message(topic, bytes(raw[at:]), flags >> 1 & 3, flags & 1, flags >> 3, mid, found)


class Closed(Exception):
    """The broker closed the connection."""


def frame_length(data):
    """Length of the packet at the head of @data, 0 if it is not all there."""
    for at in range(1, min(len(data), 5)):
        if not data[at] & 0x80:
            length, begin = read_varint(data, 1)
            return begin + length if len(data) >= begin + length else 0
    return 0


class Client:
    """One connection.  Packets are bytes, exactly as they are on the wire."""

    def __init__(self, version=V311, client_id=None, port=PORT, join=True, host="127.0.0.1",
                 rcvbuf=None, **options):
        self.version = version
        self.id = new_id() if client_id is None else client_id
        self.buffer = bytearray()
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if rcvbuf:                              # before connect, or the window is larger
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.present = None
        self.properties = {}
        if join:
            self.join(**options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def join(self, **options):
        """Send CONNECT, take the CONNACK of success."""
        self.send(connect(self.version, self.id, **options))
        self.joined()

    def joined(self):
        raw = self.read()
        if raw[0] != CONNACK << 4 or raw[3] != 0:
            raise AssertionError("no CONNACK of success: " + raw[:32].hex(" "))
        self.present = raw[2]
        if self.version == V5:
            self.properties = dict(read_props(raw, 4)[0])

    def leave(self):
        self.send(BYE)
        self.expect_close()

    def send(self, data):
        self.sock.settimeout(TIMEOUT * 3)
        self.sock.sendall(data)

    def send_quietly(self, data):
        """Send to a connection that may be gone."""
        try:
            self.send(data)
        except OSError:
            pass

    def read(self, timeout=TIMEOUT):
        """The next packet, whole."""
        end = time.monotonic() + timeout
        while True:
            length = frame_length(self.buffer)
            if length:
                raw = bytes(self.buffer[:length])
                del self.buffer[:length]
                return raw
            self._fill(end)

    def _fill(self, end):
        left = end - time.monotonic()
        if left <= 0 or not select.select([self.sock], [], [], left)[0]:
            raise TimeoutError("%s: nothing came in time; have %s"
                               % (self.id, bytes(self.buffer[:32]).hex(" ")))
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError as error:
            raise Closed("%s: reset" % self.id) from error
        if not data:
            raise Closed("%s: closed by the broker" % self.id)
        self.buffer += data

    def expect(self, want, what="packet"):
        got = self.read()
        if got != want:
            raise AssertionError("%s: %s is\n  %s, not\n  %s" % (
                self.id, what, got[:80].hex(" "), want[:80].hex(" ")))

    def message(self, timeout=TIMEOUT):
        """The next packet, a PUBLISH, taken apart."""
        raw = self.read(timeout)
        if raw[0] >> 4 != PUBLISH:
            raise AssertionError("%s: no PUBLISH but %s" % (self.id, raw[:32].hex(" ")))
        return parse_publish(self.version, raw)

    def expect_silence(self, seconds=SILENCE):
        try:
            raw = self.read(seconds)
        except TimeoutError:
            return
        raise AssertionError("%s: got %s" % (self.id, raw[:64].hex(" ")))

    def expect_close(self, timeout=TIMEOUT):
        """Nothing but the end of the connection may come."""
        try:
            raw = self.read(timeout)
        except Closed:
            return
        raise AssertionError("%s: not closed but %s" % (self.id, raw[:64].hex(" ")))

    def expect_disconnect(self, reason):
        """5.0: DISCONNECT with this reason, then the end; 3.x: just the end."""
        if self.version == V5:
            raw = self.read()
            if raw[0] != 0xE0 or raw[2] != reason:
                raise AssertionError("%s: %s instead of DISCONNECT %#x" % (
                    self.id, raw[:64].hex(" "), reason))
        self.expect_close()

    def ping(self):
        """Whatever was sent before has been read when this returns."""
        self.send(PING)
        self.expect(PONG, "PINGRESP")

    def subscribe(self, name, options=0, mid=1, properties=b"", granted=None):
        self.send(subscribe(self.version, [(name, options)], mid, properties))
        self.expect(suback(self.version, [options & 3 if granted is None else granted], mid),
                    "SUBACK")

    def unsubscribe(self, name, mid=1, code=0):
        self.send(unsubscribe(self.version, [name], mid))
        self.expect(unsuback(self.version, mid, [code]), "UNSUBACK")

    def publish(self, topic, payload=b"", **options):
        self.send(publish(self.version, topic, payload, **options))

    def publish1(self, topic, payload=b"", mid=1, **options):
        """QoS 1, acknowledged."""
        self.publish(topic, payload, qos=1, mid=mid, **options)
        raw = self.read()
        if raw[0] != PUBACK << 4 or raw[2:4] != struct.pack("!H", mid):
            raise AssertionError("no PUBACK but %s" % raw[:32].hex(" "))
