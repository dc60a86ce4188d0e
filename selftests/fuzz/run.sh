#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build each fuzzer with clang's libFuzzer and sanitizers, run it for SECONDS.
# What it found stays in build/fuzz: corpora, and inputs that failed.
# Usage: run.sh [SECONDS]
set -uo pipefail

seconds=${1:-20}
top=$(cd "$(dirname "$0")/../.." && pwd)
out=$top/build/fuzz
cd "$top" || exit 1
case $seconds in
'' | *[!0-9]* | 0) echo "usage: ${0##*/} [SECONDS]" >&2; exit 2 ;;
esac
command -v clang >/dev/null || {
	echo "Bail out! clang is missing: apt-get install clang libclang-rt-14-dev"
	exit 1
}

build() { # NAME: of the codec, or with it of a file of the daemon
	local source=user/${1#fuzz-}.c

	[ -e "$source" ] || source=
	clang -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE -Ikmod -Ikmod/uapi -Iuser \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-o "$out/$1" "selftests/fuzz/$1.c" ${source:+"$source"} kmod/frame.c kmod/topic.c
}

# Beginnings that would take long to be found: KIND BYTES (printf's form).
seeds() {
	cat <<-'END'
	frame \002\060\010\000\003a/b\000hi
	frame \002\075\036\000\003a/b\022\064\024\043\005\006\002\001\002\003\004\001\001
	frame \002\060\017\000\001t\013\046\000\001k\000\001v\010\000\001r
	frame \001\062\006\000\001t\001\002p
	frame \002\004\005\021\000\000\000\001
	frame \002\014\025\000\001m\026\000\001x\041\000\001
	packet \002\020\000\004MQTT\005\302\000\012\005\021\000\000\000\001\000\001i\000\001u\000\001p
	packet \002\020\000\004MQTT\005\016\000\012\000\000\001i\005\030\000\000\000\001\000\001w\000\001m
	packet \002\020\000\004MQTT\005\000\000\000\013\025\000\001m\026\000\001d\041\000\001\000\001i
	packet \002\202\000\001\000\000\012$share/g/t\004
	packet \001\020\000\004MQTT\004\054\000\012\000\001i\000\001w\000\001m
	packet \000\020\000\006MQIsdp\003\002\000\012\000\001i
	packet \002\202\000\001\002\013\001\000\003a/#\055\000\001+\000
	packet \001\202\000\001\000\003a/#\002
	packet \002\242\000\001\000\000\001t
	packet \002\100\000\001\020\004\037\000\001r
	topic \003a/#a/b
	topic \011$share/gta/b
	topic \013$share/g/t/ta/b
	topic \006+/a/\303\244a/\303\244
	END
}

run() { # NAME
	local corpus=$out/$1.corpus log=$out/$1.log n=0 kind bytes

	mkdir -p "$corpus"
	while read -r kind bytes; do
		[ "fuzz-$kind" = "$1" ] || continue
		printf '%b' "${bytes//\\/\\0}" >"$corpus/seed-$n"
		n=$((n + 1))
	done < <(seeds)
	timeout -k 5 $((seconds + 60)) "$out/$1" -max_total_time="$seconds" -max_len=4096 \
		-timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
		-artifact_prefix="$out/$1-failed-" "$corpus" >"$log" 2>&1
}

# One processor each. The status is left in a file: jobs end in any order.
fuzz() { # NAME
	build "$1" >"$out/$1.log" 2>&1 && run "$1"
	echo $? >"$out/$1.status"
}

mkdir -p "$out"
rm -f "$out"/*.status
names=()
for source in selftests/fuzz/fuzz-*.c; do
	names+=("$(basename "$source" .c)")
done
for name in "${names[@]}"; do
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
		wait -n
	done
	fuzz "$name" &
done
wait

echo "1..${#names[@]}"
number=0
failed=0
for name in "${names[@]}"; do
	number=$((number + 1))
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log")
	if [ "$(cat "$out/$name.status")" = 0 ] && [ -n "$runs" ]; then
		echo "ok $number - $name: $runs inputs in $seconds s"
	else
		tail -n 40 "$out/$name.log" | sed 's/^/# /'
		echo "not ok $number - $name"
		failed=1
	fi
done
exit $failed
