// SPDX-License-Identifier: GPL-2.0
/* Driver of libmosquitto for client-matrix, which says what it reads and prints. */
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

static struct mosquitto *client;
static int port, version;
static atomic_bool online;

static void check(int rc, const char *what)
{
	if (rc)
		printf("failed %s: %s\n", what, mosquitto_strerror(rc));
}

static void on_connect(struct mosquitto *m, void *arg, int rc, int flags,
		       const mosquitto_property *props)
{
	online = !rc;
	if (rc)
		printf("failed connect: reason code %d\n", rc);
	else
		printf("connected %d\n", flags & 1);
}

/* Its thread and ours may both tell it. */
static void on_disconnect(struct mosquitto *m, void *arg, int rc,
			  const mosquitto_property *props)
{
	bool first = atomic_exchange(&online, false);

	if (rc)
		printf("failed connection: %s\n", mosquitto_strerror(rc));
	else if (first)
		puts("disconnected");
}

static void on_subscribe(struct mosquitto *m, void *arg, int mid, int n, const int *granted,
			 const mosquitto_property *props)
{
	printf("subscribed %d\n", granted[0]);
}

static void on_unsubscribe(struct mosquitto *m, void *arg, int mid,
			   const mosquitto_property *props)
{
	puts("unsubscribed");
}

static void on_publish(struct mosquitto *m, void *arg, int mid, int rc,
		       const mosquitto_property *props)
{
	/* 0x10: there is no subscriber */
	if (rc && rc != 0x10)
		printf("failed publish: reason code %d\n", rc);
	else
		puts("published");
}

static void on_message(struct mosquitto *m, void *arg, const struct mosquitto_message *msg,
		       const mosquitto_property *props)
{
	printf("message %d %d %s %.*s\n", msg->qos, msg->retain, msg->topic, msg->payloadlen,
	       (const char *)msg->payload);
}

static void make_client(const char *id, bool clean)
{
	if (client) {
		mosquitto_loop_stop(client, false);
		mosquitto_destroy(client);
	}
	client = mosquitto_new(id, clean, NULL);
	mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, version);
	mosquitto_connect_v5_callback_set(client, on_connect);
	mosquitto_disconnect_v5_callback_set(client, on_disconnect);
	mosquitto_subscribe_v5_callback_set(client, on_subscribe);
	mosquitto_unsubscribe_v5_callback_set(client, on_unsubscribe);
	mosquitto_publish_v5_callback_set(client, on_publish);
	mosquitto_message_v5_callback_set(client, on_message);
}

void driver_connect(const char *id, bool clean, const struct message *will)
{
	mosquitto_property *props = NULL;

	make_client(id, clean);
	if (will)
		check(mosquitto_will_set_v5(client, will->topic, (int)strlen(will->payload),
					    will->payload, will->qos, will->retain, NULL), "will");
	if (version == MQTT_PROTOCOL_V5 && !clean)
		mosquitto_property_add_int32(&props, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
					     SESSION_EXPIRY);
	check(mosquitto_connect_bind_v5(client, "127.0.0.1", port, KEEP_ALIVE, NULL, props),
	      "connect");
	mosquitto_property_free_all(&props);
	check(mosquitto_loop_start(client), "loop");
}

void driver_subscribe(const char *filter, int qos)
{
	check(mosquitto_subscribe(client, NULL, filter, qos), "subscribe");
}

void driver_unsubscribe(const char *filter)
{
	check(mosquitto_unsubscribe(client, NULL, filter), "unsubscribe");
}

void driver_publish(const struct message *m)
{
	check(mosquitto_publish(client, NULL, m->topic, (int)strlen(m->payload), m->payload,
				m->qos, m->retain), "publish");
}

void driver_disconnect(void)
{
	check(mosquitto_disconnect(client), "disconnect");
}

int main(int argc, char **argv)
{
	port = atoi(argv[1]);
	version = atoi(argv[2]);
	mosquitto_lib_init();
	driver_run();
	return 0;
}
