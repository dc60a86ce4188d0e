# SPDX-License-Identifier: GPL-2.0
"""The guest's initramfs, made of layers.

Linux unpacks concatenated cpio archives one after the other, so what seldom
changes (programs of Debian packages, modules of a kernel) is kept as an
archive of its own and only the built tree is packed anew for each run.
"""
import fcntl
import glob
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile

from .paths import CACHE, TOP, VM_CACHE, HarnessError, kernel_dir, output

SYSTEM_PACKAGES = """
    bash coreutils util-linux mount procps kmod iproute2 grep sed mawk findutils
    strace libc-bin libgcc-s1 hostname debianutils
    python3-minimal python3.11-minimal libpython3.11-minimal libpython3.11-stdlib
    """.split()
TEST_PACKAGES = "python3-paho-mqtt mosquitto-clients openssl".split()
# Unpacked, not installed: its installation starts a broker on the host.
TEST_ARCHIVES = ["mosquitto"]

MODULES = """
    virtio_pci virtio_net tls gcm ghash_generic ctr aesni_intel chacha20poly1305
    veth dummy tun sch_netem sch_tbf nf_tables unix_diag tcp_diag inet_diag
    virtio_blk ext4 overlay
    """.split()

SKIP = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/info",
        "/usr/share/lintian", "/usr/share/bug", "/usr/share/bash-completion",
        "/usr/share/perl", "/usr/lib/systemd", "/lib/systemd", "/usr/share/zsh",
        "/usr/lib/python3.11/test", "/usr/lib/python3.11/idlelib",
        "/usr/lib/python3.11/lib2to3", "/usr/lib/python3.11/pydoc_data", "/usr/lib/python3.11/distutils",
        # Its library, libatm1, is only recommended
        "/usr/lib/x86_64-linux-gnu/tc/q_atm.so")

PASSWD = """root:x:0:0:root:/root:/bin/bash
nobody:x:65534:65534:nobody:/:/usr/sbin/nologin
mosquitto:x:110:110::/var/lib/mosquitto:/usr/sbin/nologin
"""
GROUP = """root:x:0:
mosquitto:x:110:
mqttd:x:111:
nogroup:x:65534:
"""


class Cpio:
    """Writer of the newc format, everything owned by root."""

    def __init__(self, out):
        self.out = out
        self.ino = 0
        self.seen = set()

    def _entry(self, path, mode, data=b"", rdev=(0, 0)):
        name = path.strip("/").encode() + b"\0"
        self.ino += 1
        head = [self.ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(name), 0]
        rec = b"070701" + b"".join(b"%08x" % v for v in head) + name
        self.out.write(rec + b"\0" * (-len(rec) % 4) + data + b"\0" * (-len(data) % 4))

    def directory(self, path):
        path = "/" + path.strip("/")
        if path == "/" or path in self.seen:
            return
        self.directory(os.path.dirname(path))
        self.seen.add(path)
        # A later layer sets the mode of an earlier one's folder again
        mode = 0o1777 if path in ("/tmp", "/var/tmp") else 0o755
        self._entry(path, stat.S_IFDIR | mode)

    def data(self, path, data, mode=0o644):
        self.directory(os.path.dirname(path))
        self.seen.add(path)
        self._entry(path, stat.S_IFREG | mode, data)

    def link(self, path, target):
        if path in self.seen:
            return
        self.directory(os.path.dirname(path))
        self.seen.add(path)
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def device(self, path, mode, major, minor):
        self.directory(os.path.dirname(path))
        self._entry(path, stat.S_IFCHR | mode, rdev=(major, minor))

    def copy(self, source, path, follow=False):
        """Copy one file, link or (empty) folder of the host."""
        path = merged(path)
        if path in self.seen:
            return
        info = os.stat(source) if follow else os.lstat(source)
        if stat.S_ISLNK(info.st_mode):
            self.link(path, os.readlink(source))
        elif stat.S_ISDIR(info.st_mode):
            self.directory(path)
        elif stat.S_ISREG(info.st_mode):
            with open(source, "rb") as f:
                self.data(path, f.read(), stat.S_IMODE(info.st_mode))

    def tree(self, source, path):
        for folder, dirs, files in os.walk(source):
            dirs[:] = [d for d in dirs if d not in ("__pycache__", ".git")]
            there = os.path.join(path, os.path.relpath(folder, source))
            self.directory(os.path.normpath(there))
            for name in files:
                self.copy(os.path.join(folder, name), os.path.normpath(os.path.join(there, name)),
                          follow=True)

    def end(self):
        self._entry("TRAILER!!!", 0)


