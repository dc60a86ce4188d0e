# SPDX-License-Identifier: GPL-2.0
"""Where things are, and the errors that the command line reports."""
import os
import subprocess

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
CACHE = os.environ.get("CACHE") or os.path.join(TOP, ".cache")
VM_CACHE = os.path.join(CACHE, "vm")
KERNELS = ("6.1", "6.12", "kasan", "kcsan")
DEBUG_KERNELS = ("kasan", "kcsan")


class HarnessError(Exception):
    """Something the caller can mend; the text says what."""


def output(*argv):
    """Run a command of the host, return its standard output."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise HarnessError("%s: exit status %d" % (" ".join(argv), done.returncode))
    return done.stdout


def kernel_dir(name):
    """Folder of a kernel, fetched when it is not there yet."""
    return output(os.path.join(TOP, "selftests/vm/kernel"), name).strip()
