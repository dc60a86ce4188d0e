/* SPDX-License-Identifier: GPL-2.0 */
/*
 * handover: P publishes NM QoS 1 messages to S, which subscribed at QoS 1 with
 * a Receive Maximum of W; packet ids 1..W are used again at once.  The daemon
 * has memory (M) and a store (D) with group commit, and dies at every step,
 * MAXC times.  The kernel may refuse one DELIVER to S as full.
 *
 * Default: a store holds the session of S; an answer waits for the commit that
 * records rows, packet ids, numbers and the last event.  CLEAN: no store holds
 * it, so the connection becomes VOLATILE.  One DELIVER carries the rows that
 * may go, the PUBACK and the acknowledgement; SEPARATE makes it two.
 */
#ifndef NM
#define NM	2
#endif
#ifndef W
#define W	1
#endif
#ifndef MAXC
#define MAXC	1
#endif

#define NONE	0
#define QUEUED	1
#define FLYING	2
#define DONE	3

typedef Store {
	byte row[NM + 1];	/* of message m */
	byte id[NM + 1];
	byte num[NM + 1];
	byte last_num;
	byte mark_p, mark_s	/* last event recorded */
};
Store M, D;

/* kernel */
byte made_p, acked_p;		/* P's events: the PUBLISHes */
byte made_s, acked_s, pid_s[2 * NM + 2];	/* S's events: PUBACKs */
byte accepted;			/* last DELIVER number of S */
bool vol, closed;
chan tx = [2 * NM] of { byte, byte };

/* the daemon: handled, committed; last number sent */
byte handled_p, handled_s, ready_p, ready_s, sent;
bool refused;
byte ncrash;

/* the clients */
byte got[NM + 1], npuback;
bool busy[W + 1];

#define OUTSTANDING(m)	(M.row[m] == QUEUED || M.row[m] == FLYING)

active proctype P()
{
end:	do
	:: made_p < NM -> made_p++
	od
}

active proctype S()
{
	byte id, m;

end:	do
	:: atomic {
		!closed && nempty(tx) -> tx?id,m;
		got[m]++;
		assert(got[m] == 1);		/* once on a connection */
		assert(!busy[id]);
		busy[id] = true;
		id = 0; m = 0
	   }
	:: atomic { !closed && busy[1] -> busy[1] = false;
		made_s++; pid_s[made_s] = 1 }
#if W == 2
	:: atomic { !closed && busy[2] -> busy[2] = false;
		made_s++; pid_s[made_s] = 2 }
#endif
	od
}

/* is packet id p in flight? */
inline pid_used(p, yes)
{
	j = 1; yes = false;
	do
	:: j <= NM -> yes = yes || (M.row[j] == FLYING && M.id[j] == p); j++
	:: else -> break
	od;
	j = 0
}

/* queued rows go in flight as the window allows: packet id and number */
inline promote()
{
	i = 1;
	do
	:: i <= NM && M.row[i] == QUEUED ->
		x = 1;
		pid_used(x, used);
		do
		:: used && x < W -> x++; pid_used(x, used)
		:: !used || x == W -> break
		od;
		if
		:: !used -> M.row[i] = FLYING; M.id[i] = x;
			M.last_num++; M.num[i] = M.last_num
		:: else
		fi;
		i++
	:: i <= NM && M.row[i] != QUEUED -> i++
	:: i > NM -> break
	od;
	i = 0; x = 0; used = false
}

/* DELIVER to S of row m */
inline deliver(m)
{
	if
	:: closed
	:: !closed && !refused -> refused = true;	/* full */
#ifdef CLEAN
#ifndef VOLACCEPTED
		vol = true;
#endif
#endif
#ifdef FULLREORDER
		/* later ones go first; the kernel will ignore this one */
		sent = M.num[m]
#else
		break
#endif
	:: !closed ->
		sent = M.num[m];
#ifdef CLEAN
		vol = true;
#endif
#ifndef NONUMBER
		if
		:: M.num[m] > accepted ->
			accepted = M.num[m]; tx!M.id[m],m
		:: else
		fi
#else
		accepted = M.num[m]; tx!M.id[m],m
#endif
	fi
}

/* a row that no store holds goes with its event's answer or after it */
#if defined(CLEAN) && defined(ROWEARLY)
#define MAY_GO(m) (M.row[m] == FLYING)
#elif defined(CLEAN)
#define MAY_GO(m) (M.row[m] == FLYING && m <= answered)
#else
#define MAY_GO(m) (D.row[m] == FLYING && M.row[m] == FLYING)
#endif

