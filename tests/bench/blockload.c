/* SPDX-License-Identifier: GPL-2.0-or-later */
/* blockload.c - offsets, clocks and words of a load; see blockload.h. */
#include "config.h"

#include "tests/bench/blockload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOAD_ALIGN (2u << 20) /* a huge page, so that the kernel may use one */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool load_option(struct load *l, const char *name, const char *value)
{
	if (!strcmp(name, "--op")) {
		l->write = !strcmp(value, "write");
		return l->write || !strcmp(value, "read");
	}
	if (!strcmp(name, "--size"))
		l->size_bytes = (uint32_t)strtoul(value, NULL, 0);
	else if (!strcmp(name, "--depth"))
		l->depth = (unsigned)strtoul(value, NULL, 0);
	else if (!strcmp(name, "--count"))
		l->count = strtoull(value, NULL, 0);
	else if (!strcmp(name, "--step"))
		l->step_bytes = strtoull(value, NULL, 0);
	else
		return false;
	return true;
}

int load_parse(struct load *l, int argc, char **argv, const char **rest, int cap)
{
	int n = 0;

	*l = (struct load){.size_bytes = 4096, .depth = 1, .count = 1};
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2)) {
			if (n == cap)
				return -1;
			rest[n++] = argv[i];
			continue;
		}
		if (i + 1 == argc || !load_option(l, argv[i], argv[i + 1])) {
			fprintf(stderr, "%s: what is %s?\n", argv[0], argv[i]);
			return -1;
		}
		i++;
	}
	if (!l->step_bytes)
		l->step_bytes = l->size_bytes;
	if (!l->depth || !l->count || !l->size_bytes || l->size_bytes % 4096 ||
	    l->step_bytes % l->size_bytes) {
		fprintf(stderr, "%s: sizes are multiples of 4096, steps of the size\n", argv[0]);
		return -1;
	}
	return n;
}

void *load_memory(const struct load *l)
{
	size_t n = (size_t)l->size_bytes * l->depth;
	void *p = aligned_alloc(LOAD_ALIGN, (n + LOAD_ALIGN - 1) / LOAD_ALIGN * LOAD_ALIGN);

	if (!p)
		abort();
	memset(p, 0x5a, n);
	return p;
}

struct iovec load_part(const struct load *l, void *memory, unsigned i)
{
	return (struct iovec){(char *)memory + (size_t)i * l->size_bytes, l->size_bytes};
}

bool load_start(struct load *l, uint64_t capacity_bytes)
{
	l->capacity_bytes = capacity_bytes - capacity_bytes % l->size_bytes;
	l->start_ns = clock_ns(CLOCK_MONOTONIC);
	l->start_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	return l->capacity_bytes > 0;
}

bool load_next(struct load *l, uint64_t *offset_bytes)
{
	if (l->begun == l->count)
		return false;
	l->begun++;
	*offset_bytes = l->next_offset;
	l->next_offset = (l->next_offset + l->step_bytes) % l->capacity_bytes;
	return true;
}

bool load_end(struct load *l)
{
	return ++l->ended == l->count;
}

void load_report(const struct load *l)
{
	double cpu = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - l->start_cpu_ns);
	double begun = (double)l->start_ns, ended = (double)clock_ns(CLOCK_MONOTONIC);

	printf("{\"ios\": %" PRIu64
	       ", \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"begun\": %.6f, \"ended\": %.6f}\n",
	       l->ended, (ended - begun) / 1e9, cpu / 1e9, begun / 1e9, ended / 1e9);
}
