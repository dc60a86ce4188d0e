#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The netlink specification, the uapi header and the kernel's policies agree.

kmod/netlink.yaml is compared with kmod/uapi/kmqtt.h and with the tables in
kmod/netlink.c, in both directions. Values are compared by the C compiler.
"""

import os
import re
import subprocess
import sys

import yaml

from tap import TOP, read, run

INTS = ("u8", "u16", "u32", "u64", "s32", "s64")
TYPES = INTS + ("pad", "flag", "binary", "string", "nest")

SPEC = yaml.safe_load(read("kmod/netlink.yaml"))
HEADER = read("kmod/uapi/kmqtt.h")
KERNEL = read("kmod/netlink.c")
CODE = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.S)
SETS = {s["name"]: s for s in SPEC["attribute-sets"]}
DEFS = {d["name"]: d for d in SPEC["definitions"]}
OPS = SPEC["operations"]


def c_name(*parts):
    return "".join(parts).upper().replace("-", "_")


def numbered(entries, start):
    """Names and values of a list in which each follows its predecessor."""
    for entry in entries:
        entry = {"name": entry} if isinstance(entry, str) else entry
        start = entry.get("value", start)
        yield entry, start
        start += 1


def values():
    """Every C name that follows from the specification, and its value."""
    found = {}
    for d in SPEC["definitions"]:
        if d["type"] == "const":
            found[c_name(SPEC["name"], "-", d["name"])] = d["value"]
            continue
        for entry, n in numbered(d["entries"], d.get("value-start", 0)):
            name = c_name(d["name-prefix"], entry["name"])
            found[name] = 1 << n if d["type"] == "flags" else n
        if d.get("render-max"):
            found[c_name(d["name-prefix"], "max")] = n
    for s in SPEC["attribute-sets"]:
        for attr, n in numbered(s["attributes"], 1):
            found[c_name(s["name-prefix"], attr["name"])] = n
        found[c_name(s["attr-max-name"])] = n
    for op, n in numbered(OPS["list"], 1):
        found[c_name(OPS["name-prefix"], op["name"])] = n
    found[c_name(SPEC["cmd-max-name"])] = n
    return found


def compile_asserts(asserts):
    """Let the compiler judge [(expression, text)]; the texts of false ones."""
    source = "#include <linux/types.h>\n#include \"kmqtt.h\"\n#include \"frame.h\"\n"
    source += "".join(f'_Static_assert({e}, "@{i}@");\n' for i, (e, _) in enumerate(asserts))
    done = subprocess.run(
        [os.environ.get("CC", "gcc"), "-x", "c", "-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra",
         "-I" + os.path.join(TOP, "kmod"), "-I" + os.path.join(TOP, "kmod/uapi"), "-"],
        input=source, capture_output=True, text=True, timeout=60, check=False)
    wrong = sorted({int(n) for n in re.findall(r'failed: "@(\d+)@"', done.stderr)})
    if done.returncode and not wrong:
        return done.stderr.splitlines()[:20]
    return [asserts[n][1] for n in wrong]


def members(enum):
    body = re.search(r"enum %s \{(.*?)\}" % enum, CODE, re.S)
    return re.findall(r"\bKMQTT_\w+", body[1]) if body else []


def header_compiles_alone():
    done = subprocess.run(
        [os.environ.get("CC", "gcc"), "-x", "c", "-std=c90", "-Wall", "-Wextra", "-Werror",
         "-fsyntax-only", os.path.join(TOP, "kmod/uapi/kmqtt.h")],
        capture_output=True, text=True, timeout=60, check=False)
    return done.stderr.splitlines()


def values_equal():
    return compile_asserts([(f"{name} == {value}U", f"{name} is not {value} in the header")
                            for name, value in values().items()])


def header_has_nothing_else():
    known = set(values())
    known |= {"KMQTT_GENL_NAME", "KMQTT_GENL_VERSION", "KMQTT_MCGRP_MONITOR_NAME"}
    names = set(re.findall(r"^#define (KMQTT_\w+)", CODE, re.M))
    for enum in re.findall(r"^enum (\w+)", CODE, re.M):
        names |= set(members(enum))
    return [f"{n} is not in the specification"
            for n in sorted(names - known) if not n.endswith("_UNSPEC")]


def enums_equal():
    """The same names under the same enum, not only somewhere."""
    wrong = []
    groups = [(d["enum-name"], d["name-prefix"], d["entries"])
              for d in SPEC["definitions"] if d["type"] == "enum"]
    groups += [(s["enum-name"], s["name-prefix"], s["attributes"]) for s in SETS.values()]
    groups.append((OPS["enum-name"], OPS["name-prefix"], OPS["list"]))
    for name, prefix, entries in groups:
        want = [c_name(prefix, e["name"]) for e in entries]
        got = [m for m in members(name.replace("-", "_")) if not m.endswith("_UNSPEC")]
        if want != got:
            wrong.append(f"enum {name}: {sorted(set(want) ^ set(got)) or 'order'}")
    enums = {g[0].replace("-", "_") for g in groups}
    wrong += [f"enum {e} is not in the specification"
              for e in re.findall(r"^enum (\w+)", CODE, re.M) if e not in enums]
    return wrong


def names_equal():
    wrong = []
    for define, value in (("KMQTT_GENL_NAME", SPEC["name"]),
                          (c_name(SPEC["mcast-groups"]["list"][0]["c-define-name"]),
                           SPEC["mcast-groups"]["list"][0]["name"])):
        if not re.search(r'#define %s\s+"%s"\s' % (define, value), CODE):
            wrong.append(f'{define} is not "{value}"')
    return wrong


def documented_types_equal():
    """The type that begins each attribute's description in the header."""
    wrong = []
    for s in SETS.values():
        for attr in s["attributes"]:
            name = c_name(s["name-prefix"], attr["name"])
            text = re.search(r"^ \* @%s: (.*)$" % name, HEADER, re.M)
            if not text or s["name"] == "conn-stats":
                continue
            want = re.match(r"[su]\d+ as u\d+|\w+", text[1])[0].split()[0]
            if want in TYPES and want != attr["type"]:
                wrong.append(f"{name}: {attr['type']}, but {want} in the header")
            if want not in TYPES and attr["type"] != "pad":
                wrong.append(f"{name}: no type in the header")
    return wrong


