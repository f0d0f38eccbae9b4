/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RDRAND and RDSEED: numbers of the host's generator. Where time is counted in instructions they
 * are a function of it, so that a run can be repeated.
 */
#include "config.h"

#define SOFT_LOOPED

#include <sys/random.h>

#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_reg.h"
#include "hvcore/engine_soft/soft_vm.h"

/* splitmix64 of the instruction's number and the vCPU's */
static uint64_t counted(const struct soft_cpu *cpu, const struct soft_op *op)
{
	uint64_t z = (cpu->icount + op->n) * 0x9e3779b97f4a7c15ull + cpu->index;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* false: the host has none at the moment. */
static bool next(struct soft_cpu *cpu, const struct soft_op *op, uint64_t *v)
{
	struct soft_random *r = &cpu->random;

	if (cpu->vm->clock.insns_per_us) {
		*v = counted(cpu, op);
		return true;
	}
	if (!r->left) {
		if (getrandom(r->v, sizeof r->v, GRND_NONBLOCK) != (ssize_t)sizeof r->v)
			return false;
		r->left = SOFT_RANDOM;
	}
	*v = r->v[--r->left];
	r->v[r->left] = 0; /* nobody gets it twice */
	return true;
}

SOFT_HX(soft_op_rdrand)
{
	uint64_t v = 0;
	bool ok = next(cpu, op, &v);

	if (op->aux == 2)
		soft_set16(cpu, op->rm, (uint16_t)v);
	else if (op->aux == 4)
		soft_set32(cpu, op->rm, (uint32_t)v);
	else
		soft_set64(cpu, op->rm, v);
	soft_flags_load(&cpu->flags, ok ? SOFT_CF : 0);
	SOFT_NEXT(cpu, op);
}
