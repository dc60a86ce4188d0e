#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The conformance tables name every statement once, and only tests that there are."""

import glob
import os
import re
import sys

from tap import TOP, read, run

# How many statements each section of the specifications has.
COUNTS = {
    "3.1.1": """1.5.3:3 2.2.2:2 2.3.1:7 3.1.0:2 3.1.2:24 3.1.3:11 3.1.4:5 3.2.0:1 3.2.2:6 3.3.1:12
        3.3.2:3 3.3.4:1 3.3.5:2 3.6.1:1 3.8.1:1 3.8.3:4 3.8.4:6 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6
        3.12.4:1 3.14.1:1 3.14.4:3 4.1.0:2 4.3.1:1 4.3.2:2 4.3.3:2 4.4.0:1 4.5.0:2 4.6.0:6 4.7.1:3
        4.7.2:1 4.7.3:4 4.8.0:2 6.0.0:4 7.0.0:2 7.1.1:1 7.1.2:1""",
    "5.0": """1.5.4:3 1.5.5:1 1.5.7:1 2.1.3:1 2.2.1:6 2.2.2:1 3.1.0:2 3.1.2:30 3.1.3:12 3.1.4:6
        3.2.0:2 3.2.2:22 3.3.1:13 3.3.2:20 3.3.4:10 3.4.2:3 3.5.2:3 3.6.1:1 3.6.2:3 3.7.2:3 3.8.1:1
        3.8.3:5 3.8.4:8 3.9.2:2 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6 3.11.2:2 3.11.3:2 3.12.4:1
        3.14.0:1 3.14.1:1 3.14.2:4 3.14.4:3 3.15.1:1 3.15.2:3 4.1.0:2 4.2.0:1 4.3.1:1 4.3.2:5
        4.3.3:13 4.4.0:2 4.5.0:2 4.6.0:6 4.7.0:1 4.7.1:2 4.7.2:1 4.7.3:4 4.8.2:6 4.9.0:3 4.12.0:7
        4.12.1:2 4.13.1:1 4.13.2:1 6.0.0:4""",
}
# It begins with 2.
ABSENT = {("5.0", "MQTT-2.2.1-1")}


def statements(version):
    """All identifiers, in their order."""
    for part in COUNTS[version].split():
        section, count = part.split(":")
        for number in range(1, int(count) + 1):
            ident = "MQTT-%s-%d" % (section, number)
            if (version, ident) not in ABSENT:
                yield ident


def rows(version):
    """[identifier, text] of each line of a table."""
    lines = read("selftests/conformance/mqtt-%s.tsv" % version).splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def there_are():
    """Names of all tests."""
    found = set()
    for path in glob.glob(os.path.join(TOP, "selftests/vm/tests/*.py")):
        name = os.path.basename(path)[:-3]
        found |= {"%s:%s" % (name, f) for f in re.findall(r"^@tap\.test\ndef (\w+)\(",
                                                         read(path), re.M)}
    for path in glob.glob(os.path.join(TOP, "selftests/unit/*.c")):
        name = os.path.basename(path)[:-2]
        found |= {"%s:%s" % (name, f) for f in re.findall(r"\bcmocka_unit_test\w*\((\w+)",
                                                         read(path))}
    scripts = read("selftests/vm/tests/lib/oracle.scripts")
    return found | {"script:" + n for n in re.findall(r"^script (.*)$", scripts, re.M)}


def complete(version):
    got = [row[0] for row in rows(version)]
    want = list(statements(version))
    return (["%s twice" % i for i in sorted(set(got)) if got.count(i) > 1] +
            ["%s is missing" % i for i in want if i not in got] +
            ["there is no %s" % i for i in got if i not in want] +
            ([] if got == want or sorted(got) != sorted(want) else ["not in their order"]))


def every_statement_of_311_once():
    return complete("3.1.1")


def every_statement_of_5_once():
    return complete("5.0")


def every_row_names_tests_or_a_reason():
    wrong = []
    for version in COUNTS:
        for row in rows(version):
            if len(row) != 2 or not (re.match(r"- \w", row[1]) or re.match(r"\w[^\t]*:\w", row[1])):
                wrong.append("%s: %s" % (version, row))
    return wrong


def every_test_exists():
    exist, wrong = there_are(), []
    for version in COUNTS:
        for ident, text in rows(version):
            names = [] if text.startswith("- ") else text.split("; ")
            wrong += ["%s %s: there is no %s" % (version, ident, n)
                      for n in names if n not in exist]
    return wrong if exist else ["no tests found, this test reads the wrong place"]


if __name__ == "__main__":
    sys.exit(run([every_statement_of_311_once, every_statement_of_5_once,
                  every_row_names_tests_or_a_reason, every_test_exists]))
