/* SPDX-License-Identifier: GPL-2.0 */
/*
 * routedel: completion of ROUTE_DEL (ACL and policy changes alike) against two
 * workers that look up without locks, and a daemon that dies at every step,
 * MAXC times.
 *
 * A worker routes one or more frames in a turn; look-up and enqueue lie in one
 * read-side section.  The kernel answers ROUTE_DEL by an event after a grace
 * period that began after the route was unlinked; completions are batched: one
 * grace period serves the requests that were there when it began.
 * The daemon sends UNSUBACK after that; the UNSUBSCRIBE is replayed to a new
 * daemon, whose ROUTE_DEL may find no route.  ROUTE_ADD answers at once: a
 * frame that is read after the answer sees the route.
 */
#ifndef MAXC
#define MAXC	1
#endif
#ifndef FRAMES
#define FRAMES	2
#endif

bool route;			/* in the FIB */
bool suback, unsub, unsuback;	/* the client has, sent, has it */
bool section[2];		/* worker in a read-side section */
byte request, answered;		/* number of the last ROUTE_DEL, completed */
byte ncrash;

proctype Worker(byte w)
{
	bool hit, due, memo, known;
	byte frames;

end:	do
	:: frames < FRAMES ->
		section[w] = true;
		atomic {
			/* look-up of a frame read just now */
			frames++;
			due = suback && !unsub;
#ifdef MEMO
			/* kept for the later frames of the turn */
			if
			:: !known -> memo = route; known = true
			:: else
			fi;
			hit = memo
#else
			hit = route
#endif
		};
#ifdef SHORTSECTION
		section[w] = false;
#endif
		/* enqueue */
		atomic {
			assert(!hit || !unsuback);	/* silence after UNSUBACK */
			assert(hit || !due);		/* nothing missed */
			hit = false; due = false
		};
		/* end of the turn, or one more frame */
		if
		:: atomic { section[w] = false; known = false; memo = false }
		:: frames < FRAMES
		fi
	od;
}

/* call_rcu: a grace period waits for the sections open at its begin */
active proctype Rcu()
{
	bool wait0, wait1, other;
	byte serves;

end:	do
	:: atomic {
		request != answered || !other ->
		if
		:: request != answered
		:: !other -> other = true	/* someone else's */
		fi;
		wait0 = section[0]; wait1 = section[1];
		serves = request
	   };
#ifndef NOGRACE
	   (!wait0 || !section[0]);
	   (!wait1 || !section[1]);
#endif
	   atomic {
#ifdef JOINGRACE
		/* also what was requested since it began */
		answered = request;
#else
		answered = serves;
#endif
		wait0 = false; wait1 = false; serves = 0
	   }
	od
}

#define DIES if :: ncrash < MAXC -> goto crash :: true fi

active proctype Daemon()
{
	atomic { run Worker(0); run Worker(1) };
	route = true;				/* ROUTE_ADD */
	suback = true;
	unsub = true;				/* the client, at any time */
	goto again;
crash:	ncrash++;
again:	DIES;
	/* the UNSUBSCRIBE, first or in a replay: ROUTE_DEL */
	atomic {
#ifdef ABSENT
		if
		:: route -> route = false; request++
		:: else -> answered = request
		fi
#elif defined(LATEUNLINK)
		request++
#else
		route = false; request++
#endif
	};
#ifdef LATEUNLINK
	route = false;
#endif
	DIES;
	(answered == request);			/* its completion */
	DIES;
	unsuback = true
}
