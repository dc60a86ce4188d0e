# SPDX-License-Identifier: GPL-2.0
"""TAP output.  A test is a function; it fails by an exception."""
import sys
import traceback

_tests = []


class Skip(Exception):
    """Raised by a test that cannot run here; its text says why."""


def test(function):
    """Add a test; the first line of its docstring is its name."""
    _tests.append(function)
    return function


def equal(got, want, what="value"):
    if got != want:
        raise AssertionError("%s is %s, not %s" % (what, show(got), show(want)))


def true(got, what):
    if not got:
        raise AssertionError(what)


def show(value):
    if isinstance(value, (bytes, bytearray)):
        text = value[:64].hex(" ")
        return "[%s%s] (%d bytes)" % (text, " ..." if len(value) > 64 else "", len(value))
    return repr(value)


def note(text):
    for line in str(text).splitlines():
        print("# " + line, flush=True)


def run(*args):
    """Run all tests with @args, print TAP, exit."""
    print("1..%d" % len(_tests), flush=True)
    failed = 0
    for number, function in enumerate(_tests, 1):
        name = function.__doc__.splitlines()[0].rstrip(".")
        try:
            function(*args)
        except Skip as why:
            print("ok %d - %s # SKIP %s" % (number, name, why), flush=True)
        except Exception:                       # whatever it is, the test failed
            failed += 1
            note(traceback.format_exc(limit=-4))
            print("not ok %d - %s" % (number, name), flush=True)
        else:
            print("ok %d - %s" % (number, name), flush=True)
    sys.exit(1 if failed else 0)
