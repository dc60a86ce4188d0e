/* SPDX-License-Identifier: GPL-2.0 */
/*
 * gate: two pipelined SUBSCRIBEs of one clean session, two retained QoS 1
 * messages each, a client that acknowledges or never does, and a daemon that
 * dies at every step, MAXC times.
 *
 * The client's PUBACKs sit behind its SUBSCRIBEs in the socket.  A live QoS 0
 * message on each topic is routed by the kernel as soon as the route exists.
 * The client's Receive Maximum is W.  No store holds the session, so a DELIVER
 * of QoS 1 makes the connection VOLATILE.
 */
#ifndef W
#define W	1
#endif
#ifndef MAXC
#define MAXC	1
#endif

mtype = { SUB, ACK, SUBACK, RETAINED, ROUTED, HOLD, RELEASE };

/* kernel */
chan sock = [8] of { mtype, byte };	/* from the client, unread */
chan ev = [6] of { mtype, byte };	/* not acknowledged */
chan tx = [16] of { mtype, byte };
chan behind = [2] of { mtype, byte };
byte shut;				/* the gate; a byte for COUNT */
bool bar, vol, closed, is_held[3], route[3];

/* the daemon's memory */
byte inflight, togo[3], replay, adding;
bool need_held, owe_release;
byte ncrash;

/* the client */
bool acks, late, suback[3], live[3];
byte outstanding, nret[3];

inline receive_live(f)
{
	assert(suback[f] && !live[f]);
	assert(nret[f] == 2 || late);	/* retained before live */
	live[f] = true
}

active proctype Client()
{
	mtype k;
	byte f;

	atomic {
		sock!SUB,1; sock!SUB,2;
		if
		:: acks = true
		:: skip
		fi
	};
end:	do
	:: atomic {
		!closed && outstanding > 0 && acks ->
		outstanding--; sock!ACK,0
	   }
	/* the owner takes entries off the list; the client reads them */
	:: atomic {
		!closed && nempty(tx) -> tx?k,f;
		if
		:: k == ROUTED && shut -> behind!k,f
		:: k == ROUTED && !shut -> receive_live(f)
#ifdef COUNT
		:: k == HOLD -> shut++
		:: k == RELEASE -> shut--;
#else
		:: k == HOLD -> shut = 1
		:: k == RELEASE -> shut = 0;
#endif
			do
			:: shut == 0 && nempty(behind) ->
				behind?k,f; receive_live(f)
			:: shut > 0 || empty(behind) -> break
			od
		:: k == SUBACK ->
			assert(!suback[f]); suback[f] = true
		:: k == RETAINED ->
			assert(suback[f]);
			assert(!live[f] || late);
			outstanding++;
			assert(outstanding <= W);	/* Receive Maximum */
			if
			:: nret[f] < 2 -> nret[f]++
			:: else
			fi
		fi;
		k = 0; f = 0
	   }
	/* the kernel reads */
	:: atomic {
		!closed && !bar && nempty(sock) -> sock?k,f; ev!k,f;
		bar = (k == SUB);
		k = 0; f = 0
	   }
	od
}

active proctype Publisher()
{
end:	route[1] -> tx!ROUTED,1
}

active proctype Publisher2()
{
end:	route[2] -> tx!ROUTED,2
}

inline crash()
{
	ncrash++;
	inflight = 0; togo[1] = 0; togo[2] = 0; adding = 0; k = 0; f = 0;
	replay = len(ev);
	need_held = is_held[1] || is_held[2];
	owe_release = need_held;
#ifndef NOCLOSE
	closed = closed || vol;			/* DISCONNECT 0x8B */
#endif
#ifdef EARLYHELD
	replay = 0;
#endif
}

#define HANDLED	(adding == 0 && replay == 0 && !need_held)
#ifdef RELALL
#define NONE_MAY_GO (togo[1] + togo[2] == 0)
#else
#define NONE_MAY_GO (togo[1] + togo[2] == 0 || inflight == W)
#endif

inline release()
{
	late = late || (togo[1] + togo[2] > 0);
	tx!RELEASE,0;
	is_held[1] = false; is_held[2] = false; owe_release = false
}

active proctype Daemon()
{
	mtype k;
	byte f;

end:	do
	:: atomic {
		!closed && adding == 0 && ev?[SUB,_] -> ev?<k,f>;
		tx!HOLD,0; route[f] = true;		/* ROUTE_ADD */
		is_held[f] = true; adding = f; owe_release = true;
		k = 0; f = 0
	   }
	:: atomic {
		!closed && adding > 0 ->
		togo[adding] = 2;
#ifdef BARLAST
		tx!SUBACK,adding; ev?_,_;
#else
		tx!SUBACK,adding; ev?_,_; bar = false;
#endif
		if
		:: replay > 0 -> replay--
		:: else
		fi;
		adding = 0
	   }
	:: atomic {
		!closed && adding == 0 && ev?[ACK,_] -> ev?_,_;
		if
		:: inflight > 0 -> inflight--
		:: else
		fi;
#ifdef VOLANY
		vol = false;
#elif defined(VOLINFLIGHT)
		vol = (inflight > 0);
#else
		vol = (inflight > 0 || togo[1] + togo[2] > 0);
#endif
		if
		:: replay > 0 -> replay--
		:: else
		fi
	   }
	/* after a crash: retained messages of HELD routes again */
	:: atomic {
		!closed && need_held && replay == 0 && adding == 0 ->
		f = 1;
		do
		:: f <= 2 ->
			if
			:: is_held[f] -> togo[f] = 2
			:: else
			fi;
			f++
		:: else -> break
		od;
		f = 0; need_held = false
	   }
	:: atomic {
		!closed && inflight < W && replay == 0 && togo[1] + togo[2] > 0 ->
		if
		:: togo[1] > 0 -> f = 1
		:: togo[2] > 0 -> f = 2
		fi;
		togo[f]--; inflight++; vol = true; tx!RETAINED,f;
#ifdef RELEACH
		if
		:: togo[f] == 0 -> release()
		:: else
		fi;
#endif
#ifdef BARLAST
		if
		:: togo[f] == 0 -> bar = false
		:: else
		fi;
#endif
		f = 0
	   }
	:: atomic { !closed && owe_release && HANDLED && NONE_MAY_GO -> release() }
	:: atomic { !closed && ncrash < MAXC -> crash() }
	od
}

active proctype Check()
{
	atomic {
		closed || (live[1] && live[2] && !bar && shut == 0 &&
			   empty(sock) && empty(ev) && empty(tx) &&
			   empty(behind) && Daemon@end &&
			   (!acks || nret[1] + nret[2] == 4))
	}
}
