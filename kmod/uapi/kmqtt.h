/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR MIT) */
/*
 * Generic netlink family "kmqtt": how the MQTT data plane in the kernel and
 * the daemon share connections.  kmod/netlink.yaml is the source of the names
 * and numbers below; a unit test holds the two together.
 *
 * Every command needs CAP_NET_ADMIN in the initial user namespace and acts on
 * the network namespace of the sending socket.  Commands marked [owner] are
 * refused with -EPERM unless the sender is the socket that did DAEMON_BIND.
 * Every refusal carries an extack text.  Unknown attributes are refused.
 * All integers are in host byte order.
 * Attributes "in parts" may be repeated: what does not fit one attribute
 * (65531 bytes) is their bytes one after the other.
 */
#ifndef _UAPI_LINUX_KMQTT_H
#define _UAPI_LINUX_KMQTT_H

#define KMQTT_GENL_NAME			"kmqtt"
#define KMQTT_GENL_VERSION		1
#define KMQTT_MCGRP_MONITOR_NAME	"monitor"

/* Limits of the interface.  Lengths are in bytes without a final NUL. */
#define KMQTT_CLIENT_ID_MAX		65535
#define KMQTT_NAME_MAX			65535	/* user name, TLS identity */
#define KMQTT_MOUNT_POINT_MAX		1024
#define KMQTT_COOKIE_MAX		64
#define KMQTT_PEER_MAX			128	/* printable peer address */
#define KMQTT_TLS_INFO_MAX		256
#define KMQTT_PIECE_MAX			60000	/* one attribute's share of a packet */
#define KMQTT_SUBIDS_MAX		64	/* subscription ids of one destination */
#define KMQTT_SHUT_MAX			32	/* connections named by a copy */
#define KMQTT_ACL_RULES_MAX		4096
#define KMQTT_WILL_MAX			528384	/* more than a CONNECT can hold */
#define KMQTT_PROPERTIES_MAX		1048576	/* of a PUBLISH of the daemon */

