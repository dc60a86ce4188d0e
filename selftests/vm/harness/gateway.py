# SPDX-License-Identifier: GPL-2.0
"""The gateway VM: make run, make stop, make ctl, make sh."""
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import tty

from . import image, qemu
from .paths import VM_CACHE, HarnessError

STATE = os.path.join(VM_CACHE, "gateway")
AGENT_PORT = 8
DEFAULT_CONF = "listener 1883\nallow_anonymous true\n"
STDIN, STDOUT, STDERR, EXIT = range(4)
START_LIMIT = 240
STOP_LIMIT = 15
# MQTT 3.1.1 CONNECT without a client id: any CONNACK shows a broker.
CONNECT = bytes.fromhex("100c00044d5154540402003c0000")
DISCONNECT = bytes.fromhex("e000")
LOCAL = ("127.0.0.1", "localhost", "::1")
# Options whose value is a file or folder that the daemon reads.
FILE_OPTIONS = ("password_file", "acl_file", "psk_file", "cafile", "capath", "certfile", "keyfile",
                "crlfile", "dhparamfile", "include_dir", "bridge_cafile", "bridge_capath",
                "bridge_certfile", "bridge_keyfile", "persistence_location", "auto_id_file")


def state_file(name):
    return os.path.join(STATE, name)


class Conf:
    """What of a mosquitto.conf matters outside the daemon."""

    def __init__(self, path):
        self.folder = os.getcwd()
        self.listeners = []  # [port, address]
        self.files = []      # host files that the guest needs at the same path
        if path is None:
            self.path = "/etc/mqttd/mqttd.conf"
            self.text = DEFAULT_CONF
            self.scan(self.text)
        else:
            if not os.path.isfile(path):
                raise HarnessError("CONF=%s: no such file" % path)
            self.path = os.path.abspath(path)
            with open(self.path, encoding="utf-8") as f:
                self.text = f.read()
            self.scan(self.text)
        if not self.listeners:
            self.listeners = [[1883, "127.0.0.1"]]

    def scan(self, text):
        for line in text.splitlines():
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            option, values = words[0], words[1:]
            if option in ("listener", "port") and values and values[0].isdigit():
                address = values[1] if option == "listener" and len(values) > 1 else None
                if int(values[0]):
                    self.listeners.append([int(values[0]), address])
            elif option == "bind_address" and values and self.listeners:
                self.listeners[-1][1] = values[0]
            elif option in FILE_OPTIONS and values:
                self.travel(option, line.split(None, 1)[1].strip())

    def travel(self, option, value):
        path = os.path.normpath(os.path.join(self.folder, value))
        if not os.path.exists(path):
            return  # the daemon names the option, the file and the line
        if os.path.isdir(path):
            for name in sorted(os.listdir(path)):
                full = os.path.join(path, name)
                if os.path.isfile(full):
                    self.files.append(full)
                    if option == "include_dir" and name.endswith(".conf"):
                        with open(full, encoding="utf-8") as f:
                            self.scan(f.read())
        else:
            self.files.append(path)

    def ports(self):
        return sorted({port for port, _ in self.listeners})

    def relays(self):
        """Ports that only the guest's loopback has."""
        wide = {p for p, a in self.listeners if a not in LOCAL}
        return [p for p in self.ports() if p not in wide]


def pid_of_running():
    """Process id of the gateway's QEMU, None if there is none."""
    try:
        with open(state_file("pid"), encoding="ascii") as f:
            pid = int(f.read())
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return pid if STATE.encode() in f.read() else None
    except (OSError, ValueError):
        return None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def check_free(port, what):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError as err:
            raise HarnessError("port %d of 127.0.0.1 (%s): %s" % (port, what, err.strerror)) from err


def answers(port):
    """Does a broker answer a CONNECT on this port of the host?"""
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as s:
            s.settimeout(5)
            s.sendall(CONNECT)
            answer = s.recv(4)
            s.sendall(DISCONNECT)
            return answer[:1] == b"\x20"
    except OSError:
        return False


def write_image(kernel, conf, token):
    setup = {"token": token, "port": AGENT_PORT, "relays": conf.relays(), "conf": conf.path,
             "folder": conf.folder if conf.path != "/etc/mqttd/mqttd.conf" else "/"}
    extra = [("/run-command", b"exec guest-agent\n", 0o755),
             ("/run-token", token.encode() + b"\n", 0o600),
             ("/run-gateway", json.dumps(setup).encode(), 0o600),
             (conf.path, conf.text.encode(), 0o644)]
    for path in dict.fromkeys(conf.files):
        with open(path, "rb") as f:
            # mqttd may run as another user than root
            extra.append((path, f.read(), 0o644))
    image.initramfs(state_file("initramfs"), kernel, tests=False, extra=extra)


def start(kernel, port, conf):
    """Boot the VM; return (process, what the user is told)."""
    forwards, notes = [], []
    for guest in conf.ports():
        host = port if guest == 1883 else guest
        check_free(host, "for the guest's %d" % guest)
        forwards.append((host, guest))
        notes.append("127.0.0.1:%d" % host)
    agent, token = free_port(), secrets.token_hex(16)
    shutil.rmtree(STATE, ignore_errors=True)
    os.makedirs(STATE, mode=0o700)
    write_image(kernel, conf, token)
    line = qemu.command_line(kernel, state_file("initramfs"), state_file("console.log"),
                             forwards + [(agent, AGENT_PORT)],
                             serial="file:" + state_file("broker.log"))
    with open(state_file("qemu.log"), "wb") as log:
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   start_new_session=True)
    with open(os.open(state_file("agent"), os.O_CREAT | os.O_WRONLY, 0o600), "w",
              encoding="ascii") as f:
        json.dump({"port": agent, "token": token, "kernel": kernel}, f)
    with open(state_file("pid"), "w", encoding="ascii") as f:
        f.write("%d\n" % process.pid)
    return process, forwards, notes, token


