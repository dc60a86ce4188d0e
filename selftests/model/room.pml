/* SPDX-License-Identifier: GPL-2.0 */
/*
 * room: one connection whose transmit list is full while its gate is shut.
 *
 * The daemon owes it NR retained messages; meanwhile one publisher sends NL
 * messages on one topic, in turn QoS 1 (the daemon delivers them LIVE) and
 * QoS 0 (the kernel routes them, behind an unacknowledged one not at all).
 * DELIVERs are refused beyond LIM, live ones and others apart; the client
 * reads when it likes.
 *
 * Mutations: SHARED (one limit), BYSIZE (what fits is accepted although one
 * before it was refused), FORGETLIVE (a refused LIVE message is no longer LIVE
 * when it is sent again), ONEFLAG (the daemon sends nothing after any
 * refusal), RELALL (RELEASE waits for live messages too), NOKICK (a refusal
 * with nothing in the list tells nobody), CLEARSOON (there is room again for
 * the next when the event is made, not when the daemon takes it).
 */
#ifndef NR
#define NR	3
#endif
#ifndef NL
#define NL	4
#endif
#define LIM	2
#define SIZE(seq)	(1 + ((seq) & 1))

mtype = { RETAINED, LIVE, ROUTED, RELEASE };

/* kernel */
chan queue = [12] of { mtype, byte };	/* the shared list */
chan held = [8] of { mtype, byte };
chan out = [8] of { mtype, byte };
bool shut = true, rfull, lfull;
byte rbytes, lbytes;

/* events to the daemon */
byte published;				/* QoS 1, unacknowledged */
bool writable;

/* the daemon's memory */
byte sent;				/* retained messages accepted */
byte unsent;				/* the live message that was refused */
bool d_rfull, d_lfull, released, refused, nomem;
byte waiting, nwaiting;			/* the first live one behind it, how many */

/* the client */
byte got_r, got_l, got_q, last;

#ifdef SHARED
#define L_BYTES	rbytes
#define L_FULL	rfull
#else
#define L_BYTES	lbytes
#define L_FULL	lfull
#endif

/* tx_msg_admit(): @ok tells whether it was accepted */
inline admit(kind, seq, bytes, stop, ok)
{
	if
	:: !nomem -> nomem = true; stop = true; ok = false	/* once */
	:: true ->
		ok = bytes == 0 || bytes + SIZE(seq) <= LIM;
#ifndef BYSIZE
		ok = ok && !stop;
#endif
		if
		:: ok -> bytes = bytes + SIZE(seq); queue!kind,seq
		:: else -> stop = true
		fi
	fi
}

/* kmqtt_tx_room(): what was refused has room again */
inline clear()
{
	if
	:: rfull && rbytes <= LIM / 2 -> rfull = false
	:: else
	fi;
	if
	:: lfull && lbytes <= LIM / 2 -> lfull = false
	:: else
	fi
}

/* tx_writable(): at the end of each flush */
inline tell()
{
	writable = writable || (rfull && rbytes <= LIM / 2) || (lfull && lbytes <= LIM / 2);
#ifdef CLEARSOON
	clear()
#endif
}

inline receive(kind, seq)
{
	if
	:: kind == RETAINED ->
		assert(got_l == 0 && got_q == 0);	/* retained before live */
		assert(seq == got_r + 1);
		got_r++
	:: kind == LIVE ->
		assert(seq == 2 * got_l + 1);
		got_l++
	:: kind == ROUTED ->
		assert(seq == 2 * got_q + 2);
		got_q++
	fi;
	if
	:: kind != RETAINED ->
		assert(refused || seq == last + 1);	/* across QoS */
		last = seq
	:: else
	fi
}

active proctype Worker()
{
	mtype k;
	byte s;

end:	do
	:: atomic {
		queue?k,s ->
		if
		:: k == RELEASE ->
			shut = false;
			do
			:: held?k,s -> out!k,s
			:: len(held) == 0 -> break
			od
		:: else ->
			if
			:: shut && k != RETAINED -> held!k,s
			:: else -> out!k,s
			fi
		fi;
		tell()
	   }
	:: atomic {
		out?k,s ->
		if
		:: k == RETAINED -> rbytes = rbytes - SIZE(s)
		:: k == LIVE -> L_BYTES = L_BYTES - SIZE(s)
		:: else
		fi;
		receive(k, s);
		tell()
	   }
#ifndef NOKICK
	:: atomic { !writable && ((rfull && rbytes == 0) || (lfull && lbytes == 0)) -> tell() }
#endif
	od
}

active proctype Publisher()
{
	byte i = 1;

	do
	:: i > NL -> break
	:: atomic { i <= NL && (i & 1) && !published -> published = i; i++ }
	/* the topic is free again: acknowledged */
	:: atomic { i <= NL && !(i & 1) && !published -> queue!ROUTED,i; i++ }
	od
}

inline live(seq, ok)
{
	admit(LIVE, seq, L_BYTES, L_FULL, ok);
	if
	:: !ok -> unsent = seq; refused = true; d_lfull = true
	:: else -> unsent = 0
	fi
}

#ifdef ONEFLAG
#define R_MAY	(!d_rfull && !d_lfull)
#define L_MAY	(!d_rfull && !d_lfull)
#else
#define R_MAY	(!d_rfull)
#define L_MAY	(!d_lfull)
#endif
#ifdef RELALL
#define OWES	(sent < NR || unsent || nwaiting)
#else
#define OWES	(sent < NR)
#endif

active proctype Daemon()
{
	byte s;
	byte taken;
	bool ok;

end:	do
	:: atomic {
		published ->
		s = published;
		if
		:: L_MAY && !unsent && !nwaiting -> live(s, ok)
		:: else ->
			refused = true;
			waiting = (nwaiting -> waiting : s);
			nwaiting++
		fi;
		published = 0			/* the acknowledgement */
	   }
	/* two of one batch, whose results come together */
	:: atomic {
		sent < NR && R_MAY ->
		admit(RETAINED, sent + 1, rbytes, rfull, ok);
		taken = ok; d_rfull = !ok
	   };
	   atomic {
		if
		:: sent + 2 <= NR ->
			admit(RETAINED, sent + 2, rbytes, rfull, ok);
			taken = taken + ok; d_rfull = d_rfull || !ok
		:: else
		fi;
		sent = sent + taken
	   }
	:: atomic {
		unsent && L_MAY ->
		s = unsent;
#ifdef FORGETLIVE
		admit(RETAINED, s, rbytes, rfull, ok);
		unsent = (ok -> 0 : unsent)
#else
		live(s, ok)
#endif
	   }
	:: atomic {
		nwaiting && !unsent && sent == NR && L_MAY ->
		s = waiting;
		nwaiting--;
		waiting = s + 2;
		live(s, ok)
	   }
	:: atomic { !released && !OWES -> released = true; queue!RELEASE,0 }
	:: atomic {
		writable ->
		writable = false; d_rfull = false; d_lfull = false;
#ifndef CLEARSOON
		clear()
#endif
	   }
	od
}

/* At rest everything has arrived. */
active proctype Monitor()
{
	timeout;
	assert(got_r == NR && got_l == (NL + 1) / 2 && got_q == NL / 2)
}