/**
 * enum kmqtt_cmd - commands and notifications
 *
 * @KMQTT_CMD_DAEMON_BIND: Become the owner of this network namespace.
 *	Reply: A_VERSION, A_FEATURES, A_INSTANCE, A_CONN_COUNT.  -EBUSY while
 *	another socket owns it.  All unacknowledged events become uncopied
 *	again; those an earlier owner has copied will carry EV_F_REPLAY.
 * @KMQTT_CMD_CONN_ATTACH: [owner] Take over the connected TCP socket A_FD.
 *	Optional: A_LISTENER, A_PEER, A_TLS_INFO, A_TLS_IDENTITY, A_PREREAD
 *	(bytes already read from it), A_CONNECT_TIMEOUT, A_MAX_PACKET_IN,
 *	A_CONN_FLAGS (CONN_F_RELAY).  Reply: A_CONN.  The gate is shut.  The
 *	caller must have removed the descriptor from epoll, and closes it after
 *	the reply.  -EBUSY: somebody else's socket; -EINVAL: not a TCP socket
 *	in state ESTABLISHED or CLOSE_WAIT; -ENOSPC: too many connections.
 * @KMQTT_CMD_CONN_ACCEPT: [owner] Answer the CONNECT of A_CONN positively.
 *	A_ACK_EVENT, A_ANSWER (the CONNACK), A_PROTOCOL, A_CLIENT_ID; optional
 *	A_USERNAME, A_MOUNT_POINT, A_MAX_QOS, A_RETAIN_AVAILABLE, A_KEEPALIVE,
 *	A_MAX_PACKET_IN, A_MAX_PACKET_OUT, A_ALIAS_MAX_IN, A_ALIAS_MAX_OUT,
 *	A_RECEIVE_MAX, A_QUEUE_BYTES, A_QUEUE_COUNT, A_DELIVER_BYTES, A_ACL,
 *	A_COOKIE, A_WILL, A_CONN_FLAGS, A_ACK_FLAGS.
 * @KMQTT_CMD_CONN_CLOSE: [owner; without owner anybody admitted] Close
 *	A_CONN.  Optional A_ACK_EVENT, A_ANSWER (last packet: CONNACK or
 *	DISCONNECT), A_REASON (of the DISCONNECT made without A_ANSWER, default
 *	0), A_CAUSE (reported in the close event, default CLOSE_DAEMON).  For a
 *	connection whose close event is pending A_ACK_EVENT alone acknowledges
 *	it and frees the connection.
 * @KMQTT_CMD_CONN_RELEASE: [owner] Enter RELEASE into the transmit list of
 *	A_CONN: opens the gate and clears HELD of its routes.
 * @KMQTT_CMD_CONN_GET: do: one connection (A_CONN); dump: all.  Reply: the
 *	attributes of CONN_ACCEPT, A_CONN, A_STATE, A_LAST_EVENT (acknowledged),
 *	A_LAST_DELIVER, A_LAST_LIVE, A_CONN_FLAGS (VOLATILE, GATE_SHUT ...), A_CONN_STATS.
 *	In the owner's dump messages with A_CONN and A_WILL follow, each with
 *	a piece of the will.
 * @KMQTT_CMD_ROUTE_ADD: [owner] A_FILTER goes to A_CONN (0 = the daemon).
 *	Optional A_ROUTE_FLAGS, A_MAX_QOS, A_SUBID, A_SHARE (group name).
 *	A_MOUNT_POINT is not applied: the filter is what the FIB holds.  An
 *	existing route (same target, share and filter) is replaced in place.
 *	With A_OLD_CONN the target of that connection's (or the daemon's, 0)
 *	route is changed to A_CONN; then A_TOKEN completes it by an event.
 * @KMQTT_CMD_ROUTE_DEL: [owner] Remove the route A_CONN, A_SHARE, A_FILTER.
 *	Completes by EV_DONE with A_TOKEN after an RCU grace period, also if
 *	there is no such route (A_ERROR in the event is then -ENOENT).
 * @KMQTT_CMD_ROUTE_GET: dump only: all routes, or those of A_CONN.
 * @KMQTT_CMD_ACL_SET: [owner] Install or replace rule set A_ACL: A_ACL_DEFAULT
 *	and A_ACL_RULE*.  A_TOKEN completes it by an event.
 * @KMQTT_CMD_ACL_DEL: [owner] Remove rule set A_ACL; -EBUSY while used.
 * @KMQTT_CMD_DELIVER: [owner] Any of: an acknowledgement (A_CONN,
 *	A_ACK_EVENT, A_ACK_FLAGS) with its answer packet (A_ANSWER); a PUBLISH
 *	(A_TOPIC, A_PROPERTIES, A_PAYLOAD*, A_MSG_FLAGS, A_EXPIRY) for A_DEST*.
 *	All take effect together.  With MSG_F_MORE this is a piece: its
 *	A_PAYLOAD parts are kept until the message without MSG_F_MORE comes
 *	on the same socket; only that last piece carries anything else.
 *	Reply (only if not all were accepted): A_DEST_RESULT*.
 *	A_ANSWER without A_ACK_EVENT is a packet sent on its own account, and
 *	A_ACK_FLAGS count without it too.
 * @KMQTT_CMD_INJECT: [owner] Route a QoS 0 PUBLISH of the daemon through the
 *	FIB: A_TOPIC, A_PROPERTIES, A_PAYLOAD*, A_MSG_FLAGS, A_EXPIRY, optional
 *	A_SOURCE_CONN (No Local); and an acknowledgement with answer as in
 *	DELIVER.  Pieces as in DELIVER.  Reply: none but the netlink ACK.
 * @KMQTT_CMD_EVENTS_GET: [owner] dump: all uncopied events.  Each message
 *	holds A_EVENT nests.  A dump copies; acknowledging dequeues.
 * @KMQTT_CMD_STATS_GET: Reply: A_STAT* nests {name, value}.
 * @KMQTT_CMD_PARAM_SET: A_PARAM nests {name, value}.
 * @KMQTT_CMD_PARAM_GET: do: reply A_PARAM* with all.
 * @KMQTT_CMD_READY: notification, dataless, unicast to the owner: something
 *	is uncopied.  May be lost to ENOBUFS; then pull anyway.
 * @KMQTT_CMD_MONITOR: notification to group "monitor": A_EVENT of type
 *	MON_* with A_CONN, A_PEER, A_CLIENT_ID, A_CAUSE.
 */
