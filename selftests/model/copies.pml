/* SPDX-License-Identifier: GPL-2.0 */
/*
 * copies: a session whose client is away has copies of QoS 0 messages by routes
 * to the daemon, which other sessions need, too.  Its client comes back: each of
 * its two overlapping filters gets a route to the connection, one after the
 * other, behind the shut gate, while copies go on to come; a copy tells whether
 * the same look-up found the connection.  One publisher sends N messages, QoS 0
 * by the kernel or QoS 1 by the daemon.  Each comes once and in order.
 */
#ifndef N
#define N	3
#endif
#define PLAIN	0
#define Q1	1
#define COPY	2
#define CONNACK	10
#define MSG	11

byte typ[N + 1];
chan input = [N] of { byte };
chan events = [8] of { byte, byte, bool };	/* kind, message, connection found */
chan out = [12] of { byte, byte };		/* transmit list, past the gate */
chan held = [8] of { byte, byte };
chan queue = [8] of { byte };			/* the session's, at the daemon */
byte unacked;
bool shut = true;
bool route1, route2;				/* to the connection */
bool reading;					/* RCU read-side section */
bool online;
bool copied = true;				/* the session wants copies */
bool busy;					/* the daemon's thread */
bool published, connected;
byte last, connacks;

#define LOCK	atomic { !busy -> busy = true }
#define UNLOCK	busy = false
#define YIELD	UNLOCK; LOCK

inline routed(m)
{
	atomic {
		if
		:: shut -> held!MSG, m
		:: else -> out!MSG, m
		fi
	}
}

active proctype Publisher()
{
	byte i = 1;

	do
	:: i <= N ->
		if
		:: typ[i] = PLAIN
		:: typ[i] = Q1
		fi;
		atomic { input!i; i++ }
	:: else -> break
	od;
	published = true
}

active proctype Worker()
{
	byte m;
	bool first, second;

end:	do
	:: atomic {
		input?<m> ->
		if
		:: typ[m] == Q1 -> input?m; unacked++; events!Q1, m, false; goto end
		:: typ[m] == PLAIN && unacked == 0 -> input?m; reading = true
		fi
	   };
	   first = route1;
	   second = route2;
	   if
	   :: first || second -> routed(m)
	   :: else
	   fi;
#ifdef NORCU
	   reading = false;
#endif
	   events!COPY, m, (first || second);
	   reading = false
	od
}

inline handle(k, m, found)
{
	if
	:: k == Q1 && online -> routed(m)
	:: k == Q1 && !online -> queue!m
	:: k == COPY && copied && !online -> queue!m
	:: k == COPY && copied && online ->
#ifdef SKIPALL
		skip
#else
		if
#ifdef NOLIST
		:: true -> queue!m
#else
		:: !found -> queue!m
		:: found
#endif
		fi
#endif
	:: else
	fi;
	if
	:: k == Q1 -> unacked--
	:: else
	fi
}

active proctype Events()
{
	byte k, m;
	bool found;

end:	do
	:: atomic { nempty(events) && !busy -> busy = true };
	   events?k, m, found;
	   handle(k, m, found);
	   UNLOCK
	od
}

active proctype Connect()
{
	byte k, m;
	bool found;

	LOCK;
	online = true;
	out!CONNACK, 0;
	route1 = true;
	route2 = true;
	UNLOCK;
#ifndef NOGRACE
	!reading;
#endif
	LOCK;
#ifndef NODRAIN
	do
	:: nempty(events) -> events?k, m, found; handle(k, m, found)
	:: empty(events) -> break
	od;
#endif
	copied = false;
	do
	:: queue?m -> out!MSG, m; YIELD
	:: atomic { empty(queue) -> break }
	od;
	atomic {
		shut = false;
		do
		:: held?k, m -> out!k, m
		:: empty(held) -> break
		od
	};
	UNLOCK;
	connected = true
}

active proctype Client()
{
	byte k, m;

end:	do
	:: atomic {
		out?k, m ->
		if
		:: k == CONNACK -> connacks++
		:: else ->
			assert(connacks == 1);
			assert(m == last + 1);
			last = m
		fi
	   }
	od
}

active proctype Check()
{
	atomic {
		published && connected && empty(input) && empty(events) &&
		empty(queue) && empty(out) && empty(held) && unacked == 0 &&
		!busy && !reading ->
		assert(last == N)
	}
}
