// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading of mosquitto_passwd's files and checking against them.
 */
#include "password.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "mem.h"
#include "pool.h"

#define HASH_LEN	64		/* SHA-512 */
#define SALT_MAX	64
#define ITERATIONS_MAX	10000000	/* seconds, on a gateway */
#define DEFAULT_ITERATIONS 101		/* of mosquitto_passwd */

/**
 * enum password_kind - how a password is kept
 * @PASSWORD_NONE: the user has none; any will do, as for Mosquitto
 * @PASSWORD_SHA512: $6$: SHA-512 of password and salt
 * @PASSWORD_PBKDF2: $7$: PBKDF2-HMAC-SHA512
 */
enum password_kind {
	PASSWORD_NONE,
	PASSWORD_SHA512,
	PASSWORD_PBKDF2,
};

/**
 * struct password_user - one line of the file
 * @next: chain of the bucket
 * @name: user name, @name_len bytes
 * @kind: what the following holds
 * @iterations: of PBKDF2
 */
struct password_user {
	struct password_user *next;
	char *name;
	size_t name_len;
	enum password_kind kind;
	unsigned int iterations;
	size_t salt_len;
	unsigned char salt[SALT_MAX];
	unsigned char hash[HASH_LEN];
};

#define BUCKETS	1024

/**
 * struct password_file - all users of a file
 * @path: for messages
 * @iterations: of the last user with PBKDF2: what a wrong name costs, too
 * @buckets: the users by hash of their names
 */
struct password_file {
	char *path;
	unsigned int iterations;
	struct password_user *buckets[BUCKETS];
};

/* The files in force, by listener; the same one may be there many times. */
static struct password_file *files[CONF_LISTENERS_MAX];

/* ---- users -------------------------------------------------------------- */

/* FNV-1a; the names come from the administrator, nobody else picks them. */
static unsigned int bucket(const char *name, size_t len)
{
	uint32_t h = 2166136261U;

	while (len--)
		h = (h ^ (unsigned char)*name++) * 16777619U;
	return h % BUCKETS;
}

static struct password_user *find(const struct password_file *file,
				  const char *name, size_t len)
{
	struct password_user *u = file->buckets[bucket(name, len)];

	while (u && (u->name_len != len || memcmp(u->name, name, len)))
		u = u->next;
	return u;
}

static void user_free(struct password_user *u)
{
	if (!u)
		return;
	free(u->name);
	OPENSSL_cleanse(u, sizeof(*u));
	free(u);
}

/* ---- reading ------------------------------------------------------------ */

/* Base64 with its padding; returns the number of bytes, or -1. */
static int decode(const char *s, size_t len, unsigned char *out, size_t room)
{
	unsigned char buf[(SALT_MAX + HASH_LEN) / 3 * 3 + 3];
	int pad = 0, n;

	if (!len || len % 4 || len / 4 * 3 > sizeof(buf))
		return -1;
	if (s[len - 1] == '=')
		pad++;
	if (s[len - 2] == '=')
		pad++;
	n = EVP_DecodeBlock(buf, (const unsigned char *)s, len);
	if (n < 0 || (size_t)(n - pad) > room)
		return -1;
	memcpy(out, buf, n - pad);
	OPENSSL_cleanse(buf, sizeof(buf));
	return n - pad;
}

/* Read "SALT$HASH"; returns NULL or what is wrong. */
static const char *read_salt(struct password_user *u, const char *s)
{
	const char *dollar = strchr(s, '$');
	int n;

	if (!dollar)
		return "the hash is not complete";
	n = decode(s, dollar - s, u->salt, sizeof(u->salt));
	if (n <= 0)
		return "the salt is not base64 of 1 to 64 bytes";
	u->salt_len = n;
	dollar++;
	if (decode(dollar, strlen(dollar), u->hash, HASH_LEN) != HASH_LEN)
		return "the hash is not base64 of 64 bytes";
	return NULL;
}

/* Read what follows "USER:"; returns NULL or what is wrong. */
static const char *read_hash(struct password_user *u, const char *s)
{
	long long n;
	char *end;

	if (!strncmp(s, "$6$", 3)) {
		u->kind = PASSWORD_SHA512;
		return read_salt(u, s + 3);
	}
	if (strncmp(s, "$7$", 3))
		return "not hashed; run mosquitto_passwd -U on the file";
	u->kind = PASSWORD_PBKDF2;
	n = strtoll(s + 3, &end, 10);
	if (*end != '$' || n < 1 || n > ITERATIONS_MAX)
		return "the number of iterations is not 1 to 10000000";
	u->iterations = n;
	return read_salt(u, end + 1);
}

