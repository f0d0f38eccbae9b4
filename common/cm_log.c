/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_log.c - log lines through a bounded queue and one writer thread. Parses nothing.
 *
 * Lock order: log_lock is a leaf; nothing else is taken while it is held.
 */
#include "config.h"

#include "common/cm_log.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE  512u
#define LOG_SLOTS 512u

static struct {
	const char *ident;
	int fd;
	atomic_int level;
	bool threaded, stop;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	unsigned head, tail; /* head: next to write out */
	unsigned long dropped;
	char context[64];
} lg = {
	.ident = "hvcluster",
	.fd = 2,
	.level = CM_LOG_NOTICE,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.wake = PTHREAD_COND_INITIALIZER,
};

/* The queue, under lg.lock. Not a member: lg's initialiser would put all of it into the file. */
static char log_ring[LOG_SLOTS][LOG_LINE];

static const char *const log_names[] = {"none",	  "crit", "err",   "warning",
					"notice", "info", "debug", "trace"};

static void log_write(const char *line)
{
	size_t n = strlen(line), done = 0;

	while (done < n) {
		ssize_t w = write(lg.fd, line + done, n - done);

		if (w <= 0)
			return; /* nowhere left to complain */
		done += (size_t)w;
	}
}

static void log_drain_locked(void)
{
	char line[LOG_LINE];

	while (lg.head != lg.tail) {
		memcpy(line, log_ring[lg.head % LOG_SLOTS], LOG_LINE);
		lg.head++;
		pthread_mutex_unlock(&lg.lock);
		log_write(line);
		pthread_mutex_lock(&lg.lock);
	}
	if (lg.dropped) {
		snprintf(line, sizeof line, "%s: %lu log lines were dropped\n", lg.ident,
			 lg.dropped);
		lg.dropped = 0;
		pthread_mutex_unlock(&lg.lock);
		log_write(line);
		pthread_mutex_lock(&lg.lock);
	}
}

static void *log_thread(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lg.lock);
	while (!lg.stop) {
		log_drain_locked();
		if (!lg.stop && lg.head == lg.tail)
			pthread_cond_wait(&lg.wake, &lg.lock);
	}
	log_drain_locked();
	pthread_mutex_unlock(&lg.lock);
	return NULL;
}

void cm_log_init(const char *ident, enum cm_log_level level, int fd)
{
	sigset_t all, old;

	lg.ident = ident;
	lg.fd = fd;
	atomic_store(&lg.level, (int)level);
	if (lg.threaded)
		return;
	lg.stop = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	lg.threaded = pthread_create(&lg.thread, NULL, log_thread, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (lg.threaded)
		pthread_setname_np(lg.thread, "log");
}

void cm_log_fini(void)
{
	if (!lg.threaded)
		return;
	pthread_mutex_lock(&lg.lock);
	lg.stop = true;
	pthread_cond_signal(&lg.wake);
	pthread_mutex_unlock(&lg.lock);
	pthread_join(lg.thread, NULL);
	lg.threaded = false;
}

void cm_log_set_level(enum cm_log_level level)
{
	atomic_store(&lg.level, (int)level);
}

enum cm_log_level cm_log_get_level(void)
{
	return (enum cm_log_level)atomic_load(&lg.level);
}

enum cm_log_level cm_log_level_find(const char *word)
{
	for (size_t i = 1; i < CM_ARRAY_LEN(log_names); i++)
		if (strcmp(log_names[i], word) == 0)
			return (enum cm_log_level)i;
	return CM_LOG_NONE;
}

void cm_log_set_context(const char *context)
{
	pthread_mutex_lock(&lg.lock);
	snprintf(lg.context, sizeof lg.context, "%s", context);
	pthread_mutex_unlock(&lg.lock);
}

static void log_format(char *line, enum cm_log_level level, const char *fmt, va_list ap)
	cm_printf(3, 0);
static void log_format(char *line, enum cm_log_level level, const char *fmt, va_list ap)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(line, LOG_LINE, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, LOG_LINE - n, ".%03ldZ %s[%d] %s: %s%s",
			      ts.tv_nsec / 1000000, lg.ident, (int)getpid(), log_names[level],
			      lg.context, lg.context[0] ? " " : "");
	if (n < LOG_LINE - 1) {
		int m = vsnprintf(line + n, LOG_LINE - n - 1, fmt, ap);

		n = strlen(line);
		(void)m;
	}
	/* One event is one line, whatever a guest or a peer put into the text. */
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = ' ';
	line[n] = '\n';
	line[n + 1] = '\0';
}

void cm_log(enum cm_log_level level, const char *fmt, ...)
{
	char line[LOG_LINE + 2];
	va_list ap;

	if ((int)level > atomic_load_explicit(&lg.level, memory_order_relaxed))
		return;
	pthread_mutex_lock(&lg.lock);
	va_start(ap, fmt);
	log_format(line, level, fmt, ap);
	va_end(ap);
	line[LOG_LINE - 2] = '\n';
	line[LOG_LINE - 1] = '\0';
	if (lg.threaded && level > CM_LOG_ERR) {
		if (lg.tail - lg.head >= LOG_SLOTS) {
			lg.dropped++;
		} else {
			memcpy(log_ring[lg.tail % LOG_SLOTS], line, LOG_LINE);
			lg.tail++;
			pthread_cond_signal(&lg.wake);
		}
	} else {
		/* err and crit: in order, and before the caller goes on. */
		log_drain_locked();
		pthread_mutex_unlock(&lg.lock);
		log_write(line);
		return;
	}
	pthread_mutex_unlock(&lg.lock);
}
