#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""mqttctl store backup: what becomes of the file, whatever mqttd says. A double answers for mqttd."""

import array
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from tap import TOP, run

MQTTCTL = os.path.join(TOP, "build", "mqttctl")
GOOD = {"ok": True, "result": {"bytes": 4}}
# Kinds of answers: an object, or what to do instead.
CLOSE, SILENCE = object(), object()


class Double:
    """Answers one question with @answer, after writing into the file that comes along."""

    def __init__(self, answer, before=None):
        self.answer, self.before = answer, before
        self.dir = tempfile.mkdtemp(prefix="kmqtt-")
        self.path = os.path.join(self.dir, "control.sock")
        self.file = os.path.join(self.dir, "copy")
        self.question, self.mode, self.asked = None, None, threading.Event()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(20)
        self.sock.bind(self.path)
        self.sock.listen(1)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        conn, _ = self.sock.accept()
        data, control, _, _ = conn.recvmsg(65536, socket.CMSG_SPACE(4))
        self.question = json.loads(data)
        fds = array.array("i")
        for level, kind, part in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(part[:4])
        for fd in fds:
            self.mode = os.fstat(fd).st_mode & 0o7777
            os.write(fd, b"copy")
            os.close(fd)
        if self.before:
            self.before(self)
        self.asked.set()
        if self.answer is SILENCE:
            conn.settimeout(20)
            conn.recv(1)
        elif self.answer is not CLOSE:
            conn.send(json.dumps(self.answer).encode())
        conn.close()

    def ctl(self, *arguments):
        return subprocess.Popen([MQTTCTL, "-s", self.path, "store", *arguments], cwd=self.dir,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def backup(self, *arguments):
        """Exit status, output, errors."""
        process = self.ctl("backup", "copy", *arguments)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def left(self):
        """What is in the folder besides the socket."""
        return sorted(f for f in os.listdir(self.dir) if f != "control.sock")

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(text)

    def read(self, name="copy"):
        with open(os.path.join(self.dir, name), encoding="utf-8") as f:
            return f.read()


def wrong(what, found, want):
    return [] if found == want else [f"{what}: {found!r}, not {want!r}"]


def a_copy_appears():
    """At a path that is relative to the caller, for its owner only."""
    os.umask(0)
    d = Double(GOOD)
    status, out, err = d.backup()
    stat = os.stat(d.file)
    return (wrong("status", status, 0) + wrong("errors", err, "") +
            wrong("output", out, "bytes: 4\nfile: copy\n") + wrong("files", d.left(), ["copy"]) +
            wrong("contents", d.read(), "copy") + wrong("mode", stat.st_mode & 0o7777, 0o600) +
            wrong("mode while it is written", d.mode, 0o600) +
            wrong("question", d.question, {"cmd": "store backup"}))


def what_exists_stays():
    d = Double(GOOD)
    d.write("copy", "old")
    status, _, err = d.backup()
    return (wrong("status", status, 1) + wrong("files", d.left(), ["copy"]) +
            wrong("contents", d.read(), "old") +
            wrong("errors", err, "mqttctl: copy: File exists; --force replaces it\n"))


def what_comes_meanwhile_stays():
    d = Double(GOOD, lambda d: d.write("copy", "new"))
    status, _, err = d.backup()
    return (wrong("status", status, 1) + wrong("files", d.left(), ["copy"]) +
            wrong("contents", d.read(), "new") +
            wrong("errors", err, "mqttctl: copy: File exists\n"))


def force_replaces():
    d = Double(GOOD)
    d.write("copy", "old")
    status, _, err = d.backup("--force")
    return (wrong("status", status, 0) + wrong("errors", err, "") +
            wrong("files", d.left(), ["copy"]) + wrong("contents", d.read(), "copy"))


def a_database_in_use_stays():
    bad = []
    for part in ("copy-wal", "copy-journal"):
        d = Double(GOOD)
        d.write("copy", "old")
        d.write(part, "log")
        status, _, err = d.backup("--force")
        bad += (wrong("status", status, 1) + wrong("contents", d.read(), "old") +
                wrong("files", d.left(), ["copy", part]) +
                wrong("named", f"a {part}: a database in use" in err, True))
    return bad


def what_is_no_file_stays():
    d = Double(GOOD)
    os.mkdir(d.file)
    status, _, err = d.backup("--force")
    return (wrong("status", status, 1) + wrong("files", d.left(), ["copy"]) +
            wrong("errors", err, "mqttctl: copy: not a regular file\n"))


def a_failure_leaves_nothing():
    bad = []
    for answer, status, text in (
            ({"ok": False, "code": "internal", "error": "no space"}, 1, "mqttd: no space"),
            ({"ok": False, "code": "not-found", "error": "no store"}, 4, "no store"),
            ({"ok": False, "code": "denied", "error": "who are you"}, 3, "who are you"),
            (CLOSE, 1, "no answer from mqttd: it has closed the connection")):
        d = Double(answer)
        got = d.backup()
        bad += (wrong("result", got, (status, "", f"mqttctl: {text}\n")) +
                wrong("files", d.left(), []))
    return bad


def no_daemon_leaves_nothing():
    d = Double(GOOD)
    os.unlink(d.path)
    status, _, err = d.backup()
    return (wrong("status", status, 3) + wrong("files", d.left(), []) +
            wrong("told", "mqttd is not running" in err, True))


def a_missing_folder_is_named():
    d = Double(GOOD)
    process = d.ctl("backup", "none/copy")
    _, err = process.communicate(timeout=30)
    return (wrong("status", process.returncode, 1) +
            wrong("errors", err, "mqttctl: none/copy: No such file or directory\n"))


def a_signal_leaves_nothing():
    bad = []
    for sig in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        d = Double(SILENCE)
        process = d.ctl("backup", "copy")
        if not d.asked.wait(20):
            bad.append("nothing was asked")
        bad += wrong("temporary files", len(d.left()), 1)
        process.send_signal(sig)
        process.communicate(timeout=30)
        bad += wrong("status", process.returncode, -sig) + wrong("files", d.left(), [])
    return bad


def it_waits_long():
    """A large store takes longer than other answers may."""
    d = Double(GOOD, lambda d: time.sleep(12))
    status, _, err = d.backup()
    return wrong("result", (status, err), (0, ""))


def a_check_is_judged():
    bad = []
    for result, status, out, err in (
            ({"sound": True, "sessions": 3}, 0, "sound: true\nsessions: 3\n", ""),
            ({"sound": False, "damage": "row 1\nrow 2"}, 1, "",
             "mqttctl: the store is damaged:\nrow 1\nrow 2\n")):
        d = Double({"ok": True, "result": result})
        process = d.ctl("check")
        got = process.communicate(timeout=30)
        bad += wrong("result", (process.returncode,) + got, (status, out, err))
    d = Double({"ok": True, "result": {"sound": False, "damage": "row 1"}})
    process = d.ctl("check", "-j")
    out, err = process.communicate(timeout=30)
    bad += wrong("status with -j", process.returncode, 1)
    bad += wrong("output with -j", json.loads(out), {"sound": False, "damage": "row 1"})
    return bad


if __name__ == "__main__":
    sys.exit(run([a_copy_appears, what_exists_stays, what_comes_meanwhile_stays, force_replaces,
                  a_database_in_use_stays, what_is_no_file_stays, a_failure_leaves_nothing,
                  no_daemon_leaves_nothing, a_missing_folder_is_named, a_signal_leaves_nothing,
                  it_waits_long, a_check_is_judged]))