/* Returns NULL or what is wrong with the line. */
static const char *read_user(struct password_file *file, char *line)
{
	struct password_user *u, **head;
	const char *problem = NULL;
	char *hash = strchr(line, ':');
	size_t len;

	if (hash)
		*hash++ = '\0';
	len = strlen(line);
	if (!len || len > 65535)
		return "the user name is not 1 to 65535 bytes long";
	if (find(file, line, len))
		return "this user is there already; remove one of the lines";

	u = mem_zalloc(sizeof(*u));
	u->name = mem_strndup(line, len);
	u->name_len = len;
	if (hash)
		problem = read_hash(u, hash);
	if (problem) {
		user_free(u);
		return problem;
	}
	if (u->iterations)
		file->iterations = u->iterations;
	head = &file->buckets[bucket(line, len)];
	u->next = *head;
	*head = u;
	return NULL;
}

static unsigned int read_users(struct password_file *file, FILE *f,
			       FILE *report)
{
	unsigned int problems = 0, n = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, f)) >= 0) {
		const char *problem;

		n++;
		while (len && strchr(" \t\r\n", line[len - 1]))
			line[--len] = '\0';
		if (!*line || *line == '#')
			continue;
		problem = read_user(file, line);
		if (!problem)
			continue;
		fprintf(report, "%s:%u: %s\n", file->path, n, problem);
		problems++;
	}
	if (ferror(f)) {
		fprintf(report, "%s: cannot read: %s\n", file->path,
			strerror(errno));
		problems++;
	}
	if (line)
		OPENSSL_cleanse(line, size);
	free(line);
	return problems;
}

struct password_file *password_file_load(const char *path, FILE *report)
{
	struct password_file *file;
	unsigned int problems;
	FILE *f = fopen(path, "re");

	if (!f) {
		fprintf(report, "%s: cannot open the password_file: %s\n", path,
			strerror(errno));
		return NULL;
	}
	file = mem_zalloc(sizeof(*file));
	file->path = mem_strndup(path, strlen(path));
	file->iterations = DEFAULT_ITERATIONS;
	problems = read_users(file, f, report);
	fclose(f);
	if (problems) {
		password_file_free(file);
		return NULL;
	}
	return file;
}

void password_file_free(struct password_file *file)
{
	struct password_user *u;
	unsigned int i;

	if (!file)
		return;
	for (i = 0; i < BUCKETS; i++) {
		while ((u = file->buckets[i])) {
			file->buckets[i] = u->next;
			user_free(u);
		}
	}
	free(file->path);
	free(file);
}

/* ---- checking ----------------------------------------------------------- */

/**
 * struct password_job - a password to be hashed and compared
 * @pool: for the thread that does it
 * @user: what it is compared with; without name
 * @known: there is such a user
 * @right: the answer
 * @ticket: who asked, NULL if nobody does any more
 * @len: bytes in @password
 */
struct password_job {
	struct pool_job pool;
	struct password_user user;
	bool known;
	bool right;
	struct password_ticket *ticket;
	size_t len;
	unsigned char password[];
};

static struct password_job *job_new(const struct password_file *file,
				    const struct credentials *who)
{
	const struct password_user *u = find(file, who->user, who->user_len);
	struct password_job *job = mem_zalloc(sizeof(*job) + who->password_len);

	job->user = (struct password_user){
		.kind = PASSWORD_PBKDF2,
		.iterations = file->iterations,
		.salt_len = 12,
	};
	if (u)
		job->user = *u;
	job->known = u;
	job->len = who->password_len;
	memcpy(job->password, who->password, who->password_len);
	return job;
}

static void job_free(struct password_job *job)
{
	OPENSSL_cleanse(job, sizeof(*job) + job->len);
	free(job);
}

static bool hash_sha512(const struct password_job *job, unsigned char *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha512(), NULL) &&
		  EVP_DigestUpdate(ctx, job->password, job->len) &&
		  EVP_DigestUpdate(ctx, job->user.salt, job->user.salt_len) &&
		  EVP_DigestFinal_ex(ctx, out, NULL);

	EVP_MD_CTX_free(ctx);
	return ok;
}

