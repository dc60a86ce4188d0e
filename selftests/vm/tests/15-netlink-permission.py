#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""Who lacks CAP_NET_ADMIN in the initial user namespace is refused everything: EPERM."""
import errno
import json
import sys

from lib import broker, genl, tap

# Dumps are asked for by another flag and checked in another place.
DUMPS = {"CONN_GET": genl.CONN_GET, "ROUTE_GET": genl.ROUTE_GET, "EVENTS_GET": genl.EVENTS_GET}
ASKS = {name: getattr(genl, name) for name in (
    "BIND", "ATTACH", "ACCEPT", "CLOSE", "RELEASE", "CONN_GET", "ROUTE_ADD", "ROUTE_DEL",
    "ACL_SET", "ACL_DEL", "DELIVER", "INJECT", "STATS_GET", "PARAM_SET", "PARAM_GET")}

USER = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
STRANGERS = {
    "a user": USER,
    "root of a user namespace": ["unshare", "-U", "-r"],
    "root of a user and network namespace": ["unshare", "-U", "-r", "-n"],
    "a user in a user and network namespace": USER + ["unshare", "-U", "-r", "-n"],
    "root without the capability": ["setpriv", "--bounding-set", "-net_admin"],
}
ADMITTED = {
    "root": [],
    "a user with the capability": USER + ["--inh-caps", "+net_admin", "--ambient-caps",
                                          "+net_admin"],
}


def ask_everything():
    """In the child: the errno of each command, by name."""
    found = {}
    with genl.Genl() as nl:
        for name, cmd in ASKS.items():
            found[name] = nl.ask(cmd)[0]
        for name, cmd in DUMPS.items():
            found["dump " + name] = nl.ask(cmd, flags=genl.NLM_F_DUMP)[0]
        try:
            nl.join()
            found["group"] = 0
        except OSError as error:
            found["group"] = error.errno
    print(json.dumps(found))


def answers(wrapper):
    return json.loads(broker.run(*wrapper, sys.executable, __file__, "ask").stdout)


@tap.test
def strangers(_server):
    """Every command, every dump and the group: EPERM."""
    for who, wrapper in STRANGERS.items():
        found = answers(wrapper)
        tap.equal(len(found), len(ASKS) + len(DUMPS) + 1, "questions")
        for name, error in found.items():
            # The group of a namespace of their own is empty for ever.
            if name == "group" and "-n" in wrapper:
                continue
            tap.equal(errno.errorcode.get(error, error), "EPERM", "%s to %s" % (name, who))


@tap.test
def admitted(server):
    """With the capability in the initial user namespace reads and the group are open."""
    for who, wrapper in ADMITTED.items():
        found = answers(wrapper)
        for name in ("STATS_GET", "PARAM_GET", "dump CONN_GET", "dump ROUTE_GET", "group"):
            tap.equal(found[name], 0, "%s to %s" % (name, who))
        # The daemon's own commands are for its socket.
        for name in ("BIND", "INJECT", "DELIVER", "RELEASE", "ACL_DEL", "dump EVENTS_GET"):
            tap.true(found[name] in (errno.EPERM, errno.EBUSY, errno.EINVAL),
                     "%s to %s: %d" % (name, who, found[name]))
    with server.client() as c:
        c.ping()


@tap.test
def mqttd(_server):
    """mqttd started without the permission says so."""
    # Listening comes first, so there must be something to listen on.
    own = ["unshare", "-U", "-r", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    for wrapper in (own, USER):
        done = broker.run(*wrapper, "mqttd", "-p", "2883", check=False)
        tap.equal(done.returncode, 1, "exit status of mqttd")
        tap.true("not permitted to use the kmqtt module" in done.stderr, done.stderr)


@tap.test
def mqttctl(_server):
    """mqttctl says that it is the permission that is missing, for each command."""
    for wrapper in STRANGERS.values():
        for command in (["param", "set", "forwarding", "off"], ["monitor"]):
            # Nothing will ever come there; it is refused all the same.
            done = broker.run("timeout", "10", *wrapper, "mqttctl", *command, check=False)
            tap.equal(done.returncode, 3, "status of %s (%s)" % (wrapper + command, done.stderr))
            tap.true("run as root" in done.stderr, done.stderr)


if __name__ == "__main__":
    if sys.argv[1:] == ["ask"]:
        ask_everything()
        sys.exit(0)
    broker.only_kmqtt()
    with broker.Broker() as the_server:
        tap.run(the_server)