enum kmqtt_cmd {
	KMQTT_CMD_UNSPEC,
	KMQTT_CMD_DAEMON_BIND,
	KMQTT_CMD_CONN_ATTACH,
	KMQTT_CMD_CONN_ACCEPT,
	KMQTT_CMD_CONN_CLOSE,
	KMQTT_CMD_CONN_RELEASE,
	KMQTT_CMD_CONN_GET,
	KMQTT_CMD_ROUTE_ADD,
	KMQTT_CMD_ROUTE_DEL,
	KMQTT_CMD_ROUTE_GET,
	KMQTT_CMD_ACL_SET,
	KMQTT_CMD_ACL_DEL,
	KMQTT_CMD_DELIVER,
	KMQTT_CMD_INJECT,
	KMQTT_CMD_EVENTS_GET,
	KMQTT_CMD_STATS_GET,
	KMQTT_CMD_PARAM_SET,
	KMQTT_CMD_PARAM_GET,
	KMQTT_CMD_READY,
	KMQTT_CMD_MONITOR,

	__KMQTT_CMD_MAX
};

#define KMQTT_CMD_MAX (__KMQTT_CMD_MAX - 1)

/**
 * enum kmqtt_attr - top-level attributes
 *
 * @KMQTT_A_PAD: for 64-bit alignment
 * @KMQTT_A_VERSION: u32, KMQTT_GENL_VERSION of the module
 * @KMQTT_A_FEATURES: u32, KMQTT_FEATURE_* bits
 * @KMQTT_A_INSTANCE: u64, random, made when the module met this namespace;
 *	event numbers and connection ids mean nothing under another one
 * @KMQTT_A_CONN_COUNT: u32, attached connections
 * @KMQTT_A_CONN: u64, connection id, from 1, never reused; 0 is the daemon
 * @KMQTT_A_OLD_CONN: u64, see ROUTE_ADD
 * @KMQTT_A_SOURCE_CONN: u64, see INJECT
 * @KMQTT_A_FD: u32, a TCP socket of the caller
 * @KMQTT_A_LISTENER: u32, the daemon's number of the listener
 * @KMQTT_A_PEER: string, printable peer address, for people
 * @KMQTT_A_TLS_INFO: string, TLS version and cipher, for people
 * @KMQTT_A_TLS_IDENTITY: binary, verified name of the peer; in parts
 * @KMQTT_A_PREREAD: binary, plaintext already read from the socket
 * @KMQTT_A_CONNECT_TIMEOUT: u32, ms for the whole CONNECT to arrive (30000)
 * @KMQTT_A_PROTOCOL: u8, protocol level 3, 4 or 5
 * @KMQTT_A_CLIENT_ID: binary, UTF-8; in parts
 * @KMQTT_A_USERNAME: binary, UTF-8; in parts
 * @KMQTT_A_MOUNT_POINT: binary, put before topics of this client, taken off
 *	topics sent to it
 * @KMQTT_A_MAX_QOS: u8 0-2: highest QoS the client may publish (2); in routes
 *	the subscription's QoS
 * @KMQTT_A_RETAIN_AVAILABLE: u8 bool (1)
 * @KMQTT_A_KEEPALIVE: u16, seconds, 0 = off; the connection is closed after
 *	1.5 times it
 * @KMQTT_A_MAX_PACKET_IN: u32, largest packet accepted from the client,
 *	whole packet, bytes (268435460)
 * @KMQTT_A_MAX_PACKET_OUT: u32, client's Maximum Packet Size, 0 = none
 * @KMQTT_A_ALIAS_MAX_IN: u16, our Topic Alias Maximum (0)
 * @KMQTT_A_ALIAS_MAX_OUT: u16, the client's Topic Alias Maximum (0)
 * @KMQTT_A_RECEIVE_MAX: u16, Receive Maximum we announced to the client
 *	(65535): more unfinished QoS 1/2 PUBLISHes are a protocol error in 5.0
 * @KMQTT_A_QUEUE_BYTES: u32, limit of routed messages waiting (1048576)
 * @KMQTT_A_QUEUE_COUNT: u32, the same in messages, 0 = no limit (0)
 * @KMQTT_A_DELIVER_BYTES: u32, limit of delivered messages (4194304)
 * @KMQTT_A_ACL: u32, id of a rule set, 0 = none, everything allowed
 * @KMQTT_A_COOKIE: binary, the daemon's, returned by CONN_GET
 * @KMQTT_A_WILL: binary, the daemon's description of the will, returned by
 *	CONN_GET to the owner only; in parts
 * @KMQTT_A_CONN_FLAGS: u32, KMQTT_CONN_F_* bits
 * @KMQTT_A_STATE: u8, enum kmqtt_conn_state
 * @KMQTT_A_LAST_EVENT: u64, number of the last acknowledged event
 * @KMQTT_A_LAST_DELIVER: u64, highest AD_NUMBER accepted without DEST_F_LIVE
 * @KMQTT_A_LAST_LIVE: u64, highest AD_NUMBER accepted with DEST_F_LIVE
 * @KMQTT_A_CONN_STATS: nest of KMQTT_CS_*
 * @KMQTT_A_ACK_EVENT: u64, acknowledges all events of A_CONN up to it
 * @KMQTT_A_ACK_FLAGS: u32, KMQTT_ACK_F_* bits
 * @KMQTT_A_ANSWER: binary, one or more ready-made packets for A_CONN
 * @KMQTT_A_FILTER: binary, topic filter, UTF-8, not empty; in parts
 * @KMQTT_A_ROUTE_FLAGS: u32, KMQTT_ROUTE_F_* bits
 * @KMQTT_A_SUBID: u32, Subscription Identifier 1-268435455, 0 = none; may
 *	be repeated in A_DEST
 * @KMQTT_A_SHARE: binary, share name; in parts
 * @KMQTT_A_TOKEN: u64, the daemon's, returned in EV_DONE; without it no event
 * @KMQTT_A_ACL_DEFAULT: u32, KMQTT_ACL_* bits allowed when no rule matches
 * @KMQTT_A_ACL_RULE: nest of KMQTT_AR_*
 * @KMQTT_A_TOPIC: binary, Topic Name, UTF-8, with mount point; in parts
 * @KMQTT_A_PROPERTIES: binary, the PUBLISH properties that travel on, encoded
 *	as in 5.0 without the length: no Topic Alias, Subscription
 *	Identifier or Message Expiry Interval; in parts
 * @KMQTT_A_PAYLOAD: binary, part of the payload, may be repeated
 * @KMQTT_A_MSG_FLAGS: u32, KMQTT_MSG_F_* bits
 * @KMQTT_A_EXPIRY: u64, milliseconds of Message Expiry left now; absent = never
 * @KMQTT_A_DEST: nest of KMQTT_AD_*, may be repeated
 * @KMQTT_A_DEST_RESULT: nest of KMQTT_AD_CONN, KMQTT_AD_INDEX, KMQTT_AD_RESULT
 * @KMQTT_A_EVENT: nest of KMQTT_AE_*
 * @KMQTT_A_STAT: nest of KMQTT_AN_NAME, KMQTT_AN_VALUE
 * @KMQTT_A_PARAM: nest of KMQTT_AN_NAME, KMQTT_AN_VALUE
 * @KMQTT_A_CAUSE: u8, enum kmqtt_close_cause
 * @KMQTT_A_REASON: u8, MQTT 5.0 reason code sent or received at the close
 */
