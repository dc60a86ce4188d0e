# SPDX-License-Identifier: GPL-2.0
"""Client scripts: read from text, played against a broker, and the traces they leave.

A script is steps of clients, one a line: CLIENT VERB ARGUMENT... NAME=VALUE...
    c connect VERSION       wait for the CONNACK; will=TOPIC,PAYLOAD,QOS,RETAIN,
                            will.NAME= its properties, port= another listener
    c open VERSION          connect the socket only
    c subscribe FILTER OPTIONS ...    OPTIONS: QoS, n No Local, r Retain As
                            Published, h1 h2 Retain Handling
    c unsubscribe FILTER ...
    c publish TOPIC [PAYLOAD]         qos= retain= dup= mid=
    c disconnect            reason=
    c drop                  close the socket without DISCONNECT
    c raw WORD...           bytes: HEX, =TEXT, or +TEXT with its length before it;
                            "partial" if no packet ends with them
    c packet WORD...        the same with the Remaining Length behind the first
    c manual                acknowledge nothing by itself from now on
    c ack                   acknowledge what has come
    c expect N              wait until N PUBLISHes have come to it in this phase
    c gone                  wait until the broker has closed the connection
    - sleep SECONDS, - settle, - merge CLIENT ..., - forget CLIENT
The names of PROPERTIES are options where their packets can carry them.
"{text*N}" stands for N times text, \\xNN for a byte.

A phase ends when another client acts: everything asked for has been answered
and everything routed has arrived.  Within a phase a trace keeps the order of
answers, that of PUBACK and PUBREC, that of PUBRELs, that of PUBCOMPs, and that
of the PUBLISHes of each topic, with their place among the answers: more MQTT
does not promise (4.6 orders each topic, not one against another).  Packet
identifiers of the broker are its own; remaining expiries are rounded up to
hundreds of seconds.  "merge" mixes the PUBLISHes of the members of a shared
subscription: which of them gets one is the broker's choice (4.8.2).  "forget"
leaves the acknowledgements to a client out: whether one gets out before the
connection is closed is a matter of time.
"""
import codecs
import re
import select
import shlex
import socket
import struct
import threading
import time
import zlib

from . import wire

PROPERTIES = {
    "payload-format": 1, "expiry": 2, "content-type": 3, "response-topic": 8,
    "correlation": 9, "subid": 11, "session-expiry": 17, "assigned-id": 18,
    "server-keepalive": 19, "auth-method": 21, "auth-data": 22, "problem-info": 23,
    "will-delay": 24, "response-wanted": 25, "response-info": 26, "server-reference": 28, "reason-string": 31,
    "receive-max": 33, "alias-max": 34, "alias": 35, "max-qos": 36,
    "retain-available": 37, "user": 38, "max-packet": 39,
}
NAMES = {number: name for name, number in PROPERTIES.items()}
VERSIONS = {"31": wire.V31, "311": wire.V311, "5": wire.V5}
TYPES = (None, "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
         "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP",
         "DISCONNECT", "AUTH")
FENCE_TOPIC, FENCE_MID = "$fence", 65535
# What follows from an end without an answer has no packet that one could wait for.
QUIET_ROUNDS, QUIET = 2, 0.1
# A first packet that is none may be met with silence.
JOIN = 5


class Script:
    """Its steps, and how Mosquitto's traces are known to differ from ours."""

    def __init__(self, name, number):
        self.name = name
        self.number = number
        self.steps = []
        self.reasons = []
        self.differences = []           # "-" Mosquitto or "+" kmqtt, client, line

    def add(self, line):
        word, _, rest = line.partition(" ")
        if word == "why":
            self.reasons.append(rest)
        elif word in ("-", "+") and self.reasons:
            self.differences.append(line)
        else:
            self.steps.append(Step(line))

    def timed(self):
        return any(step.verb == "sleep" for step in self.steps)


