/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_bus.c - who answers at an address: no overlaps, no access that leaves its range,
 * doorbells.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "hvcore/machine/hv_bus.h"

struct seen {
	uint64_t offset, value;
	unsigned len, reads, writes;
};

static void seen_io(void *arg, uint64_t offset, void *data, unsigned len, bool write)
{
	struct seen *s = arg;

	s->offset = offset;
	s->len = len;
	if (write) {
		s->value = 0;
		memcpy(&s->value, data, len);
		s->writes++;
	} else {
		memset(data, 0x5a, len);
		s->reads++;
	}
}

static void bus_access(void **state)
{
	struct seen a = {0}, b = {0};
	struct hv_lock lock;
	struct hv_bus *bus;
	uint64_t v = 0, bells = 0;
	uint32_t w = 7;
	int fd = eventfd(0, EFD_NONBLOCK);

	(void)state;
	hv_lock_init(&lock);
	assert_int_equal(hv_bus_new(&bus, &lock), 0);
	assert_int_equal(hv_bus_add_mmio(bus, 0x1000, 0x100, "a", seen_io, &a), 0);
	assert_int_equal(hv_bus_add_mmio(bus, 0x10ff, 1, "b", seen_io, &b), -EEXIST);
	assert_int_equal(hv_bus_add_mmio(bus, 0xf80, 0x81, "b", seen_io, &b), -EEXIST);
	assert_int_equal(hv_bus_add_mmio(bus, UINT64_MAX, 2, "b", seen_io, &b), -EINVAL);
	assert_int_equal(hv_bus_add_mmio(bus, 0xf80, 0x80, "b", seen_io, &b), 0);
	assert_int_equal(hv_bus_add_pio(bus, 0xfff8, 9, "p", seen_io, &b), -EINVAL);

	hv_bus_mmio(bus, 0x10fc, &w, 4, true);
	assert_int_equal(a.offset, 0xfc);
	assert_int_equal(a.value, 7);
	hv_bus_mmio(bus, 0xf80, &v, 8, false);
	assert_int_equal(v, 0x5a5a5a5a5a5a5a5aull);
	/* Leaves its range, or nobody is there: all ones. */
	hv_bus_mmio(bus, 0x10fe, &w, 4, false);
	assert_int_equal(w, 0xffffffffu);
	hv_bus_pio(bus, 0x42, &w, 1, false);
	assert_int_equal(hv_bus_unknown(bus), 2);
	assert_int_equal(a.reads, 0);

	assert_int_equal(hv_bus_doorbell(bus, 0x1050, fd, true), 0);
	assert_int_equal(hv_bus_doorbell(bus, 0x1050, fd, true), -EEXIST);
	a.writes = 0;
	hv_bus_mmio(bus, 0x1050, &w, 4, true);
	hv_bus_mmio(bus, 0x1050, &w, 4, true);
	assert_int_equal(a.writes, 0);
	assert_int_equal(read(fd, &bells, 8), 8);
	assert_int_equal(bells, 2);
	hv_bus_mmio(bus, 0x1050, &w, 2, true); /* not a doorbell's size */
	assert_int_equal(a.writes, 1);
	assert_int_equal(hv_bus_doorbell(bus, 0x1050, fd, false), 0);
	hv_bus_mmio(bus, 0x1050, &w, 4, true);
	assert_int_equal(a.writes, 2);
	hv_bus_free(bus);
	hv_lock_fini(&lock);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bus_access),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
