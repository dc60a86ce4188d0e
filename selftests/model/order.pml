/* SPDX-License-Identifier: GPL-2.0 */
/*
 * order: order, gate, hand-over and crash of the daemon in one.
 *
 * Publisher P sends N PUBLISHes of freely chosen kind; subscriber S sends one
 * SUBSCRIBE and behind it, in the same segment, one QoS 0 PUBLISH of its own
 * (OWN) that matches.  S may have an older, overlapping subscription (r0).
 * WorkerP and WorkerS are the workers that own the two connections, Daemon is
 * mqttd's event loop with its store; it dies at every step, MAXC times.
 *
 * Kernel: a frame is routed as soon as it was read; what is not routed becomes
 * an event, numbered per connection, kept until acknowledged.  S has one
 * transmit list (tx); WorkerS alone looks at the gate, when it takes entries
 * off.  Daemon: the answer to an event (DELIVER or INJECT: message, answer
 * packet, acknowledgement) leaves after its commit; a retained value can be
 * read when the answer leaves.
 *
 * STRICT asks that a retained value never goes back after a crash either; it
 * needs the rules HELDMARK and STOREDFIRST (see README.md).
 */
#ifndef N
#define N	3
#endif
#ifndef MAXC
#define MAXC	1
#endif
#ifndef TOPICS
#define TOPICS	1
#endif

#define OWN	(N + 1)
#define PLAIN	0		/* QoS 0 */
#define RET	1		/* QoS 0, RETAIN */
#define Q1	2		/* QoS 1 */
#define Q1RET	3		/* QoS 1, RETAIN */
#define RETAIN(m) (typ[m] & 1)
#define QOS1(m)	(typ[m] & 2)

mtype = { ROUTED, LIVE, SUBACK, RETAINED, HOLD, RELEASE };

/* what P sent */
byte typ[N + 2];
bit top[N + 2];
byte nread;

/* kernel: connection of P */
byte evm[N + 1];		/* message of event e */
byte nev, acked;		/* events made, acknowledged */
byte unacked[2];		/* the filter: per topic hash */

/* kernel: connection of S, routes */
chan tx = [N + 10] of { mtype, byte };
chan behind = [N + 2] of { mtype, byte };
bool shut, bar, sub_ev;
bool r0, r1;			/* older route; route of the SUBSCRIBE */
bool is_held;			/* r1 is HELD */
byte hold_mark;			/* HELDMARK: kept with the route */

/* the store */
byte stored;			/* last event of P that it records */
byte disk_ret;			/* retained value */

/* the daemon's memory */
byte ret, mark, job, replay;
bool rib1;
byte ncrash;

/* what S saw, what P saw */
bool sub, own_sent, sub_sent, live_after_sub;
byte rval, val, last[2], last_puback;
bool seen[N + 2], must[N + 2];

inline pick(m)
{
	if
	:: typ[m] = PLAIN
	:: typ[m] = RET
	:: typ[m] = Q1
	:: typ[m] = Q1RET
#if TOPICS == 2
	:: typ[m] = PLAIN; top[m] = 1
	:: typ[m] = Q1; top[m] = 1
#endif
	fi;
	must[m] = sub || r0
}

inline punt(m)
{
	nev++;
	evm[nev] = m;
#ifdef FILTERBIT
	unacked[top[m]] = 1
#else
	unacked[top[m]]++
#endif
}

#ifdef NOFILTER
#define PUNTS(m) (typ[m] != PLAIN)
#else
#define PUNTS(m) (typ[m] != PLAIN || unacked[top[m]] > 0)
#endif

/* a routed or LIVE message enters the list of S */
inline enqueue(kind, m, hit)
{
#ifdef ENQGATE
	/* the sender looks at the gate, in a step of its own */
	seen_shut = shut;
	if
	:: hit && seen_shut -> behind!kind,m
	:: hit && !seen_shut -> tx!kind,m
	:: else
	fi
#else
	if
	:: hit -> tx!kind,m
	:: else
	fi
#endif
}