enum kmqtt_attr {
	KMQTT_A_UNSPEC,
	KMQTT_A_PAD,
	KMQTT_A_VERSION,
	KMQTT_A_FEATURES,
	KMQTT_A_INSTANCE,
	KMQTT_A_CONN_COUNT,
	KMQTT_A_CONN,
	KMQTT_A_OLD_CONN,
	KMQTT_A_SOURCE_CONN,
	KMQTT_A_FD,
	KMQTT_A_LISTENER,
	KMQTT_A_PEER,
	KMQTT_A_TLS_INFO,
	KMQTT_A_TLS_IDENTITY,
	KMQTT_A_PREREAD,
	KMQTT_A_CONNECT_TIMEOUT,
	KMQTT_A_PROTOCOL,
	KMQTT_A_CLIENT_ID,
	KMQTT_A_USERNAME,
	KMQTT_A_MOUNT_POINT,
	KMQTT_A_MAX_QOS,
	KMQTT_A_RETAIN_AVAILABLE,
	KMQTT_A_KEEPALIVE,
	KMQTT_A_MAX_PACKET_IN,
	KMQTT_A_MAX_PACKET_OUT,
	KMQTT_A_ALIAS_MAX_IN,
	KMQTT_A_ALIAS_MAX_OUT,
	KMQTT_A_RECEIVE_MAX,
	KMQTT_A_QUEUE_BYTES,
	KMQTT_A_QUEUE_COUNT,
	KMQTT_A_DELIVER_BYTES,
	KMQTT_A_ACL,
	KMQTT_A_COOKIE,
	KMQTT_A_WILL,
	KMQTT_A_CONN_FLAGS,
	KMQTT_A_STATE,
	KMQTT_A_LAST_EVENT,
	KMQTT_A_LAST_DELIVER,
	KMQTT_A_LAST_LIVE,
	KMQTT_A_CONN_STATS,
	KMQTT_A_ACK_EVENT,
	KMQTT_A_ACK_FLAGS,
	KMQTT_A_ANSWER,
	KMQTT_A_FILTER,
	KMQTT_A_ROUTE_FLAGS,
	KMQTT_A_SUBID,
	KMQTT_A_SHARE,
	KMQTT_A_TOKEN,
	KMQTT_A_ACL_DEFAULT,
	KMQTT_A_ACL_RULE,
	KMQTT_A_TOPIC,
	KMQTT_A_PROPERTIES,
	KMQTT_A_PAYLOAD,
	KMQTT_A_MSG_FLAGS,
	KMQTT_A_EXPIRY,
	KMQTT_A_DEST,
	KMQTT_A_DEST_RESULT,
	KMQTT_A_EVENT,
	KMQTT_A_STAT,
	KMQTT_A_PARAM,
	KMQTT_A_CAUSE,
	KMQTT_A_REASON,

