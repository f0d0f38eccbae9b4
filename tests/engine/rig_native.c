/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The native side of the payload's works. See rig_native.h. */
#include "config.h"

#include "tests/engine/rig_native.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/engine/rig_work.h"

#define HEAP_BYTES (2u << 20)
#define AGAIN 8u
#define AGREE 7u

uint64_t rig_native(unsigned int work, uint64_t amount)
{
	void *heap = calloc(1, HEAP_BYTES);
	uint64_t result = rig_work(work, amount, heap);

	free(heap);
	return result;
}

/* The result that came at least AGREE times, or NULL. */
static const uint64_t *usual(const uint64_t *results)
{
	for (unsigned int i = 0; i < AGAIN; i++) {
		unsigned int equal = 0;

		for (unsigned int j = 0; j < AGAIN; j++)
			equal += results[i] == results[j];
		if (equal >= AGREE)
			return &results[i];
	}
	return NULL;
}

enum rig_verdict rig_native_judge(const char *who, unsigned int work, uint64_t amount, uint64_t first, uint64_t got)
{
	uint64_t again[AGAIN];
	const uint64_t *want;

	if (first == got)
		return RIG_AGREE;
	for (unsigned int i = 0; i < AGAIN; i++)
		again[i] = rig_native(work, amount);
	want = usual(again);
	if (want && *want != got) {
		printf("%s: WRONG: result %016" PRIx64 ", native %016" PRIx64 "\n", who, got, *want);
		return RIG_ENGINE_WRONG;
	}
	printf("%s: host: not repeatable: first %016" PRIx64 ", and in %u more runs %s\n", who, first, AGAIN,
	       want ? "mostly as the engine has it" : "nothing that is usual");
	return want ? RIG_HOST_ODD : RIG_NO_ANSWER;
}
