# SPDX-License-Identifier: GPL-2.0
"""Runs of guest.py in a VM, and what they say of the cost of a message."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(TOP, "selftests", "vm")]
from harness import console, qemu  # noqa: E402
from harness.paths import HarnessError  # noqa: E402

GUEST = "/kmqtt/selftests/perf/guest.py"
# What the goals are stated with.
RULES = 20


def revision():
    done = subprocess.run(["git", "-c", "safe.directory=*", "-C", TOP, "describe", "--always",
                           "--dirty"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode().strip() or "unknown"


def play(kernel, runs, rules=RULES, timeout=3600, counting=True):
    """The guest's results of the runs, each [scenario, protocol, broker], in that order."""
    results = []
    part = b""

    def sink(data):
        nonlocal part
        part += data
        *whole, part = part.split(b"\n")
        for line in whole:
            if line.startswith(b"{"):
                results.append(json.loads(line)["result"])
                print(".", end="", file=sys.stderr, flush=True)
            elif line.strip():
                print("\nguest: " + line.decode(errors="replace"), file=sys.stderr)

    job = json.dumps({"runs": runs, "rules": rules})
    done = qemu.run(kernel, "python3 %s '%s'\n" % (GUEST, job), sink, timeout=timeout,
                    counting=counting)
    print(file=sys.stderr)
    with open(done.console, encoding="utf-8", errors="replace") as f:
        for one in console.check(f.read()):
            raise HarnessError("console: " + one.text)
    if done.reason or done.status:
        raise HarnessError(done.reason or "the guest's script ended with %d" % done.status)
    return results


def void(result):
    """Whether the run says nothing: not all was delivered once."""
    return bool(result.get("ended") or result.get("error") or result.get("lost") or
                result.get("extra") or result.get("failed"))


def cost(result, what="system", per="delivered"):
    """Thousand instructions per delivered message; None for a run that is void."""
    if void(result) or not result[per]:
        return None
    return result["cpu_s"][what] * 1e6 / result[per]


def loss(result):
    return result.get("lost", 0) + result.get("failed", 0) + ("error" in result)
