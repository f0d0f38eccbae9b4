/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_fence_hvsan.c - the fence agent against labsan: a frozen node's VMs are proven dead, a living node's are not,
 * one that nothing ends is not either, and its exit codes are those of a fence agent. (Stock tgt has no COMPARE AND WRITE on the volume's LUN.)
 */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "fencing/fen_mark.h"
#include "sharedstorage/volume/stor_volume.h"
#include "tests/san/santest.h"

#define T_MS 300u

struct fix {
	struct san_target t;
	char url[256];
	struct stor_uuid vm[2];
	uint64_t at[2];
	int owner;
	char marks[64];
};

struct format {
	struct fix *f;
	struct stor_dev *dev;
	struct cm_loop *loop;
	struct cm_err err;
	bool done;
};

static void format_done(void *arg)
{
	((struct format *)arg)->done = true;
}

static void *format_main(void *arg)
{
	struct format *m = arg;
	struct stor_volume *vol = NULL;

	if (!stor_volume_format(m->dev, "vol1", 0, &m->err) && !stor_volume_open(m->dev, &vol, &m->err))
		for (int i = 0; i < 2; i++) {
			stor_uuid_random(&m->f->vm[i]);
			if (stor_volume_vm_block(vol, &m->f->vm[i], true, &m->f->at[i], &m->err))
				break;
		}
	stor_volume_free(vol);
	cm_loop_post(m->loop, format_done, m);
	return NULL;
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	struct cm_loop *loop = cm_loop_new(NULL);
	struct stor_dev_opts o = {.host_slot = STOR_SLOT_TOOL};
	struct format m = {.f = f, .loop = loop};
	struct san_host h;
	pthread_t thread;

	snprintf(f->marks, sizeof f->marks, "/tmp/fence_hvsan.XXXXXX");
	assert_non_null(mkdtemp(f->marks));
	f->t = (struct san_target){.kind = SAN_LABSAN, .luns = {"disk0,thin,size=64M"}};
	if (san_start(&f->t))
		exit(77);
	san_url(&f->t, 0, NULL, f->url, sizeof f->url);
	assert_int_equal(san_open(&h, loop, f->url, &o), 0);
	m.dev = h.dev;
	pthread_create(&thread, NULL, format_main, &m);
	SAN_UNTIL(loop, m.done);
	pthread_join(thread, NULL);
	if (m.err.code)
		fail_msg("%s", m.err.text);
	san_close(&h);
	cm_loop_free(loop);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	if (f->owner) {
		kill(f->owner, SIGKILL);
		waitpid(f->owner, NULL, 0);
	}
	san_stop(&f->t);
	fen_mark_clear(f->marks, "node-x", 0);
	fen_mark_clear(f->marks, "node-y", 0);
	assert_int_equal(rmdir(f->marks), 0);
	free(f);
	return 0;
}

/* A node that owns both VMs until it is killed. level: what its second VM claims to be ended by. */
static void start_owner_with(struct fix *f, enum stor_watchdog level)
{
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	f->owner = fork();
	if (!f->owner) {
		struct cm_loop *loop = cm_loop_new(NULL);
		struct stor_dev_opts o = {.gated = true, .host_slot = 7, .io_timeout_ms = T_MS,
					  .initiator = "iqn.2026-01.test.host:node-x"};
		struct san_host h[2];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned i = 0; i < 2; i++) {
			o.isid = 100 + i;
			if (san_open(&h[i], loop, f->url, &o))
				_exit(1);
			h[i].watchdog = i ? level : STOR_WATCHDOG_SOFT;
			san_lease(&h[i], "node-x", 7, f->at[i], &f->vm[i], T_MS);
			if (SAN_LEASE(&h[i], acquire))
				_exit(2);
		}
		if (write(ready[1], "r", 1) != 1)
			_exit(3);
		for (;;)
			cm_loop_turn(loop, 100);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
}

static void start_owner(struct fix *f)
{
	start_owner_with(f, STOR_WATCHDOG_SOFT);
}

static int agent(struct fix *f, const char *action, const char *node, char *out, size_t cap)
{
	const char *bin = getenv("FENCE_HVSAN");
	int in[2], back[2], status, pid;
	char text[512];
	ssize_t n;

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(back), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], 0);
		dup2(back[1], 1);
		close(in[1]);
		close(back[0]);
		if (!getenv("SANTEST_VERBOSE") && !freopen("/dev/null", "w", stderr))
			_exit(126);
		execl(bin ? bin : "./fence_hvsan", "fence_hvsan", NULL);
		_exit(127);
	}
	close(in[0]);
	close(back[1]);
	snprintf(text, sizeof text,
		 "action=%s\nplug=%s\nurl=%s\nio_timeout_ms=%u\nmark_dir=%s\nother=1\n", action,
		 node, f->url, T_MS, f->marks);
	assert_int_equal(write(in[1], text, strlen(text)), strlen(text));
	close(in[1]);
	n = read(back[0], out, cap - 1);
	out[n > 0 ? n : 0] = 0;
	close(back[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

struct look {
	bool done, is_free;
};

static void looked(int rc, const struct stor_block *b, void *arg)
{
	*(struct look *)arg = (struct look){true, !rc && b->state == STOR_BLOCK_FREE};
}

static bool is_free(struct san_host *h, uint64_t at)
{
	struct look k = {false, false};

	stor_block_read(h->dev, at, looked, &k);
	SAN_UNTIL(h->loop, k.done);
	return k.is_free;
}

static void test_frozen_node(void **state)
{
	struct fix *f = *state;
	struct cm_loop *loop = cm_loop_new(NULL);
	struct stor_dev_opts o = {.host_slot = STOR_SLOT_TOOL};
	struct san_host h;
	uint64_t keys[16];
	char out[256];

	start_owner(f);
	assert_int_equal(agent(f, "status", "node-x", out, sizeof out), 0);
	assert_int_equal(agent(f, "list", "", out, sizeof out), 0);
	assert_string_equal(out, "node-x\n");
	kill(f->owner, SIGSTOP);
	assert_false(fen_mark_is_set(f->marks, "node-x"));
	assert_int_equal(agent(f, "off", "node-x", out, sizeof out), 0);
	assert_true(fen_mark_is_set(f->marks, "node-x"));
	/* only ours is left, and the blocks do not name the node any more */
	assert_int_equal(san_open(&h, loop, f->url, &o), 0);
	SAN_UNTIL(loop, stor_dev_pr_key(h.dev));
	assert_int_equal(san_keys(&h, keys, 16), 1);
	assert_true(is_free(&h, f->at[0]) && is_free(&h, f->at[1]));
	/* It wakes up, and gets nothing back, how often it may try. */
	kill(f->owner, SIGCONT);
	for (unsigned i = 0; i < 20; i++) {
		cm_loop_turn(loop, T_MS / 4);
		assert_true(is_free(&h, f->at[0]) && is_free(&h, f->at[1]));
	}
	assert_int_equal(agent(f, "status", "node-x", out, sizeof out), 2);
	san_close(&h);
	cm_loop_free(loop);
}

/* Nobody ends a frozen VM of a node without hvwatchdogd: "off" is refused, and nothing of that VM is touched. */
static void test_no_watchdog(void **state)
{
	struct fix *f = *state;
	struct cm_loop *loop = cm_loop_new(NULL);
	struct stor_dev_opts o = {.host_slot = STOR_SLOT_TOOL};
	struct san_host h;
	uint64_t keys[16];
	char out[256];

	start_owner_with(f, STOR_WATCHDOG_NONE);
	kill(f->owner, SIGSTOP);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(agent(f, "off", "node-x", out, sizeof out), 1);
	assert_int_equal(san_open(&h, loop, f->url, &o), 0);
	SAN_UNTIL(loop, stor_dev_pr_key(h.dev));
	assert_true(is_free(&h, f->at[0])); /* proven, whatever is said of the other */
	assert_false(is_free(&h, f->at[1]));
	assert_int_equal(san_keys(&h, keys, 16), 2); /* ours, and that VM's */
	san_close(&h);
	cm_loop_free(loop);
	assert_int_equal(agent(f, "status", "node-x", out, sizeof out), 0);
}

/* A hardware watchdog is given its time. */
static void test_hard_watchdog(void **state)
{
	struct fix *f = *state;
	uint64_t begin = cm_now_ns();
	char out[256];

	start_owner_with(f, STOR_WATCHDOG_HARD);
	kill(f->owner, SIGSTOP);
	assert_int_equal(agent(f, "off", "node-x", out, sizeof out), 0);
	assert_true(cm_now_ns() - begin >= STOR_DEAD_WATCHDOG(T_MS) * CM_NS_PER_MS);
}

static void test_living_node(void **state)
{
	struct fix *f = *state;
	char out[256];

	start_owner(f);
	assert_int_equal(agent(f, "off", "node-x", out, sizeof out), 1);
	assert_int_equal(agent(f, "off", "node-y", out, sizeof out), 0); /* owns nothing */
	assert_true(fen_mark_is_set(f->marks, "node-x") && fen_mark_is_set(f->marks, "node-y"));
	assert_int_equal(agent(f, "status", "node-y", out, sizeof out), 2);
	assert_int_equal(agent(f, "status", "node-x", out, sizeof out), 0);
}

static void test_words(void **state)
{
	struct fix *f = *state;
	char out[4096];

	assert_int_equal(agent(f, "monitor", "", out, sizeof out), 0);
	assert_int_equal(agent(f, "metadata", "", out, sizeof out), 0);
	assert_non_null(strstr(out, "<resource-agent name=\"fence_hvsan\""));
	assert_int_equal(agent(f, "off", "", out, sizeof out), 1);
	assert_int_equal(agent(f, "dance", "x", out, sizeof out), 1);
	assert_int_equal(agent(f, "off", "../x", out, sizeof out), 1);
	assert_int_equal(agent(f, "on", "node-x", out, sizeof out), 0);
	snprintf(f->url, sizeof f->url, "iscsi://127.0.0.1:1/%s/0", SAN_IQN);
	assert_int_equal(agent(f, "monitor", "", out, sizeof out), 1);
	assert_int_equal(agent(f, "off", "node-x", out, sizeof out), 1);
}

int main(int argc, char **argv)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_frozen_node), T(test_no_watchdog), T(test_hard_watchdog),
					   T(test_living_node), T(test_words)};

	setvbuf(stdout, NULL, _IOLBF, 0);
	cm_log_set_level(CM_LOG_NONE);
	if (argc > 1 && !strcmp(argv[1], "tgt")) {
		puts("SKIP: stock tgt has no COMPARE AND WRITE on a volume's own LUN");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
