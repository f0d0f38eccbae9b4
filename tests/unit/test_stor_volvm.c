/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of what a cluster volume keeps for VMs: claims of disks, saved states, configurations,
 * ownership sectors; each by one host and by two at once.
 */
#include "config.h"

#include "tests/unit/volkit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volfmt.h"

static const struct stor_uuid vm_a = {{1, 2, 3}}, vm_b = {{4, 5, 6}};

/* What a lease would do: the block says that node owns the VM, or nobody. */
static void set_owner(struct stor_volume *vol, const struct stor_uuid *vm, const char *node)
{
	struct stor_block b = {.state = node ? STOR_BLOCK_RUNNING : STOR_BLOCK_FREE,
			       .vm = *vm,
			       .epoch = 1,
			       .io_timeout_ms = 2000};
	uint8_t sector[512];
	uint64_t at;

	if (node)
		snprintf(b.owner.node, sizeof b.owner.node, "%s", node);
	assert_int_equal(stor_volume_vm_block(vol, vm, true, &at, NULL), 0);
	stor_block_encode(&b, sector, sizeof sector);
	vk_poke((off_t)at, sector, sizeof sector);
}

static int claim(struct stor_volume *vol, const char *disk, const struct stor_uuid *vm,
		 struct cm_err *err)
{
	const struct stor_claim c = {.vm = *vm, .home = stor_volume_id(vol), .epoch = 1, .node = "n1"};

	return stor_volume_disk_claim(vol, disk, &c, false, NULL, err);
}

static void test_claim(void **state)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct cm_err err = CM_ERR_INIT;
	struct stor_disk_info info;

	(void)state;
	assert_int_equal(stor_volume_disk_create(vol, "d", VK_EXTENT, false, NULL), 0);
	assert_int_equal(claim(vol, "e", &vm_a, NULL), CM_E_NO_DISK);
	set_owner(vol, &vm_a, "n1");
	assert_int_equal(claim(vol, "d", &vm_a, NULL), 0);
	assert_int_equal(claim(vol, "d", &vm_a, NULL), 0);
	assert_int_equal(stor_volume_disk_info(vol, "d", &info, NULL), 0);
	assert_true(stor_uuid_equal(&info.vm, &vm_a));
	/* while somebody owns A, nobody else gets its disk */
	assert_int_equal(claim(vol, "d", &vm_b, &err), CM_E_DISK_BUSY);
	assert_non_null(strstr(err.text, "n1"));
	assert_int_equal(stor_volume_disk_delete(vol, "d", NULL), CM_E_DISK_BUSY);
	assert_int_equal(stor_volume_disk_rename(vol, "d", "e", NULL), CM_E_DISK_BUSY);
	assert_int_equal(stor_volume_disk_resize(vol, "d", 2 * VK_EXTENT, NULL), 0);
	assert_int_equal(stor_volume_vm_forget(vol, &vm_a, NULL), CM_E_LEASE_HELD);
	set_owner(vol, &vm_a, NULL);
	assert_int_equal(claim(vol, "d", &vm_b, NULL), 0);
	/* B has no block here, where it would have it: nobody runs it */
	assert_int_equal(claim(vol, "d", &vm_a, NULL), 0);
	assert_int_equal(stor_volume_disk_delete(vol, "d", NULL), 0);
	stor_volume_free(vol);
	vk_close_dev(dev);
}

static void test_forget(void **state)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct stor_volume_report r;
	uint64_t at, again;

	(void)state;
	set_owner(vol, &vm_a, NULL);
	assert_int_equal(stor_volume_vm_block(vol, &vm_a, false, &at, NULL), 0);
	assert_int_equal(stor_volume_vm_forget(vol, &vm_a, NULL), 0);
	assert_int_equal(stor_volume_vm_block(vol, &vm_a, false, &again, NULL), CM_E_NO_VM);
	/* not the same sector again, until it was cleared */
	assert_int_equal(stor_volume_vm_block(vol, &vm_a, true, &again, NULL), 0);
	assert_int_equal(again, at + 512);
	assert_int_equal(stor_volume_check(vol, true, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.unfinished, 1);
	assert_int_equal(r.bad_structures, 0);
	assert_int_equal(stor_volume_vm_block(vol, &vm_a, true, &again, NULL), 0);
	assert_int_equal(again, at);
	stor_volume_free(vol);
	vk_close_dev(dev);
}