active proctype WorkerP()
{
	byte m;
	bool hit, seen_shut;

	if
	:: r0 = true
	:: skip
	fi;
end:	do
	:: atomic {
		nread < N -> nread++; m = nread; pick(m);
		if
		:: PUNTS(m) -> punt(m); m = 0; goto end
		:: else
		fi
	   }
#ifdef EARLYPUNT
	   /* the next frame of the batch is shown before this one is routed */
	   atomic {
		if
		:: nread < N -> nread++; pick(nread);
			if
			:: PUNTS(nread) -> punt(nread)
			:: else -> typ[nread] = 0; top[nread] = 0;
				must[nread] = false; nread--
			fi
		:: skip
		fi
	   }
#endif
	   hit = r0 || r1;			/* look-up */
	   enqueue(ROUTED, m, hit);
	   atomic { m = 0; hit = false }
	od
}

/* an acknowledgement reaches the kernel, the PUBACK reaches P */
inline acknowledge()
{
	acked++;
#ifdef FILTERBIT
	unacked[top[evm[acked]]] = 0;
#else
	unacked[top[evm[acked]]]--;
#endif
	if
	:: QOS1(evm[acked]) ->
		assert(evm[acked] > last_puback);
		last_puback = evm[acked]
	:: else
	fi
}

inline crash()
{
	ncrash++;
	m = 0; hit = false;
	mark = 0; job = 0;
#ifdef NOREPLAY
	do
	:: acked < nev -> acked++; unacked[top[evm[acked]]]--
	:: else -> break
	od;
	sub_ev = false;
#endif
	if
	:: stored < acked -> stored = acked
	:: else
	fi;
	/* DAEMON_BIND, CONN_DUMP, the store */
	ret = disk_ret;
	rib1 = r1;
	replay = nev;
	if
	:: !sub_ev && is_held ->
#ifdef NOHELD
		job = 3
#elif defined(NORELEASE)
		job = 0
#else
		job = 2;		/* retained messages again */
#ifdef HELDMARK
		mark = hold_mark
#else
		mark = N
#endif
#endif
	:: else
	fi
}

#ifdef NOWAIT
#define MAY_ANSWER (acked < nev)
#else
#define MAY_ANSWER (acked < stored)
#endif
#ifdef STOREDFIRST
/* replayed events the store has are answered before all else */
#define MAY_HANDLE (replay <= acked || stored <= acked)
#else
#define MAY_HANDLE true
#endif

active proctype Daemon()
{
	byte m;
	bool hit, seen_shut;

end:	do
	/* the store's commit; the retained value and the mark are one */
	:: atomic {
		stored < nev && MAY_HANDLE -> stored++;
		if
		:: RETAIN(evm[stored]) -> disk_ret = evm[stored]
		:: else
		fi
	   }

	/* the answer to P's next event: DELIVER (QoS 1) or INJECT (QoS 0) */
	:: atomic {
		MAY_ANSWER -> m = evm[acked + 1];
		if
		:: RETAIN(m) && m > ret -> ret = m
		:: else
		fi;
		if
#ifdef MARKSKIP
		:: acked + 1 <= replay && acked + 1 <= stored -> hit = false
#endif
		:: QOS1(m) -> hit = r0 || rib1	/* matched in the RIB */
		:: else -> hit = r0 || r1	/* looked up in the FIB */
		fi;
#ifdef ACKFIRST
		acknowledge()
#endif
	   };
	   if
	   :: QOS1(m) -> enqueue(LIVE, m, hit)
	   :: else -> enqueue(ROUTED, m, hit)
	   fi;
#ifdef SPLITACK
	   if
	   :: atomic { ncrash < MAXC -> crash(); goto end }
	   :: true
	   fi;
#endif
	   atomic {
#ifndef ACKFIRST
		acknowledge();
#endif
		m = 0; hit = false
	   }

	/* SUBSCRIBE: ROUTE_ADD with HOLD */
	:: atomic { job == 0 && sub_ev && MAY_HANDLE ->
#ifdef RETFIRST
		mark = disk_ret;
#else
		mark = ret;
#endif
#ifdef HELDMARK
		if
		:: is_held -> mark = hold_mark
		:: else -> hold_mark = mark
		fi;
#endif
		is_held = true; job = 1;
#ifdef HOLDNOW
		shut = true;
#elif defined(ENQGATE)
		shut = true;
#elif defined(ROUTEFIRST)
		r1 = true;
#elif !defined(NOGATE)
		tx!HOLD,0;
#endif
	   }
	   atomic {
#ifdef ROUTEFIRST
		tx!HOLD,0;
#endif
		r1 = true; rib1 = true
	   }
	/* SUBACK with the acknowledgement; reopens the barrier */
	:: atomic {
		job == 1 -> tx!SUBACK,0; sub_ev = false; bar = false; job = 2
	   }
	/* the retained message, unless it was stored after HOLD */
	:: atomic {
		job == 2 && (sub_ev || replay <= acked || !is_held) ->
#ifdef RETFIRST
		m = disk_ret;
#else
		m = ret;
#endif
		if
#ifndef NOSKIP
		:: m > mark
#endif
		:: m == 0
		:: else -> tx!RETAINED,m
		fi;
		m = 0; mark = 0; job = 3
	   }
	:: atomic {
		job == 3 ->
#ifdef ENQGATE
		shut = false;
		do
		:: behind?_,m -> tx!LIVE,m
		:: empty(behind) -> break
		od;
		m = 0;
#else
		tx!RELEASE,0;
#endif
		is_held = false; hold_mark = 0; job = 0
	   }

	/* the daemon dies and comes back */
	:: atomic { ncrash < MAXC -> crash() }
	od
}

