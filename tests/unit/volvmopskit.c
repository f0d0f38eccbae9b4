/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * volvmopskit.c - operations on what a volume keeps for VMs, and repair. See volopskit.h.
 */
#include "config.h"

#include "tests/unit/volopskit.h"

#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "sharedstorage/volume/stor_volfmt.h"

static const struct stor_uuid vm_a = {{1, 2, 3}}, vm_b = {{4, 5, 6}};

static int write_block(struct stor_volume *vol, const struct stor_uuid *vm)
{
	struct stor_block b = {.state = STOR_BLOCK_FREE, .vm = *vm, .epoch = 1};
	static uint8_t zero[4096], next[4096];
	uint64_t at;

	MUST(stor_volume_vm_block(vol, vm, true, &at, NULL) == 0);
	stor_block_encode(&b, next, vo_sector);
	return vk_caw(stor_volume_dev(vol), at, zero, next, vo_sector);
}

static struct stor_claim claim_of_a(struct stor_volume *vol)
{
	return (struct stor_claim){.vm = vm_a, .home = stor_volume_id(vol), .epoch = 1, .node = "n1"};
}

static int run_claim(struct stor_volume *vol)
{
	const struct stor_claim c = claim_of_a(vol);

	return stor_volume_disk_claim(vol, "d", &c, false, NULL, NULL);
}

static int state_claim(struct stor_volume *vol)
{
	struct stor_disk_info info;

	MUST(vo_has_disk(vol, "d", &info));
	MUST(stor_uuid_is_zero(&info.vm) ? !info.held : stor_uuid_equal(&info.vm, &vm_a));
	return !stor_uuid_is_zero(&info.vm); /* repair clears it: nobody runs the VM */
}

static void with_claim(struct stor_volume *vol)
{
	vo_with_disk(vol);
	MUST(run_claim(vol) == 0);
}

static int run_release(struct stor_volume *vol)
{
	const struct stor_claim c = claim_of_a(vol);

	return stor_volume_disk_release(vol, "d", &c, NULL);
}

static int run_unclaim(struct stor_volume *vol)
{
	return stor_volume_disk_unclaim(vol, "d", false, NULL);
}

static int run_read(struct stor_volume *vol)
{
	const struct stor_claim c = claim_of_a(vol);
	struct stor_disk_info info;

	return stor_volume_reader_claim(vol, "d", &c, &info, NULL);
}

static int run_read_and_end(struct stor_volume *vol)
{
	const struct stor_claim c = claim_of_a(vol);
	struct stor_disk_info info;
	int rc = stor_volume_reader_claim(vol, "d", &c, &info, NULL);

	return rc ? rc : stor_volume_reader_release(vol, &info.id, &c, NULL);
}

static int state_read(struct stor_volume *vol)
{
	struct stor_disk_info info;

	MUST(vo_has_disk(vol, "d", &info));
	MUST(info.readers <= 1 && !info.held);
	return 0;
}

static int state_release(struct stor_volume *vol)
{
	struct stor_disk_info info;

	MUST(vo_has_disk(vol, "d", &info));
	MUST(stor_uuid_equal(&info.vm, &vm_a));
	return !info.held;
}

static int run_image(struct stor_volume *vol)
{
	return stor_volume_image_create(vol, &vm_a, 4 * VK_EXTENT, NULL);
}

static int image_state(struct stor_volume *vol, struct stor_image_info *info)
{
	int rc = stor_volume_image_find(vol, &vm_a, info, NULL);

	MUST(rc == 0 || rc == CM_E_NO_DISK);
	return rc == 0;
}

static int state_image(struct stor_volume *vol)
{
	struct stor_image_info info;

	return image_state(vol, &info);
}

static int write_image(struct stor_volume *vol)
{
	uint8_t a[8192];
	struct stor_dev *d;
	int rc;

	d = vk_open_image(vol, &vm_a, &rc);
	MUST(rc == 0);
	vk_fill(a, sizeof a, 6);
	rc = vk_disk_io(d, true, VK_EXTENT - 4096, a, sizeof a);
	vk_close_dev(d);
	return rc;
}

