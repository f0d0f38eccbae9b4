/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sanmatrix.h - what comes of each answer of an array to each kind of command: the specification as a table. docs/SAN.md
 * has it as text; test_san_matrix.c holds the product to it.
 */
#ifndef SANMATRIX_H
#define SANMATRIX_H

#include <stdbool.h>
#include <stdio.h>

enum matrix_cmd { MATRIX_CAW, MATRIX_WRITE, MATRIX_FLUSH, MATRIX_PR, MATRIX_CMDS };

enum matrix_end {
	MATRIX_NONE = 0,
	MATRIX_DONE,	/* it counts as done: nobody notices anything */
	MATRIX_SAME,	/* waits, and the same session sends it again */
	MATRIX_ANOTHER, /* waits; the session is given up, and another one decides or sends it again */
	MATRIX_WAITS,	/* waits; by which session is left open */
	MATRIX_ERROR,	/* the guest gets an error at once; the session and the lease go on */
};

enum matrix_span { MATRIX_ONCE, MATRIX_FOR_3T, MATRIX_FOR_EVER, MATRIX_ONE_PORTAL, MATRIX_SPANS };

struct matrix_row {
	const char *what;  /* labsan's words */
	const char *words; /* for people */
	enum matrix_end end[MATRIX_CMDS];
	bool path; /* the other portal can: then nothing waits for long */
};
extern const struct matrix_row matrix[];
extern const unsigned matrix_rows;

/* "caw", as labsan calls them. */
const char *matrix_class(enum matrix_cmd cmd);
const char *matrix_span_name(enum matrix_span span);
const char *matrix_end_words(enum matrix_end end);
/* As a table of Markdown. */
void matrix_print(FILE *to);

#endif