def references_resolve():
    wrong = []
    for s in SETS.values():
        for attr in s["attributes"]:
            where = f"{s['name']}/{attr['name']}"
            if attr["type"] not in TYPES:
                wrong.append(f"{where}: type {attr['type']}")
            if (attr["type"] == "nest") != (attr.get("nested-attributes") in SETS):
                wrong.append(f"{where}: nested-attributes")
            for ref in (attr.get("enum"), attr.get("checks", {}).get("flags-mask")):
                if ref and DEFS.get(ref, {}).get("type") not in ("enum", "flags"):
                    wrong.append(f"{where}: {ref}")
            if attr["type"] != "pad" and not attr.get("doc"):
                wrong.append(f"{where}: no doc")
    for op in OPS["list"]:
        kinds = [k for k in ("do", "dump", "event", "notify") if k in op]
        known = {a["name"] for a in SETS[op["attribute-set"]]["attributes"]}
        lists = [op[k][m] for k in kinds for m in ("request", "reply") if m in op[k]]
        lists += [op["event"]] if "event" in op else []
        used = [a for part in lists for a in part["attributes"]]
        wrong += [f"{op['name']}: {a}" for a in used if a not in known]
        if not kinds or not op.get("doc"):
            wrong.append(f"{op['name']}: no handler or no doc")
        if "event" not in op and op.get("flags") != ["admin-perm"]:
            wrong.append(f"{op['name']}: must need admin-perm")
    return wrong


def every_attribute_is_used():
    used = set()
    for op in OPS["list"]:
        for kind in ("do", "dump"):
            for part in op.get(kind, {}).values():
                used |= set(part["attributes"])
        used |= set(op.get("event", {}).get("attributes", ()))
    return [f"{a['name']}: no operation carries it" for a in SETS["kmqtt"]["attributes"]
            if a["type"] != "pad" and a["name"] not in used]


def ranges():
    """{name: {"min", "max": C expression}} of the ranges that policies point to."""
    return {name: dict(re.findall(r"\.(min|max) = (.*),", body)) for name, body in
            re.findall(r"struct netlink_range_validation (\w+) = \{\n(.*?)\n\};", KERNEL, re.S)}