/* the wire towards S */
inline wire(k, m)
{
	if
	:: k == SUBACK -> assert(!sub); sub = true
	:: k == RETAINED ->
		assert(sub);			/* SUBACK before retained */
		assert(!live_after_sub);	/* retained before live */
		rval = m; val = m
	:: else ->
		assert(r0 || sub);		/* SUBACK before live */
		assert(!seen[m]);		/* at most once */
		seen[m] = true;
		live_after_sub = sub;
		if
		:: m != OWN ->
			assert(m > last[top[m]]);	/* publisher's order */
			last[top[m]] = m;
#ifndef STRICT
			if
			:: ncrash == 0 ->
				assert(!RETAIN(m) || m > rval)
			:: else
			fi;
#else
			assert(!RETAIN(m) || m > rval);
#endif
			if
			:: RETAIN(m) -> val = m
			:: else
			fi
		:: else
		fi
	fi
}

active proctype WorkerS()
{
	mtype k;
	byte m;
	bool seen_shut;

end:	do
	:: atomic {
		tx?k,m ->
		if
		:: k == HOLD -> shut = true
		:: k == RELEASE -> shut = false;
			do
			:: behind?k,m -> wire(k, m)
			:: empty(behind) -> break
			od
#ifndef ENQGATE
#ifdef LIVEPASS
		:: k == ROUTED && shut -> behind!k,m
#else
		:: (k == ROUTED || k == LIVE) && shut -> behind!k,m
#endif
#endif
		:: else -> wire(k, m)
		fi;
		k = 0; m = 0
	   }
	/* frames of S: SUBSCRIBE, a barrier; then its own PUBLISH */
	:: atomic { !sub_sent -> sub_sent = true; sub_ev = true; bar = true }
#ifdef NOBARRIER
	:: atomic { sub_sent && !own_sent -> own_sent = true;
#else
	:: atomic { sub_sent && !bar && !own_sent -> own_sent = true;
#endif
		if
		:: r0 || r1 -> enqueue(ROUTED, OWN, 1)
		:: else
		fi
	   }
	od
}

active proctype Check()
{
	byte i, newest;

	atomic {
		nread == N && own_sent && !bar && !sub_ev && acked == nev &&
		job == 0 && !shut && empty(tx) && empty(behind) &&
		stored >= acked && WorkerP@end && Daemon@end && WorkerS@end ->
		i = 1;
		do
		:: i <= N ->
			assert(!must[i] || seen[i]);
			if
			:: RETAIN(i) -> newest = i
			:: else
			fi;
			i++
		:: else -> break
		od;
		assert(seen[OWN]);
		assert(disk_ret == newest);	/* acknowledged is durable */
		assert(val == newest);		/* S knows the last value */
	}
}