static void with_image(struct stor_volume *vol)
{
	MUST(run_image(vol) == 0);
	MUST(write_image(vol) == 0);
}

static int run_seal(struct stor_volume *vol)
{
	return stor_volume_image_seal(vol, &vm_a, NULL);
}

static int state_seal(struct stor_volume *vol)
{
	struct stor_image_info info;

	MUST(image_state(vol, &info));
	return info.sealed;
}

static void with_sealed(struct stor_volume *vol)
{
	with_image(vol);
	MUST(run_seal(vol) == 0);
}

static int run_consume(struct stor_volume *vol)
{
	struct stor_image_info info;

	MUST(image_state(vol, &info));
	return stor_volume_image_consume(vol, &vm_a, &info.id, NULL);
}

static int state_consume(struct stor_volume *vol)
{
	struct stor_image_info info;

	if (!image_state(vol, &info))
		return 1;
	MUST(info.sealed);
	return 0;
}

static int run_drop(struct stor_volume *vol)
{
	return stor_volume_image_drop(vol, &vm_a, NULL);
}

/* A whole life of a saved state. Every moment in between is a good one. */
static int run_save(struct stor_volume *vol)
{
	struct stor_image_info info;
	int rc = stor_volume_image_drop(vol, &vm_a, NULL);

	rc = rc == CM_E_NO_DISK ? 0 : rc;
	rc = rc ? rc : run_image(vol);
	rc = rc ? rc : write_image(vol);
	rc = rc ? rc : run_seal(vol);
	rc = rc ? rc : stor_volume_image_find(vol, &vm_a, &info, NULL);
	return rc ? rc : stor_volume_image_consume(vol, &vm_a, &info.id, NULL);
}

static int state_save(struct stor_volume *vol)
{
	struct stor_image_info info;
	uint8_t a[8192], b[8192];
	struct stor_dev *d;
	int rc;

	if (!image_state(vol, &info) || !info.sealed)
		return 0;
	d = vk_open_image(vol, &vm_a, &rc);
	MUST(rc == 0);
	vk_fill(a, sizeof a, 6);
	MUST(vk_disk_io(d, false, VK_EXTENT - 4096, b, sizeof b) == 0);
	MUST(memcmp(a, b, sizeof a) == 0); /* sealed is complete */
	vk_close_dev(d);
	return 0;
}

/* Text that does not deflate: several sectors. */
static void conf_text(char *out, size_t n, unsigned seed)
{
	srand(seed);
	for (size_t i = 0; i < n; i++)
		out[i] = (char)rand();
}

static int put(struct stor_volume *vol, unsigned seed, size_t n)
{
	char text[3000];

	conf_text(text, n, seed);
	return stor_volume_config_put(vol, &vm_a, "web", text, n, NULL);
}

static bool conf_is(struct stor_volume *vol, unsigned seed, size_t n)
{
	char want[3000], *text;
	size_t got;
	bool same;
	int rc = stor_volume_config_get(vol, &vm_a, &text, &got, NULL);

	MUST(rc == 0 || rc == CM_E_NO_VM);
	if (rc)
		return false;
	conf_text(want, n, seed);
	same = got == n && memcmp(want, text, n) == 0;
	free(text);
	return same;
}

static int run_put(struct stor_volume *vol)
{
	return put(vol, 1, 2500);
}

static int state_put(struct stor_volume *vol)
{
	char *text = NULL;
	size_t n;
	int rc = stor_volume_config_get(vol, &vm_a, &text, &n, NULL);

	free(text);
	MUST(rc == CM_E_NO_VM || (rc == 0 && conf_is(vol, 1, 2500)));
	return rc == 0;
}

static void with_config(struct stor_volume *vol)
{
	MUST(put(vol, 2, 900) == 0);
}

static int state_put_again(struct stor_volume *vol)
{
	bool now = conf_is(vol, 1, 2500);

	MUST(now || conf_is(vol, 2, 900));
	return now;
}

