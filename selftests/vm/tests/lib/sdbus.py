# SPDX-License-Identifier: GPL-2.0
"""As much of systemd's manager, on its private D-Bus socket, as mqttd asks."""
import os
import socket
import struct
import threading

PATH = "/run/systemd/private"
METHOD_RETURN, ERROR = 2, 3
F_PATH, F_INTERFACE, F_MEMBER, F_ERROR_NAME, F_REPLY_SERIAL, F_SIGNATURE = 1, 2, 3, 4, 5, 8
UNIT, JOB = "/org/freedesktop/systemd1/unit/mqttd_2eservice", "/org/freedesktop/systemd1/job/7"


def string(text):
    return struct.pack("<I", len(text)) + text.encode() + b"\0"


def signature(text):
    return bytes([len(text)]) + text.encode() + b"\0"


def padded(data, size):
    return data + bytes(-len(data) % size)


def message(kind, serial, fields, body=b""):
    """@fields: (code, signature, bytes) each."""
    array = b""
    for code, sig, data in fields:
        array = padded(array, 8) + bytes([code]) + signature(sig)
        array = padded(array, 4) + data
    head = struct.pack("<cBBBIII", b"l", kind, 0, 1, len(body), serial, len(array))
    return padded(head + array, 8) + body


def read_fields(data, end):
    """Strings and object paths of a header, by code."""
    found, at = {}, 16
    while at < end:
        at += -at % 8
        code, size = data[at], data[at + 1]
        sig, at = data[at + 2:at + 2 + size], at + 3 + size
        if sig == b"g":
            at += data[at] + 2
            continue
        at += -at % 4
        length = struct.unpack_from("<I", data, at)[0]
        at += 4
        if sig != b"u":
            found[code] = data[at:at + length].decode()
            at += length + 1
    return found


class Manager:
    """Answers what job mqttd's unit has: a type, None for no job, or "error", "silence"."""

    def __init__(self, job):
        self.job = job
        self.asked = []
        os.makedirs(os.path.dirname(PATH), exist_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(PATH)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(PATH)
        self.thread.join(5)

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock, sock.makefile("rb") as stream:
                self.authenticate(sock, stream)
                while self.answer(sock, stream):
                    pass

    @staticmethod
    def authenticate(sock, stream):
        stream.read(1)
        for line in stream:
            words = line.split()
            if words[:2] == [b"AUTH", b"EXTERNAL"] and len(words) == 2:
                sock.send(b"DATA\r\n")
            elif words[0] in (b"AUTH", b"DATA"):
                sock.send(b"OK " + b"0" * 32 + b"\r\n")
            elif words[0] == b"NEGOTIATE_UNIX_FD":
                sock.send(b"AGREE_UNIX_FD\r\n")
            elif words[0] == b"BEGIN":
                return

    def answer(self, sock, stream):
        head = stream.read(16)
        if len(head) < 16:
            return False
        body_len, serial, array = struct.unpack_from("<III", head, 4)
        rest = stream.read(array + -array % 8)
        fields = read_fields(head + rest, 16 + array)
        body = stream.read(body_len)
        call = "%s %s" % (fields[F_PATH], fields[F_MEMBER])
        if fields[F_MEMBER] == "Get":
            # (ss): interface and property.
            size = struct.unpack_from("<I", body)[0]
            at = 5 + size + -(5 + size) % 4
            call += " " + body[at + 4:-1].decode()
        self.asked.append(call)
        if self.job != "silence":
            sock.send(self.reply(call, serial))
        return True

    def reply(self, call, serial):
        to = (F_REPLY_SERIAL, "u", struct.pack("<I", serial))
        if call.endswith(" GetUnitByPID") and self.job != "error":
            sig, body = "o", string(UNIT)
        elif call == UNIT + " Get Job":
            number, path = (7, JOB) if self.job else (0, "/")
            sig, body = "v", padded(signature("(uo)"), 8) + struct.pack("<I", number) + string(path)
        elif call == JOB + " Get JobType":
            sig, body = "v", padded(signature("s"), 4) + string(self.job)
        else:
            name = string("org.freedesktop.systemd1.NoUnitForPID")
            return message(ERROR, serial + 100, [to, (F_ERROR_NAME, "s", name)])
        return message(METHOD_RETURN, serial + 100,
                       [to, (F_SIGNATURE, "g", signature(sig))], body)
