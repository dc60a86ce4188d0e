# SPDX-License-Identifier: GPL-2.0
"""What the benchmark measures: one table for host and guest."""
import collections

# First level of all topics.
PREFIX = "mqttbench"

# Programs of mqttbench in place of a broker.
FLOORS = ("relay", "write")

PROTOCOLS = {
    "3.1.1": ["-V", "3.1.1"],
    "5.0": ["-V", "5.0"],
    "mixed": ["--pub-protocol", "3.1.1", "--sub-protocol", "5.0"],
}


class Scenario(collections.namedtuple("Scenario", "name options counts")):
    """options: of mqttbench; counts: messages of each publisher, kmqtt's and Mosquitto's."""

    def arguments(self, protocol, broker):
        """Of mqttbench for a run against the broker."""
        count = self.counts[1 if broker == "mosquitto" else 0]
        *options, kind = self.options
        return [*PROTOCOLS[protocol], "-c", str(count), *options,
                "write" if broker == "write" else kind]

    def floors(self):
        """Those of FLOORS that can play it: at QoS 0 only, and writes in one direction."""
        if "-q" in self.options:
            return ()
        return FLOORS if self.options[-1] == "fanout" else FLOORS[:1]


def fanout(kind, size, subscribers, counts):
    mode = {"single": ["-M", "single"], "eight": ["-M", "single", "--per-write", "8"],
            "burst": ["-M", "burst"]}[kind]
    return Scenario("%s-%d-%d" % (kind, size, subscribers),
                    ["-n", str(subscribers), "-s", str(size), *mode, "fanout"], counts)


def qos1(name, inflight, clients, scenario, counts):
    mode = ["-M", "single"] if inflight == 1 else ["-M", "flood"]
    return Scenario(name, ["-q", "1", "--inflight", str(inflight), "-n", str(clients),
                           "-s", "16", *mode, scenario], counts)


SCENARIOS = [
    fanout("single", 16, 1, (8000, 8000)),
    fanout("single", 16, 10, (2000, 2000)),
    fanout("single", 16, 100, (400, 300)),
    fanout("single", 16, 1000, (40, 30)),
    fanout("eight", 16, 100, (3200, 480)),
    fanout("burst", 16, 1, (120000, 12000)),
    fanout("burst", 16, 10, (60000, 6000)),
    fanout("burst", 16, 100, (18000, 1800)),
    fanout("burst", 16, 1000, (1800, 900)),
    fanout("burst", 256, 100, (4000, 600)),
    fanout("burst", 256, 1000, (400, 120)),
    fanout("burst", 4096, 100, (400, 160)),
    fanout("burst", 4096, 1000, (40, 20)),
    fanout("burst", 65536, 100, (40, 30)),
    Scenario("fanin-1", ["-n", "100", "-s", "16", "-M", "single", "fanin"], (300, 120)),
    Scenario("fanin-4", ["-n", "100", "-s", "16", "-M", "single", "--per-write", "4", "fanin"],
             (1200, 200)),
    Scenario("pairs-1", ["-n", "50", "-s", "16", "-M", "single", "pair"], (400, 250)),
    Scenario("pairs-10", ["-n", "50", "-s", "16", "-M", "single", "--per-write", "10", "pair"],
             (4000, 400)),
    qos1("qos1-pairs-1", 1, 50, "pair", (100, 100)),
    qos1("qos1-pairs-20", 20, 50, "pair", (300, 150)),
    qos1("qos1-fanout-1", 1, 100, "fanout", (150, 150)),
    qos1("qos1-fanout-20", 20, 100, "fanout", (400, 200)),
]


def choose(patterns, match):
    """Scenarios whose name one of @patterns matches, all without patterns."""
    return [s for s in SCENARIOS if not patterns or any(match(s.name, p) for p in patterns)]
