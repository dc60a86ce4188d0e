/* SPDX-License-Identifier: GPL-2.0 */
/*
 * takeover: one client id, connection 0 accepted, then connections 1 and 2
 * with CONNECT in this order; closes, wills and a daemon that dies at every
 * step, MAXC times.
 *
 * The client of connection 0 may send a QoS 0 PUBLISH, a QoS 1 PUBLISH and a
 * SUBSCRIBE, then DISCONNECT and FIN, FIN alone, or neither.  Each connection
 * has a will, set by its CONNECT.  A connection that is closed by CONN_CLOSE is
 * read to the end of what its socket holds; its close event is the last and
 * carries the cause.  Routes: own (of the session at CONNECT) and sub (of the
 * SUBSCRIBE).
 */
#ifndef MAXC
#define MAXC	1
#endif

mtype = { Q0, Q1, SUB, CONNECT, DISCONNECT, FIN, CLOSE };
mtype = { CLEAN, ERROR, TAKEN };

typedef Conn {
	bool bar, closing, closed, gone, accepted;
	bool own, sub;			/* its routes */
	mtype cause
};

Conn c[3];
chan sock[3] = [5] of { mtype };
chan ev[3] = [6] of { mtype };		/* not acknowledged */

/* the store */
bool stored_q1, stored_sub;

/* the daemon's memory (WILLMEM, DISCEV) */
bool mem_will[3];
byte ncrash;

/* what happened */
bool sent_q0, sent_q1, sent_sub, sent_disc, all_sent;
byte nq0, npuback, wills[3];

#define LISTED(x) (c[x].accepted && !c[x].gone)

inline close(x, why)
{
	c[x].closed = true;
	/* routes are unlinked once, here or by CONN_CLOSE */
	if
	:: !c[x].closing -> c[x].own = false; c[x].sub = false
	:: else
	fi;
	c[x].cause = why;
	ev[x]!CLOSE
}

proctype Worker(byte x)
{
	mtype k;

end:	do
	:: atomic {
		!c[x].closed && !c[x].bar && nempty(sock[x]) -> sock[x]?k;
		if
		:: k == Q0 -> nq0++
		:: k == Q1 -> ev[x]!Q1
		:: k == SUB || k == CONNECT -> ev[x]!k; c[x].bar = true
#ifdef DISCEV
		:: k == DISCONNECT -> ev[x]!DISCONNECT
#else
		:: k == DISCONNECT -> close(x, CLEAN)
#endif
		:: k == FIN -> close(x, ERROR)
		fi;
		k = 0
	   }
#ifdef STOP
	:: atomic { c[x].closing && !c[x].closed -> close(x, TAKEN) }
#else
	:: atomic {
		c[x].closing && !c[x].closed && !c[x].bar && empty(sock[x]) ->
		close(x, TAKEN)
	   }
#endif
	od
}

proctype Client()
{
	atomic {
		if
		:: sock[0]!Q0; sent_q0 = true
		:: skip
		fi;
		if
		:: sock[0]!Q1; sent_q1 = true
		:: skip
		fi;
		if
		:: sock[0]!SUB; sent_sub = true
		:: skip
		fi
	};
	if
	:: atomic { sock[0]!DISCONNECT; sock[0]!FIN; sent_disc = true }
	:: sock[0]!FIN
	:: skip
	fi;
	atomic { sock[1]!CONNECT; sock[1]!Q0 };
	/* the kernel has shown the CONNECT of 1 */
	(c[1].accepted || ev[1]?[CONNECT]);
	atomic { sock[2]!CONNECT; sock[2]!Q0; all_sent = true }
}

#define DIES	if :: ncrash < MAXC -> goto crash :: true fi

#ifdef NOFIFO
#define TURN(x)	true
#else
#define TURN(x)	(x != 2 || (c[1].accepted || !ev[1]?[CONNECT]))
#endif
/* does the CONNECT of x have to wait for o? */
#ifdef NOWAIT
#define WAITS(x, o) false
#else
#define WAITS(x, o) (o != x && LISTED(o) && c[o].closing)
#endif
#define MAY_HANDLE(x) (nempty(ev[x]) && (!ev[x]?[CONNECT] || (TURN(x) && \
	!WAITS(x, 0) && !WAITS(x, 1) && !WAITS(x, 2))))

