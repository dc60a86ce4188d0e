#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# QoS 1 and 2: more messages in one turn than one sendmsg takes, none lost.
# timeout: 120
set -u
dir=$(mktemp -d)
insmod "${KMQTT_KO:-/kmqtt/kmqtt.ko}" || exit 1
printf 'listener 1883 127.0.0.1\nallow_anonymous true\n' >"$dir/mqttd.conf"
mqttd -c "$dir/mqttd.conf" 2>"$dir/log" &
daemon=$!
for _ in $(seq 100); do
	timeout 1 bash -c '</dev/tcp/127.0.0.1/1883' 2>/dev/null && break
	sleep 0.2
done
echo 1..2
for qos in 1 2; do
	if timeout 50 mqttbench pair -n 20 --size 100 -q "$qos" --count 50 >"$dir/out" 2>&1; then
		echo "ok $qos - QoS $qos: 20 pairs, 50 messages each, none lost"
	else
		sed 's/^/# /' "$dir/out"
		echo "not ok $qos - QoS $qos: 20 pairs, 50 messages each, none lost"
	fi
done
kill "$daemon"
wait "$daemon"
rmmod kmqtt
