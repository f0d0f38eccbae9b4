/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_main.c - drives a fuzz target without libFuzzer: seeds, mutated by flips, interesting
 * values, cuts, copies.
 *
 *   fuzz_X [FILE...]                 runs these inputs
 *   FUZZ_RUNS=N FUZZ_SEED=S fuzz_X   N mutated inputs; the seed is printed, so that a failure can
 * be repeated
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (256u << 10)
#define SEEDS_MAX 32u

static uint64_t state;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static size_t mutate(uint8_t *b, size_t n, size_t cap)
{
	static const uint64_t odd[] = {0,
				       1,
				       0x7f,
				       0x80,
				       0xff,
				       0x7fff,
				       0xffff,
				       0x7fffffff,
				       0x80000000,
				       0xffffffff,
				       0x7fffffffffffffff,
				       0xffffffffffffffff};
	unsigned rounds = 1 + (unsigned)(next() % 8);

	while (rounds--) {
		size_t at = n ? next() % n : 0, width = 1u << next() % 4;
		uint64_t v = odd[next() % (sizeof odd / sizeof odd[0])];

		switch (next() % 6) {
		case 0: /* one bit */
			if (n)
				b[at] ^= (uint8_t)(1u << next() % 8);
			break;
		case 1: /* one byte */
			if (n)
				b[at] = (uint8_t)next();
			break;
		case 2: /* a number that is often wrong */
			if (at + width <= n)
				memcpy(b + at, &v, width);
			break;
		case 3: /* cut */
			n = at;
			break;
		case 4: /* grow */
			for (width = next() % 64; width && n < cap; width--)
				b[n++] = (uint8_t)next();
			break;
		default: /* copy a piece over another */
			width = next() % 64;
			if (at + width <= n) {
				size_t to = next() % (n - width + 1);

				memmove(b + to, b + at, width);
			}
			break;
		}
	}
	return n;
}

static int run_file(const char *path)
{
	static uint8_t b[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		return 1;
	}
	n = fread(b, 1, sizeof b, f);
	fclose(f);
	return LLVMFuzzerTestOneInput(b, n);
}

int main(int argc, char **argv)
{
	static uint8_t seeds[SEEDS_MAX][INPUT_MAX], b[INPUT_MAX];
	size_t len[SEEDS_MAX];
	unsigned count = 0;
	const char *runs_text = getenv("FUZZ_RUNS"), *seed_text = getenv("FUZZ_SEED");
	unsigned long runs = runs_text ? strtoul(runs_text, NULL, 0) : 20000;

	for (int i = 1; i < argc; i++)
		if (run_file(argv[i]))
			return 1;
	if (argc > 1)
		return 0;
	while (count < SEEDS_MAX && (len[count] = fuzz_seed(count, seeds[count], INPUT_MAX)))
		count++;
	for (unsigned i = 0; i < count; i++)
		LLVMFuzzerTestOneInput(seeds[i], len[i]);
	state = seed_text ? strtoull(seed_text, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;
	state |= 1;
	printf("%s: %lu runs, %u seeds, FUZZ_SEED=%llu\n", argv[0], runs, count,
	       (unsigned long long)state);
	fflush(stdout);
	while (count && runs--) {
		unsigned s = (unsigned)(next() % count);
		uint8_t *exact;
		size_t n;

		memcpy(b, seeds[s], len[s]);
		n = mutate(b, len[s], INPUT_MAX);
		/* A buffer of its own size lets the sanitizer see every byte too far. */
		exact = malloc(n ? n : 1);
		if (!exact)
			return 1;
		memcpy(exact, b, n);
		LLVMFuzzerTestOneInput(exact, n);
		free(exact);
	}
	return 0;
}
