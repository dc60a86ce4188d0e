#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# core
# The module loads, unloads and loads again.
echo 1..2
if insmod /kmqtt/kmqtt.ko && rmmod kmqtt; then
	echo "ok 1 - load and unload"
else
	echo "not ok 1 - load and unload"
fi
if insmod /kmqtt/kmqtt.ko && [ -d /sys/module/kmqtt ] && rmmod kmqtt && ! [ -d /sys/module/kmqtt ]; then
	echo "ok 2 - load again"
else
	echo "not ok 2 - load again"
fi
