#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Driver of Paho's Python client for client-matrix, which says what it reads and prints."""
import sys

from paho.mqtt import client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PORT, VERSION = int(sys.argv[1]), int(sys.argv[2])
SESSION_EXPIRY = 3600
KEEP_ALIVE = 60


def say(*words):
    sys.stdout.write(" ".join(str(w) for w in words) + "\n")
    sys.stdout.flush()


def on_connect(_client, _user, flags, reason, _properties=None):
    if reason != 0:
        say("failed connect:", reason)
    else:
        say("connected", flags["session present"])


def on_disconnect(_client, _user, reason, _properties=None):
    if reason != 0:
        say("failed connection:", reason)
    else:
        say("disconnected")


def on_subscribe(_client, _user, _mid, granted, _properties=None):
    say("subscribed", getattr(granted[0], "value", granted[0]))


def on_message(_client, _user, m):
    say("message", m.qos, int(m.retain), m.topic, m.payload.decode())


class Driver:
    def __init__(self):
        self.client = None

    def connect(self, ident, clean, *will):
        options = {} if VERSION == 5 else {"clean_session": clean == "1"}
        self.client = mqtt.Client(ident, protocol=VERSION, **options)
        self.client.on_connect = on_connect
        self.client.on_disconnect = on_disconnect
        self.client.on_subscribe = on_subscribe
        self.client.on_message = on_message
        self.client.on_unsubscribe = lambda *_: say("unsubscribed")
        self.client.on_publish = lambda *_: say("published")
        if will:
            qos, retain, topic, payload = will
            self.client.will_set(topic, payload, int(qos), retain == "1")
        options = {}
        if VERSION == 5:
            options = {"clean_start": clean == "1", "properties": Properties(PacketTypes.CONNECT)}
            if clean != "1":
                options["properties"].SessionExpiryInterval = SESSION_EXPIRY
        self.client.connect("127.0.0.1", PORT, KEEP_ALIVE, **options)
        self.client.loop_start()

    def subscribe(self, qos, topic):
        self.client.subscribe(topic, int(qos))

    def unsubscribe(self, topic):
        self.client.unsubscribe(topic)

    def publish(self, qos, retain, topic, payload=""):
        self.client.publish(topic, payload, int(qos), retain == "1")

    def disconnect(self):
        self.client.disconnect()
        self.client.loop_stop()


def main():
    driver = Driver()
    for line in sys.stdin:
        word, *rest = line.rstrip("\n").split(" ", 1)
        parts = {"publish": 3, "connect": 5}.get(word, 1)
        getattr(driver, word)(*(rest[0].split(" ", parts) if rest else ()))


if __name__ == "__main__":
    main()