active proctype Daemon()
{
	byte x, o;
	mtype e;
	bool fire;

	atomic {
		c[0].accepted = true; c[0].own = true; mem_will[0] = true;
		run Worker(0); run Worker(1); run Worker(2); run Client()
	};
	goto end;

crash:	atomic {
		ncrash++; x = 0; o = 0; e = 0; fire = false;
		mem_will[0] = false; mem_will[1] = false; mem_will[2] = false
	};
end:	if
	:: atomic { MAY_HANDLE(0) -> x = 0; ev[0]?<e> }
	:: atomic { MAY_HANDLE(1) -> x = 1; ev[1]?<e> }
	:: atomic { MAY_HANDLE(2) -> x = 2; ev[2]?<e> }
	fi;
	DIES;
	if
	:: e == CONNECT ->
		/* CONN_CLOSE of the one that is there; then look again */
		atomic {
			o = 0;
			do
			:: o < 3 && o != x && LISTED(o) && !c[o].closing ->
				c[o].closing = true;
				c[o].own = false; c[o].sub = false;
				break
			:: o < 3 && !(o != x && LISTED(o) && !c[o].closing) ->
				o++
			:: o == 3 -> break
			od
		};
		DIES;
#ifdef NOWAIT
		o = 3;
#endif
		atomic {
			if
			:: o < 3 -> skip
			:: else ->
				/* ROUTE_ADDs, CONN_ACCEPT */
				assert(!c[0].own && !c[1].own && !c[2].own);
				assert(!c[0].sub && !c[1].sub && !c[2].sub);
				assert(!LISTED(0) && !LISTED(1) && !LISTED(2));
				c[x].own = true; c[x].sub = stored_sub;
				mem_will[x] = true;
				c[x].accepted = true; c[x].bar = false; ev[x]?_
			fi
		}
	:: e == Q1 ->
		stored_q1 = true;
		DIES;
		/* DELIVER: PUBACK and acknowledgement */
		atomic {
#ifdef LITGONE
			!c[x].closed -> npuback++; ev[x]?_
#else
			npuback++; ev[x]?_
#endif
		}
	:: e == SUB ->
		stored_sub = true;
		DIES;
		/* ROUTE_ADD */
		atomic {
			if
#ifdef LATEROUTE
			:: true
#else
			:: !c[x].closing && !c[x].closed
#endif
				-> c[x].sub = true
#ifndef LATEROUTE
			:: else
#endif
			fi
		};
		DIES;
		atomic { c[x].bar = false; ev[x]?_ }
	:: e == DISCONNECT ->
		atomic { mem_will[x] = false; ev[x]?_ }
	:: e == CLOSE ->
#ifdef WILLMEM
		fire = mem_will[x] && c[x].cause != CLEAN;
#elif defined(DISCEV)
		/* a new daemon learns the will from the kernel */
		fire = mem_will[x] || ncrash > 0;
#else
		fire = c[x].cause != CLEAN;
#endif
		/* the will and the acknowledgement in one INJECT */
#ifdef WILLSEP
		wills[x] = wills[x] + fire;
		DIES;
		atomic { ev[x]?_; c[x].gone = true }
#else
		atomic { wills[x] = wills[x] + fire; ev[x]?_; c[x].gone = true }
#endif
	fi;
	DIES;
	atomic { x = 0; o = 0; e = 0; fire = false };
	goto end
}

active proctype Check()
{
	atomic {
		all_sent && c[2].accepted && c[0].gone && c[1].gone &&
		empty(sock[1]) && empty(sock[2]) &&
		empty(ev[0]) && empty(ev[1]) && empty(ev[2]) && Daemon@end ->
		assert(!c[2].closing && c[2].own);	/* the newest stays */
		assert(!c[0].own && !c[0].sub && !c[1].own && !c[1].sub);
		assert(c[2].sub == sent_sub);
		assert(wills[0] == 1 - sent_disc);
		assert(wills[1] == 1);
		assert(wills[2] == 0);
		assert(nq0 == 2 + sent_q0);
		assert(npuback == sent_q1 && stored_q1 == sent_q1)
	}
}