static bool hash_password(const struct password_job *job, unsigned char *out)
{
	const struct password_user *u = &job->user;

	if (u->kind == PASSWORD_SHA512)
		return hash_sha512(job, out);
	return PKCS5_PBKDF2_HMAC((const char *)job->password, job->len, u->salt,
				 u->salt_len, u->iterations, EVP_sha512(), HASH_LEN, out);
}

static void job_work(struct pool_job *pool)
{
	struct password_job *job = container_of(pool, struct password_job, pool);
	unsigned char hash[HASH_LEN];
	bool same;

	if (!hash_password(job, hash))
		return;
	same = !CRYPTO_memcmp(hash, job->user.hash, HASH_LEN);
	OPENSSL_cleanse(hash, sizeof(hash));
	job->right = job->known && same;
}

static void job_done(struct pool_job *pool, bool worked)
{
	struct password_job *job = container_of(pool, struct password_job, pool);

	if (job->ticket)
		job->ticket->job = NULL;
	if (job->ticket && worked)
		job->ticket->done(job->ticket, job->right);
	job_free(job);
}

/* The answer if it needs no hash, else PASSWORD_LATER. */
static enum password_answer file_ask(const struct password_file *file,
				     const struct credentials *who)
{
	const struct password_user *u = find(file, who->user, who->user_len);

	if (u && u->kind == PASSWORD_NONE)
		return PASSWORD_RIGHT;
	/* As for Mosquitto, one of no length is none. */
	return who->password_len ? PASSWORD_LATER : PASSWORD_WRONG;
}

bool password_file_check(const struct password_file *file, const struct credentials *who)
{
	enum password_answer answer = file_ask(file, who);
	struct password_job *job;
	bool right;

	if (answer != PASSWORD_LATER)
		return answer == PASSWORD_RIGHT;
	job = job_new(file, who);
	job_work(&job->pool);
	right = job->right;
	job_free(job);
	return right;
}

/* ---- the files in force ------------------------------------------------- */

/* One of the listeners before @n has the same file. */
static struct password_file *loaded(struct password_file **set, unsigned int n,
				    const char *path)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (set[i] && !strcmp(set[i]->path, path))
			return set[i];
	return NULL;
}

static void free_set(struct password_file **set)
{
	unsigned int i, j;

	for (i = 0; i < CONF_LISTENERS_MAX; i++) {
		struct password_file *file = set[i];

		for (j = i; file && j < CONF_LISTENERS_MAX; j++)
			if (set[j] == file)
				set[j] = NULL;
		password_file_free(file);
	}
}

int password_setup(const struct conf *conf, FILE *report)
{
	struct password_file *set[CONF_LISTENERS_MAX] = { NULL };
	bool ok = true;
	unsigned int i;

	for (i = 0; i < conf->n_listeners; i++) {
		const char *path = conf->listeners[i].security.password_file;

		if (!path)
			continue;
		set[i] = loaded(set, i, path);
		if (!set[i])
			set[i] = password_file_load(path, report);
		if (!set[i])
			ok = false;
		/* One file that all use is one problem, not one for each. */
		if (!set[i] && !conf->per_listener_settings)
			break;
	}
	if (!ok) {
		free_set(set);
		return -1;
	}
	free_set(files);
	memcpy(files, set, sizeof(files));
	return 0;
}

void password_cleanup(void)
{
	free_set(files);
}

enum password_answer password_ask(unsigned int listener, const struct credentials *who,
				  struct password_ticket *ticket)
{
	const struct conf_listener *lst = conf_listener_get(listener);
	enum password_answer answer;
	struct password_job *job;

	if (!lst)
		return PASSWORD_WRONG;
	if (!lst->security.password_file)
		return lst->security.allow_anonymous ? PASSWORD_RIGHT : PASSWORD_WRONG;
	if (!files[listener])
		return PASSWORD_WRONG;
	answer = file_ask(files[listener], who);
	if (answer != PASSWORD_LATER)
		return answer;
	job = job_new(files[listener], who);
	job->ticket = ticket;
	ticket->job = job;
	job->pool.work = job_work;
	job->pool.done = job_done;
	pool_run(&job->pool);
	return PASSWORD_LATER;
}

void password_cancel(struct password_ticket *ticket)
{
	struct password_job *job = ticket->job;

	if (!job)
		return;
	ticket->job = NULL;
	job->ticket = NULL;
	pool_cancel(&job->pool);
}