	__KMQTT_A_MAX
};

#define KMQTT_A_MAX (__KMQTT_A_MAX - 1)

/**
 * enum kmqtt_dest_attr - one destination of DELIVER
 *
 * @KMQTT_AD_CONN: u64, connection
 * @KMQTT_AD_INDEX: u32, in results: position among the A_DEST, from 0
 * @KMQTT_AD_NUMBER: u64, the session's number of a stored PUBLISH; one at or
 *	below the last accepted is ignored and counts as accepted
 * @KMQTT_AD_QOS: u8, 0-2
 * @KMQTT_AD_PACKET_ID: u16, for QoS > 0
 * @KMQTT_AD_FLAGS: u32, KMQTT_DEST_F_* bits
 * @KMQTT_AD_SUBID: u32, Subscription Identifier, may be repeated up to
 *	KMQTT_SUBIDS_MAX times
 * @KMQTT_AD_RESULT: u8, enum kmqtt_dest_result
 */
enum kmqtt_dest_attr {
	KMQTT_AD_UNSPEC,
	KMQTT_AD_CONN,
	KMQTT_AD_INDEX,
	KMQTT_AD_NUMBER,
	KMQTT_AD_QOS,
	KMQTT_AD_PACKET_ID,
	KMQTT_AD_FLAGS,
	KMQTT_AD_SUBID,
	KMQTT_AD_RESULT,

	__KMQTT_AD_MAX
};

#define KMQTT_AD_MAX (__KMQTT_AD_MAX - 1)

/* KMQTT_AD_FLAGS */
#define KMQTT_DEST_F_DUP	(1U << 0)
#define KMQTT_DEST_F_RETAIN	(1U << 1)
#define KMQTT_DEST_F_LIVE	(1U << 2)	/* waits behind a shut gate */
#define KMQTT_DEST_F_VOLATILE	(1U << 3)	/* QoS > 0, no store holds it */

/**
 * enum kmqtt_dest_result - what became of one destination
 *
 * @KMQTT_DEST_ACCEPTED: queued for transmission
 * @KMQTT_DEST_GONE: no such connection, or it is closing
 * @KMQTT_DEST_TOO_LARGE: exceeds the client's Maximum Packet Size
 * @KMQTT_DEST_FULL: A_DELIVER_BYTES reached, or one before it was refused;
 *	EV_WRITABLE follows
 * @KMQTT_DEST_DENIED: the read ACL forbids it
 */
enum kmqtt_dest_result {
	KMQTT_DEST_ACCEPTED,
	KMQTT_DEST_GONE,
	KMQTT_DEST_TOO_LARGE,
	KMQTT_DEST_FULL,
	KMQTT_DEST_DENIED,
};

/**
 * enum kmqtt_event_attr - one event, or one piece of it
 *
 * @KMQTT_AE_TYPE: u8, enum kmqtt_event_type
 * @KMQTT_AE_CONN: u64
 * @KMQTT_AE_NUMBER: u64, from 1, per connection (PACKET, COPY, CLOSE)
 * @KMQTT_AE_FLAGS: u32, KMQTT_EV_F_* bits
 * @KMQTT_AE_LENGTH: u32, length of the whole packet
 * @KMQTT_AE_OFFSET: u32, where A_DATA begins in it; pieces come in order and
 *	only the piece with offset 0 carries the other attributes
 * @KMQTT_AE_DATA: binary, bytes of the packet as received, fixed header
 *	included; a PUBLISH with a Topic Alias comes with its Topic Name and
 *	without the alias; COPY: a 5.0 PUBLISH at QoS 0 with the topic of the FIB
 * @KMQTT_AE_CAUSE: u8, enum kmqtt_close_cause
 * @KMQTT_AE_REASON: u8, MQTT 5.0 reason code of the close
 * @KMQTT_AE_TOKEN: u64, of the completed command
 * @KMQTT_AE_ERROR: s32 as u32, 0 or -errno of the completed command
 * @KMQTT_AE_TIME: u64, arrival, nanoseconds of CLOCK_BOOTTIME
 * @KMQTT_AE_SHUT: binary, u64 each: of a copy, the connections with a shut gate
 *	that the same look-up gave the message to, KMQTT_SHUT_MAX at most
 */
