/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_boot.c - what the loader told the bare-metal test guest: command line, RAM, random seed.
 *
 * Reads Linux boot_params (kind 0) or PVH hvm_start_info (kind 1), both written by the virtual
 * machine monitor under test. Copies what it needs, since the low memory is used again afterwards.
 */
#include "guest.h"

#define RAM_LIMIT 0xc0000000ull

struct e820 {
	uint64_t at, size;
	uint32_t type;
} __attribute__((packed));

struct pvh_memory {
	uint64_t at, size;
	uint32_t type, reserved;
};

struct guest_boot guest_boot;
static uint64_t ram_next; /* working memory of the modules: from the end of the image */
extern char guest_image_end[];

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, 8);
	return v;
}

static uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, 4);
	return v;
}

static void copy_cmdline(uint64_t gpa)
{
	const char *from = (const char *)gpa;
	size_t n = 0;

	for (; gpa && from[n] && n + 1 < sizeof guest_boot.cmdline; n++)
		guest_boot.cmdline[n] = from[n];
	guest_boot.cmdline[n] = 0;
}

static void note_ram(uint64_t at, uint64_t size, uint32_t type)
{
	uint64_t end = at + size;

	if (type != 1 || at > (1 << 20) || end <= (1 << 20))
		return;
	guest_boot.ram_end = end < RAM_LIMIT ? end : RAM_LIMIT;
}

static void read_boot_params(const uint8_t *p)
{
	copy_cmdline(load32(p + 0x228));
	for (unsigned i = 0; i < p[0x1e8]; i++) {
		const struct e820 *e = (const struct e820 *)(p + 0x2d0) + i;

		note_ram(e->at, e->size, e->type);
	}
	for (uint64_t at = load64(p + 0x250); at; at = load64((const uint8_t *)at)) {
		const uint8_t *d = (const uint8_t *)at;

		if (load32(d + 8) == 9 && load32(d + 12) >= 8) /* SETUP_RNG_SEED */
			guest_boot.seed = load64(d + 16);
	}
}

static void read_pvh(const uint8_t *p)
{
	const struct pvh_memory *m = (const struct pvh_memory *)load64(p + 40);

	copy_cmdline(load64(p + 24));
	for (uint32_t i = 0; i < load32(p + 48); i++)
		note_ram(m[i].at, m[i].size, m[i].type);
}

void guest_boot_read(const void *info, uint32_t kind)
{
	if (kind == 0)
		read_boot_params(info);
	else
		read_pvh(info);
	ram_next = ((uint64_t)guest_image_end + 0x1fffff) & ~0x1fffffull;
}

const char *guest_param(const char *name)
{
	const char *p = guest_boot.cmdline;
	size_t n = guest_strlen(name);

	while (*p) {
		while (*p == ' ')
			p++;
		if (guest_starts(p, name) && p[n] == '=')
			return p + n + 1;
		while (*p && *p != ' ')
			p++;
	}
	return NULL;
}

uint64_t guest_param_number(const char *name, uint64_t otherwise)
{
	const char *p = guest_param(name);

	return p ? guest_number(&p) : otherwise;
}

bool guest_mode(const char *name)
{
	const char *p = guest_param("mode");
	size_t n = guest_strlen(name);

	while (p && *p && *p != ' ') {
		if (guest_starts(p, name) && (p[n] == ',' || p[n] == ' ' || !p[n]))
			return true;
		while (*p && *p != ' ' && *p != ',')
			p++;
		if (*p == ',')
			p++;
	}
	return false;
}

uint64_t guest_pages_left(void)
{
	return guest_boot.ram_end > ram_next ? guest_boot.ram_end - ram_next : 0;
}

void *guest_pages(uint64_t bytes)
{
	void *p = (void *)ram_next;

	bytes = (bytes + 4095) & ~4095ull;
	if (bytes > guest_pages_left())
		guest_fail("not enough memory for this mode");
	ram_next += bytes;
	return p;
}
