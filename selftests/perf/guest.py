#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""In the guest: run scenarios against kmqtt and Mosquitto, print a JSON object for each.

Argument: a JSON array of [scenario, protocol].  Both brokers run all the time, without
persistence, each with 20 ACL rules, and only one of them has clients at a time.
"""
import json
import os
import subprocess
import sys
import time

import scenarios

PORTS = {"kmqtt": 1883, "mosquitto": 1884}
CONF = """listener %d 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 0
max_inflight_messages 0
log_type error
set_tcp_nodelay true
"""
TIMEOUT = 120


def start():
    subprocess.run(["insmod", "/kmqtt/kmqtt.ko"], check=True)
    pids = {}
    for name, command, extra in (("kmqtt", "mqttd", ""), ("mosquitto", "mosquitto", "user root\n")):
        conf = "/tmp/%s.conf" % name
        with open(conf, "w", encoding="ascii") as f:
            f.write(CONF % PORTS[name] + extra)
        pids[name] = [subprocess.Popen([command, "-c", conf], stderr=subprocess.DEVNULL).pid]
    time.sleep(3)
    pids["kmqtt"] += [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and is_worker(pid)]
    return pids


def is_worker(pid):
    try:
        with open("/proc/%s/comm" % pid, encoding="utf-8") as f:
            return f.read().startswith("kmqtt/")
    except FileNotFoundError:
        return False


def measure(scenario, protocol, broker, pids):
    count = scenario.counts[0 if broker == "kmqtt" else 1]
    command = ["mqttbench", "-j", "-p", str(PORTS[broker]), "-c", str(count),
               "--timeout", str(TIMEOUT)]
    for pid in pids:
        command += ["--pid", str(pid)]
    done = subprocess.run(command + scenarios.PROTOCOLS[protocol] + scenario.options,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if not done.stdout:
        return {"error": done.stderr.decode(errors="replace").strip()}
    return json.loads(done.stdout)


def main():
    wanted = json.loads(sys.argv[1])
    by_name = {s.name: s for s in scenarios.SCENARIOS}
    pids = start()
    for name, protocol in wanted:
        for broker in PORTS:
            result = measure(by_name[name], protocol, broker, pids[broker])
            print(json.dumps({"scenario": name, "protocol": protocol, "broker": broker,
                              "result": result}), flush=True)


if __name__ == "__main__":
    main()
