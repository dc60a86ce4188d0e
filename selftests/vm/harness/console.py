# SPDX-License-Identifier: GPL-2.0
"""Find in a guest's console what fails a run whatever the tests say."""
import re
from collections import namedtuple

Finding = namedtuple("Finding", "line text test")

# Any one of these, wherever it comes from.
FATAL = re.compile(
    r"\bBUG: (?!KCSAN)|\bBUG kmqtt|\bOops\b|Kernel panic|general protection fault|double fault"
    r"|\bWARNING: |\bUBSAN: |\bKASAN: |\bODEBUG: "
    r"|INFO: task .* blocked for more than|INFO: rcu\w* .*(detected|stall)|rcu: INFO:"
    r"|INFO: (trying to register non-static key|possible (recursive|irq|circular))"
    r"|possible (recursive|circular|irq lock inversion) |inconsistent lock state"
    r"|suspicious RCU usage|INFO: (suspicious|inconsistent|possible) "
    r"|\brefcount_t: |(list_add|list_del) corruption|Objects remaining in"
    r"|Slab cache still has objects|soft lockup|hard LOCKUP|workqueue lockup"
    r"|unregister_netdevice: waiting for|ref_tracker: .*(leaked|has)|reference already released"
    r"|Unable to handle kernel|kernel NULL pointer|Bad page state|Out of memory")
KCSAN = re.compile(r"BUG: KCSAN: ")
LEAK = re.compile(r"unreferenced object 0x")
BAR = re.compile(r"={20,}")
MARK = re.compile(r"kmqtt-test: (\S+)")
STAMP = re.compile(r"^\[ *\d+\.\d+\](?:\[[^\]]*\])? ?")
OURS = re.compile(r"\[kmqtt\]|\bkmqtt_")
# Whose time the interrupt took has nothing to do with what it did.
INTERRUPT = re.compile(r"^ (__)?(do|handle)_softirqs?\+|^ (__)?irq_exit|^ asm_(sysvec|common|exc)_")
# After rmmod the module's addresses have no name any more, and no other
# module is ever unloaded in the guest.
UNNAMED = re.compile(r"\] 0xffffffff[a-f][0-9a-f]{7}\b")


def leak_block(lines, start):
    """Lines of a kmemleak report that begins at start."""
    end = start + 1
    while end < len(lines) and lines[end].startswith((" ", "\t")):
        end += 1
    return lines[start:end]


def kcsan_block(lines, start):
    """Lines of a KCSAN report, which ends with a bar."""
    for end in range(start + 1, min(start + 80, len(lines))):
        if BAR.search(lines[end]) or KCSAN.search(lines[end]):
            return lines[start:end]
    return lines[start:start + 80]


def kcsan_ours(block):
    """Does one of the report's stacks, down to where an interrupt began, show us?"""
    ended = False
    for line in block:
        if not line.startswith(" "):
            ended = False
        elif INTERRUPT.search(line):
            ended = True
        elif not ended and OURS.search(line):
            return True
    return False


def check(text):
    """Return the findings of a console text, in order."""
    lines = [STAMP.sub("", line.rstrip("\r")) for line in text.split("\n")]
    found, test = [], None
    for number, line in enumerate(lines):
        mark = MARK.search(line)
        if mark:
            test = mark.group(1)
        elif FATAL.search(line):
            found.append(Finding(number + 1, line.strip(), test))
        elif KCSAN.search(line):
            if kcsan_ours(kcsan_block(lines, number)):
                found.append(Finding(number + 1, line.strip(), test))
        elif LEAK.search(line):
            block = leak_block(lines, number)
            if any(OURS.search(part) or UNNAMED.search(part) for part in block):
                found.append(Finding(number + 1, line.strip(), test))
    return found
