/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz.h - what a fuzz target gives: libFuzzer's entry, and seeds to begin with.
 *
 * With --enable-fuzzing a target is a libFuzzer program; otherwise fuzz_main.c drives it with a
 * simple mutator, so that `make check-fuzz` needs no special compiler. Thread: one.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
/* Writes seed number i (from 0) to out; its length, or 0: there are no more. */
size_t fuzz_seed(unsigned i, uint8_t *out, size_t cap);

#endif
