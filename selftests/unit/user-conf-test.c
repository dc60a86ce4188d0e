// SPDX-License-Identifier: GPL-2.0
/*
 * The configuration: every option, its limits, and what is said when it is
 * wrong.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"

#include "conf-table.h"
#include "conf.h"

static char path[64];

static struct conf *load(const char *text)
{
	struct conf *conf;
	FILE *f;

	write_file(path, text);
	f = report_begin();
	conf = conf_load(path, 0, f);
	report_end(f);
	return conf;
}

/* The text is accepted without a word. */
static struct conf *good(const char *text)
{
	struct conf *conf = load(text);

	assert_string_equal(report, "");
	assert_non_null(conf);
	return conf;
}

/* The text is refused at @line with words that contain @what. */
static void bad(const char *text, unsigned int line, const char *what)
{
	if (load(text))
		fail_msg("accepted: %s", text);
	report_has(path, line, what, text);
}

static unsigned int count_lines(const char *s)
{
	unsigned int n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

static void test_defaults(void **state)
{
	struct conf *conf = conf_load(NULL, 0, stderr);

	assert_non_null(conf);
	assert_int_equal(conf->n_listeners, 1);
	assert_true(conf->listeners[0].local_only);
	assert_int_equal(conf->listeners[0].port, 1883);
	assert_true(conf->listeners[0].security.allow_anonymous);
	assert_string_equal(conf->listeners[0].security.auto_id_prefix, "auto-");
	assert_true(conf->listeners[0].security.allow_zero_length_clientid);
	assert_int_equal(conf->listeners[0].max_connections, -1);
	assert_int_equal(conf->listeners[0].max_qos, 2);
	assert_int_equal(conf->listeners[0].max_topic_alias, 10);
	assert_int_equal(conf->listeners[0].receive_buffer, 262144);
	assert_int_equal(conf->listeners[0].send_buffer, 262144);
	assert_false(conf->listeners[0].disconnect_slow);
	assert_true(conf->persistence);
	assert_string_equal(conf->persistence_file, "mqttd.db");
	assert_string_equal(conf->persistence_location, "/var/lib/mqttd");
	assert_int_equal(conf->persistence_sync, STORE_SYNC_ALWAYS);
	assert_int_equal(conf->persistence_sync_interval, 1);
	assert_int_equal(conf->max_inflight_messages, 20);
	assert_int_equal(conf->max_queued_messages, 1000);
	assert_int_equal(conf->max_pubrel_wait, 0);
	assert_int_equal(conf->retry_interval, 20);
	assert_int_equal(conf->max_keepalive, 65535);
	assert_true(conf->retain_available);
	assert_true(conf->set_tcp_nodelay);
	assert_false(conf->allow_long_clientid_31);
	assert_int_equal(conf->log.types, MQTTD_LOG_DEFAULT);
	assert_int_equal(conf->log.dest, MQTTD_LOG_TO_STDERR);
	conf_free(conf);
}

static void test_port_argument(void **state)
{
	struct conf *conf = conf_load(NULL, 1999, stderr);

	assert_int_equal(conf->listeners[0].port, 1999);
	assert_true(conf->listeners[0].local_only);
	conf_free(conf);
}

static void test_listener_closes_anonymous(void **state)
{
	struct conf *conf = good("listener 1884\n");

	assert_int_equal(conf->n_listeners, 1);
	assert_false(conf->listeners[0].local_only);
	assert_false(conf->listeners[0].security.allow_anonymous);
	assert_null(conf->listeners[0].bind_address);
	conf_free(conf);

	conf = good("allow_anonymous true\nlistener 1884 127.0.0.1\n");
	assert_true(conf->listeners[0].security.allow_anonymous);
	assert_string_equal(conf->listeners[0].bind_address, "127.0.0.1");
	conf_free(conf);

	conf = good("allow_anonymous false\n");
	assert_true(conf->listeners[0].local_only);
	assert_false(conf->listeners[0].security.allow_anonymous);
	conf_free(conf);
}

static void test_port_and_bind_address(void **state)
{
	struct conf *conf = good("port 1885\n");

	assert_false(conf->listeners[0].local_only);
	assert_int_equal(conf->listeners[0].port, 1885);
	conf_free(conf);

	conf = good("bind_address ::1\nmax_connections 3\n");
	assert_false(conf->listeners[0].local_only);
	assert_int_equal(conf->listeners[0].port, 1883);
	assert_string_equal(conf->listeners[0].bind_address, "::1");
	assert_int_equal(conf->listeners[0].max_connections, 3);
	conf_free(conf);

	conf = good("port 1885\nlistener 1886\n");
	assert_int_equal(conf->n_listeners, 2);
	conf_free(conf);
}

static void test_listener_options(void **state)
{
	struct conf *conf = good("listener 1\n"
				 "max_connections 10\n"
				 "max_qos 1\n"
				 "max_topic_alias 0\n"
				 "receive_buffer 4096\n"
				 "send_buffer 536870912\n"
				 "slow_consumer disconnect\n"
				 "mount_point a/b/\n"
				 "use_username_as_clientid true\n"
				 "socket_domain ipv6\n"
				 "bind_interface eth0\n"
				 "protocol mqtt\n"
				 "listener 65535 localhost\n"
				 "max_connections -1\n"
				 "socket_domain ipv4\n");
	const struct conf_listener *l = conf->listeners;

	assert_int_equal(conf->n_listeners, 2);
	assert_int_equal(l[0].port, 1);
	assert_int_equal(l[0].max_connections, 10);
	assert_int_equal(l[0].max_qos, 1);
	assert_int_equal(l[0].max_topic_alias, 0);
	assert_int_equal(l[0].receive_buffer, 4096);
	assert_int_equal(l[0].send_buffer, 536870912);
	assert_true(l[0].disconnect_slow);
	assert_false(l[1].disconnect_slow);
	assert_string_equal(l[0].mount_point, "a/b/");
	assert_true(l[0].use_username_as_clientid);
	assert_int_equal(l[0].socket_domain, AF_INET6);
	assert_string_equal(l[0].bind_interface, "eth0");
	assert_int_equal(l[1].port, 65535);
	assert_int_equal(l[1].max_connections, -1);
	assert_int_equal(l[1].max_qos, 2);
	assert_int_equal(l[1].socket_domain, AF_INET);
	assert_null(l[1].mount_point);
	conf_free(conf);
}

static void test_per_listener_settings(void **state)
{
	struct conf *conf = good("per_listener_settings true\n"
				 "listener 1884\n"
				 "allow_anonymous true\n"
				 "listener 1885\n"
				 "password_file /etc/passwords with spaces\n"
				 "auto_id_prefix x-\n"
				 "allow_zero_length_clientid false\n");
	const struct conf_listener *l = conf->listeners;

	assert_true(l[0].security.allow_anonymous);
	assert_null(l[0].security.password_file);
	assert_false(l[1].security.allow_anonymous);
	assert_string_equal(l[1].security.password_file,
			    "/etc/passwords with spaces");
	assert_string_equal(l[1].security.auto_id_prefix, "x-");
	assert_false(l[1].security.allow_zero_length_clientid);
	conf_free(conf);

	bad("allow_anonymous true\nper_listener_settings true\n", 2, "move it up");
}

static void test_global_numbers(void **state)
{
	struct conf *conf = good("max_inflight_messages 0\n"
				 "max_inflight_bytes 6\n"
				 "max_queued_messages 7\n"
				 "max_pubrel_wait 30\n"
				 "retry_interval 0\n"
				 "max_queued_bytes 8\n"
				 "max_keepalive 10\n"
				 "max_packet_size 20\n"
				 "memory_limit 10000000000\n"
				 "persistent_client_expiration 2w\n");

	assert_int_equal(conf->max_inflight_messages, 0);
	assert_int_equal(conf->max_inflight_bytes, 6);
	assert_int_equal(conf->max_queued_messages, 7);
	assert_int_equal(conf->max_pubrel_wait, 30);
	assert_int_equal(conf->retry_interval, 0);
	assert_int_equal(conf->max_queued_bytes, 8);
	assert_int_equal(conf->max_keepalive, 10);
	assert_int_equal(conf->max_packet_size, 20);
	assert_true(conf->memory_limit == 10000000000ULL);
	assert_int_equal(conf->persistent_client_expiration, 14 * 86400);
	conf_free(conf);
}

static void test_bounds(void **state)
{
	bad("max_packet_size 19\n", 1, "from 20 to 268435460");
	bad("max_packet_size 268435461\n", 1, "from 20 to 268435460");
	bad("max_keepalive 9\n", 1, "from 10 to 65535");
	bad("max_keepalive 65536\n", 1, "from 10 to 65535");
	bad("max_inflight_messages 65536\n", 1, "from 0 to 65535");
	bad("max_inflight_messages -1\n", 1, "from 0 to 65535");
	bad("max_queued_messages 4294967296\n", 1, "from 0 to 4294967295");
	bad("max_pubrel_wait 86401\n", 1, "from 0 to 86400");
	bad("retry_interval 20s\n", 1, "not \"20s\"");
	bad("max_queued_bytes ten\n", 1, "not \"ten\"");
	bad("max_queued_bytes 1 2\n", 1, "not \"1 2\"");
	bad("memory_limit 99999999999999999999\n", 1, "memory_limit is a number");
	bad("listener 1884\nmax_qos 3\n", 2, "from 0 to 2");
	bad("listener 1884\nmaximum_qos 3\n", 2, "from 0 to 2");
	bad("listener 1884\nmax_connections -2\n", 2, "from -1 to");
	bad("listener 1884\nmax_topic_alias 65536\n", 2, "from 0 to 65535");
	bad("listener 1884\nsend_buffer 4095\n", 2, "from 4096 to 536870912");
	bad("listener 1884\nreceive_buffer 1g\n", 2, "receive_buffer is a number");
	bad("listener 1884\nslow_consumer keep\n", 2, "\"drop\" or \"disconnect\"");
	bad("log_facility 8\n", 1, "from 0 to 7");
	bad("persistent_client_expiration 3\n", 1, "for example 14d");
	bad("persistent_client_expiration d\n", 1, "for example 14d");
	bad("persistent_client_expiration 137y\n", 1, "136 years");
}

static void test_booleans(void **state)
{
	static const char * const names[] = {
		"allow_anonymous", "allow_long_clientid_31",
		"allow_zero_length_clientid", "connection_messages", "log_timestamp",
		"retain_available", "set_tcp_nodelay", "upgrade_outgoing_qos",
	};
	char text[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		const struct conf_option *opt = conf_option_find(names[i]);
		struct conf *conf;

		assert_non_null(opt);
		snprintf(text, sizeof(text), "%s true\n", names[i]);
		conf = good(text);
		if (opt->type == CONF_BOOL && opt->scope == CONF_GLOBAL)
			assert_true(*(bool *)((char *)conf + opt->offset));
		conf_free(conf);
		snprintf(text, sizeof(text), "%s false\n", names[i]);
		conf = good(text);
		if (opt->type == CONF_BOOL && opt->scope == CONF_GLOBAL)
			assert_false(*(bool *)((char *)conf + opt->offset));
		conf_free(conf);
		snprintf(text, sizeof(text), "\n%s yes\n", names[i]);
		bad(text, 2, "\"true\" or \"false\", not \"yes\"");
	}
}

static void test_log(void **state)
{
	struct conf *conf = good("log_dest syslog\n"
				 "log_dest file /tmp/x y.log\n"
				 "log_type error\n"
				 "log_type subscribe\n"
				 "log_facility 5\n"
				 "log_timestamp_format %Y-%m-%d %H:%M\n");

	assert_int_equal(conf->log.dest, MQTTD_LOG_TO_SYSLOG | MQTTD_LOG_TO_FILE);
	assert_string_equal(conf->log.file, "/tmp/x y.log");
	assert_int_equal(conf->log.types, MQTTD_LOG_ERR | MQTTD_LOG_SUBSCRIBE);
	assert_int_equal(conf->log.facility, 5);
	assert_string_equal(conf->log.timestamp_format, "%Y-%m-%d %H:%M");
	conf_free(conf);

	conf = good("log_dest none\nlog_type none\n");
	assert_int_equal(conf->log.dest, 0);
	assert_int_equal(conf->log.types, 0);
	conf_free(conf);

	conf = good("log_type all\nlog_dest stdout\n");
	assert_int_equal(conf->log.types, MQTTD_LOG_ALL);
	assert_int_equal(conf->log.dest, MQTTD_LOG_TO_STDOUT);
	conf_free(conf);

	bad("log_dest file\n", 1, "needs a path");
	bad("log_dest topic\n", 1, "not supported");
	bad("log_dest printer\n", 1, "unknown log_dest \"printer\"");
	bad("log_type loud\n", 1, "unknown log_type \"loud\"");
}

static void test_unknown_and_unsupported(void **state)
{
	static const char * const unsupported[] = {
		"acl_file", "cafile", "certfile", "connection", "bridge_cafile",
		"plugin", "auth_plugin", "auth_opt_x", "plugin_opt_y", "psk_file",
		"autosave_interval", "tls_version", "topic", "http_dir",
	};
	char text[64];
	size_t i;

	bad("port 1884\n\n# comment\n  foo bar\n", 4,
	    "unknown option \"foo\"; see mqttd.conf(5)");
	for (i = 0; i < ARRAY_SIZE(unsupported); i++) {
		snprintf(text, sizeof(text), "%s x\n", unsupported[i]);
		bad(text, 1, "is not supported; remove the line");
	}
	bad("listener 0 /run/x.sock\n", 1, "unix socket is not supported");
}

static void test_persistence(void **state)
{
	struct conf *conf = good("persistence false\n"
				 "persistence_file x.db\n"
				 "persistence_location /tmp/\n"
				 "persistence_sync interval\n"
				 "persistence_sync_interval 5\n");

	assert_false(conf->persistence);
	assert_string_equal(conf->persistence_file, "x.db");
	assert_string_equal(conf->persistence_location, "/tmp/");
	assert_int_equal(conf->persistence_sync, STORE_SYNC_INTERVAL);
	assert_int_equal(conf->persistence_sync_interval, 5);
	conf_free(conf);
	conf = good("persistence_sync off\n");
	assert_int_equal(conf->persistence_sync, STORE_SYNC_OFF);
	conf_free(conf);
	/* Its old name. */
	conf = good("retained_persistence false\n");
	assert_false(conf->persistence);
	conf_free(conf);
	bad("persistence_sync sometimes\n", 1, "\"always\", \"interval\" or \"off\", not");
	bad("persistence_sync_interval 0\n", 1, "persistence_sync_interval");
}

/* What mqttd does anyway may be asked for. */
static void test_only(void **state)
{
	static const struct {
		const char *name, *value, *other;
	} only[] = {
		{ "check_retain_source", "false", "true" },
		{ "message_size_limit", "0", "100" },
		{ "protocol", "mqtt", "websockets" },
		{ "user", "root", "mosquitto" },
	};
	char text[64], what[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(only); i++) {
		snprintf(text, sizeof(text), "listener 1884\n%s %s\n", only[i].name,
			 only[i].value);
		conf_free(good(text));
		snprintf(text, sizeof(text), "listener 1884\n%s %s\n", only[i].name,
			 only[i].other);
		snprintf(what, sizeof(what), "%s %s is not supported (",
			 only[i].name, only[i].other);
		bad(text, 2, what);
		snprintf(what, sizeof(what), "); use \"%s\", or remove the line",
			 only[i].value);
		bad(text, 2, what);
	}
}

/* The configuration that Debian's mosquitto comes with: each line has its answer. */
static void test_debian(void **state)
{
	static const char text[] =
		"# Place your local configuration in /etc/mosquitto/conf.d/\n"
		"\n"
		"pid_file /run/mosquitto/mosquitto.pid\n"
		"\n"
		"persistence true\n"
		"persistence_location /var/lib/mosquitto/\n"
		"\n"
		"log_dest file /var/log/mosquitto/mosquitto.log\n"
		"\n"
		"include_dir /nonexistent\n";

	bad(text, 10, "cannot read the directory /nonexistent");
}

static void test_listener_errors(void **state)
{
	bad("listener 0\n", 1, "\"0\" is not a port");
	bad("listener 65536\n", 1, "\"65536\" is not a port");
	bad("listener http\n", 1, "\"http\" is not a port");
	bad("port x\n", 1, "\"x\" is not a port");
	bad("listener\n", 1, "listener needs a value");
	bad("listener 1884\nmount_point a/#\n", 2, "without + and #");
	bad("listener 1884\nsocket_domain ipv5\n", 2, "not \"ipv5\"");
	bad("max_connections 10\nlistener 1884\n", 1, "move it below a listener");
}

static void test_too_many_listeners(void **state)
{
	char text[CONF_LISTENERS_MAX * 16 + 64] = "";
	int i;

	for (i = 0; i <= CONF_LISTENERS_MAX; i++)
		sprintf(text + strlen(text), "listener %d\n", 2000 + i);
	bad(text, CONF_LISTENERS_MAX + 1, "more than 64 listeners");
}

static void test_all_problems_at_once(void **state)
{
	struct conf *conf = load("foo 1\nmax_qos 5\nport 0\ncafile x\n\nlog_type y\n");

	assert_null(conf);
	assert_int_equal(count_lines(report), 5);
	assert_non_null(strstr(report, ":1: unknown option \"foo\""));
	assert_non_null(strstr(report, ":6: unknown log_type"));
}

static void test_lines(void **state)
{
	struct conf *conf = good("\r\n\t# x\r\n\tmax_keepalive\t \t30 \t\r\n"
				 "max_queued_messages 5");
	FILE *f;

	assert_int_equal(conf->max_keepalive, 30);
	assert_int_equal(conf->max_queued_messages, 5);
	conf_free(conf);

	f = fopen(path, "w");
	fwrite("max_qos 1\0\n", 1, 11, f);
	fclose(f);
	assert_null(conf_load(path, 0, f = tmpfile()));
	fclose(f);
}

static void test_include_dir(void **state)
{
	char text[128], sub[96], name[128];
	struct conf *conf;

	snprintf(sub, sizeof(sub), "%s/conf.d", folder);
	assert_int_equal(mkdir(sub, 0700), 0);
	snprintf(name, sizeof(name), "%s/b.conf", sub);
	write_file(name, "max_keepalive 22\n");
	snprintf(name, sizeof(name), "%s/B.conf", sub);
	write_file(name, "max_keepalive 21\nmax_queued_messages 9\n");
	snprintf(name, sizeof(name), "%s/C.txt", sub);
	write_file(name, "nonsense\n");
	snprintf(text, sizeof(text), "include_dir %s\nmax_queued_bytes 3\n", sub);
	conf = good(text);
	assert_int_equal(conf->max_keepalive, 22);
	assert_int_equal(conf->max_queued_messages, 9);
	assert_int_equal(conf->max_queued_bytes, 3);
	conf_free(conf);

	snprintf(name, sizeof(name), "%s/a.conf", sub);
	write_file(name, "\ninclude_dir /\n");
	assert_null(load(text));
	assert_non_null(strstr(report, "a.conf:2: include_dir works in the main file only"));
	unlink(name);
	snprintf(name, sizeof(name), "%s/b.conf", sub);
	write_file(name, "foo\n");
	strcat(text, "bar\n");
	assert_null(load(text));
	assert_non_null(strstr(report, "b.conf:1: unknown option \"foo\""));
	assert_non_null(strstr(report, "mqttd.conf:3: unknown option \"bar\""));
	bad("include_dir /nonexistent\n", 1, "cannot read the directory");
}

static void test_missing_file(void **state)
{
	size_t size;
	FILE *f;

	free(report);
	f = open_memstream(&report, &size);
	assert_null(conf_load("/nonexistent/x.conf", 0, f));
	assert_null(conf_load("/", 0, f));
	fclose(f);
	assert_non_null(strstr(report, "/nonexistent/x.conf: cannot open: No such file"));
	assert_non_null(strstr(report, "/: cannot read: Is a directory"));
}

static void test_reload(void **state)
{
	struct conf *next;

	conf_use(good("listener 1884\nmax_connections 5\nmax_keepalive 100\n"));
	next = good("listener 1884\nmax_connections 6\nmax_keepalive 200\nallow_anonymous true\n");
	conf_keep_fixed(next);
	conf_use(next);
	assert_int_equal(conf_get()->max_keepalive, 200);
	assert_int_equal(conf_listener_get(0)->max_connections, 6);
	assert_true(conf_listener_get(0)->security.allow_anonymous);

	next = good("listener 1885\nlistener 1886\nmax_keepalive 300\nallow_anonymous false\n"
		    "pid_file /x\ncontrol_socket /y\n");
	conf_keep_fixed(next);
	conf_use(next);
	assert_int_equal(conf_get()->max_keepalive, 300);
	assert_int_equal(conf_get()->n_listeners, 1);
	assert_int_equal(conf_listener_get(0)->port, 1884);
	assert_int_equal(conf_listener_get(0)->max_connections, 6);
	assert_false(conf_listener_get(0)->security.allow_anonymous);
	assert_null(conf_get()->pid_file);
	assert_string_not_equal(conf_get()->control_socket, "/y");
	assert_null(conf_listener_get(1));
	assert_null(conf_listener_get(UINT32_MAX));
	conf_use(NULL);
	assert_null(conf_get());
	assert_null(conf_listener_get(0));
}

/* No name twice, and numbers have room for their bounds. */
static void test_table(void **state)
{
	static const long long tops[] = {
		[CONF_U8] = UINT8_MAX, [CONF_U16] = UINT16_MAX,
		[CONF_U32] = UINT32_MAX, [CONF_U64] = INT64_MAX,
		[CONF_INT] = INT32_MAX,
	};
	size_t i;

	for (i = 0; i < conf_n_options; i++) {
		const struct conf_option *opt = &conf_options[i];

		assert_ptr_equal(conf_option_find(opt->name), opt);
		if (opt->type >= CONF_U8 && opt->type <= CONF_INT) {
			assert_true(opt->max > 0);
			assert_true(opt->max <= tops[opt->type]);
		}
		assert_true((opt->type == CONF_PARSE) == !!opt->parse);
	}
}

static int setup(void **state)
{
	return folder_setup(path, sizeof(path), "mqttd.conf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_port_argument),
		cmocka_unit_test(test_listener_closes_anonymous),
		cmocka_unit_test(test_port_and_bind_address),
		cmocka_unit_test(test_listener_options),
		cmocka_unit_test(test_per_listener_settings),
		cmocka_unit_test(test_global_numbers),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_booleans),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_unknown_and_unsupported),
		cmocka_unit_test(test_persistence),
		cmocka_unit_test(test_only),
		cmocka_unit_test(test_debian),
		cmocka_unit_test(test_listener_errors),
		cmocka_unit_test(test_too_many_listeners),
		cmocka_unit_test(test_all_problems_at_once),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_include_dir),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_table),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, folder_teardown);
}