def merged(path):
    """/bin, /sbin and /lib are links into /usr."""
    first = path.split("/")[1]
    return "/usr" + path if first in ("bin", "sbin", "lib", "lib64") else path


def is_elf(path):
    try:
        with open(path, "rb") as f:
            return f.read(4) == b"\x7fELF"
    except OSError:
        return False


def libraries(files):
    """Shared libraries that ELF files need, as paths of the host."""
    found = set()
    files = [f for f in files if is_elf(f)]
    if not files:
        return found
    done = subprocess.run(["ldd"] + files, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, check=False)
    for line in done.stdout.splitlines():
        if "not found" in line:
            raise HarnessError("library missing on this machine: " + line.strip())
        words = line.split("=>")[-1].split()
        if "(0x" in line and words[0].startswith("/"):
            found.add(words[0])
    return found


def package_files(package):
    """Files of an installed package as (host path, guest path)."""
    for path in output("dpkg-query", "-L", package).splitlines():
        if path.startswith("/") and not path.startswith(SKIP) and os.path.lexists(path):
            yield path, path


def archive_files(package):
    """Files of a package that is unpacked in the cache, not installed."""
    root = output(os.path.join(TOP, "selftests/unpack-package"), package).strip()
    for folder, _, files in os.walk(root):
        for name in files:
            source = os.path.join(folder, name)
            path = "/" + os.path.relpath(source, root)
            if not path.startswith(SKIP):
                yield source, path


def add_programs(cpio, pairs):
    pairs = list(pairs)
    for source, path in pairs:
        cpio.copy(source, path)
    elves = [source for source, _ in pairs if os.path.isfile(source)]
    for lib in sorted(libraries(elves)):
        cpio.copy(lib, lib, follow=True)


def system_layer(cpio):
    for name in ("bin", "sbin", "lib", "lib64"):
        cpio.directory("/usr/" + name)
        cpio.link("/" + name, "usr/" + name)
    for name in ("proc", "sys", "dev", "run", "etc", "var/lib", "root", "mnt"):
        cpio.directory("/" + name)
    cpio.directory("/tmp")
    cpio.directory("/var/tmp")
    cpio.link("/var/run", "/run")
    cpio.device("/dev/console", 0o600, 5, 1)
    cpio.data("/etc/passwd", PASSWD.encode())
    cpio.data("/etc/group", GROUP.encode())
    cpio.data("/etc/profile", b"PS1='root@kmqtt:\\w# '\n")
    cpio.data("/etc/hosts", b"127.0.0.1 localhost kmqtt\n::1 localhost\n")
    cpio.data("/etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files\n")
    cpio.link("/usr/bin/awk", "mawk")
    cpio.link("/usr/bin/sh", "bash")
    cpio.link("/usr/bin/which", "which.debianutils")
    cpio.copy(os.path.join(TOP, "selftests/vm/guest/init"), "/init")
    cpio.copy(os.path.join(TOP, "selftests/vm/guest/agent"), "/usr/sbin/guest-agent")
    add_programs(cpio, (f for p in SYSTEM_PACKAGES for f in package_files(p)))


def test_layer(cpio):
    add_programs(cpio, (f for p in TEST_PACKAGES for f in package_files(p)))
    for package in TEST_ARCHIVES:
        add_programs(cpio, archive_files(package))


