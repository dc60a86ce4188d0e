#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks the Promela models of the seam between kernel and daemon: each base
# run must hold over its whole state space, each mutation (one rule dropped or
# bent) must be refuted.  Prints TAP; fails if any expectation does.
#
# Usage: run.sh [MODEL]		JOBS=N sets the number of parallel runs (2)

cd "$(dirname "$0")" || exit 1
. ./runs.sh

run_timeout=300
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# verify DIR MODEL DEFS: the verdict of one run is left in DIR/verdict
verify()
{
	local dir=$1 model=$2 defs=$3 depth=500000
	local cflags="-O1 -w -DSAFETY -DNOCLAIM -DVECTORSZ=2048 -DCOLLAPSE"

	mkdir -p "$dir" && cp "$model.pml" "$dir" && cd "$dir" || return
	# shellcheck disable=SC2086
	if ! spin -a $defs "$model.pml" >spin.out 2>&1 ||
	   grep -q Error spin.out; then
		echo "broken: $(grep -m1 . spin.out)" >verdict
		return
	fi
	# shellcheck disable=SC2086
	if ! gcc $cflags -o pan pan.c >gcc.out 2>&1; then
		echo "broken: $(grep -m1 . gcc.out)" >verdict
		return
	fi
	timeout "$run_timeout" ./pan -m"$depth" >pan.out 2>&1
	judge $? >verdict
}

# judge STATUS: what pan.out says
judge()
{
	local why states

	states=$(awk '/states, stored/ { print $1; exit }' pan.out)
	why=$(grep -E -m1 '^pan:1: (assertion violated|invalid end state)' pan.out)
	if [ "$1" -eq 124 ]; then
		echo "incomplete: timeout after $run_timeout s"
	elif grep -q 'errors: 1$' pan.out && [ -n "$why" ]; then
		echo "refuted: ${why#pan:1: }"
	elif grep -qiE 'search not completed|too small|out of memory|truncated|aborted' pan.out; then
		echo "incomplete: $(grep -iE -m1 'too small|memory|truncated|aborted' pan.out)"
	elif [ "$1" -eq 0 ] && grep -q 'errors: 0$' pan.out; then
		echo "holds: $states states"
	else
		echo "broken: $(grep -m1 '^pan' pan.out)"
	fi
}

# report NUMBER EXPECT MODEL LABEL: one TAP line
report()
{
	local verdict name

	verdict=$(cat "$tmp/$1/verdict" 2>/dev/null || echo "broken: no verdict")
	name="$3: $4"
	if [ "${verdict%%:*}" = "$2" ]; then
		echo "ok $1 - $name $2 # ${verdict#*: }"
		return 0
	fi
	echo "not ok $1 - $name $2"
	echo "# $verdict"
	return 1
}

for tool in spin gcc; do
	if ! command -v $tool >/dev/null; then
		echo "Bail out! $tool is missing: apt-get install spin gcc"
		exit 1
	fi
done

n=0
while read -r expect model label defs; do
	[ -n "$model" ] || continue
	[ -z "$1" ] || [ "$1" = "$model" ] || continue
	n=$((n + 1))
	expects[n]=$expect models[n]=$model labels[n]=$label defss[n]=$defs
done <<<"$runs"
if [ $n -eq 0 ]; then
	echo "Bail out! no model named '$1'"
	exit 1
fi

echo "TAP version 13"
echo "1..$n"
# the long runs stand first in the list, so that the cores end together
for i in $(seq $n); do
	while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-2}" ]; do
		wait -n
	done
	(verify "$tmp/$i" "${models[i]}" "${defss[i]}"; rm -f "$tmp/$i/pan") &
	pids[i]=$!
done
failed=0
for i in $(seq $n); do
	wait "${pids[i]}" 2>/dev/null
	report "$i" "${expects[i]}" "${models[i]}" "${labels[i]}" ||
		failed=$((failed + 1))
done
echo "# $((n - failed)) passed, $failed failed"
[ $failed -eq 0 ]
