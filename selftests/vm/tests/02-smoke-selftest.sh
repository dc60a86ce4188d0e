#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# core
# kernels: kasan kcsan
# The module's own tests, which it holds where it is built for a debug kernel:
# each says pass in the kernel log, and one that fails refuses the load.
echo 1..3
mark="self-test begins $$"
echo "$mark" >/dev/kmsg
insmod /kmqtt/kmqtt.ko selftest=1 && echo "ok 1 - loads" || echo "not ok 1 - loads"
n=1
for t in acl fib; do
	n=$((n + 1))
	log=$(dmesg | sed "1,/$mark/d" | grep "kmqtt: $t self-test: ")
	if [ "${log##*] }" = "kmqtt: $t self-test: pass" ]; then
		echo "ok $n - $t self-test"
	else
		echo "# log: ${log:-nothing}"
		echo "not ok $n - $t self-test"
	fi
done
rmmod kmqtt