class Step:
    def __init__(self, line):
        words = [unescape(word) for word in shlex.split(line)]
        self.client, self.verb, rest = words[0].decode(), words[1].decode(), words[2:]
        self.args, self.options = [], []
        for word in rest:
            name, sign, value = word.partition(b"=")
            if sign and re.fullmatch(rb"[a-z][a-z.-]*", name):
                self.options.append((name.decode(), value))
            else:
                self.args.append(word)

    def take(self, name, default=None):
        for at, (key, value) in enumerate(self.options):
            if key == name:
                del self.options[at]
                return value
        return default

    def number(self, name, default=0):
        return int(self.take(name, default))

    def properties(self, prefix=""):
        """What is left of the options, in their order."""
        out = b""
        for key, value in self.options:
            if key.startswith("will.") == bool(prefix):
                out += encode_property(PROPERTIES[key[len(prefix):]], value)
        return out


def unescape(word):
    data = codecs.escape_decode(word.encode())[0]
    return re.sub(rb"\{(.*?)\*(\d+)\}", lambda m: m[1] * int(m[2]), data, flags=re.S)


def raw_word(word):
    if word[:1] == b"=":
        return word[1:]
    if word[:1] == b"+":
        return wire.binary(word[1:])
    return bytes.fromhex(word.decode())


def encode_property(ident, value):
    kind = wire.KINDS[ident]
    if kind == "p":
        key, _, text = value.partition(b":")
        return wire.prop(ident, (key, text))
    return wire.prop(ident, value if kind == "s" else int(value))


def load(path):
    scripts = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            line = line.rstrip("\n")
            if line.startswith("script "):
                scripts.append(Script(line[7:], len(scripts)))
            elif line.strip() and not line.startswith("#"):
                scripts[-1].add(line)
    return scripts


def show_bytes(data):
    if len(data) > 40:
        return "%d bytes %08x" % (len(data), zlib.crc32(data))
    return '"%s"' % codecs.escape_encode(data)[0].decode()


