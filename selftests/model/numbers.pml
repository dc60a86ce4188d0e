/* SPDX-License-Identifier: GPL-2.0 */
/*
 * numbers: stored messages on their way to one client, some LIVE (they wait at
 * the gate), some not; the kernel has room of its own for each kind and may
 * refuse either.  The daemon dies, the client comes back on a new connection.
 *
 * A row has a number and, in it, the kind it was sent as.  The kernel ignores
 * numbers at or below the last accepted of the kind.  On a new connection every
 * row in flight is no longer LIVE, and gets a new number.
 *
 * Deliveries wait for the store in @cmd, in their order.  What the kernel has
 * refused is stored: it does not wait there again.
 *
 * Mutations: ONELAST (one last number for both kinds), KEEP (rows keep their
 * number and kind on a new connection), QUEUEUP (what was refused waits behind
 * the others), TOLDOPEN (the kernel takes deliveries when it tells of room, not
 * when the daemon says that it knows).
 */
#define NM	3
#ifndef MAXC
#define MAXC	1
#endif

#define NONE	0
#define FLYING	1
#define DONE	2

/* the store, and the daemon's memory of it */
byte row[NM + 1], num[NM + 1], kind[NM + 1], last_num;
/* the daemon: taken by the kernel; the kind it would be sent as */
bool sent[NM + 1];
byte send_as[NM + 1];
bool begun[NM + 1];	/* it waits in cmd */
bool again[NM + 1];	/* the kernel refused it */
bool d_full[2];
chan cmd = [NM + 1] of { byte };

/* the kernel, for the connection */
byte last[2];
bool stop[2], writable, refused[2];
chan tx = [NM + 1] of { byte };

/* the client */
byte got[NM + 1];
byte ncrash, nconn;

#ifdef ONELAST
#define LAST(k)	last[0]
#else
#define LAST(k)	last[k]
#endif

/* it is to be sent, as far as the daemon knows */
#define CAN(m)	(row[m] == FLYING && !sent[m] && !begun[m] && !d_full[send_as[m]])

#ifdef QUEUEUP
#define AT_ONCE(m)	false
#else
#define AT_ONCE(m)	again[m]
#endif

inline admit(m, k)
{
	if
	:: stop[k] -> again[m] = true; d_full[k] = true
	:: !stop[k] && !refused[k] ->
		refused[k] = true; stop[k] = true; again[m] = true; d_full[k] = true
	:: !stop[k] ->
		sent[m] = true;
		again[m] = false;
		if
		:: num[m] <= LAST(k)
		:: else -> LAST(k) = num[m]; tx!m
		fi
	fi
}

inline number(m, k)
{
	last_num++;
	num[m] = last_num;
	kind[m] = k;
	send_as[m] = k
}

/* Those that were not taken, in the order of their numbers. */
inline pump()
{
	k = 0;
	do
	:: k < 2 ->
		i = 1;
		do
		:: i <= NM ->
			if
			:: CAN(i) && send_as[i] == k && AT_ONCE(i) -> admit(i, k)
			:: CAN(i) && send_as[i] == k && !AT_ONCE(i) ->
				begun[i] = true; cmd!i
			:: else
			fi;
			i++
		:: else -> break
		od;
		k++
	:: else -> break
	od;
	i = 0; k = 0
}

/* What waited is gone with its daemon or its connection. */
inline forget()
{
	do
	:: cmd?_
	:: empty(cmd) -> break
	od;
	i = 1;
	do
	:: i <= NM -> begun[i] = false; again[i] = false; i++
	:: else -> break
	od;
	d_full[0] = false; d_full[1] = false
}

active proctype Daemon()
{
	byte i, k;

end:	do
	/* a message, of either kind */
	:: atomic {
		row[NM] == NONE ->
		i = 1;
		do
		:: row[i] != NONE -> i++
		:: else -> break
		od;
		if
		:: k = 0
		:: k = 1
		fi;
		row[i] = FLYING;
		number(i, k);
		i = 0; k = 0
	   }
	:: atomic {
		CAN(1) || CAN(2) || CAN(3) -> pump()
	   }
	/* it is in the store */
	:: atomic {
		cmd?i ->
		begun[i] = false;
		k = send_as[i];
		admit(i, k);
		i = 0; k = 0
	   }
	:: atomic {
		writable ->
		writable = false;
		stop[0] = false; stop[1] = false; d_full[0] = false; d_full[1] = false;
		pump()
	   }
	/* the next daemon knows the store and the last numbers */
	:: atomic {
		ncrash < MAXC ->
		ncrash++;
		forget();
		i = 1;
		do
		:: i <= NM ->
			send_as[i] = kind[i];
			sent[i] = row[i] == FLYING && num[i] <= LAST(kind[i]); i++
		:: else -> break
		od;
		i = 0
	   }
	/* a new connection: what was in flight, again */
	:: atomic {
		nconn < 1 ->
		nconn++;
		forget();
		last[0] = 0; last[1] = 0;
		stop[0] = false; stop[1] = false;
		writable = false;
		do
		:: tx?_
		:: empty(tx) -> break
		od;
		i = 1;
		do
		:: i <= NM ->
			got[i] = 0; sent[i] = false;
			if
			:: row[i] == FLYING ->
#ifdef KEEP
				send_as[i] = 0
#else
				number(i, 0)
#endif
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0
	   }
	od
}

active proctype Kernel()
{
end:	do
	:: atomic {
		(stop[0] || stop[1]) && !writable ->
		writable = true
#ifdef TOLDOPEN
		;
		stop[0] = false; stop[1] = false
#endif
	   }
	od
}

active proctype Client()
{
	byte m;

end:	do
	:: atomic {
		tx?m ->
		got[m]++;
		assert(got[m] == 1);		/* once on a connection */
		row[m] = DONE;
		m = 0
	   }
	od
}

/* At rest everything has arrived. */
active proctype Monitor()
{
	byte i = 1;

	atomic {
		timeout;
		do
		:: i <= NM -> assert(row[i] == NONE || row[i] == DONE); i++
		:: else -> break
		od
	}
}
