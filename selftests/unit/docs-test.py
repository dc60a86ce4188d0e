#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Man pages, --help, bash completion and the programs' tables agree.

Each name is compared in both directions. The programs are those in build/.
"""

import os
import re
import subprocess
import sys

from tap import TOP, read, run


def man(path):
    """{section: text} of a man page, without escapes and font changes."""
    text = re.sub(r"\\f[RBIP]", "", read(path)).replace("\\-", "-").replace('"', "")
    parts = re.split(r"^\.SH (.*)\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def tagged(section):
    """The lines that name an item: those that follow .TP."""
    lines = re.findall(r"^\.TP\n\.[BI]+R? (.*)", section, re.M)
    return [re.sub(r" +", " ", line.replace(" , ", ", ")).strip() for line in lines]


def program(name, *args):
    done = subprocess.run([os.path.join(TOP, "build", name), *args], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)
    return done.stdout


def differ(what, there, here):
    """Complaints about what is in one of two sets only; each must hold something."""
    there, here = set(there), set(here)
    if not there or not here:
        return [f"{what}: nothing found, this test reads the wrong place"]
    return ([f"{what}: {n} is missing" for n in sorted(there - here)] +
            [f"{what}: there is no {n}" for n in sorted(here - there)])


def options(text):
    return set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", text))


def sections_of(path):
    """All options that a page describes as items."""
    return {o for line in tagged("".join(man(path).values())) for o in options(line)}


def conf_table():
    """{name: (macro, rest)} of the options that mqttd knows."""
    body = read("user/conf-table.c").split("conf_options[] = {")[1].split("\n};")[0]
    rows = re.findall(r"^\t([A-Z]+)\((\w+|\"[^\"]+\")((?:.|\n\t )*?)\),$", body, re.M)
    return {name: (macro, rest) for macro, name, rest in rows if macro != "UNSUPPORTED"}


def conf_options_are_described():
    known = {n for n, (macro, _) in conf_table().items() if macro != "ONLY"}
    page = man("user/mqttd.conf.5")
    described = [line.split()[0] for text in page.values() for line in tagged(text)]
    wrong = [f"{n} is described twice" for n in set(described) if described.count(n) > 1]
    return wrong + differ("mqttd.conf(5)", known, described)


def conf_only_values_are_described():
    known = {f"{n} " + re.search(r'"(.*?)"', rest)[1]
             for n, (macro, rest) in conf_table().items() if macro == "ONLY"}
    text = man("user/mqttd.conf.5")["WHAT MOSQUITTO HAS BESIDES"]
    return differ("values of mqttd.conf(5)", known,
                  re.findall(r"^\.BR? (\w+ [\w.]+)", text.split("TLS,")[0], re.M))


def number(expression):
    """The value of a C constant: digits and shifts, or a name of the configuration's."""
    for name, value in re.findall(r"^#define (\w+)\s+(\(?\d+[^\s/]*(?: << \d+\))?)",
                                  read("user/conf-table.c") + read("user/conf.h"), re.M):
        expression = re.sub(r"\b%s\b" % name, value, expression)
    if not re.fullmatch(r"[-()\d< L]+", expression):
        return None
    return eval(expression.replace("L", ""), {})  # pylint: disable=eval-used


def conf_bounds_are_described():
    """The bounds of a number, where they are not just those of its type."""
    text = "".join(man("user/mqttd.conf.5").values()) + "\n"
    wrong = []
    for name, (_, rest) in conf_table().items():
        item = re.search(r"^\.BI %s (.*?)(?=^\.TP|^\.SH|\Z)" % name, text, re.M | re.S)
        for expression in re.findall(r"\.(?:min|max) = (\w+)", rest):
            bound = number(expression)
            if item and bound is not None and not re.search(r"(?<!\d)%d(?!\d)" % bound, item[1]):
                wrong.append(f"{name}: {bound} is not in the page")
    return wrong


def mqttd_options():
    return differ("mqttd(8)", options(program("mqttd", "--help").split("kernel.\n")[1]),
                  sections_of("user/mqttd.8"))


