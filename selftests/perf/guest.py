#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""In the guest: run scenarios against brokers, print a JSON object for each run.

Argument: a JSON object of
  runs: an array of [scenario, protocol, broker], run in that order;
  rules: how many ACL rules kmqtt and Mosquitto check.
Brokers: kmqtt, mosquitto, relay (mqttbench's bare one) and write (none: mqttbench's
bare writes).  Those needed run all the time, without persistence, and only one of
them has clients at a time.
"""
import json
import os
import subprocess
import sys
import time

import scenarios

PORTS = {"kmqtt": 1883, "mosquitto": 1884, "relay": 1885, "write": 0}
# mqttd-acl is mqttd that installs the file's rules in the module for each client.
COMMANDS = {
    "kmqtt": ["mqttd-acl", "-c", "/tmp/kmqtt.conf"],
    "mosquitto": ["mosquitto", "-c", "/tmp/mosquitto.conf"],
    "relay": ["mqttbench", "-h", "127.0.0.1", "-p", "1885", "relay"],
}
CONF = """listener %d 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 0
max_inflight_messages 0
log_type error
set_tcp_nodelay true
"""
ACL_FILE = "/tmp/acl"
# The one rule that allows what the scenarios do is the last: all are looked at.
ACL_RULE = "topic readwrite %s/#\n"
TIMEOUT = 600


def settings(name, rules):
    """What the broker reads: its configuration, and the rules if there are any."""
    conf = CONF % PORTS[name]
    env = dict(os.environ)
    if name == "mosquitto":
        conf += "user root\n" + ("acl_file %s\n" % ACL_FILE if rules else "")
    elif rules:
        env["MQTTD_ACL_FILE"] = ACL_FILE
    with open("/tmp/%s.conf" % name, "w", encoding="ascii") as f:
        f.write(conf)
    return env


def start(brokers, rules):
    """Start the brokers; their processes by name."""
    topics = ["plant/line%d/+/state" % i for i in range(rules - 1)] + [scenarios.PREFIX]
    with open(ACL_FILE, "w", encoding="ascii") as f:
        f.writelines(ACL_RULE % topic for topic in topics)
    if "kmqtt" in brokers:
        subprocess.run(["insmod", "/kmqtt/kmqtt.ko"], check=True)
    pids = {"write": []}
    for name in brokers - {"write"}:
        process = subprocess.Popen(COMMANDS[name], env=settings(name, rules))
        pids[name] = [process.pid]
    time.sleep(3)
    if "kmqtt" in brokers:
        pids["kmqtt"] += [int(pid) for pid in os.listdir("/proc")
                          if pid.isdigit() and is_worker(pid)]
    return pids


def is_worker(pid):
    try:
        with open("/proc/%s/comm" % pid, encoding="utf-8") as f:
            return f.read().startswith("kmqtt/")
    except FileNotFoundError:
        return False


def mqttbench(broker, pids, arguments):
    """One run's result, or the error."""
    command = ["mqttbench", "-j", "-h", "127.0.0.1", "--timeout", str(TIMEOUT)]
    if PORTS[broker]:
        command += ["-p", str(PORTS[broker])]
    for pid in pids:
        command += ["--pid", str(pid)]
    done = subprocess.run(command + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    if not done.stdout:
        return {"error": done.stderr.decode(errors="replace").strip()}
    return json.loads(done.stdout)


def check_rules(broker, pids):
    """A topic that no rule allows must reach nobody, or there are no rules."""
    result = mqttbench(broker, pids, ["-n", "1", "-c", "1", "-M", "single", "--drain", "0.5",
                                      "-t", "forbidden", "fanout"])
    if result.get("lost") != 1:
        raise SystemExit("%s: the ACL rules are not in effect: %s" % (broker, result))


def main():
    job = json.loads(sys.argv[1])
    by_name = {s.name: s for s in scenarios.SCENARIOS}
    brokers = {broker for _, _, broker in job["runs"]}
    pids = start(brokers, job["rules"])
    for broker in brokers & {"kmqtt", "mosquitto"} if job["rules"] else ():
        check_rules(broker, pids[broker])
    for name, protocol, broker in job["runs"]:
        result = mqttbench(broker, pids[broker],
                           by_name[name].arguments(protocol, broker))
        print(json.dumps({"scenario": name, "protocol": protocol, "broker": broker,
                          "result": result}), flush=True)


if __name__ == "__main__":
    main()
