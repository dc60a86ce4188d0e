// SPDX-License-Identifier: GPL-2.0
/* Driver of Paho's C client for client-matrix, which says what it reads and prints. */
#include <MQTTAsync.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

static MQTTAsync client;
static char uri[64];
static int version;

static void check(int rc, const char *what)
{
	if (rc != MQTTASYNC_SUCCESS)
		printf("failed %s: %s\n", what, MQTTAsync_strerror(rc));
}

static void on_connect(void *what, MQTTAsync_successData *data)
{
	printf("connected %d\n", data->alt.connect.sessionPresent);
}

static void on_connect5(void *what, MQTTAsync_successData5 *data)
{
	printf("connected %d\n", data->alt.connect.sessionPresent);
}

static void on_subscribe(void *what, MQTTAsync_successData *data)
{
	printf("subscribed %d\n", data->alt.qos);
}

static void on_subscribe5(void *what, MQTTAsync_successData5 *data)
{
	printf("subscribed %d\n", data->reasonCode);
}

/* @what is the event's word. */
static void on_done(void *what, MQTTAsync_successData *data)
{
	puts(what);
}

static void on_done5(void *what, MQTTAsync_successData5 *data)
{
	puts(what);
}

static void on_failure(void *what, MQTTAsync_failureData *data)
{
	printf("failed %s: %d %s\n", (char *)what, data->code,
	       data->message ? data->message : "");
}

static void on_failure5(void *what, MQTTAsync_failureData5 *data)
{
	printf("failed %s: %d, reason code %d\n", (char *)what, data->code, data->reasonCode);
}

static void on_lost(void *arg, char *cause)
{
	printf("failed connection: %s\n", cause ? cause : "lost");
}

static int on_message(void *arg, char *topic, int topic_len, MQTTAsync_message *m)
{
	printf("message %d %d %s %.*s\n", m->qos, m->retained, topic, m->payloadlen,
	       (char *)m->payload);
	MQTTAsync_freeMessage(&m);
	MQTTAsync_free(topic);
	return 1;
}

static MQTTAsync_responseOptions answer(char *what)
{
	MQTTAsync_responseOptions r = MQTTAsync_responseOptions_initializer;

	r.context = what;
	if (version == MQTTVERSION_5) {
		r.onSuccess5 = on_done5;
		r.onFailure5 = on_failure5;
	} else {
		r.onSuccess = on_done;
		r.onFailure = on_failure;
	}
	return r;
}

static void make_client(const char *id)
{
	MQTTAsync_createOptions opts = MQTTAsync_createOptions_initializer;

	MQTTAsync_destroy(&client);
	opts.MQTTVersion = version;
	check(MQTTAsync_createWithOptions(&client, uri, id, MQTTCLIENT_PERSISTENCE_NONE, NULL,
					  &opts), "create");
	check(MQTTAsync_setCallbacks(client, NULL, on_lost, on_message, NULL), "callbacks");
}

static void connect_v5(MQTTAsync_connectOptions *o, MQTTProperties *props, bool clean)
{
	MQTTProperty expiry = {
		.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL,
		.value.integer4 = SESSION_EXPIRY,
	};

	o->cleanstart = clean;
	if (!clean) {
		MQTTProperties_add(props, &expiry);
		o->connectProperties = props;
	}
	o->onSuccess5 = on_connect5;
	o->onFailure5 = on_failure5;
}

void driver_connect(const char *id, bool clean, const struct message *will)
{
	MQTTAsync_connectOptions o3 = MQTTAsync_connectOptions_initializer;
	MQTTAsync_connectOptions o5 = MQTTAsync_connectOptions_initializer5;
	MQTTAsync_connectOptions *o = version == MQTTVERSION_5 ? &o5 : &o3;
	MQTTAsync_willOptions w = MQTTAsync_willOptions_initializer;
	MQTTProperties props = MQTTProperties_initializer;

	make_client(id);
	o->keepAliveInterval = KEEP_ALIVE;
	o->MQTTVersion = version;
	o->context = "connect";
	if (will) {
		w.topicName = will->topic;
		w.message = will->payload;
		w.qos = will->qos;
		w.retained = will->retain;
		o->will = &w;
	}
	if (version == MQTTVERSION_5) {
		connect_v5(o, &props, clean);
	} else {
		o->cleansession = clean;
		o->onSuccess = on_connect;
		o->onFailure = on_failure;
	}
	check(MQTTAsync_connect(client, o), "connect");
	MQTTProperties_free(&props);
}

void driver_subscribe(const char *filter, int qos)
{
	MQTTAsync_responseOptions r = answer("subscribe");

	if (version == MQTTVERSION_5)
		r.onSuccess5 = on_subscribe5;
	else
		r.onSuccess = on_subscribe;
	check(MQTTAsync_subscribe(client, filter, qos, &r), "subscribe");
}

void driver_unsubscribe(const char *filter)
{
	MQTTAsync_responseOptions r = answer("unsubscribed");

	check(MQTTAsync_unsubscribe(client, filter, &r), "unsubscribe");
}

void driver_publish(const struct message *m)
{
	MQTTAsync_responseOptions r = answer("published");

	check(MQTTAsync_send(client, m->topic, (int)strlen(m->payload), m->payload, m->qos,
			     m->retain, &r), "publish");
}

void driver_disconnect(void)
{
	MQTTAsync_disconnectOptions o = MQTTAsync_disconnectOptions_initializer;

	o.context = "disconnected";
	if (version == MQTTVERSION_5) {
		o.onSuccess5 = on_done5;
		o.onFailure5 = on_failure5;
	} else {
		o.onSuccess = on_done;
		o.onFailure = on_failure;
	}
	check(MQTTAsync_disconnect(client, &o), "disconnect");
}

int main(int argc, char **argv)
{
	snprintf(uri, sizeof(uri), "tcp://127.0.0.1:%s", argv[1]);
	version = atoi(argv[2]);
	driver_run();
	return 0;
}
