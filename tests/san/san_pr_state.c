/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_pr_state.c - reservations that outlive a power loss (APTPL): one small text file per logical
 * unit in the --state directory, replaced as a whole.
 *
 * Parses the operator's disk. A file that does not read well is an error at start, not ignored:
 * a lost fence must be seen.
 */
#include "config.h"

#include "tests/san/san.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void file_name(const struct san_lun *lun, char *path, size_t cap, const char *suffix)
{
	snprintf(path, cap, "%s/pr-lun%u%s", lun->san->state_dir, lun->no, suffix);
}

/* Called after every change of the reservations. */
void san_pr_save(struct san_lun *lun)
{
	char path[300], tmp[300];
	const struct san_reg *r;
	FILE *f;

	if (!lun->san->state_dir[0])
		return;
	file_name(lun, path, sizeof path, "");
	file_name(lun, tmp, sizeof tmp, ".new");
	if (!lun->pr.aptpl) {
		(void)unlink(path);
		return;
	}
	f = fopen(tmp, "we");
	if (!f) {
		fprintf(stderr, "labsan: %s: %s\n", tmp, strerror(errno));
		return;
	}
	fprintf(f, "labsan-pr 1\ntype %u\n", lun->pr.type);
	TAILQ_FOREACH (r, &lun->pr.regs, link) {
		const uint8_t *i = r->nexus->isid;

		fprintf(f, "%s %016llx %u %02x%02x%02x%02x%02x%02x %s\n",
			lun->pr.holder == r->nexus ? "holder" : "key", (unsigned long long)r->key,
			r->nexus->tpgt, i[0], i[1], i[2], i[3], i[4], i[5], r->nexus->name);
	}
	fprintf(f, "end\n");
	if (fclose(f) != 0 || rename(tmp, path) < 0)
		fprintf(stderr, "labsan: %s: %s\n", path, strerror(errno));
}

static int load_line(struct san_lun *lun, const char *line)
{
	char kind[8], name[SAN_NAME_MAX];
	unsigned int tpgt, i, b[6];
	unsigned long long key;
	struct san_nexus *n;
	uint8_t isid[6];
	bool fresh;

	if (sscanf(line, "%7s %llx %u %2x%2x%2x%2x%2x%2x %223s", kind, &key, &tpgt, &b[0], &b[1],
		   &b[2], &b[3], &b[4], &b[5], name) != 10)
		return -EINVAL;
	for (i = 0; i < 6; i++)
		isid[i] = (uint8_t)b[i];
	n = san_nexus_get(lun->san, name, isid, (uint16_t)tpgt, &fresh);
	if (!n || !san_pr_add(lun, n, key))
		return -ENOMEM;
	if (strcmp(kind, "holder") == 0)
		lun->pr.holder = n;
	return 0;
}

/* Reads the file of a logical unit whose reservations are empty; no file is fine. */
int san_pr_load(struct san_lun *lun)
{
	char path[300], line[512];
	unsigned int type = 0;
	bool ended = false;
	FILE *f;
	int rc = 0;

	if (!lun->san->state_dir[0])
		return 0;
	file_name(lun, path, sizeof path, "");
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? 0 : -errno;
	if (!fgets(line, sizeof line, f) || strcmp(line, "labsan-pr 1\n") != 0 ||
	    !fgets(line, sizeof line, f) || sscanf(line, "type %u", &type) != 1 || type > 8)
		rc = -EINVAL;
	while (rc == 0 && !ended && fgets(line, sizeof line, f)) {
		ended = strcmp(line, "end\n") == 0;
		if (!ended)
			rc = load_line(lun, line);
	}
	fclose(f);
	if (rc == 0 && !ended)
		rc = -EINVAL;
	lun->pr.type = (uint8_t)type;
	lun->pr.aptpl = true;
	return rc;
}
