/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ready: READY and the pull.  Two connections make E events each; the daemon
 * sleeps until READY, then dumps, walking the connections and copying what was
 * not copied.  Events stay until acknowledged, which happens later.  READY may
 * be lost to ENOBUFS, which the daemon's socket reports.  The daemon dies at
 * every step, MAXC times; DAEMON_BIND makes every unacknowledged event
 * uncopied again.
 */
#ifndef E
#define E	3
#endif
#ifndef MAXC
#define MAXC	1
#endif

/* kernel, per connection: events made, copied, acknowledged */
byte made[2], copied[2], acked[2];
bool ready;			/* READY waits in the daemon's socket */
bool enobufs;			/* the socket reports an overrun */
bool lost_one;
bool dumping;			/* LATEEND: READY is held back meanwhile */
byte ncrash;

#define UNACKED	 (made[0] > acked[0] || made[1] > acked[1])
#define UNCOPIED (made[0] > copied[0] || made[1] > copied[1])

inline notify()
{
	if
	:: ready = true
	:: !lost_one -> lost_one = true; enobufs = true
	fi
}

active [2] proctype Conn()
{
	bool first;

end:	do
	:: atomic {
		made[_pid] < E ->
#ifdef UNACKEDREADY
		first = !UNACKED;
#else
		first = !UNCOPIED;
#endif
		made[_pid]++;
		if
		:: first && !dumping -> notify()
		:: else
		fi;
		first = false
	   }
	od
}

inline bind()
{
	ncrash++; ready = false; enobufs = false; dumping = false; c = 0;
	copied[0] = acked[0]; copied[1] = acked[1];
#ifndef BINDSLEEP
	if
	:: UNCOPIED -> ready = true
	:: else
	fi
#endif
}

#define DIES if :: atomic { ncrash < MAXC -> bind(); goto sleep } :: true fi

active proctype Daemon()
{
	byte c;

sleep:
end:	do
#ifdef NOENOBUFS
	:: ready ->
#else
	:: ready || enobufs ->
#endif
		atomic {
			ready = false; enobufs = false;
#ifdef LATEEND
			dumping = true
#endif
		};
		DIES;
		/* a dump: one skb after the other */
		c = 0;
		do
		:: c < 2 ->
			atomic { copied[c] = made[c]; c++ };
			DIES
		:: atomic {
			c == 2 ->
#ifdef ONEWALK
			break
#else
			/* one decision with the end of the dump */
			if
			:: UNCOPIED -> c = 0
			:: else -> break
			fi
#endif
		   }
		od;
		dumping = false;
		c = 0
	:: atomic { ncrash < MAXC -> bind() }
	od
}

/* acknowledges what was copied */
active proctype Store()
{
end:	do
	:: atomic { acked[0] < copied[0] -> acked[0]++ }
	:: atomic { acked[1] < copied[1] -> acked[1]++ }
	od
}

active proctype Check()
{
	acked[0] == E && acked[1] == E
}