/* what may go, in the order of the numbers */
inline deliver_rows(answered)
{
	i = 1;
	do
	:: i <= NM ->
		if
		:: MAY_GO(i) && M.num[i] > sent -> deliver(i)
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

inline commit()
{
	i = 1;
	do
	:: i <= NM -> D.row[i] = M.row[i];
#ifndef PIDLATE
		D.id[i] = M.id[i];
#endif
		D.num[i] = M.num[i]; i++
	:: else -> break
	od;
	i = 0;
	D.last_num = M.last_num; D.mark_p = M.mark_p; D.mark_s = M.mark_s
}

inline crash()
{
	ncrash++; i = 1;
	do
	:: i <= NM ->
		M.row[i] = D.row[i]; M.id[i] = D.id[i]; M.num[i] = D.num[i];
#ifdef PIDLATE
		/* the lowest free one, as if it had just been given */
		if
		:: M.row[i] == FLYING -> M.id[i] = 0; x = 1;
			pid_used(x, used);
			M.id[i] = (used -> 2 : 1)
		:: else
		fi;
#endif
		i++
	:: else -> break
	od;
	i = 0; x = 0; used = false;
	M.last_num = D.last_num; M.mark_p = D.mark_p; M.mark_s = D.mark_s;
#ifdef CLEAN
	M.last_num = accepted;
#ifndef NOCLOSE
	closed = closed || vol;			/* DISCONNECT 0x8B */
#endif
#endif
#ifdef NOREPLAY
	acked_p = made_p; acked_s = made_s; npuback = made_p;
#endif
	handled_p = acked_p; handled_s = acked_s;
	ready_p = acked_p; ready_s = acked_s;
	/* CONN_DUMP; rows above the last number go again */
#ifdef NONUMBER
	sent = 0
#else
	sent = accepted
#endif
}

active proctype Daemon()
{
	byte i, j, x;
	bool used;

end:	do
	/* a PUBLISH */
	:: atomic { handled_p < made_p ->
		handled_p++;
		if
#if !defined(NOMARK) && !defined(CLEAN)
		:: handled_p <= M.mark_p	/* the store has it */
#endif
		:: else ->
			if
			:: !OUTSTANDING(handled_p) && !closed ->
				M.row[handled_p] = QUEUED
			:: else
			fi;
			if
			:: M.mark_p < handled_p -> M.mark_p = handled_p
			:: else
			fi;
			promote()
		fi }
	/* a PUBACK */
	:: atomic { handled_s < made_s ->
		handled_s++;
		if
#if !defined(NOMARK) && !defined(CLEAN)
		:: handled_s <= M.mark_s
#endif
		:: else ->
			i = 1;
			do
			:: i <= NM && M.row[i] == FLYING &&
			   M.id[i] == pid_s[handled_s] ->
				M.row[i] = DONE; break
			:: i <= NM && !(M.row[i] == FLYING &&
					M.id[i] == pid_s[handled_s]) -> i++
			:: i > NM -> break
			od;
			if
			:: M.mark_s < handled_s -> M.mark_s = handled_s
			:: else
			fi;
			promote()
		fi }
	/* group commit */
	:: atomic { ready_p < handled_p || ready_s < handled_s ->
#ifndef CLEAN
		commit();
#endif
		ready_p = handled_p; ready_s = handled_s }
	/* DELIVER: rows, answer, acknowledgement */
#ifdef NOWAIT
	:: atomic { acked_p < handled_p ->
#else
	:: atomic { acked_p < ready_p ->
#endif
#ifndef SEPARATE
		deliver_rows(acked_p + 1);
#endif
		acked_p++; npuback++ }
	:: atomic { acked_s < ready_s ->
		deliver_rows(acked_p);
		acked_s++;
		/* nothing outstanding, as of this event */
#ifdef VOLAHEAD
		i = 1; used = false;
#else
		i = 1; used = (acked_s < handled_s);
#endif
		do
		:: i <= NM -> used = used || OUTSTANDING(i); i++
		:: else -> break
		od;
#ifdef VOLANY
		vol = false;
#else
		vol = vol && used;
#endif
		i = 0; used = false }
	/* rows left over: after WRITABLE, after a crash, SEPARATE */
	:: atomic { !closed && sent < M.last_num && ready_p == handled_p &&
		    ready_s == handled_s -> deliver_rows(acked_p) }
	:: atomic { ncrash < MAXC -> crash() }
	od
}

active proctype Check()
{
	byte i;

	atomic {
		made_p == NM && acked_p == NM &&
		(closed || (empty(tx) && acked_s == made_s && acked_s >= NM)) ->
		assert(npuback == NM);
		i = 1;
		do
		:: i <= NM -> assert(closed || got[i] == 1);
#ifndef CLEAN
			assert(closed || M.row[i] == DONE);
#endif
			i++
		:: else -> break
		od
	}
}