enum kmqtt_event_attr {
	KMQTT_AE_UNSPEC,
	KMQTT_AE_PAD,
	KMQTT_AE_TYPE,
	KMQTT_AE_CONN,
	KMQTT_AE_NUMBER,
	KMQTT_AE_FLAGS,
	KMQTT_AE_LENGTH,
	KMQTT_AE_OFFSET,
	KMQTT_AE_DATA,
	KMQTT_AE_CAUSE,
	KMQTT_AE_REASON,
	KMQTT_AE_TOKEN,
	KMQTT_AE_ERROR,
	KMQTT_AE_TIME,
	KMQTT_AE_SHUT,

	__KMQTT_AE_MAX
};

#define KMQTT_AE_MAX (__KMQTT_AE_MAX - 1)

/**
 * enum kmqtt_event_type - kinds of events
 *
 * @KMQTT_EV_PACKET: a punted packet; numbered
 * @KMQTT_EV_COPY: a message for the daemon as route target; numbered
 * @KMQTT_EV_CLOSE: the connection ended; its last event; numbered.  A_DATA
 *	holds the client's DISCONNECT packet if it sent one.
 * @KMQTT_EV_WRITABLE: a destination that was full has room again, and takes
 *	messages after ACK_F_REOPEN
 * @KMQTT_EV_DONE: a command with A_TOKEN completed
 * @KMQTT_EV_MON_ATTACH: monitor group: connection attached
 * @KMQTT_EV_MON_ACCEPT: monitor group: CONNECT accepted
 * @KMQTT_EV_MON_CLOSE: monitor group: connection closed
 */
enum kmqtt_event_type {
	KMQTT_EV_UNSPEC,
	KMQTT_EV_PACKET,
	KMQTT_EV_COPY,
	KMQTT_EV_CLOSE,
	KMQTT_EV_WRITABLE,
	KMQTT_EV_DONE,
	KMQTT_EV_MON_ATTACH,
	KMQTT_EV_MON_ACCEPT,
	KMQTT_EV_MON_CLOSE,
};

/* KMQTT_AE_FLAGS */
#define KMQTT_EV_F_REPLAY	(1U << 0)	/* may have been handled before */
#define KMQTT_EV_F_SHUT_MORE	(1U << 1)	/* copy: there are more than A_SHUT names */

/**
 * enum kmqtt_close_cause - why a connection ended
 *
 * @KMQTT_CLOSE_NONE: it has not
 * @KMQTT_CLOSE_DISCONNECT: the client sent DISCONNECT (see A_REASON)
 * @KMQTT_CLOSE_EOF: the client closed without DISCONNECT
 * @KMQTT_CLOSE_ERROR: socket error
 * @KMQTT_CLOSE_KEEPALIVE: 1.5 times the Keep Alive without a packet
 * @KMQTT_CLOSE_CONNECT_TIMEOUT: no complete CONNECT in time
 * @KMQTT_CLOSE_MALFORMED: malformed packet (5.0: 0x81)
 * @KMQTT_CLOSE_PROTOCOL: protocol error (5.0: 0x82)
 * @KMQTT_CLOSE_TOO_LARGE: packet above A_MAX_PACKET_IN (5.0: 0x95)
 * @KMQTT_CLOSE_TOPIC_INVALID: topic name refused (5.0: 0x90)
 * @KMQTT_CLOSE_ALIAS_INVALID: topic alias refused (5.0: 0x94)
 * @KMQTT_CLOSE_QOS: QoS above A_MAX_QOS (5.0: 0x9B)
 * @KMQTT_CLOSE_RETAIN: RETAIN not available (5.0: 0x9A)
 * @KMQTT_CLOSE_RECEIVE_MAX: Receive Maximum exceeded (5.0: 0x93)
 * @KMQTT_CLOSE_QUOTA: memory limit (5.0: 0x97)
 * @KMQTT_CLOSE_SLOW: its queue overflowed and it is to be disconnected
 * @KMQTT_CLOSE_DAEMON: CONN_CLOSE
 * @KMQTT_CLOSE_TAKEOVER: CONN_CLOSE: session taken over (5.0: 0x8E)
 * @KMQTT_CLOSE_DAEMON_GONE: daemon_grace ran out
 * @KMQTT_CLOSE_SHUTDOWN: namespace or module goes
 */
