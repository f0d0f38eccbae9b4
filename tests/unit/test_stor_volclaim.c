/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of claims on disks: a VM has its ownership block on volume A and a disk on volume B. What every verb on the
 * disk does while the VM runs, after its orderly end, and after a crash; and what two of them at once do.
 */
#include "config.h"

#include "tests/unit/volkit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volfmt.h"

static const struct stor_uuid vm_x = {{1, 2, 3}}, vm_y = {{4, 5, 6}};

enum { A, B, VOLUMES };
static struct {
	int fd;
	struct stor_dev *dev;
	struct stor_volume *vol;
} v[VOLUMES];
static bool a_is_away; /* nobody can look at it */
static void (*witness_hook)(void); /* once, after the witness has looked */

static int look(const struct stor_uuid *home, const struct stor_uuid *vm, struct stor_block *b,
		struct cm_err *err, void *arg)
{
	struct stor_uuid id = stor_volume_id(v[A].vol);
	void (*hook)(void) = witness_hook;
	int rc;

	(void)arg;
	if (a_is_away || !stor_uuid_equal(home, &id))
		return cm_err_set(err, CM_E_DISK_CLAIMED, "it is away");
	rc = stor_volume_vm_owned(v[A].vol, vm, b, err);
	witness_hook = NULL;
	if (hook)
		hook();
	return rc;
}