def module_layer(kernel):
    """Modules of a stock kernel; a debug kernel has everything built in."""
    base = os.path.join(kernel_dir(kernel), "root")
    with open(os.path.join(kernel_dir(kernel), "release"), encoding="ascii") as f:
        release = f.read().strip()

    def write(cpio):
        if not os.path.isdir(base):
            return
        with tempfile.TemporaryDirectory() as sub:
            for name in MODULES:
                done = subprocess.run(["/sbin/modprobe", "-d", base, "-S", release, "--show-depends",
                                       name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                      text=True, check=False)
                for line in done.stdout.splitlines():
                    if line.startswith("insmod "):
                        path = line.split()[1]
                        there = os.path.join(sub, os.path.relpath(path, base))
                        os.makedirs(os.path.dirname(there), exist_ok=True)
                        shutil.copy(path, there)
            where = os.path.join(sub, "lib/modules", release)
            os.makedirs(where, exist_ok=True)
            for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
                shutil.copy(os.path.join(base, "lib/modules", release, name), where)
            subprocess.run(["/sbin/depmod", "-b", sub, release], check=True)
            cpio.tree(where, "/usr/lib/modules/" + release)
    return write


def key(*parts):
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def file_text(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def cached(name, stamp, write):
    """Archive of a layer, made once for each stamp."""
    os.makedirs(VM_CACHE, exist_ok=True)
    path = os.path.join(VM_CACHE, "%s-%s.cpio" % (name, stamp))
    with open(os.path.join(VM_CACHE, ".lock-" + name), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            for old in glob.glob(os.path.join(VM_CACHE, name + "-*.cpio")):
                os.unlink(old)
            with open(path + ".new", "wb") as f:
                cpio = Cpio(f)
                write(cpio)
                cpio.end()
            os.rename(path + ".new", path)
    return path


def versions(packages):
    return output("dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *packages)


def layers(kernel, tests):
    me = file_text(os.path.join(TOP, "selftests/vm/harness/image.py"))
    guest = [file_text(os.path.join(TOP, "selftests/vm/guest", n)) for n in ("init", "agent")]
    yield cached("system", key(me, versions(SYSTEM_PACKAGES), *guest), system_layer)
    if tests:
        yield cached("tests", key(me, versions(TEST_PACKAGES), *TEST_ARCHIVES), test_layer)
    yield cached("modules-" + kernel, key(me, kernel_dir(kernel)), module_layer(kernel))


def add_tree(cpio, kernel, tests):
    """The built tree as /kmqtt of the guest; the tests' daemons not for the gateway."""
    module = os.path.join(CACHE, "build", kernel, "kmqtt.ko")
    if not os.path.exists(module):
        raise HarnessError("%s is not built: make module KERNEL=%s" % (module, kernel))
    cpio.copy(module, "/kmqtt/kmqtt.ko")
    build = os.path.join(TOP, "build")
    names = ["mqttd", "mqttd-crash", "mqttctl", "mqttbench"]
    names += ["selftests/mqttd-test", "selftests/mqttd-acl"] * tests
    programs = [os.path.join(build, n) for n in names]
    programs = [p for p in programs if os.path.exists(p)]
    cpio.directory("/kmqtt/bin")
    for path in programs:
        cpio.copy(path, "/kmqtt/bin/" + os.path.basename(path))
    for lib in sorted(libraries(programs)):
        cpio.copy(lib, lib, follow=True)
    cpio.tree(os.path.join(TOP, "selftests"), "/kmqtt/selftests")


def initramfs(path, kernel, tests=True, extra=()):
    """Write the whole initramfs; extra holds (guest path, bytes, mode)."""
    with open(path, "wb") as out:
        for layer in layers(kernel, tests):
            with open(layer, "rb") as f:
                shutil.copyfileobj(f, out, 1 << 20)
        cpio = Cpio(out)
        add_tree(cpio, kernel, tests)
        for name, data, mode in extra:
            cpio.data(name, data, mode)
        cpio.end()