def policies():
    """{attribute: (NLA type, {check: C expression})} as netlink.c has them."""
    found = {}
    for body in re.findall(r"struct nla_policy \w+\[[^]]*\] = \{\n(.*?)\n\};", KERNEL, re.S):
        for name, text in re.findall(r"\[(KMQTT_\w+)\] = (.*?),(?=\n\t\[|$)", body, re.S):
            text = " ".join(text.split())
            if m := re.fullmatch(r"BIN\((.*)\)", text):
                found[name] = ("NLA_BINARY", {"max-len": m[1]})
            elif m := re.fullmatch(r"NLA_POLICY_(MIN|MAX)\((\w+), (.*)\)", text):
                found[name] = (m[2], {m[1].lower(): m[3]})
            elif m := re.fullmatch(r"NLA_POLICY_RANGE\((\w+), (.*), (.*)\)", text):
                found[name] = (m[1], {"min": m[2], "max": m[3]})
            elif m := re.fullmatch(r"NLA_POLICY_FULL_RANGE\((\w+), &(\w+)\)", text):
                of = "-len" if m[1] == "NLA_BINARY" else ""
                found[name] = (m[1], {k + of: v for k, v in ranges()[m[2]].items()})
            elif m := re.fullmatch(r"NLA_POLICY_MASK\((\w+), (.*)\)", text):
                found[name] = (m[1], {"flags-mask": m[2]})
            elif m := re.fullmatch(r"\{ \.type = (\w+)(?:, \.len = (.*?))? \}", text):
                found[name] = (m[1], {"max-len": m[2]} if m[2] else {})
            else:
                found[name] = (text, {})
    return found


def nla_types(attr):
    kind = attr["type"]
    if kind in INTS:
        return {"NLA_" + kind.upper(), "NLA_U" + kind[1:]}
    return {"string": {"NLA_NUL_STRING", "NLA_STRING", "NLA_BINARY"}, "binary": {"NLA_BINARY"},
            "flag": {"NLA_FLAG"}, "nest": {"NLA_NESTED"}}.get(kind, set())


def mask_of(name):
    return sum(1 << n for _, n in numbered(DEFS[name]["entries"], 0))


def policies_equal():
    wrong, asserts, table = [], [], policies()
    for s in SETS.values():
        for attr in s["attributes"]:
            name = c_name(s["name-prefix"], attr["name"])
            kind, checks = table.pop(name, (None, {}))
            want = attr.get("checks", {})
            if not kind:
                continue
            if kind not in nla_types(attr):
                wrong.append(f"{name}: {kind}, but {attr['type']} in the specification")
            # Some flags are for replies only: those a request may have.
            part = "flags-mask" in checks and "flags-mask" not in want
            if part:
                asserts.append((f"!(({checks['flags-mask']}) & ~({mask_of(attr['enum'])}U"
                                " | KMQTT_ROUTE_F_RH_MASK))", f"{name}: unknown flags"))
            elif set(checks) != set(want):
                wrong.append(f"{name}: checks {sorted(checks)} and {sorted(want)}")
                continue
            for check, value in want.items():
                if check == "flags-mask":
                    value = mask_of(value)
                elif isinstance(value, str):
                    value = DEFS[value]["value"]
                asserts.append((f"({checks[check]}) == {value}U", f"{name}: {check} {value}"))
    wrong += [f"{name}: a policy without specification" for name in table]
    return wrong + compile_asserts(asserts)


def requests_have_policies():
    table = policies()
    sent = {a for op in OPS["list"] for k in ("do", "dump")
            for a in op.get(k, {}).get("request", {}).get("attributes", ())}
    names = {a: c_name(SETS["kmqtt"]["name-prefix"], a) for a in sent}
    wrong = [f"{a}: sent to the kernel, no policy" for a in sorted(sent) if names[a] not in table]
    prefix = c_name(SETS["kmqtt"]["name-prefix"])
    return wrong + [f"{n}: a policy, but no request carries it" for n in sorted(table)
                    if n.startswith(prefix) and n not in names.values()]


def operations_equal():
    table = {}
    for cmd, _ in re.findall(r"\tOP\((\w+), (\w+)\)", KERNEL):
        table[cmd] = {"do"}
    for body in re.findall(r"\{\n\t\t\.cmd = KMQTT_CMD_(.*?)\n\t\}", KERNEL, re.S):
        table[re.match(r"\w+", body)[0]] = \
            {k for k, f in (("do", ".doit"), ("dump", ".dumpit")) if f in body}
    want = {c_name(op["name"]): {k for k in ("do", "dump") if k in op}
            for op in OPS["list"] if "event" not in op}
    return [f"{n}: {sorted(table.get(n, ()))}, but {sorted(want.get(n, ()))} specified"
            for n in sorted(set(table) | set(want)) if table.get(n) != want.get(n)]


TESTS = [header_compiles_alone, values_equal, header_has_nothing_else, enums_equal, names_equal,
         documented_types_equal, references_resolve, every_attribute_is_used, policies_equal,
         requests_have_policies, operations_equal]


if __name__ == "__main__":
    sys.exit(run(TESTS))
