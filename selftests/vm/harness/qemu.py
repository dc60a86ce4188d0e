# SPDX-License-Identifier: GPL-2.0
"""One virtual machine: its command line, its output, its end."""
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import tempfile
import time

from . import image
from .paths import DEBUG_KERNELS, VM_CACHE, HarnessError, kernel_dir

# no_timer_check: a guest on a loaded host may see no tick in time, and would not
# boot for that.
APPEND = ("console=ttyS0 panic=-1 oops=panic loglevel=5 mitigations=off rdinit=/init "
          "no_timer_check "
          "kasan_multi_shot watchdog_thresh=30 rcupdate.rcu_cpu_stall_timeout=60")


class PowerCut(Exception):
    """Raised by a sink: the machine is to lose its power now."""


class Result:
    """How a run ended: status is None when the guest did not get that far."""

    def __init__(self, status, console, reason=None):
        self.status = status
        self.console = console
        self.reason = reason


def disk_options(disk):
    """A virtio disk: the image, and the log of what is written to it."""
    image_path, log = disk
    node = {"driver": "blklogwrites", "node-name": "disk",
            "file": {"driver": "file", "filename": image_path},
            "log": {"driver": "file", "filename": log}}
    return ["-blockdev", json.dumps(node), "-device", "virtio-blk-pci,drive=disk"]


# Two processors in real time.
TIMING = ("-accel", "tcg,thread=multi,tb-size=512", "-cpu", "Nehalem,cx16=off", "-smp", "2")
# One processor whose clock is the number of instructions.  Without erms, or rep movsb
# counts an instruction a byte; with AES as TLS wants it.
COUNTING = ("-accel", "tcg,thread=single,tb-size=512", "-icount", "shift=0,sleep=off",
            "-cpu", "max,-erms,-fsrm", "-smp", "1")


def command_line(kernel, initrd, console, forwards=(), mem="2G", append="", serial=None,
                 counting=False):
    """The line of which each option was found to be needed under TCG."""
    net = "user,id=n0,restrict=on" + "".join(
        ",hostfwd=tcp:127.0.0.1:%d-10.0.2.15:%d" % pair for pair in forwards)
    if kernel == "kasan":
        append = "kmemleak=on " + append
    return ["qemu-system-x86_64", "-machine", "q35", *(COUNTING if counting else TIMING),
            "-m", mem, "-display", "none", "-nodefaults", "-no-reboot", "-serial", "file:" + console,
            "-serial", serial or "stdio",
            "-kernel", os.path.join(kernel_dir(kernel), "vmlinuz"), "-initrd", initrd,
            "-append", (APPEND + " " + append).strip(),
            "-netdev", net, "-device", "virtio-net-pci,netdev=n0,romfile="]


def console_path(kernel):
    os.makedirs(os.path.join(VM_CACHE, "log"), exist_ok=True)
    stamp = time.strftime("%H%M%S")
    return os.path.join(VM_CACHE, "log", "console-%s-%s-%d.log" % (kernel, stamp, os.getpid()))


def stop(process):
    """End QEMU: first as asked, then for sure."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Reader:
    """Splits the port's stream into the command's output and the end mark."""

    def __init__(self, token, sink):
        self.token = token
        self.sink = sink
        self.held = b""
        self.status = None

    def feed(self, data):
        self.held += data
        at = self.held.find(self.token)
        if at >= 0:
            out, self.held = self.held[:at], self.held[at:]
            if b"\n" in self.held:
                self.status = int(self.held.split(b"\n")[0].split()[1])
                self.held = b""
            self.sink(out)
            return
        keep = len(self.token)
        out, self.held = self.held[:-keep], self.held[-keep:]
        self.sink(out)

    def flush(self, data=b""):
        if self.status is None:
            self.sink(self.held + data)
        self.held = b""


def pump(process, reader, deadline):
    """Read until the end mark or the deadline; return what went wrong."""
    fd = process.stdout.fileno()
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return "the time limit was reached"
        ready, _, _ = select.select([fd], [], [], left)
        if not ready:
            continue
        data = os.read(fd, 65536)
        if not data:
            return None if reader.status is not None else "the guest died"
        reader.feed(data)


def run(kernel, script, sink, timeout=300, forwards=(), mem="2G", append="", extra=(), disk=None,
        counting=False):
    """Boot, run a shell script, give its output to sink, power off.

    disk is (image, log of its writes); if sink raises PowerCut, so does this.
    """
    token = secrets.token_hex(16)
    console = console_path(kernel)
    files = [("/run-command", script.encode(), 0o755), ("/run-token", token.encode() + b"\n", 0o600)]
    if not shutil.which("qemu-system-x86_64"):
        raise HarnessError("qemu-system-x86_64 is missing: selftests/install-packages run")
    with tempfile.TemporaryDirectory(dir=VM_CACHE) as work:
        initrd = os.path.join(work, "initramfs")
        image.initramfs(initrd, kernel, extra=files + list(extra))
        line = command_line(kernel, initrd, console, forwards, mem, append, counting=counting)
        if disk:
            line += disk_options(disk)
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        reader = Reader(token.encode(), sink)
        try:
            reason = pump(process, reader, time.monotonic() + timeout)
        except PowerCut:
            process.kill()
            # What it had said before it died counts.
            reader.flush(process.stdout.read())
            process.wait()
            raise
        finally:
            if process.poll() is None:
                reader.flush()
            stop(process)
        errors = process.stderr.read().decode(errors="replace")
    if reason == "the guest died" and "qemu-system" in errors:
        reason = errors.strip()
    return Result(reader.status, console, reason)


def slowdown(kernel):
    """Debug kernels get this many times the time."""
    return 3 if kernel in DEBUG_KERNELS else 1