static int setup(void **state)
{
	(void)state;
	a_is_away = false;
	witness_hook = NULL;
	vk_start();
	for (unsigned i = 0; i < VOLUMES; i++) {
		vk_new_file(VK_BYTES, 512);
		v[i].fd = vk_file();
		v[i].vol = vk_attach(&v[i].dev, true);
	}
	stor_volume_set_witness(v[B].vol, look, NULL);
	assert_int_equal(stor_volume_disk_create(v[B].vol, "d", 2 * VK_EXTENT, false, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VOLUMES; i++) {
		stor_volume_free(v[i].vol);
		vk_close_dev(v[i].dev);
	}
	vk_stop();
	for (unsigned i = 0; i < VOLUMES; i++)
		close(v[i].fd);
	return 0;
}

/* What a lease would do on A: node owns the VM, or nobody. */
static void set_owner(const struct stor_uuid *vm, uint64_t epoch, const char *node)
{
	struct stor_block b = {.state = node ? STOR_BLOCK_RUNNING : STOR_BLOCK_FREE,
			       .vm = *vm,
			       .epoch = epoch,
			       .io_timeout_ms = 2000};
	uint8_t sector[512];
	uint64_t at;

	if (node)
		snprintf(b.owner.node, sizeof b.owner.node, "%s", node);
	assert_int_equal(stor_volume_vm_block(v[A].vol, vm, true, &at, NULL), 0);
	stor_block_encode(&b, sector, sizeof sector);
	assert_int_equal(pwrite(v[A].fd, sector, sizeof sector, (off_t)at), (ssize_t)sizeof sector);
}

static struct stor_claim claim_of(const struct stor_uuid *vm, uint64_t epoch)
{
	return (struct stor_claim){
		.vm = *vm, .home = stor_volume_id(v[A].vol), .epoch = epoch, .node = "n1"};
}

static int claim(const struct stor_uuid *vm, uint64_t epoch, struct cm_err *err)
{
	struct stor_claim c = claim_of(vm, epoch);

	return stor_volume_disk_claim(v[B].vol, "d", &c, false, NULL, err);
}

static int release(const struct stor_uuid *vm, uint64_t epoch)
{
	struct stor_claim c = claim_of(vm, epoch);

	return stor_volume_disk_release(v[B].vol, "d", &c, NULL);
}

static bool held_by(const struct stor_uuid *vm)
{
	struct stor_disk_info info;

	assert_int_equal(stor_volume_disk_info(v[B].vol, "d", &info, NULL), 0);
	return info.held && stor_uuid_equal(&info.vm, vm);
}

static int repair(struct cm_err *err)
{
	struct stor_volume_report r;

	return stor_volume_check(v[B].vol, true, NULL, NULL, &r, err);
}

/* As hvcore does it. */
static void start_x(uint64_t epoch)
{
	set_owner(&vm_x, epoch, "n1");
	assert_int_equal(claim(&vm_x, epoch, NULL), 0);
}

/* Every verb says code and who it is, and nothing has happened. */
static void refused(int code, const char *who)
{
	struct cm_err err[4];

	memset(err, 0, sizeof err);
	assert_int_equal(stor_volume_disk_delete(v[B].vol, "d", &err[0]), code);
	assert_int_equal(stor_volume_disk_rename(v[B].vol, "d", "e", &err[1]), code);
	assert_int_equal(claim(&vm_y, 9, &err[2]), code);
	assert_int_equal(repair(&err[3]), code);
	for (unsigned i = 0; i < 4; i++) {
		assert_non_null(strstr(err[i].text, who));
		assert_non_null(strstr(err[i].text, "01020300-"));
	}
	assert_int_equal(stor_volume_disk_unclaim(v[B].vol, "d", false, &err[0]), code);
	assert_true(held_by(&vm_x));
}

static void test_while_it_runs(void **state)
{
	struct stor_volume_report r;
	struct stor_disk_info info;
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	start_x(1);
	refused(CM_E_DISK_BUSY, "n1");
	/* the operator's word counts for nothing against the block */
	assert_int_equal(stor_volume_disk_unclaim(v[B].vol, "d", true, &err), CM_E_DISK_BUSY);
	/* it may grow, and never shrinks */
	assert_int_equal(stor_volume_disk_resize(v[B].vol, "d", VK_EXTENT, &err), CM_E_BAD_VALUE);
	assert_int_equal(stor_volume_disk_resize(v[B].vol, "d", 3 * VK_EXTENT, NULL), 0);
	assert_true(held_by(&vm_x));
	assert_int_equal(stor_volume_disk_shared(v[B].vol, "d", &vm_x, &info, NULL), 0);
	assert_int_equal(info.size_bytes, 3 * VK_EXTENT);
	assert_int_equal(stor_volume_disk_shared(v[B].vol, "d", &vm_y, &info, NULL), CM_E_DISK_BUSY);
	/* a look at the volume says nothing about it */
	assert_int_equal(stor_volume_check(v[B].vol, false, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.unfinished, 0);
	/* its end */
	assert_int_equal(release(&vm_x, 1), 0);
	set_owner(&vm_x, 1, NULL);
	assert_int_equal(stor_volume_disk_shared(v[B].vol, "d", &vm_x, &info, NULL), CM_E_DISK_BUSY);
	assert_int_equal(repair(NULL), 0);
	assert_int_equal(stor_volume_disk_rename(v[B].vol, "d", "e", NULL), 0);
	assert_int_equal(stor_volume_disk_rename(v[B].vol, "e", "d", NULL), 0);
	assert_int_equal(claim(&vm_y, 1, NULL), 0);
	assert_int_equal(release(&vm_y, 1), 0);
	assert_int_equal(stor_volume_disk_delete(v[B].vol, "d", NULL), 0);
}

/* It is released, and no more is asked of A: a VM that runs without the disk leaves it alone. */
static void test_released_while_it_runs(void **state)
{
	(void)state;
	start_x(1);
	assert_int_equal(release(&vm_x, 1), 0);
	a_is_away = true;
	assert_int_equal(claim(&vm_y, 1, NULL), 0);
}

static void test_crash(void **state)
{
	struct stor_volume_report r;
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	start_x(1);
	/* its node died: the block is as it was, and whoever takes the VM over has its disk */
	refused(CM_E_DISK_BUSY, "n1");
	start_x(2);
	assert_int_equal(claim(&vm_x, 1, &err), CM_E_DISK_BUSY);
	assert_non_null(strstr(err.text, "later start"));
	assert_int_equal(release(&vm_x, 1), 0); /* the dead one's, late: nothing */
	assert_true(held_by(&vm_x));
	/* the fencer freed the block; the claim is still there */
	set_owner(&vm_x, 2, NULL);
	a_is_away = true;
	refused(CM_E_DISK_CLAIMED, "away");
	a_is_away = false;
	assert_int_equal(stor_volume_check(v[B].vol, false, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.unfinished, 1);
	assert_int_equal(claim(&vm_y, 1, NULL), 0);
	/* and the first one comes back too late */
	set_owner(&vm_y, 1, "n2");
	set_owner(&vm_x, 3, "n1");
	cm_err_clear(&err);
	assert_int_equal(claim(&vm_x, 3, &err), CM_E_DISK_BUSY);
	assert_non_null(strstr(err.text, "n2"));
}

/* What clears a claim that was left behind: each of them alone. */
static void test_left_behind(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 5; way++) {
		start_x(way + 1);
		set_owner(&vm_x, way + 1, NULL);
		switch (way) {
		case 0:
			assert_int_equal(repair(NULL), 0);
			break;
		case 1:
			assert_int_equal(stor_volume_disk_unclaim(v[B].vol, "d", false, NULL), 0);
			break;
		case 2: /* nobody can look: the operator is sure */
			a_is_away = true;
			assert_int_equal(stor_volume_disk_unclaim(v[B].vol, "d", false, NULL),
					 CM_E_DISK_CLAIMED);
			assert_int_equal(stor_volume_disk_unclaim(v[B].vol, "d", true, NULL), 0);
			a_is_away = false;
			break;
		case 3: /* the VM was deleted: A has no block of it any more */
			assert_int_equal(stor_volume_vm_forget(v[A].vol, &vm_x, NULL), 0);
			assert_int_equal(stor_volume_disk_unclaim(v[B].vol, "d", false, NULL), 0);
			break;
		default:
			assert_int_equal(stor_volume_disk_delete(v[B].vol, "d", NULL), 0);
			return;
		}
		assert_false(held_by(&vm_x));
		assert_int_equal(stor_volume_disk_unclaim(v[B].vol, "d", false, NULL), 0);
	}
}

/* The same VM with another ownership block may be there twice: it counts as another one. */
static void test_another_block(void **state)
{
	struct stor_claim c = claim_of(&vm_x, 7);

	(void)state;
	start_x(1);
	c.home.b[0] ^= 1;
	assert_int_equal(stor_volume_disk_claim(v[B].vol, "d", &c, false, NULL, NULL), CM_E_DISK_BUSY);
	assert_int_equal(stor_volume_disk_release(v[B].vol, "d", &c, NULL), 0);
	assert_true(held_by(&vm_x));
	set_owner(&vm_x, 1, NULL);
	assert_int_equal(stor_volume_disk_claim(v[B].vol, "d", &c, false, NULL, NULL), 0);
	/* and now back, while nobody can tell about the other place */
	assert_int_equal(claim(&vm_x, 2, NULL), CM_E_DISK_CLAIMED);
}

static void test_no_block(void **state)
{
	const struct stor_claim x = {.vm = vm_x, .node = "n1"}, y = {.vm = vm_y};
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	assert_int_equal(stor_volume_disk_claim(v[B].vol, "d", &x, false, NULL, NULL), 0);
	assert_int_equal(stor_volume_disk_claim(v[B].vol, "d", &x, false, NULL, NULL), 0);
	assert_int_equal(stor_volume_disk_claim(v[B].vol, "d", &y, false, NULL, &err), CM_E_DISK_CLAIMED);
	assert_non_null(strstr(err.text, "no ownership block"));
	assert_int_equal(stor_volume_disk_delete(v[B].vol, "d", NULL), CM_E_DISK_CLAIMED);
	assert_int_equal(stor_volume_disk_release(v[B].vol, "d", &x, NULL), 0);
	assert_int_equal(stor_volume_disk_claim(v[B].vol, "d", &y, false, NULL, NULL), 0);
}

static void test_saved_state_fits(void **state)
{
	struct stor_claim x = claim_of(&vm_x, 1);
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	start_x(1);
	assert_int_equal(release(&vm_x, 1), 0);
	x.epoch = 2;
	assert_int_equal(stor_volume_disk_claim(v[B].vol, "d", &x, true, NULL, NULL), 0);
	assert_int_equal(release(&vm_x, 2), 0);
	assert_int_equal(claim(&vm_y, 1, NULL), 0);
	assert_int_equal(release(&vm_y, 1), 0);
	x.epoch = 3;
	assert_int_equal(stor_volume_disk_claim(v[B].vol, "d", &x, true, NULL, &err), CM_E_DISK_BUSY);
	assert_non_null(strstr(err.text, "another VM has used"));
}

/* --- VMs that only read ------------------------------------------------------- */

static int reads(const struct stor_uuid *vm, uint64_t epoch, struct cm_err *err)
{
	struct stor_claim c = claim_of(vm, epoch);
	struct stor_disk_info info;

	return stor_volume_reader_claim(v[B].vol, "d", &c, &info, err);
}

static int reads_no_more(const struct stor_uuid *vm, uint64_t epoch)
{
	struct stor_claim c = claim_of(vm, epoch);
	struct stor_disk_info info;

	assert_int_equal(stor_volume_disk_info(v[B].vol, "d", &info, NULL), 0);
	return stor_volume_reader_release(v[B].vol, &info.id, &c, NULL);
}

static unsigned readers(void)
{
	struct stor_disk_info info;

	assert_int_equal(stor_volume_disk_info(v[B].vol, "d", &info, NULL), 0);
	return info.readers;
}

static void test_readers(void **state)
{
	struct stor_volume_report r;
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	set_owner(&vm_x, 1, "n1");
	set_owner(&vm_y, 1, "n2");
	assert_int_equal(reads(&vm_x, 1, NULL), 0);
	assert_int_equal(reads(&vm_y, 1, NULL), 0);
	assert_int_equal(readers(), 2);
	assert_int_equal(claim(&vm_y, 1, &err), CM_E_DISK_BUSY); /* X reads it */
	assert_non_null(strstr(err.text, "n1"));
	assert_int_equal(reads_no_more(&vm_y, 1), 0);
	assert_int_equal(stor_volume_disk_delete(v[B].vol, "d", NULL), CM_E_DISK_BUSY);
	assert_int_equal(stor_volume_disk_rename(v[B].vol, "d", "e", NULL), CM_E_DISK_BUSY);
	assert_int_equal(stor_volume_disk_unclaim(v[B].vol, "d", true, NULL), CM_E_DISK_BUSY);
	assert_int_equal(repair(NULL), CM_E_DISK_BUSY);
	assert_int_equal(readers(), 1);
	/* the next start, and a late end of the former one */
	set_owner(&vm_x, 2, "n1");
	assert_int_equal(reads(&vm_x, 2, NULL), 0);
	assert_int_equal(reads(&vm_x, 1, NULL), CM_E_DISK_BUSY);
	assert_int_equal(reads_no_more(&vm_x, 1), 0);
	assert_int_equal(readers(), 1);
	/* it writes from now on: its own reading is no hindrance, and nobody reads beside it */
	assert_int_equal(claim(&vm_x, 2, NULL), 0);
	assert_int_equal(reads(&vm_y, 1, NULL), CM_E_DISK_BUSY);
	assert_int_equal(readers(), 1);
	assert_int_equal(release(&vm_x, 2), 0);
	/* it dies; its block is freed; what it left behind is in nobody's way */
	set_owner(&vm_x, 2, NULL);
	a_is_away = true;
	assert_int_equal(stor_volume_disk_delete(v[B].vol, "d", NULL), CM_E_DISK_CLAIMED);
	assert_int_equal(stor_volume_disk_unclaim(v[B].vol, "d", false, NULL), CM_E_DISK_CLAIMED);
	a_is_away = false;
	assert_int_equal(stor_volume_check(v[B].vol, false, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.unfinished, 1);
	assert_int_equal(claim(&vm_y, 1, NULL), 0);
	assert_int_equal(release(&vm_y, 1), 0);
	assert_int_equal(stor_volume_disk_unclaim(v[B].vol, "d", false, NULL), 0);
	assert_int_equal(readers(), 0);
	set_owner(&vm_x, 3, "n1");
	assert_int_equal(reads(&vm_x, 3, NULL), 0);
	set_owner(&vm_x, 3, NULL);
	assert_int_equal(stor_volume_disk_delete(v[B].vol, "d", NULL), 0);
	assert_int_equal(stor_volume_check(v[B].vol, false, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.unfinished, 0);
	set_owner(&vm_x, 4, "n1");
	assert_int_equal(repair(NULL), 0); /* nothing is left of it */
}

/* X died and left its claim behind; Y reads since then. X, which starts again, is a newcomer and not the one who has it. */
static void test_reader_after_crash(void **state)
{
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	start_x(1);
	set_owner(&vm_x, 1, NULL);
	set_owner(&vm_y, 1, "n2");
	assert_int_equal(reads(&vm_y, 1, NULL), 0);
	set_owner(&vm_x, 2, "n1");
	assert_int_equal(claim(&vm_x, 2, &err), CM_E_DISK_BUSY);
	assert_non_null(strstr(err.text, "n2"));
	assert_int_equal(reads_no_more(&vm_y, 1), 0);
	assert_int_equal(claim(&vm_x, 2, NULL), 0);
}

/* Y reads a disk whose slot is damaged now: that nobody can tell which disk it is does not mean that nobody reads it. */
static void test_reader_of_damaged(void **state)
{
	struct stor_volume_report r;
	struct stor_disk_info info;
	uint8_t sector[512], junk = 0x5a;
	struct stor_super s;
	off_t at;

	(void)state;
	set_owner(&vm_y, 1, "n2");
	assert_int_equal(reads(&vm_y, 1, NULL), 0);
	assert_int_equal(stor_volume_disk_info(v[B].vol, "d", &info, NULL), 0);
	assert_int_equal(pread(v[B].fd, sector, sizeof sector, 0), (ssize_t)sizeof sector);
	assert_int_equal(stor_super_decode(sector, sizeof sector, &s), 0);
	at = (off_t)((s.disks_at + info.index) * s.sector_bytes);
	assert_int_equal(pread(v[B].fd, sector, sizeof sector, at), (ssize_t)sizeof sector);
	assert_int_equal(pwrite(v[B].fd, &junk, 1, at + 100), 1);
	assert_int_equal(stor_volume_check(v[B].vol, true, NULL, NULL, &r, NULL), CM_E_DISK_BUSY);
	assert_int_equal(pwrite(v[B].fd, sector, sizeof sector, at), (ssize_t)sizeof sector);
	assert_int_equal(readers(), 1);
	assert_int_equal(stor_volume_disk_delete(v[B].vol, "d", NULL), CM_E_DISK_BUSY);
}

/* Y begins to read while a verb looks whether X does, or did, in this moment. */
static void y_reads(void)
{
	set_owner(&vm_y, 1, "n2");
	assert_int_equal(reads(&vm_y, 1, NULL), 0);
}

static void test_reader_comes(void **state)
{
	(void)state;
	for (unsigned x_reads = 0; x_reads < 2; x_reads++) {
		set_owner(&vm_x, x_reads + 1, "n1");
		assert_int_equal(x_reads ? reads(&vm_x, 2, NULL) : claim(&vm_x, 1, NULL), 0);
		set_owner(&vm_x, x_reads + 1, NULL);
		witness_hook = y_reads;
		assert_int_equal(stor_volume_disk_delete(v[B].vol, "d", NULL), CM_E_DISK_BUSY);
		assert_null(witness_hook);
		assert_int_equal(reads_no_more(&vm_y, 1), 0);
		set_owner(&vm_y, 1, NULL);
	}
}

/* --- what was read is old when it is acted on --------------------------------- */

/* After the verb saw X's block free, X starts and claims. */
static void x_starts(void)
{
	start_x(2);
}

static int do_delete(void)
{
	return stor_volume_disk_delete(v[B].vol, "d", NULL);
}

static int do_rename(void)
{
	return stor_volume_disk_rename(v[B].vol, "d", "e", NULL);
}

static int do_claim(void)
{
	return claim(&vm_y, 1, NULL);
}

static int do_unclaim(void)
{
	return stor_volume_disk_unclaim(v[B].vol, "d", false, NULL);
}

static int do_repair(void)
{
	return repair(NULL);
}

static void test_stale(void **state)
{
	static int (*const verbs[])(void) = {do_delete, do_rename, do_claim, do_unclaim, do_repair};

	(void)state;
	for (unsigned i = 0; i < CM_ARRAY_LEN(verbs); i++) {
		set_owner(&vm_x, 1, "n1");
		assert_int_equal(claim(&vm_x, 1, NULL), 0);
		set_owner(&vm_x, 1, NULL);
		witness_hook = x_starts;
		assert_int_equal(verbs[i](), CM_E_DISK_BUSY);
		assert_null(witness_hook);
		assert_true(held_by(&vm_x));
		assert_int_equal(release(&vm_x, 2), 0);
	}
}

/* Many claims, releases and renames at once: a claim that was won stays until it is released. */
struct racer {
	struct stor_uuid vm;
	unsigned won;
	pthread_t th;
	pthread_barrier_t *start;
};
static unsigned in_use; /* atomic: who believes to have it */

static void *race(void *arg)
{
	struct racer *r = arg;
	const struct stor_claim c = claim_of(&r->vm, 1);

	pthread_barrier_wait(r->start);
	while (r->won < 20) {
		if (stor_volume_disk_claim(v[B].vol, "d", &c, false, NULL, NULL) != 0)
			continue;
		assert_int_equal(__atomic_add_fetch(&in_use, 1, __ATOMIC_SEQ_CST), 1);
		assert_int_equal(stor_volume_disk_rename(v[B].vol, "d", "e", NULL), CM_E_DISK_BUSY);
		assert_int_equal(__atomic_sub_fetch(&in_use, 1, __ATOMIC_SEQ_CST), 0);
		assert_int_equal(stor_volume_disk_release(v[B].vol, "d", &c, NULL), 0);
		r->won++;
	}
	return NULL;
}

static void test_race(void **state)
{
	struct racer r[2] = {{.vm = vm_x}, {.vm = vm_y}};
	pthread_barrier_t start;

	(void)state;
	set_owner(&vm_x, 1, "n1");
	set_owner(&vm_y, 1, "n2");
	pthread_barrier_init(&start, NULL, 2);
	for (unsigned i = 0; i < 2; i++) {
		r[i].start = &start;
		assert_int_equal(pthread_create(&r[i].th, NULL, race, &r[i]), 0);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(r[i].th, NULL);
	pthread_barrier_destroy(&start);
}

/* A saved state is not discarded under the VM that may be writing it. */
static void test_saved_state_in_use(void **state)
{
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	set_owner(&vm_x, 1, "n1");
	assert_int_equal(stor_volume_image_create(v[A].vol, &vm_x, VK_EXTENT, NULL), 0);
	assert_int_equal(stor_volume_image_discard(v[A].vol, &vm_x, &err), CM_E_DISK_BUSY);
	assert_non_null(strstr(err.text, "n1"));
	set_owner(&vm_x, 1, NULL);
	assert_int_equal(stor_volume_image_discard(v[A].vol, &vm_x, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_while_it_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_released_while_it_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_block, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_block, setup, teardown),
		cmocka_unit_test_setup_teardown(test_saved_state_fits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_readers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_comes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_after_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_of_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(test_race, setup, teardown),
		cmocka_unit_test_setup_teardown(test_saved_state_in_use, setup, teardown),
	};

	cm_log_set_level(CM_LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
