/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_main.c - the bare-metal test guest: reads its command line and runs the chosen modules in
 *turn.
 *
 *	mode=LIST	beat, step, dirty, clock, writer, net (see the file of each for its
 *parameters) cpus=N		processors to wait for (the others only work for mode=clock)
 *	fill=SIZE	before anything else fills that much RAM with bytes that do not compress
 *	seconds=N	powers off after that time; otherwise at the power button
 *	machine=other	not hv-1, and no virtio slots
 *	tsc_khz=N	only without kvmclock
 */
#include "guest.h"

static const struct guest_module *const modules[] = {
	&guest_beat_module,  &guest_step_module,   &guest_dirty_module,
	&guest_clock_module, &guest_writer_module, &guest_net_module,
};

#define MODULES (sizeof(modules) / sizeof(modules[0]))

static bool enabled[MODULES];

static void fill(uint64_t bytes)
{
	uint64_t *p = guest_pages(bytes), x = guest_random() | 1;

	for (uint64_t i = 0; i < bytes / 8; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = x;
	}
}

static void start(const void *info, uint32_t kind)
{
	unsigned cpus;

	guest_boot_read(info, kind);
	guest_irq_init();
	guest_time_init();
	cpus = guest_param_number("cpus", 1) > 1 ? guest_irq_start_cpus() : 1;
	for (unsigned i = 0; i < MODULES; i++)
		enabled[i] = guest_mode(modules[i]->mode);
	guest_say("ready cpus=%u ram=%luM clock=%s", cpus, guest_boot.ram_end >> 20,
		  guest_has_kvmclock ? "kvmclock" : "tsc");
	if (cpus < guest_param_number("cpus", 1))
		guest_fail("a processor did not start");
	if (guest_param("fill"))
		fill(guest_param_number("fill", 0));
	for (unsigned i = 0; i < MODULES; i++)
		if (enabled[i])
			modules[i]->init();
}

void guest_main(const void *info, uint32_t kind)
{
	uint64_t end;

	start(info, kind);
	end = guest_param("seconds")
		      ? guest_now_ns() + guest_param_number("seconds", 0) * GUEST_NS_S
		      : GUEST_NEVER;
	for (;;) {
		uint64_t next = end, now;

		guest_irq_pending = 0;
		for (unsigned i = 0; i < MODULES; i++) {
			uint64_t at = enabled[i] ? modules[i]->poll(guest_now_ns()) : GUEST_NEVER;

			next = at < next ? at : next;
		}
		now = guest_now_ns();
		if (now >= end || guest_power_button()) {
			guest_say("power off");
			guest_power_off();
		}
		if (next > now)
			guest_sleep(next - now);
		else
			guest_time_calm();
	}
}

void guest_wait_slice(uint64_t ns)
{
	uint64_t now = guest_now_ns(), end = now + ns;

	if (enabled[0]) {
		uint64_t at = guest_beat_module.poll(now);

		end = at < end ? at : end;
		now = guest_now_ns();
	}
	if (end > now)
		guest_sleep(end - now);
}
