# SPDX-License-Identifier: GPL-2.0
"""Run the tests of selftests/vm/tests in a VM and judge run and console.

A test's comment lines say what concerns the choice:
  # core               also runs where only a core of the suite does
  # kernels: NAME...   runs on these kernels only
"""
import fnmatch
import glob
import os
import re
import sys

from . import console, qemu
from .paths import TOP, HarnessError

TESTS = os.path.join(TOP, "selftests/vm/tests")
RESULT = re.compile(r"(not )?ok (\d+)\b(.*)")
# Boots after a death of the guest; a kernel that dies each time is enough said.
MAX_BOOTS = 8


def all_tests():
    """Tests are named NN-area-case.py or .sh."""
    found = glob.glob(os.path.join(TESTS, "[0-9][0-9]-*"))
    return sorted(f for f in found if f.endswith((".py", ".sh")))


def head(path, word):
    """What a test's comment line "# word" or "# word: ..." says, None without one."""
    with open(path, encoding="utf-8") as f:
        found = re.search(r"^# %s(?:$|:(.*))" % word, f.read(), re.M)
    return (found.group(1) or "").split() if found else None


def select(patterns, core, kernel):
    chosen = []
    for path in all_tests():
        name = os.path.basename(path)
        stem = os.path.splitext(name)[0]
        if core and head(path, "core") is None:
            continue
        if kernel not in (head(path, "kernels") or [kernel]):
            continue
        if not patterns or any(fnmatch.fnmatch(name, p) or fnmatch.fnmatch(stem, p)
                               or fnmatch.fnmatch(stem, p + "-*") for p in patterns):
            chosen.append(path)
    if not chosen:
        raise HarnessError("no test for %s is named %s" % (kernel, " ".join(patterns or ["(core)"])))
    return chosen


class Progress:
    """Copies the guest's TAP and remembers how far it got."""

    def __init__(self, out):
        self.out = out
        self.text = b""
        self.number = 0
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.running = None
        self.ended = set()

    def sink(self, data):
        self.text += data
        *lines, self.text = self.text.split(b"\n")
        for line in lines:
            self.line(line.decode(errors="replace").rstrip("\r"))

    def line(self, line):
        match = RESULT.match(line)
        if match:
            self.number = int(match.group(2))
            kind = ("skipped" if "# SKIP" in line.upper() else
                    "failed" if match.group(1) else "passed")
            self.counts[kind] += 1
        elif line.startswith("# start "):
            self.running = line.split()[2]
        elif line.startswith("# end "):
            self.ended.add(line.split()[2])
            self.running = None
        print(line, file=self.out, flush=True)

    def fail(self, text):
        self.line("not ok %d - %s" % (self.number + 1, text))


def script(tests, first, scale):
    names = " ".join("/kmqtt/selftests/vm/tests/" + os.path.basename(t) for t in tests)
    return "exec /kmqtt/selftests/vm/guest/run-tests --first %d --scale %d %s\n" % (
        first, scale, names)


def judge(result, progress, kernel):
    """Add what the console says, and how the guest ended, to the results."""
    with open(result.console, encoding="utf-8", errors="replace") as f:
        found = console.check(f.read())
    for one in found[:10]:
        progress.fail("%s console: %s%s" % (kernel, one.text,
                                            " (during %s)" % one.test if one.test else ""))
    if result.reason:
        progress.fail("%s: %s%s" % (kernel, result.reason,
                                    " in %s" % progress.running if progress.running else ""))
    elif result.status:
        progress.fail("%s: run-tests ended with status %d" % (kernel, result.status))
    if found or result.reason:
        print("# console: %s" % result.console, file=progress.out, flush=True)


def run(kernel, patterns, core=False, timeout=1800, out=sys.stdout, mem="2G"):
    """Run the chosen tests; return the counts."""
    left = select(patterns, core, kernel)
    progress = Progress(out)
    print("# kernel %s: %d test files" % (kernel, len(left)), file=out, flush=True)
    for _ in range(MAX_BOOTS):
        result = qemu.run(kernel, script(left, progress.number + 1, qemu.slowdown(kernel)),
                          progress.sink, timeout=timeout, mem=mem)
        judge(result, progress, kernel)
        if result.status is not None:
            left = []
            break
        # The one that killed the guest has failed; go on behind it.
        stems = [os.path.splitext(os.path.basename(t))[0] for t in left]
        if progress.running not in stems:
            break
        left = left[stems.index(progress.running) + 1:]
        progress.running = None
        if not left:
            break
    for path in left:
        progress.fail("%s: not run" % os.path.basename(path))
    print("1..%d" % progress.number, file=out, flush=True)
    return progress.counts
