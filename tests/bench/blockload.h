/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blockload.h - the load that the block benches put on every side: count requests of one kind and
 * size, depth of them in flight, at the offsets 0, step, 2 step, ... modulo the size of the device.
 * That is what `qemu-img bench -S` does; a step that is a large odd multiple of the request size
 * makes it as scattered as random access, and every side touches the same places in the same order.
 *
 * Thread: the program's only thread.
 */
#ifndef BLOCKLOAD_H
#define BLOCKLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define LOAD_USAGE "--op read|write --size BYTES --depth N --count N [--step BYTES]"

struct load {
	bool write;
	uint32_t size_bytes;
	unsigned depth;
	uint64_t count, step_bytes;
	/* while it runs */
	uint64_t capacity_bytes, next_offset, begun, ended;
	uint64_t start_ns, start_cpu_ns;
};

/* Takes the load's options out of argv; the other arguments are left in rest[], which has room for
 * cap. How many, or -1 (words are on stderr). */
int load_parse(struct load *l, int argc, char **argv, const char **rest, int cap);
/* Memory of all requests in one piece, as qemu-img bench and guests have it, filled with a pattern.
 * Never NULL; free it. Request i's part is load_part(). */
void *load_memory(const struct load *l);
struct iovec load_part(const struct load *l, void *memory, unsigned i);
/* The device is open: the clocks begin. False if it is too small. */
bool load_start(struct load *l, uint64_t capacity_bytes);
/* The next request's offset; false: all have begun. */
bool load_next(struct load *l, uint64_t *offset_bytes);
/* One has ended. True: it was the last. */
bool load_end(struct load *l);
/* One line of JSON: {"ios","seconds","cpu_seconds","begun","ended"}; CPU time is this process',
 * user and system; begun and ended are CLOCK_MONOTONIC in seconds, to lay several processes over
 * each other. */
void load_report(const struct load *l);

#endif
