#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# mqttbench against a broker with faults, and against Mosquitto where there is
# one: it must count exactly, and fail when it should. TAP on standard output.
#
#   mqttbench ---- mqttbench-peer.py (a fault)
#   mqttbench ---- [mqttbench-peer.py chop] ---- mosquitto, both on loopback
#
# MQTTBENCH and MOSQUITTO name other programs than build/mqttbench and
# the one in PATH.
set -u
here=$(cd "$(dirname "$0")" && pwd)
bench=${MQTTBENCH:-$here/../../build/mqttbench}
PATH=$PATH:/usr/sbin
mosquitto=${MOSQUITTO:-$(command -v mosquitto)}
tmp=$(mktemp -d)
chmod 755 "$tmp"
pids=()
n=0
failures=0
: >"$tmp/why"

cleanup()
{
	[ ${#pids[@]} -eq 0 ] || { kill "${pids[@]}"; wait "${pids[@]}"; } 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT

result()	# STATUS NAME
{
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		failures=$((failures + 1))
		echo "not ok $n - $2"
		sed 's/^/# /' "$tmp/out" "$tmp/err" "$tmp/why"
	fi
}

# Runs mqttbench; passes if it exits with STATUS and the Python expression
# about its JSON object r, and about its standard error, is true.
expect()	# NAME STATUS EXPRESSION ARGUMENT...
{
	local name=$1 status=$2 expr=$3 rc
	shift 3
	timeout 60 "$bench" "$@" --json >"$tmp/out" 2>"$tmp/err" </dev/null
	rc=$?
	echo "exit status $rc, expected $status" >"$tmp/why"
	[ $rc = "$status" ] && python3 - "$tmp/out" "$tmp/err" "$expr" <<-'END' 2>>"$tmp/why"
		import json, sys
		out, err = open(sys.argv[1]).read(), open(sys.argv[2]).read()
		r = json.loads(out) if out else None
		assert eval(f'({sys.argv[3]})'), sys.argv[3]
	END
	result $? "$name"
}

# Passes if mqttbench says that it was called wrongly and names the option.
misuse()	# OPTION ARGUMENT...
{
	local option=$1
	shift
	: >"$tmp/why"
	timeout 10 "$bench" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	[ $? = 2 ] && [ ! -s "$tmp/out" ] && grep -q -e "$option" "$tmp/err"
	result $? "refused, naming $option: $*"
}

# Starts a peer and sets $port.
peer()
{
	: >"$tmp/port"
	python3 "$here/mqttbench-peer.py" "$@" >"$tmp/port" &
	pids+=("$!")
	for _ in $(seq 100); do
		port=$(cat "$tmp/port")
		[ -n "$port" ] && return
		sleep 0.1
	done
	echo "Bail out! mqttbench-peer.py does not start"
	exit 1
}

test_usage()
{
	misuse --qos fanout -q 3
	misuse --clients idle -n 0
	misuse --size fanout -s -1
	misuse --protocol fanout -V 4
	misuse --mode fanout -M fast
	misuse --mode fanout -M paced
	misuse --rate fanout -M single -r 5
	misuse --window fanout --window 2 --per-write 3
	misuse --latency fanout --latency -s 15
	misuse --timeout fanout -d 10 --timeout 5
	misuse --count idle -c 5
	misuse --size connect -s 5
	misuse --topic-prefix fanout -t 'a/+'
	misuse --password fanout -P secret
	misuse --port fanout -p 70000
	misuse --qos write -q 1
	misuse --clients relay -n 5
	misuse --clients -n
	misuse --nonsense fanout --nonsense
	misuse -Z fanout -Z
	misuse scenario -n 5
	misuse sideways sideways
	misuse more fanout more
	# Each option of the help text is in the man page, and the other way round.
	"$bench" --help | grep -o -e '--[a-z-]*' | sort -u >"$tmp/out"
	sed 's/\\-/-/g' "$here/../../tools/mqttbench/mqttbench.1" |
		grep -o -e '--[a-z][a-z-]*' | sort -u | diff "$tmp/out" - >"$tmp/err"
	result $? "--help and the man page list the same options"
}

test_faults()
{
	local quick=(-h 127.0.0.1 -n 5 --drain 0.5)

	peer none
	expect "sound broker: all arrives" 0 \
		'r["sent"] == 200 and r["delivered"] == 1000 and r["lost"] == 0' \
		fanout "${quick[@]}" -p "$port" -c 200
	peer drop
	expect "each tenth lost: counted" 1 \
		'r["expected"] == 1000 and r["lost"] == 100 and r["delivered"] == 900' \
		fanout "${quick[@]}" -p "$port" -c 200 -M flood
	expect "loss under a closed window: ends, says why" 1 \
		'r["lost"] > 0 and "--drain" in r["ended"]' \
		fanout "${quick[@]}" -p "$port" -c 200 -M single
	peer double
	expect "each tenth twice: counted" 1 \
		'r["extra"] == 100 and r["lost"] == 0' \
		fanout "${quick[@]}" -p "$port" -c 200 -M flood
	peer connack
	expect "CONNACK refused: says why" 1 \
		'"not authorized" in err and r["connected"] == 0 and r["failed"] > 0' \
		fanout "${quick[@]}" -p "$port" -c 10
	expect "connect: refused clients are not used again" 1 \
		'r["failed"] == 5' connect "${quick[@]}" -p "$port" -d 1
	peer suback
	expect "SUBACK refused: says why" 1 '"SUBACK 0x80" in err' \
		fanout "${quick[@]}" -p "$port" -c 10
	peer mute
	expect "no answer: ends in time" 1 '"--timeout" in r["ended"] and r["seconds"] == 0' \
		fanout "${quick[@]}" -p "$port" -c 10 --timeout 1
	peer hangup
	expect "connection lost: ends, says why" 1 '"closed the connection" in err' \
		fanout "${quick[@]}" -p "$port" -c 200
	peer garbage
	expect "malformed frame: ends, says why" 1 '"malformed" in err' \
		fanout "${quick[@]}" -p "$port" -c 10
	peer noping
	expect "no PINGRESP: counted" 1 '"PINGRESP" in err and r["failed"] == 5' \
		idle "${quick[@]}" -p "$port" -k 1 -d 4
	expect "nobody listens: says so" 1 '"Connection refused" in err' \
		fanout -h 127.0.0.1 -p 1 -c 10
	expect "unknown host: says so" 1 '"--host" in err' \
		fanout -h nobody.invalid -c 10
}

free_port()
{
	python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# Waits until somebody listens on PORT.
await()		# PORT NAME
{
	for _ in $(seq 100); do
		(: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
		sleep 0.1
	done
	echo "Bail out! $2 does not start"
	exit 1
}

# What the benchmark calls the floor: it must deliver like a broker.
test_floor()
{
	local whole='r["lost"] == r["extra"] == r["failed"] == 0 and' port to

	port=$(free_port)
	to=(-h 127.0.0.1 -p "$port")
	"$bench" "${to[@]}" relay 2>/dev/null &
	pids+=("$!")
	await "$port" "mqttbench relay"
	for mode in burst single; do
		expect "relay: fanout $mode, mixed versions" 0 "$whole r['delivered'] == 2000" \
			fanout "${to[@]}" -n 10 -c 200 -M $mode --pub-protocol 311 --sub-protocol 31,311
	done
	expect "relay: fanin in 5.0" 0 "$whole r['delivered'] == 1000" \
		fanin "${to[@]}" -n 20 -c 50 -M single -V 5
	expect "relay: each pair only its own" 0 "$whole r['delivered'] == 2000" \
		pair "${to[@]}" -n 20 -c 100 --per-write 8 --window 8
	expect "relay: keeps connections alive" 0 'r["open"] == 5 and r["pings"] >= 10' \
		idle "${to[@]}" -n 5 -k 1 -d 1.8
	for mode in burst single; do
		expect "write: $mode" 0 "$whole r['delivered'] == 2000" write -n 10 -c 200 -M $mode
	done
	expect "write: large payloads" 0 "$whole r['delivered'] == 100" \
		write -n 5 -c 20 -s 65536 --latency
	: >"$tmp/why"
	timeout 10 "$bench" "${to[@]}" relay >"$tmp/out" 2>"$tmp/err"
	[ $? = 1 ] && grep -q -e --port "$tmp/err"
	result $? "relay: a port that is in use: says so"
}

start_mosquitto()
{
	mport=$(free_port)
	printf '%s\n' "listener $mport 127.0.0.1" 'log_type none' 'user nobody' \
		'allow_anonymous false' 'max_queued_messages 0' "password_file $tmp/password" >"$tmp/conf"
	# The user "bench", password "secret", in mosquitto_passwd's format.
	python3 - >"$tmp/password" <<-'END'
		import base64, hashlib
		salt = b"123456789012"
		key = hashlib.pbkdf2_hmac("sha512", b"secret", salt, 101)
		print("bench:$7$101$%s$%s" % tuple(base64.b64encode(x).decode() for x in (salt, key)))
	END
	chmod 644 "$tmp/password"
	"$mosquitto" -c "$tmp/conf" >/dev/null 2>&1 &
	mpid=$!
	pids+=("$mpid")
	await "$mport" Mosquitto
}

test_scenarios()
{
	local to=(-h 127.0.0.1 -p "$mport" -u bench -P secret)
	local whole='r["lost"] == r["extra"] == r["unacked"] == r["failed"] == 0 and'

	expect "wrong password: says why" 1 '"not authorized" in err' \
		connect -h 127.0.0.1 -p "$mport" -u bench -P wrong -n 1 -c 1
	expect "connect: 300 connections by 10 clients" 0 \
		'r["connected"] == 300 and r["open"] == 0 and r["connack_us"]["count"] == 300' \
		connect "${to[@]}" -n 10 -c 300 -V 3.1,3.1.1,5.0
	expect "connect: at the rate asked for" 0 '45 <= r["connected"] <= 52' \
		connect "${to[@]}" -n 10 -d 1 -r 50
	expect "idle: kept alive beyond the keep alive" 0 \
		'r["open"] == 50 and r["pings"] >= 250 and r["memory_bytes"]["broker"] >= 0' \
		idle "${to[@]}" -n 50 -k 1 -d 3 --pid "$mpid"
	for qos in 0 1 2; do
		for mode in burst single flood; do
			expect "fanout QoS $qos $mode, mixed versions" 0 \
				"$whole r['delivered'] == 2000" \
				fanout "${to[@]}" -n 10 -c 200 -q $qos -M $mode \
				--pub-protocol 5 --sub-protocol 31,311,5
		done
	done
	expect "fanin: 20 publishers, two subscribers" 0 "$whole r['delivered'] == 4000" \
		fanin "${to[@]}" -n 20 -m 2 -c 100 -q 1 -V 5,31
	expect "pair: each only its own" 0 "$whole r['delivered'] == 2000" \
		pair "${to[@]}" -n 20 -c 100 --per-write 8 --window 8
	expect "publishers at QoS 2, subscribers at QoS 1" 0 "$whole r['sub_qos'] == 1" \
		pair "${to[@]}" -n 5 -c 100 -q 2 --sub-qos 1
	expect "paced: at the rate asked for, with latency" 0 \
		"$whole 1.9 < r['seconds'] < 2.6 and r['sent'] == 1000 and
		 r['latency_us']['count'] == 5000 and
		 0 < r['latency_us']['p50'] <= r['latency_us']['p99'] <= r['latency_us']['max'] and
		 r['latency_us']['p50'] < r['latency_us']['max']" \
		fanout "${to[@]}" -n 5 -c 1000 -r 500 --latency
	expect "large payloads" 0 "$whole r['delivered'] == 15" \
		fanout "${to[@]}" -n 3 -c 5 -s 1048576 --latency
	expect "empty payloads" 0 "$whole r['delivered'] == 1000" \
		fanout "${to[@]}" -n 10 -c 100 -s 0
	expect "--pid: the broker's CPU time" 0 'r["cpu_s"]["broker"] > 0' \
		fanout "${to[@]}" -n 50 -d 1 --pid "$mpid"
	expect "--progress writes to standard error" 0 'err.count("delivered") >= 1' \
		fanout "${to[@]}" -n 5 -d 1.5 -r 100 --progress
}

# Every place where a frame can be cut, with something to read in its head.
test_chopped()
{
	local to

	peer chop "$mport"
	to=(-h 127.0.0.1 -p "$port" -u bench -P secret)
	for qos in 0 1 2; do
		expect "frames cut anywhere, QoS $qos" 0 \
			'r["delivered"] == 250 and r["latency_us"]["count"] == 250' \
			fanout "${to[@]}" -n 5 -c 50 -s 300 -q $qos --latency -V 31,311,5
	done
	expect "frames cut anywhere, large" 0 'r["delivered"] == 4' \
		fanout "${to[@]}" -n 2 -c 2 -s 20000
}

# What is tested is what the sources say now.
[ -n "${MQTTBENCH:-}" ] || timeout 90 make -s -C "$here/../.." build/mqttbench >"$tmp/out" 2>&1
[ -x "$bench" ] || { sed 's/^/# /' "$tmp/out"; echo "Bail out! no $bench"; exit 1; }
echo "TAP version 13"
test_usage
test_faults
test_floor
if [ -n "$mosquitto" ]; then
	start_mosquitto
	test_scenarios
	test_chopped
else
	n=$((n + 1))
	echo "ok $n - scenarios # SKIP mosquitto is not installed"
fi
echo "1..$n"
[ $failures = 0 ]