static int run_put_twice(struct stor_volume *vol)
{
	int rc = put(vol, 3, 100);

	return rc ? rc : put(vol, 1, 2500);
}

static int state_put_twice(struct stor_volume *vol)
{
	bool now = conf_is(vol, 1, 2500);

	MUST(now || conf_is(vol, 3, 100) || conf_is(vol, 2, 900));
	return now;
}

static int run_config_drop(struct stor_volume *vol)
{
	return stor_volume_config_drop(vol, &vm_a, NULL);
}

static int state_config_drop(struct stor_volume *vol)
{
	char *text;
	size_t n;
	int rc = stor_volume_config_get(vol, &vm_a, &text, &n, NULL);

	if (rc == CM_E_NO_VM)
		return 1;
	free(text);
	MUST(rc == 0 && conf_is(vol, 2, 900));
	return 0;
}

static int run_block(struct stor_volume *vol)
{
	return write_block(vol, &vm_b);
}

static int state_block(struct stor_volume *vol)
{
	uint64_t at;
	int rc = stor_volume_vm_block(vol, &vm_b, false, &at, NULL);

	MUST(rc == 0 || rc == CM_E_NO_VM);
	return rc == 0;
}

static void with_block(struct stor_volume *vol)
{
	MUST(run_block(vol) == 0);
}

static int run_forget(struct stor_volume *vol)
{
	return stor_volume_vm_forget(vol, &vm_b, NULL);
}

static int state_forget(struct stor_volume *vol)
{
	return !state_block(vol);
}

/* Everything that repair repairs, at once. */
static void with_wreck(struct stor_volume *vol)
{
	vo_with_disk(vol);
	MUST(cm_fault_arm("stor.disk.deleting=error:5", NULL) == 0);
	MUST(stor_volume_disk_delete(vol, "d", NULL) == -5);
	MUST(cm_fault_arm("stor.disk.claimed=error:5", NULL) == 0);
	MUST(stor_volume_disk_create(vol, "x", VK_EXTENT, false, NULL) == -5);
	MUST(cm_fault_arm("", NULL) == 0);
	with_block(vol);
	MUST(run_forget(vol) == 0);
	vk_poke(0, "broken super block", 18);
}

static int run_repair(struct stor_volume *vol)
{
	struct stor_volume_report r;

	return stor_volume_check(vol, true, NULL, NULL, &r, NULL);
}

static int state_repair(struct stor_volume *vol)
{
	struct stor_volume_report r;

	MUST(stor_volume_check(vol, false, NULL, NULL, &r, NULL) == 0);
	return !r.leaked_extents && !r.unfinished && !r.bad_structures;
}

#define OP(n, p, r, s) .name = n, .prepare = p, .run = r, .state = s
const struct vo_op vo_vm_ops[] = {
	{OP("claim", vo_with_disk, run_claim, state_claim)},
	{OP("reader", vo_with_disk, run_read, state_read), .no_end = true},
	{OP("reader and its end", vo_with_disk, run_read_and_end, state_read), .no_end = true},
	{OP("claim released", with_claim, run_release, state_release)},
	{OP("claim cleared", with_claim, run_unclaim, state_release)},
	{OP("image create", vo_nothing, run_image, state_image)},
	{OP("image seal", with_image, run_seal, state_seal)},
	{OP("image consume", with_sealed, run_consume, state_consume)},
	{OP("image drop", with_sealed, run_drop, state_consume)},
	{OP("image, whole life", vo_nothing, run_save, state_save), .no_end = true},
	{OP("config put", vo_nothing, run_put, state_put), .large = true},
	{OP("config put again", with_config, run_put, state_put_again), .large = true},
	{OP("config put twice", with_config, run_put_twice, state_put_twice)},
	{OP("config drop", with_config, run_config_drop, state_config_drop)},
	{OP("block", vo_nothing, run_block, state_block)},
	{OP("forget", with_block, run_forget, state_forget)},
	{OP("repair", with_wreck, run_repair, state_repair), .repairs = true},
};
const unsigned vo_vm_count = CM_ARRAY_LEN(vo_vm_ops);