def show_property(ident, value):
    name = NAMES.get(ident, str(ident))
    if name == "assigned-id":
        return name
    if name == "expiry":
        value = -(-value // 100) * 100
    if isinstance(value, tuple):
        value = b":".join(value)
    return "%s=%s" % (name, show_bytes(value) if isinstance(value, bytes) else value)


class Packet:
    """A packet of the broker in the trace of a client."""

    def __init__(self, phase, stream, text, found=(), topic="", place=0):
        self.phase = phase
        self.stream = stream
        self.text = text
        self.found = list(found)
        self.topic = topic
        self.place = place

    def line(self, strict):
        """@strict: order of properties and place among the answers too."""
        found = self.found if strict else sorted(
            self.found, key=lambda p: (p[0], 0 if p[0] == wire.USER_PROPERTY else p[1]))
        words = [str(self.phase), self.text] + [show_property(*p) for p in found]
        if strict and self.place:
            words.append("behind %d" % self.place)
        return " ".join(words)


# Steps that only who takes them can notice.
ALONE = ("open", "connect", "subscribe", "unsubscribe", "manual")
ANSWER, PUBLISH, ACK, RELEASE, COMPLETE, PONG = range(6)


class Player:
    """One client of a script."""

    def __init__(self, play, name):
        self.play = play
        self.name = name
        self.id = ("%s.%d" % (name, play.script.number)).encode()
        self.version = wire.V311
        self.sock = None
        self.up = False                 # accepted, not closed
        self.lasts = False              # a will or a session follows its end
        self.muted = False              # in the middle of a packet
        self.manual = False
        self.buffer = bytearray()
        self.trace = []
        self.answers = self.published = 0       # in this phase
        self.fences = 0                 # PUBACKs to come
        self.asked = 0                  # SUBACKs and UNSUBACKs to come
        self.mid = 0
        self.owed = []
        self.topics = {}                # of QoS 2 messages by packet identifier

    # Sending

    def send(self, data):
        if self.sock:
            try:
                self.sock.sendall(data)
            except OSError:
                pass                    # what the broker said before comes in read()

    def fence(self):
        if self.sock and self.up and not self.muted:
            self.fences += 1
            self.send(wire.publish(self.version, FENCE_TOPIC, qos=1, mid=FENCE_MID))

    def next_mid(self, step):
        self.mid += 1
        return step.number("mid", self.mid)

    def do_open(self, step):
        self.close()
        self.version = VERSIONS[step.args[0].decode()]
        port = self.play.ports[step.take("port", b"main").decode()]
        self.sock = socket.create_connection(("127.0.0.1", port), wire.TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer.clear()
        self.up = self.muted = self.manual = self.lasts = False
        self.topics.clear()

    def do_connect(self, step):
        self.do_open(step)
        will = step.take("will")
        options = {name: step.take(name) for name in ("username", "password", "name")}
        options["level"] = step.take("level")
        options["flags"] = step.take("flags")
        for name in ("level", "flags"):
            options[name] = None if options[name] is None else int(options[name], 0)
        self.play.alone &= not any(name == "id" for name, _ in step.options)
        self.id = step.take("id", self.id)
        options["keepalive"] = step.number("keepalive", 60)
        options["clean"] = step.number("clean", 1)
        if will is not None:
            topic, payload, qos, retain = will.split(b",")
            options["will"] = wire.Will(topic, payload, int(qos), int(retain),
                                        step.properties("will."))
            self.play.dirty |= retain == b"1"
        self.lasts = will is not None or not options["clean"]
        if not options["clean"] or any(n == "session-expiry" for n, _ in step.options):
            self.play.kept.add(self.id)
        self.send(wire.connect(self.version, self.id, properties=step.properties(),
                               **options))
        self.play.pump(lambda: not self.sock or self.up)

    def do_subscribe(self, step):
        mid, filters = self.next_mid(step), []
        for name, text in zip(step.args[::2], step.args[1::2]):
            letters = text.decode()
            bits = int(letters[0]) | 4 * ("n" in letters) | 8 * ("r" in letters)
            bits |= 16 * ("h1" in letters) | 32 * ("h2" in letters)
            filters.append((name, bits))
        self.asked += 1
        self.send(wire.subscribe(self.version, filters, mid, step.properties()))

    def do_unsubscribe(self, step):
        self.asked += 1
        self.send(wire.unsubscribe(self.version, step.args, self.next_mid(step)))

    def do_publish(self, step):
        qos, retain = step.number("qos"), step.number("retain")
        mid = self.next_mid(step) if qos else 0
        dup = step.number("dup")
        self.play.dirty |= bool(retain)
        self.send(wire.publish(self.version, step.args[0],
                               step.args[1] if len(step.args) > 1 else b"",
                               qos, retain, mid, dup, step.properties()))

    def do_disconnect(self, step):
        reason = step.take("reason")
        found = step.properties()
        if reason is None and not found:
            self.send(wire.BYE)
        else:
            self.send(wire.disconnect5(int(reason or b"0", 0), found))
        self.play.pump(lambda: not self.sock)

    def do_drop(self, _step):
        self.lasts = True
        self.close()

    def do_raw(self, step):
        self.send(b"".join(map(raw_word, step.args)))

    def do_packet(self, step):
        body = b"".join(map(raw_word, step.args[1:]))
        self.send(raw_word(step.args[0]) + wire.varint(len(body)) + body)

    def do_partial(self, step):
        self.do_raw(step)
        self.muted = True

    def do_manual(self, _step):
        self.manual = True

    def do_ack(self, _step):
        owed, self.owed = self.owed, []
        for data in owed:
            self.send(data)

    def do_gone(self, _step):
        self.play.pump(lambda: not self.sock)

    def do_expect(self, step):
        count = int(step.args[0])
        self.play.pump(lambda: self.published >= count or not self.sock)

    # Receiving

    def close(self):
        if self.sock:
            self.sock.close()
            self.play.ends |= self.up and self.lasts
        self.sock = None
        self.up = False
        self.fences = self.asked = 0
        self.owed.clear()

    def readable(self):
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        while True:
            length = wire.frame_length(self.buffer)
            if not length:
                break
            raw = bytes(self.buffer[:length])
            del self.buffer[:length]
            self.packet(raw)
        if not data:
            self.close()
            self.note(ANSWER, "closed")

    def note(self, stream, text, found=(), topic=""):
        place = self.answers if stream == PUBLISH else 0
        self.trace.append(Packet(self.play.phase, stream, text, found, topic, place))
        if stream == ANSWER:
            self.answers += 1

    def reply(self, data):
        self.play.replies += 1
        if self.manual:
            self.owed.append(data)
        else:
            self.send(data)

    def packet(self, raw):
        kind = raw[0] >> 4
        body = raw[wire.read_varint(raw, 1)[1]:]
        if kind == wire.PUBLISH:
            self.message(raw)
        elif kind in (wire.PUBACK, wire.PUBREC, wire.PUBREL, wire.PUBCOMP):
            self.acked(kind, body)
        elif kind == wire.CONNACK:
            self.up = body[1] == 0
            self.answer(kind, body[:2], body[2:])
        elif kind in (wire.SUBACK, wire.UNSUBACK):
            self.asked -= 1
            found, at = wire.read_props(body, 2) if self.version == wire.V5 else ([], 2)
            self.answer(kind, body[at:], b"", found)
        elif kind == wire.PINGRESP:
            self.note(PONG, "PINGRESP")
        else:
            self.answer(kind, body[:1], body[1:])

    def answer(self, kind, fixed, rest, found=()):
        found = wire.read_props(rest, 0)[0] if rest else found
        self.note(ANSWER, ("%s %s" % (TYPES[kind], fixed.hex(" "))).strip(), found)

    def message(self, raw):
        got = wire.parse_publish(self.version, raw)
        words = ["PUBLISH", show_bytes(got.topic.encode()), "q%d" % got.qos]
        if got.retain:
            words.append("retain")
        if got.dup:
            words.append("dup")
        self.published += 1
        self.note(PUBLISH, " ".join(words + [show_bytes(got.payload)]), got.properties,
                  got.topic)
        if got.qos:
            self.topics[got.mid] = got.topic
            self.reply(wire.ack(wire.PUBACK if got.qos == 1 else wire.PUBREC, got.mid))

    def acked(self, kind, body):
        mid, = struct.unpack_from("!H", body)
        if mid == FENCE_MID and kind == wire.PUBACK:
            self.fences -= 1
            return
        code = "%02x" % body[2] if len(body) > 2 else "00"
        found = wire.read_props(body, 3)[0] if len(body) > 3 else []
        if kind == wire.PUBREL:
            self.note(RELEASE, "PUBREL %s of %s" % (code, show_bytes(self.topics.get(mid, "")
                                                                          .encode())), found)
            self.reply(wire.ack(wire.PUBCOMP, mid))
            return
        self.note(COMPLETE if kind == wire.PUBCOMP else ACK,
                  "%s %d %s" % (TYPES[kind], mid, code), found)
        if kind == wire.PUBREC and code < "80":
            self.reply(wire.ack(wire.PUBREL, mid))


class Play:
    """A script against the broker at @ports."""

    def __init__(self, script, ports):
        self.script = script
        self.ports = ports
        self.players = {}
        self.merged = ()
        self.forgotten = None
        self.kept = set()                # client ids whose sessions outlive them
        self.dirty = False              # something may be retained
        self.phase = 0
        self.replies = 0
        self.ends = False               # a will may follow in this phase
        self.alone = True               # others cannot have been affected in this phase
        self.actor = None

    def run(self):
        """The traces by client, as lists of Packets."""
        try:
            for step in self.script.steps:
                self.step(step)
            self.settle()
        finally:
            for player in self.players.values():
                if player.up and not player.muted:
                    player.send(wire.BYE)
                player.close()
        return self.traces()

    def step(self, step):
        if step.client == "-":
            self.settle()
            if step.verb == "sleep":
                self.pump(lambda: False, float(step.args[0]))
            elif step.verb == "merge":
                self.merged = [arg.decode() for arg in step.args]
            elif step.verb == "forget":
                self.forgotten = step.args[0].decode()
            elif step.verb != "settle":
                raise ValueError("verb " + step.verb)
            return
        player = self.players.setdefault(step.client, Player(self, step.client))
        if player is not self.actor and step.verb not in ("manual", "expect", "gone"):
            self.settle()
            self.actor = player
        self.alone &= step.verb in ALONE
        getattr(player, "do_" + step.verb)(Copy(step))

    def pump(self, done, seconds=None):
        """Receive until @done; without it in time the trace lacks something."""
        end = time.monotonic() + (wire.TIMEOUT if seconds is None else seconds)
        while not done():
            socks = {p.sock: p for p in self.players.values() if p.sock}
            left = end - time.monotonic()
            if left <= 0:
                return
            ready = select.select(list(socks), [], [], min(left, 1))[0]
            for sock in ready:
                socks[sock].readable()

    def fence(self, players):
        for player in players:
            player.fence()
        self.pump(lambda: not any(p.fences for p in players))

    def settle(self):
        """The end of a phase."""
        actor = self.actor
        if self.alone and not (self.ends or self.replies or self.dirty or self.kept):
            self.pump(lambda: not actor or actor.asked <= 0)
        else:
            self.wait_for_all(actor)
        self.phase += 1
        self.ends, self.alone, self.replies = False, True, 0
        for player in self.players.values():
            player.answers = player.published = 0

    def wait_for_all(self, actor):
        everyone = list(self.players.values())
        if actor:
            if actor.sock and not actor.up and not actor.muted:
                self.pump(lambda: actor.up or not actor.sock, JOIN)
            self.fence([actor])
        quiet = QUIET_ROUNDS if self.ends else 0
        others = not self.alone or self.ends or self.replies
        while others:
            replies = self.replies
            if quiet:
                self.pump(lambda: False, QUIET)
            self.fence(everyone)
            quiet -= 1
            if replies == self.replies and quiet <= 0:
                break

    def traces(self):
        out = {name: player.trace for name, player in self.players.items()}
        if self.forgotten:
            out[self.forgotten] = [p for p in out[self.forgotten] if p.stream != ACK]
        if self.merged:
            mixed = []
            for name in self.merged:
                mixed += [p for p in out[name] if p.stream == PUBLISH]
                out[name] = [p for p in out[name] if p.stream != PUBLISH]
            for packet in mixed:
                packet.place = 0
            mixed.sort(key=lambda p: p.text)
            out["+".join(self.merged)] = mixed
        return out


def Copy(step):
    """Options are taken out as they are used, and a script is played more than once."""
    copy = object.__new__(Step)
    copy.client, copy.verb = step.client, step.verb
    copy.args, copy.options = list(step.args), list(step.options)
    return copy


def lines(trace, strict):
    """A trace as text, in the order that means something (see above)."""
    packets = sorted(trace, key=lambda p: (p.phase, p.stream, p.topic))
    return [p.line(strict) for p in packets]


def clean_sessions(play):
    """Leave no sessions and no delayed wills behind."""
    port = play.ports["main"]
    for ident in play.kept:
        with wire.Client(wire.V5, client_id=ident, port=port, join=False) as c:
            c.send(wire.connect(wire.V5, ident) + wire.BYE)
            try:
                while True:
                    c.read()
            except wire.Closed:
                pass


def clean_retained(port):
    with wire.Client(wire.V5, client_id="cleaner", port=port) as c:
        c.send(wire.subscribe(wire.V5, [("#", 0), ("$own/#", 0)]))
        c.send(wire.publish(wire.V5, FENCE_TOPIC, qos=1))
        kept = []
        while True:
            raw = c.read()
            if raw[0] >> 4 == wire.PUBLISH:
                kept.append(wire.parse_publish(wire.V5, raw))
            if raw[0] >> 4 == wire.PUBACK:
                break
        for message in kept:
            c.publish(message.topic, retain=1)
        c.send(wire.publish(wire.V5, FENCE_TOPIC, qos=1) + wire.BYE)
        try:
            while True:
                c.read()
        except wire.Closed:
            pass


def play_all(scripts, ports):
    """Traces by script name and client; those that sleep do so together."""
    out = {}

    def play(script):
        one = Play(script, ports)
        out[script.name] = one.run()
        return one

    def play_timed(script):
        try:
            plays.append(play(script))
        except Exception as error:      # for the caller, not for the thread's own hook
            errors.append((script.name, error))

    for script in scripts:
        if not script.timed():
            one = play(script)
            clean_sessions(one)
            if one.dirty:
                clean_retained(ports["main"])
    plays, errors = [], []
    threads = [threading.Thread(target=play_timed, args=(s,)) for s in scripts if s.timed()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, error in errors:
        raise AssertionError("script %s: %r" % (name, error)) from error
    for one in plays:
        clean_sessions(one)
    clean_retained(ports["main"])
    return out
