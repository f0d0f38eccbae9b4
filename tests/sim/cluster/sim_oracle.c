/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_oracle.c - judges what lands, what is acknowledged and what is read. Parses records of the simulation.
 */
#include "config.h"

#include "tests/sim/cluster/sim_oracle.h"

#include <string.h>

#include "tests/sim/cluster/sim_world.h"

struct record {
	char magic[8];
	uint32_t vm, life;
	uint64_t number;
};

static struct {
	uint32_t life;
	uint64_t acked[SIM_LUNS], landed[SIM_LUNS];
} vms[SIM_VMS];

uint64_t sim_tally_writes, sim_tally_boots, sim_tally_moves;

static void landed(unsigned lun, uint64_t lba, const uint8_t *data)
{
	struct record r;

	if (lba < SIM_RECORD(0))
		return;
	memcpy(&r, data, sizeof r);
	sim_tally_writes++;
	if (r.life < vms[r.vm].life)
		sim_found("a late write: number %llu of life %u of VM %u landed on LUN %u in life %u",
			  (unsigned long long)r.number, r.life, r.vm, lun, vms[r.vm].life);
	else if (r.number < vms[r.vm].landed[lun])
		sim_found("VM %u: number %llu landed on LUN %u after %llu", r.vm, (unsigned long long)r.number, lun,
			  (unsigned long long)vms[r.vm].landed[lun]);
	vms[r.vm].landed[lun] = r.number;
}

void sim_oracle_begin(void)
{
	memset(vms, 0, sizeof vms);
	sim_landed = landed;
}

uint32_t sim_oracle_begins(unsigned vm, const uint64_t memory[SIM_LUNS])
{
	for (unsigned i = 0; memory && i < SIM_LUNS; i++)
		if (memory[i] < vms[vm].acked[i])
			sim_found("VM %u goes on with old memory: it knows number %llu of LUN %u, %llu was acknowledged",
				  vm, (unsigned long long)memory[i], i, (unsigned long long)vms[vm].acked[i]);
	if (memory)
		sim_tally_moves++;
	else
		sim_tally_boots++;
	return ++vms[vm].life;
}

void sim_oracle_fill(uint8_t sector[SIM_SECTOR], unsigned vm, uint32_t life, uint64_t number)
{
	struct record r = {.magic = "record", .vm = vm, .life = life, .number = number};

	memset(sector, 0, SIM_SECTOR);
	memcpy(sector, &r, sizeof r);
}

void sim_oracle_acked(unsigned vm, uint32_t life, unsigned lun, uint64_t number)
{
	if (life == vms[vm].life && number > vms[vm].acked[lun])
		vms[vm].acked[lun] = number;
}

uint64_t sim_oracle_read(unsigned vm, unsigned lun, const uint8_t sector[SIM_SECTOR])
{
	struct record r;

	memcpy(&r, sector, sizeof r);
	if (r.number < vms[vm].acked[lun])
		sim_found("VM %u lost a write: LUN %u has number %llu, %llu was acknowledged", vm, lun,
			  (unsigned long long)r.number, (unsigned long long)vms[vm].acked[lun]);
	return r.number;
}