enum kmqtt_close_cause {
	KMQTT_CLOSE_NONE,
	KMQTT_CLOSE_DISCONNECT,
	KMQTT_CLOSE_EOF,
	KMQTT_CLOSE_ERROR,
	KMQTT_CLOSE_KEEPALIVE,
	KMQTT_CLOSE_CONNECT_TIMEOUT,
	KMQTT_CLOSE_MALFORMED,
	KMQTT_CLOSE_PROTOCOL,
	KMQTT_CLOSE_TOO_LARGE,
	KMQTT_CLOSE_TOPIC_INVALID,
	KMQTT_CLOSE_ALIAS_INVALID,
	KMQTT_CLOSE_QOS,
	KMQTT_CLOSE_RETAIN,
	KMQTT_CLOSE_RECEIVE_MAX,
	KMQTT_CLOSE_QUOTA,
	KMQTT_CLOSE_SLOW,
	KMQTT_CLOSE_DAEMON,
	KMQTT_CLOSE_TAKEOVER,
	KMQTT_CLOSE_DAEMON_GONE,
	KMQTT_CLOSE_SHUTDOWN,

	__KMQTT_CLOSE_MAX
};

#define KMQTT_CLOSE_MAX (__KMQTT_CLOSE_MAX - 1)

/**
 * enum kmqtt_conn_state - states of a connection
 *
 * @KMQTT_STATE_CONNECTING: attached, CONNECT not yet accepted
 * @KMQTT_STATE_OPEN: accepted
 * @KMQTT_STATE_CLOSING: CONN_CLOSE seen, draining
 * @KMQTT_STATE_CLOSED: close event pending or unacknowledged
 */
enum kmqtt_conn_state {
	KMQTT_STATE_CONNECTING,
	KMQTT_STATE_OPEN,
	KMQTT_STATE_CLOSING,
	KMQTT_STATE_CLOSED,
};

/* KMQTT_A_CONN_FLAGS */
#define KMQTT_CONN_F_RELAY	(1U << 0)	/* ends with the daemon */
#define KMQTT_CONN_F_VOLATILE	(1U << 1)	/* owes QoS 1/2 no store holds */
#define KMQTT_CONN_F_GATE_SHUT	(1U << 2)
#define KMQTT_CONN_F_RELEASE	(1U << 3)	/* CONN_ACCEPT: open the gate after CONNACK */
#define KMQTT_CONN_F_DROP_SLOW	(1U << 4)	/* disconnect instead of dropping */
#define KMQTT_CONN_F_PAUSED	(1U << 5)	/* not read at present */
#define KMQTT_CONN_F_BARRIER	(1U << 6)	/* waits for an answer */
#define KMQTT_CONN_F_NO_SESSION	(1U << 7)	/* no expiry in CONNECT: none in DISCONNECT */
#define KMQTT_CONN_F_AUTH	(1U << 8)	/* in the middle of an AUTH exchange */

/* KMQTT_A_ACK_FLAGS */
#define KMQTT_ACK_F_SETTLED	(1U << 0)	/* nothing outstanding: clear VOLATILE */
#define KMQTT_ACK_F_VOLATILE	(1U << 1)	/* owes what no store holds: set it */
#define KMQTT_ACK_F_AUTH	(1U << 2)	/* an AUTH exchange goes on: set CONN_F_AUTH */
#define KMQTT_ACK_F_AUTH_END	(1U << 3)	/* it is over: clear it */
#define KMQTT_ACK_F_REOPEN	(1U << 4)	/* what was refused comes next: take deliveries */

/* KMQTT_A_ROUTE_FLAGS */
#define KMQTT_ROUTE_F_NO_LOCAL		(1U << 0)
#define KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED (1U << 1)
#define KMQTT_ROUTE_F_RH_MASK		(3U << 2)	/* Retain Handling, kept for the daemon */
#define KMQTT_ROUTE_F_RH_SHIFT		2
#define KMQTT_ROUTE_F_HOLD		(1U << 4)	/* ROUTE_ADD: gate shut, even if refused */
#define KMQTT_ROUTE_F_HELD		(1U << 5)	/* ROUTE_GET: not yet released */