/* A VM's first start on two hosts, with a repair in between: one of them gets it. */
static void test_first_block_beside_repair(void **state)
{
	static const struct stor_uuid gone = {{1, 2, 3, 9}}; /* the same hash */
	static const uint8_t zero[512];
	struct stor_block b = {.state = STOR_BLOCK_RUNNING, .vm = vm_a, .epoch = 1, .io_timeout_ms = 2000};
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct stor_volume_report r;
	uint8_t sector[512];
	uint64_t n1, n2;

	(void)state;
	set_owner(vol, &gone, NULL);
	assert_int_equal(stor_volume_vm_forget(vol, &gone, NULL), 0);
	assert_int_equal(stor_volume_vm_block(vol, &vm_a, true, &n1, NULL), 0); /* and stands still */
	assert_int_equal(stor_volume_check(vol, true, NULL, NULL, &r, NULL), 0);
	assert_int_equal(stor_volume_vm_block(vol, &vm_a, true, &n2, NULL), 0);
	snprintf(b.owner.node, sizeof b.owner.node, "n2");
	stor_block_encode(&b, sector, sizeof sector);
	assert_int_equal(vk_caw(dev, n2, zero, sector, sizeof sector), 0);
	assert_int_equal(stor_volume_vm_alone(vol, &vm_a, n2, NULL), 0);
	/* the first one goes on with what it read */
	snprintf(b.owner.node, sizeof b.owner.node, "n1");
	stor_block_encode(&b, sector, sizeof sector);
	if (vk_caw(dev, n1, zero, sector, sizeof sector) == 0)
		assert_int_equal(stor_volume_vm_alone(vol, &vm_a, n1, NULL), CM_E_LEASE_HELD);
	stor_volume_free(vol);
	vk_close_dev(dev);
}

static void test_image(void **state)
{
	struct stor_dev *dev, *image;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct stor_image_info info;
	struct stor_volume_info vi;
	uint8_t a[8192], b[8192];
	struct stor_uuid wrong = {{9}};
	int rc;

	(void)state;
	assert_int_equal(stor_volume_image_find(vol, &vm_a, &info, NULL), CM_E_NO_DISK);
	image = vk_open_image(vol, &vm_a, &rc);
	assert_int_equal(rc, CM_E_NO_DISK);
	vk_close_dev(image);
	assert_int_equal(stor_volume_image_create(vol, &vm_a, 8 * VK_EXTENT, NULL), 0);
	assert_int_equal(stor_volume_image_create(vol, &vm_a, 8 * VK_EXTENT, NULL),
			 CM_E_DISK_EXISTS);
	assert_int_equal(stor_volume_image_find(vol, &vm_a, &info, NULL), 0);
	assert_false(info.sealed);
	/* what is not complete cannot be consumed */
	assert_int_equal(stor_volume_image_consume(vol, &vm_a, &info.id, NULL), CM_E_NO_DISK);
	image = vk_open_image(vol, &vm_a, &rc);
	assert_int_equal(rc, 0);
	vk_fill(a, sizeof a, 7);
	assert_int_equal(vk_disk_io(image, true, 3 * VK_EXTENT - 4096, a, sizeof a), 0);
	assert_int_equal(stor_volume_image_seal(vol, &vm_a, NULL), 0);
	vk_close_dev(image);
	assert_int_equal(stor_volume_image_find(vol, &vm_a, &info, NULL), 0);
	assert_true(info.sealed);
	assert_int_equal(info.size_bytes, 8 * VK_EXTENT);
	image = vk_open_image(vol, &vm_a, &rc);
	assert_int_equal(vk_disk_io(image, false, 3 * VK_EXTENT - 4096, b, sizeof b), 0);
	assert_memory_equal(a, b, sizeof a);
	vk_close_dev(image);
	/* an image is no disk */
	assert_int_equal(stor_volume_info(vol, &vi, NULL), 0);
	assert_int_equal(vi.disks, 0);
	assert_int_equal(vi.images, 1);
	assert_int_equal(stor_volume_image_consume(vol, &vm_a, &wrong, NULL), CM_E_NO_DISK);
	assert_int_equal(stor_volume_image_consume(vol, &vm_a, &info.id, NULL), 0);
	assert_int_equal(stor_volume_image_consume(vol, &vm_a, &info.id, NULL), CM_E_NO_DISK);
	assert_int_equal(stor_volume_image_drop(vol, &vm_a, NULL), CM_E_NO_DISK);
	assert_int_equal(stor_volume_image_create(vol, &vm_a, VK_EXTENT, NULL), 0);
	assert_int_equal(stor_volume_image_drop(vol, &vm_a, NULL), 0);
	assert_int_equal(stor_volume_info(vol, &vi, NULL), 0);
	assert_int_equal(vi.extents_free, vi.extents);
	vk_check_clean(vol, false, 0);
	stor_volume_free(vol);
	vk_close_dev(dev);
}

