# SPDX-License-Identifier: GPL-2.0
"""Other people's clients: mosquitto_pub, mosquitto_sub and Paho."""
import subprocess
import threading

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from . import broker, wire

# What the tools call the versions.
NAMES = {wire.V31: "31", wire.V311: "311", wire.V5: "5"}
_PAHO = {wire.V31: paho.MQTTv31, wire.V311: paho.MQTTv311, wire.V5: paho.MQTTv5}


def pub(port, version, topic, payload, *options):
    broker.run("mosquitto_pub", "-p", str(port), "-V", NAMES[version], "-t", topic,
               "-m", payload, *options)


class Sub:
    """mosquitto_sub that ends after @count messages; topic and payload by line."""

    def __init__(self, port, version, name, count, *options):
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "mosquitto_sub", "-d", "-p", str(port), "-V", NAMES[version], "-t", name,
             "-C", str(count), "-W", "40", "-F", "%t %p", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, bufsize=1)
        self.lines = []
        # Not before the SUBACK does anything reach it.
        for line in self.process.stdout:
            if line.startswith("Subscribed"):
                return
        raise AssertionError("mosquitto_sub was not subscribed")

    def result(self):
        """The messages, sorted, once it has ended."""
        out, _ = self.process.communicate(timeout=60)
        lines = [l for l in out.splitlines() if not l.startswith("Client ")]
        if self.process.returncode:
            raise AssertionError("mosquitto_sub ended with status %d; got %s"
                                 % (self.process.returncode, lines))
        return sorted(lines)


class Paho:
    """A Paho client with its loop in a thread; messages gather in .messages."""

    def __init__(self, port, version, client_id=None):
        self.messages = []
        self.event = threading.Condition()
        self.acks = set()
        options = {} if version == wire.V5 else {"clean_session": True}
        self.client = paho.Client(client_id or wire.new_id("paho"), protocol=_PAHO[version],
                                  **options)
        self.connected = False
        self.client.on_connect = self._on_connect
        self.client.on_message = self._on_message
        self.client.on_subscribe = self._on_ack
        self.client.connect("127.0.0.1", port, 60)
        self.client.loop_start()
        self._wait(lambda: self.connected, "CONNACK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    def _on_connect(self, _client, _user, _flags, reason, *_):
        with self.event:
            self.connected = reason == 0
            self.event.notify_all()

    def _on_message(self, _client, _user, message):
        with self.event:
            self.messages.append(message)
            self.event.notify_all()

    def _on_ack(self, _client, _user, mid, *_):
        with self.event:
            self.acks.add(mid)
            self.event.notify_all()

    def _wait(self, condition, what):
        with self.event:
            if not self.event.wait_for(condition, wire.TIMEOUT):
                raise AssertionError("Paho: no " + what)

    def subscribe(self, name, qos=0):
        _, mid = self.client.subscribe(name, qos)
        self._wait(lambda: mid in self.acks, "SUBACK")

    def publish(self, topic, payload, qos=0, retain=False, properties=None):
        self.client.publish(topic, payload, qos, retain, properties).wait_for_publish(
            wire.TIMEOUT)

    def wait(self, count):
        self._wait(lambda: len(self.messages) >= count,
                   "%d messages, but %d" % (count, len(self.messages)))
        return self.messages


def publish_properties(**values):
    found = Properties(PacketTypes.PUBLISH)
    for name, value in values.items():
        setattr(found, name, value)
    return found
