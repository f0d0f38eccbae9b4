/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sanmatrix.c - see sanmatrix.h.
 */
#include "config.h"

#include "tests/san/sanmatrix.h"

#include <stdint.h>
#include <string.h>

#include "sharedstorage/iscsi/stor_scsi.h"
#include "sharedstorage/iscsi/stor_sense.h"

#define D MATRIX_DONE
#define S MATRIX_SAME
#define A MATRIX_ANOTHER
#define W MATRIX_WAITS
#define E MATRIX_ERROR

/* COMPARE AND WRITE, WRITE, FLUSH, PR OUT */
const struct matrix_row matrix[] = {
	{"01/17/01 done=yes", "RECOVERED ERROR", {D, D, D, D}, false},
	{"busy", "BUSY", {S, S, S, W}, false},
	{"full", "TASK SET FULL", {S, S, S, W}, false},
	{"conflict", "RESERVATION CONFLICT", {A, A, A, W}, false},
	{"aborted", "TASK ABORTED", {A, A, A, W}, false},
	{"02/04/01", "NOT READY: becoming ready", {S, S, S, W}, false},
	{"02/04/0a", "NOT READY: asymmetric access state transition", {W, W, W, W}, true},
	{"02/04/0b", "NOT READY: standby", {W, W, W, W}, true},
	{"02/04/0c", "NOT READY: unavailable", {W, W, W, W}, true},
	{"03/0c/02", "MEDIUM ERROR", {A, E, E, W}, false},
	{"04/44/00", "HARDWARE ERROR", {A, E, E, W}, false},
	{"04/44/00 done=yes", "HARDWARE ERROR, though it was done", {A, E, E, W}, false},
	{"05/20/00", "ILLEGAL REQUEST: no such command", {S, E, E, W}, false},
	{"05/24/00", "ILLEGAL REQUEST: a field of it", {S, E, E, W}, false},
	{"06/29/00", "UNIT ATTENTION: reset", {S, S, S, W}, false},
	{"06/2a/03", "UNIT ATTENTION: reservations preempted", {S, S, S, W}, false},
	{"06/2a/06", "UNIT ATTENTION: asymmetric access state changed", {S, S, S, W}, false},
	{"06/2a/09", "UNIT ATTENTION: capacity changed", {W, W, W, W}, false},
	{"06/3f/0e", "UNIT ATTENTION: reported LUNs changed", {W, W, W, W}, false},
	{"07/27/00", "DATA PROTECT: write protected", {S, E, E, W}, false},
	{"07/27/07", "DATA PROTECT: no space left", {S, W, W, W}, false},
	{"0b/47/03", "ABORTED COMMAND", {A, S, S, W}, false},
};
const unsigned matrix_rows = CM_ARRAY_LEN(matrix);

const char *matrix_class(enum matrix_cmd cmd)
{
	static const char *const names[MATRIX_CMDS] = {"caw", "write", "sync", "pr"};

	return names[cmd];
}

const char *matrix_end_words(enum matrix_end end)
{
	static const char *const words[] = {[MATRIX_NONE] = "?",
					    [MATRIX_DONE] = "done",
					    [MATRIX_SAME] = "waits, same session",
					    [MATRIX_ANOTHER] = "waits, new session",
					    [MATRIX_WAITS] = "waits",
					    [MATRIX_ERROR] = "error"};

	return words[end];
}

const char *matrix_span_name(enum matrix_span span)
{
	static const char *const names[MATRIX_SPANS] = {"once", "for 3 T", "for ever", "on one portal"};

	return names[span];
}

static enum stor_sense row_sense(const struct matrix_row *r)
{
	static const struct {
		const char *word;
		int status;
	} statuses[] = {{"busy", STOR_SCSI_BUSY},
			{"full", STOR_SCSI_FULL},
			{"conflict", STOR_SCSI_CONFLICT},
			{"aborted", STOR_SCSI_ABORTED}};
	unsigned key = 0, asc = 0, ascq = 0;

	for (unsigned i = 0; i < CM_ARRAY_LEN(statuses); i++)
		if (!strcmp(r->what, statuses[i].word))
			return stor__sense_class(statuses[i].status, 0, 0, 0);
	(void)sscanf(r->what, "%x/%x/%x", &key, &asc, &ascq);
	return stor__sense_class(STOR_SCSI_CHECK, (uint8_t)key, (uint8_t)asc, (uint8_t)ascq);
}

void matrix_print(FILE *to)
{
	fputs("| answer | | it proves | COMPARE AND WRITE | WRITE | FLUSH | PR OUT |\n|---|---|---|---|---|---|---|\n", to);
	for (unsigned i = 0; i < matrix_rows; i++) {
		const struct matrix_row *r = &matrix[i];
		enum stor_sense s = row_sense(r);

		fprintf(to, "| %s | `%.8s` | %s |", r->words, r->what,
			stor__sense_done(s)	      ? "done"
			: stor__sense_not_executed(s) ? "not executed"
						      : "nothing");
		for (unsigned c = 0; c < MATRIX_CMDS; c++)
			fprintf(to, " %s%s |", matrix_end_words(r->end[c]),
				r->path && c != MATRIX_PR ? ", other portal" : "");
		fputc('\n', to);
	}
}
