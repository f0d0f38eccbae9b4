/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labsan_check.c - what the two test programs of labsan share.
 *
 * Parses labsan's write log and control answers by looking for words.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/san/labsan_check.h"

const char *const plain[] = {"--lun", "%s/d0,thin,size=64M", NULL};

void start(struct labsan_proc *p, const char *const *args)
{
	assert_int_equal(labsan_proc_start(p, args), 0);
}

void stop(struct labsan_proc *p)
{
	assert_int_equal(labsan_proc_stop(p), 0);
}

void login(struct ini *i, struct labsan_proc *p, const char *name, int isid)
{
	assert_int_equal(ini_open(i, p, name, isid, NULL), 0);
	ini_settle(i, 0);
}

/* First byte of a block as it is now. */
int peek(struct ini *i, uint64_t lba)
{
	struct ini_reply *reply = malloc(sizeof *reply);
	int byte;

	assert_non_null(reply);
	assert_int_equal(ini_read(i, 0, lba, 1, 512, reply), GOOD);
	byte = reply->data[0];
	free(reply);
	return byte;
}

/* Waits until labsan holds n commands on the medium of LUN 0; the test then knows they passed the
 * checks. */
void wait_on_medium(struct labsan_proc *p, int n)
{
	char json[16384], want[32];
	const char *at;
	int sum;

	snprintf(want, sizeof want, "\"on_medium\":");
	do {
		assert_int_equal(labsan_proc_ctl(p, json, sizeof json, "nexuses"), 0);
		for (sum = 0, at = json; (at = strstr(at, want)); at += strlen(want))
			sum += atoi(at + strlen(want));
	} while (sum < n);
}

/* Number of the first line of the write log that has both words, 0 if none; prints nothing. */
int log_line(struct labsan_proc *p, const char *a, const char *b)
{
	FILE *f = fopen(p->log, "re");
	char line[4096];
	int n = 0, hit = 0;

	assert_non_null(f);
	while (!hit && fgets(line, sizeof line, f)) {
		n++;
		if (strstr(line, a) && strstr(line, b))
			hit = n;
	}
	fclose(f);
	return hit;
}

int log_count(struct labsan_proc *p, const char *a, const char *b)
{
	FILE *f = fopen(p->log, "re");
	char line[4096];
	int hits = 0;

	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		hits += strstr(line, a) && strstr(line, b);
	fclose(f);
	return hits;
}

/* Registers both with type 7, A with key 0xa, B with key 0xb. */
void two_hosts(struct labsan_proc *p, struct ini *a, struct ini *b)
{
	login(a, p, "a", 1);
	login(b, p, "b", 2);
	assert_int_equal(ini_pr_out(a, 0, REGISTER_IGNORE, 0, 0, 0xa, false), GOOD);
	assert_int_equal(ini_pr_out(b, 0, REGISTER_IGNORE, 0, 0, 0xb, false), GOOD);
	assert_int_equal(ini_pr_out(a, 0, RESERVE, WEAR, 0xa, 0, false), GOOD);
	assert_int_equal(ini_pr_out(b, 0, RESERVE, WEAR, 0xb, 0, false), GOOD);
}
