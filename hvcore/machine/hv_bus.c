/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_bus.c - who answers at which port and address.
 *
 * Does: range lookup, the machine lock around an access, doorbells, all ones for nothing.
 * Does not: know devices. Accesses are the guest's: any port, address and value.
 */
#include "config.h"

#include "hvcore/machine/hv_bus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hvcore/cpu/hv_engine.h"

#define MAX_RANGES    64u
#define MAX_DOORBELLS 64u

struct range {
	uint64_t base, bytes;
	const char *name;
	hv_bus_io_fn fn;
	void *arg;
};

/* Sorted by base; ranges never overlap. */
struct space {
	unsigned count;
	struct range range[MAX_RANGES];
};

struct doorbell {
	uint64_t gpa;
	int fd;
};

struct hv_bus {
	struct hv_lock *lock;
	struct hv_engine *engine;
	struct space pio, mmio;
	unsigned doorbells;
	struct doorbell doorbell[MAX_DOORBELLS];
	bool inside;
	_Atomic uint64_t unknown;
};

int hv_bus_new(struct hv_bus **out, struct hv_lock *lock)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return -ENOMEM;
	(*out)->lock = lock;
	return 0;
}

void hv_bus_free(struct hv_bus *bus)
{
	free(bus);
}

static int space_add(struct space *sp, const struct range *r)
{
	unsigned at = 0;

	if (!r->bytes || r->base + (r->bytes - 1) < r->base)
		return -EINVAL;
	if (sp->count == MAX_RANGES)
		return -ENOSPC;
	while (at < sp->count && sp->range[at].base < r->base)
		at++;
	if (at < sp->count && sp->range[at].base - r->base < r->bytes)
		return -EEXIST;
	if (at && r->base - sp->range[at - 1].base < sp->range[at - 1].bytes)
		return -EEXIST;
	memmove(&sp->range[at + 1], &sp->range[at], (sp->count - at) * sizeof *r);
	sp->range[at] = *r;
	sp->count++;
	return 0;
}

int hv_bus_add_pio(struct hv_bus *bus, uint16_t port, uint16_t ports, const char *name,
		   hv_bus_io_fn fn, void *arg)
{
	struct range r = {port, ports, name, fn, arg};

	if ((uint32_t)port + ports > 0x10000u)
		return -EINVAL;
	return space_add(&bus->pio, &r);
}

int hv_bus_add_mmio(struct hv_bus *bus, uint64_t gpa, uint64_t bytes, const char *name,
		    hv_bus_io_fn fn, void *arg)
{
	struct range r = {gpa, bytes, name, fn, arg};

	return space_add(&bus->mmio, &r);
}

static int engine_doorbell(struct hv_bus *bus, uint64_t gpa, int fd, bool assign)
{
	struct hv_engine_base *base = (struct hv_engine_base *)(void *)bus->engine;

	if (!base || !base->ops->ioeventfd)
		return -ENOTSUP;
	return base->ops->ioeventfd(bus->engine, gpa, fd, assign);
}

void hv_bus_clear(struct hv_bus *bus)
{
	for (unsigned i = 0; i < bus->doorbells; i++)
		(void)engine_doorbell(bus, bus->doorbell[i].gpa, bus->doorbell[i].fd, false);
	bus->doorbells = 0;
	bus->pio.count = 0;
	bus->mmio.count = 0;
}

void hv_bus_set_engine(struct hv_bus *bus, struct hv_engine *engine)
{
	bus->engine = engine;
}

/* Every doorbell is in our table too: the engine may hand us the access where it must emulate it.
 */
int hv_bus_doorbell(struct hv_bus *bus, uint64_t gpa, int fd, bool assign)
{
	unsigned i = 0;
	int rc;

	while (i < bus->doorbells && (bus->doorbell[i].gpa != gpa || bus->doorbell[i].fd != fd))
		i++;
	if (!assign) {
		if (i == bus->doorbells)
			return -ENOENT;
		bus->doorbell[i] = bus->doorbell[--bus->doorbells];
		rc = engine_doorbell(bus, gpa, fd, false);
		return rc == -ENOTSUP ? 0 : rc;
	}
	if (i < bus->doorbells)
		return -EEXIST;
	if (bus->doorbells == MAX_DOORBELLS)
		return -ENOSPC;
	rc = engine_doorbell(bus, gpa, fd, true);
	if (rc < 0 && rc != -ENOTSUP)
		return rc;
	bus->doorbell[bus->doorbells++] = (struct doorbell){gpa, fd};
	return 0;
}

static const struct range *space_find(const struct space *sp, uint64_t at, unsigned len)
{
	unsigned lo = 0, hi = sp->count;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		const struct range *r = &sp->range[mid];

		if (at < r->base)
			hi = mid;
		else if (at - r->base >= r->bytes)
			lo = mid + 1;
		else
			return len <= r->bytes - (at - r->base) ? r : NULL;
	}
	return NULL;
}

static void access_space(struct hv_bus *bus, const struct space *sp, uint64_t at, void *data,
			 unsigned len, bool write)
{
	const struct range *r;

	if (!write)
		memset(data, 0xff, len);
	r = space_find(sp, at, len);
	if (!r) {
		atomic_fetch_add_explicit(&bus->unknown, 1, memory_order_relaxed);
		return;
	}
	CM_ASSERT(!bus->inside);
	bus->inside = true;
	r->fn(r->arg, at - r->base, data, len, write);
	bus->inside = false;
}

static bool ring_doorbell(struct hv_bus *bus, uint64_t gpa)
{
	static const uint64_t one = 1;

	for (unsigned i = 0; i < bus->doorbells; i++)
		if (bus->doorbell[i].gpa == gpa) {
			/* EAGAIN means that the counter is full: the bell rings already. */
			ssize_t n = write(bus->doorbell[i].fd, &one, sizeof one);

			(void)n;
			return true;
		}
	return false;
}

void hv_bus_pio(struct hv_bus *bus, uint16_t port, void *data, unsigned len, bool write)
{
	hv_lock_take(bus->lock);
	access_space(bus, &bus->pio, port, data, len, write);
	hv_lock_drop(bus->lock);
}

void hv_bus_mmio(struct hv_bus *bus, uint64_t gpa, void *data, unsigned len, bool write)
{
	hv_lock_take(bus->lock);
	if (!(write && len == 4 && ring_doorbell(bus, gpa)))
		access_space(bus, &bus->mmio, gpa, data, len, write);
	hv_lock_drop(bus->lock);
}

uint64_t hv_bus_unknown(const struct hv_bus *bus)
{
	return atomic_load_explicit(&bus->unknown, memory_order_relaxed);
}

static void space_dump(const struct space *sp, const char *kind, FILE *to)
{
	for (unsigned i = 0; i < sp->count; i++)
		fprintf(to, "%s 0x%" PRIx64 "+0x%" PRIx64 " %s\n", kind, sp->range[i].base,
			sp->range[i].bytes, sp->range[i].name);
}

void hv_bus_dump(const struct hv_bus *bus, FILE *to)
{
	space_dump(&bus->pio, "port", to);
	space_dump(&bus->mmio, "mmio", to);
	fprintf(to, "doorbells %u unknown %" PRIu64 "\n", bus->doorbells, hv_bus_unknown(bus));
}