def log_text(name):
    try:
        with open(state_file(name), encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


class Follower:
    """Prints what is new in the broker's log, without the end mark."""

    def __init__(self, token, out):
        self.token, self.out, self.at = token, out, 0
        self.ended = False

    def step(self):
        text = log_text("broker.log")
        end = text.find(self.token)
        self.ended = end >= 0
        new = text[self.at:end if self.ended else len(text)]
        # a token that is still arriving is not printed
        if not self.ended:
            new = new[:new.rfind("\n") + 1]
        self.at += len(new)
        if self.out and new:
            self.out.write(new)
            self.out.flush()


def wait_until_up(process, forwards, follower):
    """None when each broker port answers, else the reason why not."""
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        follower.step()
        if follower.ended or process.poll() is not None:
            return log_text("qemu.log").strip() or "the broker ended"
        # A TLS listener answers no plain CONNECT: one broker port is enough.
        if any(answers(host) for host, _ in forwards):
            return None
        time.sleep(0.3)
    return "no answer to a CONNECT within %d s" % START_LIMIT


def say_next(notes, port):
    option = "" if port == 1883 else " -p %d" % port
    print("The broker accepts clients on %s. In another terminal:\n"
          "  mosquitto_sub%s -t 'sensors/#' -v\n"
          "  mosquitto_pub%s -t sensors/kitchen -m 21.5\n"
          "  make -s ctl ARGS=\"client list\"\n"
          "  make -s sh CMD=\"dmesg\"\n"
          "  make stop" % (", ".join(notes), option, option), flush=True)


def fail(process, reason, follower):
    if not follower.out:
        sys.stderr.write(log_text("broker.log").split(follower.token)[0])
    if process.poll() is None:  # the guest hangs: where?
        sys.stderr.write("".join(log_text("console.log").splitlines(keepends=True)[-5:]))
    qemu.stop(process)
    print("make run: %s (console: %s)" % (reason, state_file("console.log")), file=sys.stderr)
    return 1


def up(kernel, port, conf_path, detach):
    pid = pid_of_running()
    if pid:
        raise HarnessError("a gateway is running already (process %d): make stop ends it" % pid)
    conf = Conf(conf_path)
    os.makedirs(VM_CACHE, exist_ok=True)
    process, forwards, notes, token = start(kernel, port, conf)
    follower = Follower(token, None if detach else sys.stdout)
    try:
        reason = wait_until_up(process, forwards, follower)
        if reason:
            return fail(process, reason, follower)
        say_next(notes, port)
        if detach:
            return 0
        while process.poll() is None and not follower.ended:
            follower.step()
            time.sleep(0.2)
        follower.step()
        return fail(process, "the broker ended", follower)
    except KeyboardInterrupt:
        print("\npowering off", file=sys.stderr)
        power_off(process.pid)
        process.wait()
        return 0


def power_off(pid):
    """Let the broker end as its unit would, then QEMU."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        remote("pkill -TERM -x mqttd; for i in $(seq 50); do pgrep -x mqttd >/dev/null || break;"
               " sleep 0.1; done; sync", quiet=True, limit=STOP_LIMIT)
    except (OSError, HarnessError):
        pass
    for number in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(50):
            if pid_of_running() != pid:
                return
            os.kill(pid, number)
            time.sleep(0.1)
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


def stop():
    pid = pid_of_running()
    if not pid:
        print("no gateway is running", file=sys.stderr)
        return 0
    power_off(pid)
    return 0


def connect():
    if not pid_of_running():
        raise HarnessError("no gateway is running: make run starts one")
    with open(state_file("agent"), encoding="ascii") as f:
        agent = json.load(f)
    return socket.create_connection(("127.0.0.1", agent["port"]), 10), agent["token"]


def send(sock, kind, data):
    sock.sendall(struct.pack("!BI", kind, len(data)) + data)


def receive(sock, count):
    data = b""
    while len(data) < count:
        try:
            more = sock.recv(count - len(data))
        except ConnectionError:
            more = b""
        if not more:
            raise HarnessError("the guest closed the connection")
        data += more
    return data


def feed(sock):
    """Copy our standard input to the command's."""
    try:
        while True:
            data = os.read(0, 65536)
            send(sock, STDIN, data)
            if not data:
                return
    except OSError:
        pass


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def remote(command, terminal=None, quiet=False, limit=None):
    """Run a command in the guest; return its exit status."""
    sock, token = connect()
    with sock:
        sock.settimeout(limit)
        request = {"token": token, "command": command, "terminal": terminal}
        sock.sendall(json.dumps(request).encode() + b"\n")
        if quiet:
            send(sock, STDIN, b"")
        else:
            threading.Thread(target=feed, args=(sock,), daemon=True).start()
        while True:
            kind, length = struct.unpack("!BI", receive(sock, 5))
            data = receive(sock, length)
            if kind == EXIT:
                return struct.unpack("!i", data)[0]
            if not quiet:
                write_all(1 if kind == STDOUT else 2, data)


def execute(command):
    """make ctl and make sh; without a command, a shell on our terminal."""
    if command or not (os.isatty(0) and os.isatty(1)):
        return remote(command)
    size = struct.unpack("HHHH", fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8))[:2]
    saved = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        return remote("", list(size))
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, saved)