struct seen {
	unsigned n, bytes;
};

static void see(const struct stor_uuid *vm, const char *name, const char *text, size_t n, void *arg)
{
	struct seen *s = arg;

	(void)vm;
	(void)name;
	(void)text;
	s->n++;
	s->bytes += (unsigned)n;
}

static void test_config(void **state)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);
	char *text, big[STOR_CONFIG_TEXT + 1];
	struct seen seen = {0, 0};
	size_t n;

	(void)state;
	assert_int_equal(stor_volume_config_get(vol, &vm_a, &text, &n, NULL), CM_E_NO_VM);
	assert_int_equal(stor_volume_config_put(vol, &vm_a, "web", "memory = 1G\n", 12, NULL), 0);
	for (int i = 0; i < 5; i++) {
		snprintf(big, sizeof big, "memory = %dG\n", i);
		assert_int_equal(stor_volume_config_put(vol, &vm_a, "web", big, strlen(big), NULL),
				 0);
		assert_int_equal(stor_volume_config_get(vol, &vm_a, &text, &n, NULL), 0);
		assert_string_equal(text, big);
		assert_int_equal(n, strlen(big));
		free(text);
	}
	/* limits: the longest text that deflates well, one byte more, and one that does not */
	memset(big, 'x', sizeof big);
	assert_int_equal(stor_volume_config_put(vol, &vm_b, "db", big, STOR_CONFIG_TEXT, NULL), 0);
	assert_int_equal(stor_volume_config_put(vol, &vm_b, "db", big, STOR_CONFIG_TEXT + 1, NULL),
			 CM_E_VOL_LIMIT);
	srand(1);
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)rand();
	assert_int_equal(stor_volume_config_put(vol, &vm_b, "db", big, STOR_CONFIG_TEXT, NULL),
			 CM_E_VOL_LIMIT);
	/* one that needs several sectors */
	assert_int_equal(stor_volume_config_put(vol, &vm_b, "db", big, 3000, NULL), 0);
	assert_int_equal(stor_volume_config_get(vol, &vm_b, &text, &n, NULL), 0);
	assert_int_equal(n, 3000);
	assert_memory_equal(text, big, 3000);
	free(text);
	assert_int_equal(stor_volume_config_put(vol, &vm_b, "../db", "x", 1, NULL), CM_E_BAD_VALUE);
	assert_int_equal(stor_volume_each_config(vol, see, &seen, NULL), 0);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.bytes, 3000 + strlen("memory = 4G\n"));
	vk_check_clean(vol, false, 0);
	assert_int_equal(stor_volume_config_drop(vol, &vm_a, NULL), 0);
	assert_int_equal(stor_volume_config_drop(vol, &vm_a, NULL), CM_E_NO_VM);
	assert_int_equal(stor_volume_config_get(vol, &vm_a, &text, &n, NULL), CM_E_NO_VM);
	stor_volume_free(vol);
	vk_close_dev(dev);
}

