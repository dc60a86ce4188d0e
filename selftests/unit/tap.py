# SPDX-License-Identifier: GPL-2.0
"""TAP for the tests that compare texts of this tree."""

import os

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def run(tests):
    """Each test returns complaints, none if it holds. Returns the exit status."""
    failed = 0
    print(f"1..{len(tests)}")
    for n, test in enumerate(tests, 1):
        wrong = test()
        failed += bool(wrong)
        for line in wrong:
            print(f"# {line}")
        print(f"{'not ok' if wrong else 'ok'} {n} - {test.__name__}")
    return 1 if failed else 0
