#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Peers for mqttbench's test: a broker with faults, and a relay that cuts.

Usage: mqttbench-peer.py FAULT       a broker for MQTT 3.1.1, QoS 0, one topic
       mqttbench-peer.py chop PORT   pass bytes to and from PORT, 1 to 7 at a time
FAULT: none, drop (each tenth delivery), double (each tenth delivery), connack,
suback (both refuse), mute (never answers), hangup (after 50 deliveries),
garbage (a malformed frame instead of a delivery), noping (no PINGRESP).
Prints the port it listens on, and ends by itself after two minutes.
"""
import asyncio
import random
import sys

LIFETIME = 120


class Broker:
    def __init__(self, fault):
        self.fault = fault
        self.subscribers = []
        self.deliveries = 0

    @staticmethod
    async def packet(reader):
        head = await reader.readexactly(1)
        length, shift, raw = 0, 0, b""
        while True:
            byte = await reader.readexactly(1)
            raw += byte
            length |= (byte[0] & 0x7F) << shift
            shift += 7
            if byte[0] < 0x80:
                break
        return head[0] >> 4, head + raw, await reader.readexactly(length)

    def deliver(self, frame):
        for writer in self.subscribers:
            if writer.is_closing():
                continue
            self.deliveries += 1
            tenth = self.deliveries % 10 == 0
            if self.fault == "drop" and tenth:
                continue
            if self.fault == "garbage":
                writer.write(b"\x30\xff\xff\xff\xff\x7f")
                continue
            writer.write(frame * (2 if self.fault == "double" and tenth else 1))
            if self.fault == "hangup" and self.deliveries == 50:
                writer.close()

    def answer(self, kind, head, body, writer):
        if self.fault == "mute":
            return
        if kind == 1:
            writer.write(bytes([0x20, 2, 0, 5 if self.fault == "connack" else 0]))
        elif kind == 8:
            code = 0x80 if self.fault == "suback" else 0
            writer.write(bytes([0x90, 3]) + body[:2] + bytes([code]))
            self.subscribers.append(writer)
        elif kind == 3:
            self.deliver(head + body)
        elif kind == 12 and self.fault != "noping":
            writer.write(b"\xd0\x00")

    async def serve(self, reader, writer):
        try:
            while True:
                kind, head, body = await self.packet(reader)
                if kind == 14:
                    break
                self.answer(kind, head, body, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        if writer in self.subscribers:
            self.subscribers.remove(writer)
        writer.close()


class Chopper:
    def __init__(self, port):
        self.port = port

    @staticmethod
    async def pump(reader, writer):
        try:
            while data := await reader.read(65536):
                while data:
                    cut = random.randint(1, 7)
                    writer.write(data[:cut])
                    await writer.drain()
                    await asyncio.sleep(0)
                    data = data[cut:]
        except ConnectionError:
            pass
        writer.close()

    async def serve(self, reader, writer):
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.port)
        await asyncio.gather(self.pump(reader, up_writer), self.pump(up_reader, writer))


async def main():
    peer = Chopper(int(sys.argv[2])) if sys.argv[1] == "chop" else Broker(sys.argv[1])
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(LIFETIME)


asyncio.run(main())