/* --- two hosts at once --------------------------------------------------- */

struct host {
	struct stor_volume *vol;
	unsigned id;
	int created, images, claimed;
	pthread_t th;
	pthread_barrier_t *start;
};

static void *host_main(void *arg)
{
	struct host *h = arg;
	struct stor_uuid vm = {{7}};
	char text[64], name[16];

	pthread_barrier_wait(h->start);
	for (unsigned i = 0; i < 8; i++) {
		/* the same name, the same VM's image: one of us gets it */
		snprintf(name, sizeof name, "d%u", i);
		h->created += stor_volume_disk_create(h->vol, name, VK_EXTENT, false, NULL) == 0;
		vm.b[1] = (uint8_t)i;
		h->images += stor_volume_image_create(h->vol, &vm, VK_EXTENT, NULL) == 0;
		/* the same VM's configuration: one of the two, whole */
		memset(text, 'a' + (int)h->id, sizeof text);
		if (stor_volume_config_put(h->vol, &vm, "vm", text, sizeof text, NULL))
			h->created = -1000;
		/* renaming to one name: one of us */
		snprintf(name, sizeof name, "own%u-%u", h->id, i);
		if (stor_volume_disk_create(h->vol, name, VK_EXTENT, false, NULL))
			h->created = -1000;
		snprintf(text, sizeof text, "common%u", i);
		h->claimed += stor_volume_disk_rename(h->vol, name, text, NULL) == 0;
	}
	return NULL;
}

static void test_hosts(void **state)
{
	struct stor_dev *dev[2];
	struct stor_volume *vol[2] = {vk_attach(&dev[0], true), vk_attach(&dev[1], false)};
	pthread_barrier_t start;
	struct host h[2];
	struct stor_volume_info vi;
	struct stor_uuid vm = {{7}};

	(void)state;
	pthread_barrier_init(&start, NULL, 2);
	for (unsigned i = 0; i < 2; i++) {
		h[i] = (struct host){.vol = vol[i], .id = i, .start = &start};
		assert_int_equal(pthread_create(&h[i].th, NULL, host_main, &h[i]), 0);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(h[i].th, NULL);
	assert_int_equal(h[0].created + h[1].created, 8);
	assert_int_equal(h[0].images + h[1].images, 8);
	assert_int_equal(h[0].claimed + h[1].claimed, 8);
	assert_int_equal(stor_volume_info(vol[0], &vi, NULL), 0);
	assert_int_equal(vi.disks, 8 + 16);
	assert_int_equal(vi.images, 8);
	for (unsigned i = 0; i < 8; i++) {
		char *text;
		size_t n;

		vm.b[1] = (uint8_t)i;
		assert_int_equal(stor_volume_config_get(vol[0], &vm, &text, &n, NULL), 0);
		assert_int_equal(n, 64);
		for (unsigned k = 1; k < n; k++)
			assert_int_equal(text[k], text[0]);
		free(text);
	}
	vk_check_clean(vol[0], false, 0);
	for (unsigned i = 0; i < 2; i++) {
		stor_volume_free(vol[i]);
		vk_close_dev(dev[i]);
	}
	pthread_barrier_destroy(&start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_claim, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_forget, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_first_block_beside_repair, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_image, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_config, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_hosts, vk_setup, vk_teardown),
	};

	cm_log_set_level(CM_LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
