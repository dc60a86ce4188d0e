set -x
insmod /kmqtt/kmqtt.ko
printf 'listener 1883\nallow_anonymous true\nlog_type all\n' >/tmp/m.conf
mqttd -c /tmp/m.conf 2>/tmp/mqttd.log & D=$!
sleep 2
timeout 10 mosquitto_sub -t 'a/#' -C 2 -V 5 -W 8 > /tmp/sub.out 2>&1 & S=$!
sleep 2
mosquitto_pub -t a/b -m hello -V mqttv31; mosquitto_pub -t a/c -m hello5 -V 5
wait $S
cat /tmp/sub.out
timeout 5 mosquitto_pub -t a/q1 -m q1 -q 1; echo rc $?
timeout 5 mosquitto_pub -t a/q2 -m q2 -q 2 -r ; echo rc $?
timeout 5 mosquitto_sub -t a/q2 -C 1 -q 2; echo rc $?
mqttctl stats; mqttctl client list
kill $D; wait $D; sleep 1; tail -30 /tmp/mqttd.log; rmmod kmqtt; echo rmmod $?
dmesg | grep -iE 'kmqtt|BUG|WARN|KASAN' | tail