/* KMQTT_A_MSG_FLAGS */
#define KMQTT_MSG_F_MORE	(1U << 0)	/* a piece, not the last */
#define KMQTT_MSG_F_RETAIN	(1U << 1)	/* for Retain As Published */

/**
 * enum kmqtt_acl_rule_attr - one rule of a rule set; the first that matches
 * and speaks of the wanted access decides
 *
 * @KMQTT_AR_FILTER: binary, topic filter, may hold %u and %c as parts of levels
 * @KMQTT_AR_ACCESS: u32, KMQTT_ACL_READ | KMQTT_ACL_WRITE: what it speaks of
 * @KMQTT_AR_DENY: flag: it forbids instead of allowing
 * @KMQTT_AR_PATTERN: flag: replace %u and %c by the connection's strings
 */
enum kmqtt_acl_rule_attr {
	KMQTT_AR_UNSPEC,
	KMQTT_AR_FILTER,
	KMQTT_AR_ACCESS,
	KMQTT_AR_DENY,
	KMQTT_AR_PATTERN,

	__KMQTT_AR_MAX
};

#define KMQTT_AR_MAX (__KMQTT_AR_MAX - 1)

#define KMQTT_ACL_READ		(1U << 0)	/* messages to the client */
#define KMQTT_ACL_WRITE		(1U << 1)	/* messages from the client */

/**
 * enum kmqtt_named_attr - a named number (statistics, parameters)
 *
 * @KMQTT_AN_NAME: string
 * @KMQTT_AN_VALUE: s64 as u64
 *
 * Parameters: "forwarding" 0|1 (1): 0 punts QoS 0 too; "daemon_grace" seconds,
 * -1..2147483 (600; -1 for ever, initial namespace only; 0 closes at once);
 * "close_timeout" ms 1..60000 (2000); "max_connections" 1..1000000 (100000);
 * "memory_limit" bytes held for peers in all, 1 MiB.. (268435456).
 */
enum kmqtt_named_attr {
	KMQTT_AN_UNSPEC,
	KMQTT_AN_PAD,
	KMQTT_AN_NAME,
	KMQTT_AN_VALUE,

	__KMQTT_AN_MAX
};

#define KMQTT_AN_MAX (__KMQTT_AN_MAX - 1)

/**
 * enum kmqtt_conn_stat - counters of a connection (KMQTT_A_CONN_STATS), u64
 *
 * @KMQTT_CS_BYTES_RX: bytes read
 * @KMQTT_CS_BYTES_TX: bytes given to TCP
 * @KMQTT_CS_PACKETS_RX: MQTT packets read
 * @KMQTT_CS_PACKETS_TX: MQTT packets queued
 * @KMQTT_CS_PUBLISH_ROUTED: PUBLISHes of this client routed in the kernel
 * @KMQTT_CS_PUBLISH_PUNTED: PUBLISHes of this client given to the daemon
 * @KMQTT_CS_PUBLISH_SENT: PUBLISHes queued to it
 * @KMQTT_CS_DROPPED: PUBLISHes dropped because its queue was full
 * @KMQTT_CS_DENIED: PUBLISHes of this client the ACL refused
 * @KMQTT_CS_QUEUE_BYTES: bytes waiting to be sent now
 * @KMQTT_CS_EVENTS: events waiting for acknowledgement now
 * @KMQTT_CS_IDLE_MS: milliseconds since the last packet from the client
 */
enum kmqtt_conn_stat {
	KMQTT_CS_UNSPEC,
	KMQTT_CS_PAD,
	KMQTT_CS_BYTES_RX,
	KMQTT_CS_BYTES_TX,
	KMQTT_CS_PACKETS_RX,
	KMQTT_CS_PACKETS_TX,
	KMQTT_CS_PUBLISH_ROUTED,
	KMQTT_CS_PUBLISH_PUNTED,
	KMQTT_CS_PUBLISH_SENT,
	KMQTT_CS_DROPPED,
	KMQTT_CS_DENIED,
	KMQTT_CS_QUEUE_BYTES,
	KMQTT_CS_EVENTS,
	KMQTT_CS_IDLE_MS,

	__KMQTT_CS_MAX
};

#define KMQTT_CS_MAX (__KMQTT_CS_MAX - 1)

/* KMQTT_A_FEATURES: none yet; a bit is added with each optional command. */

#endif /* _UAPI_LINUX_KMQTT_H */