def ctl_help():
    usage = program("mqttctl", "--help")
    table, rest = usage.split("\n\n")[1:3]
    names = [re.sub(r" +", " ", line.strip()) for line in re.findall(r"^  (.{28})", table, re.M)]
    return names, options(rest)


def ctl_words(name):
    return re.sub(r" \[?[A-Z].*", "", name).split()


def own_options(name):
    """Options of one command."""
    return options(program("mqttctl", *ctl_words(name), "--help").split("\n", 1)[1])


def mqttctl_commands():
    names, _ = ctl_help()
    page = [line.replace("[ ", "[").replace(" ]", "]")
            for line in tagged(man("tools/mqttctl/mqttctl.8")["COMMANDS"])
            if not line.startswith("-")]
    return differ("mqttctl(8)", names, page)


def mqttctl_options():
    names, known = ctl_help()
    return differ("options of mqttctl(8)", known.union(*map(own_options, names)),
                  sections_of("tools/mqttctl/mqttctl.8"))


def mqttctl_command_help():
    return [f"mqttctl {name} --help: does not begin with its usage"
            for name in ctl_help()[0]
            if f" {name}\n" not in
            program("mqttctl", *ctl_words(name), "--help")]


def complete(*words):
    script = ('. "$0"; COMP_WORDS=(mqttctl "$@"); COMP_CWORD=$#; _mqttctl; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(
        ["bash", "-c", script, os.path.join(TOP, "tools/mqttctl/mqttctl.bash-completion"), *words],
        env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def completion():
    names, known = ctl_help()
    commands = [ctl_words(n) for n in names]
    wrong = differ("completion of options", known, complete("-"))
    for name in names:
        if own_options(name):
            wrong += differ(f"completion of options of {name}", known | own_options(name),
                            complete(*ctl_words(name), "-"))
    wrong += differ("completion", {c[0] for c in commands}, complete(""))
    for group in {c[0] for c in commands if len(c) == 2}:
        wrong += differ(f"completion of {group}", {c[1] for c in commands if c[0] == group},
                        complete(group, ""))
    return wrong


def parameters():
    table = dict(re.findall(r'\[KMQTT_PARAM_\w+\] = \{ "(\w+)", ([^,]+),', read("kmod/netns.c")))
    page = man("tools/mqttctl/mqttctl.8")["PARAMETERS"]
    wrong = differ("parameters of mqttctl(8)", table, tagged(page))
    for name, default in table.items():
        value = number(default)
        if not re.search(r"^\.B %s\n(?:(?!\.TP).*\n)*?Default: %d\.$" % (name, value), page, re.M):
            wrong.append(f"{name}: Default: {value}. is not in the page")
    return wrong


def counters():
    code = read("kmod/stats.c")
    names = re.findall(r'^\t\[KMQTT_\w+\] = "(\w+)",$', code, re.M)
    names += re.findall(r'stat_put\(skb, "(\w+)"', code)
    page = [n for line in tagged(man("tools/mqttctl/mqttctl.8")["COUNTERS"])
            for n in line.split(", ")]
    return differ("counters of mqttctl(8)", names, page)


def mqttbench_options():
    text = program("mqttbench", "--help").split("Options")[1]
    known = {o for line in re.findall(r"^ {2}(\S.*|   {2}--\S.*)$", text, re.M)
             for o in options(line[:24])}
    return differ("mqttbench(1)", known, sections_of("tools/mqttbench/mqttbench.1"))


def mqttbench_scenarios():
    text = program("mqttbench", "--help").split("Options")[0]
    return differ("scenarios of mqttbench(1)", re.findall(r"^  (\w+)", text, re.M),
                  tagged(man("tools/mqttbench/mqttbench.1")["SCENARIOS"]))


TESTS = [conf_options_are_described, conf_only_values_are_described, conf_bounds_are_described,
         mqttd_options, mqttctl_commands, mqttctl_options, mqttctl_command_help, completion,
         parameters, counters, mqttbench_options, mqttbench_scenarios]


if __name__ == "__main__":
    sys.exit(run(TESTS))
