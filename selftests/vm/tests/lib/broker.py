# SPDX-License-Identifier: GPL-2.0
"""The broker under test: the module with mqttd, or Mosquitto to test the tests.

KMQTT_BROKER=mosquitto in the environment chooses the latter; tests of what only
kmqtt has then skip.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import tap, wire

MODULE = "/kmqtt/kmqtt.ko"
MOSQUITTO = os.environ.get("KMQTT_BROKER") == "mosquitto"
# Time for a daemon to come up, on a debug kernel too.
START = 30
SLOW = wire.SLOW

CONF = """listener %d 127.0.0.1
allow_anonymous true
persistence false
log_type error
log_type warning
"""


def run(*command, check=True, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=60, check=False, **options)
    if check and done.returncode:
        raise AssertionError("%s: status %d: %s" % (
            " ".join(command), done.returncode, done.stderr.strip()))
    return done


def loaded():
    return os.path.exists("/sys/module/kmqtt")


def load():
    if not loaded():
        run("insmod", MODULE)


def unload(seconds=5):
    """An open netlink dump holds the module for a moment."""
    end = time.monotonic() + seconds
    while loaded():
        done = run("rmmod", "kmqtt", check=False)
        if done.returncode and time.monotonic() > end:
            raise AssertionError("rmmod: " + done.stderr.strip())
        if done.returncode:
            time.sleep(0.1)


def wait_for(condition, what, seconds=START):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("%s: not within %d s" % (what, seconds))
        time.sleep(0.05)


def only_kmqtt():
    if MOSQUITTO:
        raise tap.Skip("kmqtt only")


class Broker:
    """A running broker with the configuration @conf after the usual lines.

    With @durable its store is in a folder that lasts as long as this object.
    """

    def __init__(self, conf="", base=CONF, port=wire.PORT, netns=None, durable=False,
                 program="mqttd"):
        self.program = program
        self.port = port
        self.netns = netns
        self.dir = tempfile.mkdtemp(prefix="kmqtt-")
        os.chmod(self.dir, 0o755)
        self.conf = os.path.join(self.dir, "broker.conf")
        text = (base % port if "%d" in base else base) + conf
        if durable:
            text = text.replace("persistence false\n", "persistence true\n"
                                "persistence_location %s/\n" % self.dir)
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(text + ("user root\n" if MOSQUITTO else ""))
        self.process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.stop()
        if not MOSQUITTO:
            unload()
        shutil.rmtree(self.dir, ignore_errors=True)

    def prefix(self):
        return ["ip", "netns", "exec", self.netns] if self.netns else []

    def start(self, wait=True):
        """Start the daemon; return when it accepts connections."""
        if MOSQUITTO:
            command = ["mosquitto", "-c", self.conf]
        else:
            load()
            command = [self.program, "-c", self.conf]
        # What is used after it was freed is not what it was: glibc overwrites it.
        env = dict(os.environ, MALLOC_PERTURB_="165")
        # The tests' own TAP goes to stdout; what the broker says is a comment there.
        self.process = subprocess.Popen(self.prefix() + command, stdin=subprocess.DEVNULL,
                                        env=env)
        if wait:
            wait_for(self.accepts, "the broker accepts", START)

    def accepts(self):
        if self.process.poll() is not None:
            raise AssertionError("the broker ended with status %d" % self.process.returncode)
        if self.netns:
            done = subprocess.run(self.prefix() + ["ss", "-Hltn"], stdout=subprocess.PIPE,
                                  text=True, timeout=20, check=False)
            return ":%d " % self.port in done.stdout
        try:
            with wire.Client(wire.V311, port=self.port, join=False) as probe:
                probe.send(wire.connect(wire.V311, wire.new_id("probe")))
                if not probe.read()[3]:         # an answer is enough, be it a refusal
                    probe.leave()
                return True
        except (OSError, wire.Closed):
            return False

    def stop(self, seconds=20):
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(seconds)
            raise AssertionError("the broker did not end within %d s" % seconds) from None

    def kill(self):
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)

    def client(self, version=wire.V311, **options):
        return wire.Client(version, port=self.port, **options)

    def ctl(self, *arguments, check=True):
        return run(*self.prefix(), "mqttctl", *arguments, check=check)

    def stats(self):
        """Counters by name; none of Mosquitto."""
        if MOSQUITTO:
            return {}
        return flat(json.loads(self.ctl("-j", "stats").stdout))

    def param(self, name, value):
        self.ctl("param", "set", name, str(value))


def flat(data):
    """Objects in objects or {name, value} rows: all by name."""
    if isinstance(data, list):
        if data and isinstance(data[0], dict) and {"name", "value"} <= set(data[0]):
            return {row["name"]: row["value"] for row in data}
        data = dict(enumerate(data))
    out = {}
    for key, value in data.items():
        if isinstance(value, (dict, list)):
            out.update(flat(value))
        else:
            out[key] = value
    return out


class Growth:
    """How much counters grow inside a with block: after it, g["name"]."""

    def __init__(self, broker):
        self.broker = broker
        self.before = self.after = {}

    def __enter__(self):
        self.before = self.broker.stats()
        return self

    def __exit__(self, *_):
        self.after = self.broker.stats()

    def __getitem__(self, name):
        if name not in self.after:
            raise AssertionError("no counter %s in mqttctl stats: %s" % (
                name, " ".join(map(str, self.after))))
        return self.after[name] - self.before[name]

    def equal(self, name, want):
        if not MOSQUITTO:
            tap.equal(self[name], want, name)

    def at_least(self, name, want):
        if not MOSQUITTO:
            tap.true(self[name] >= want, "%s grew by %d, not %d" % (name, self[name], want))


def port_free(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0
