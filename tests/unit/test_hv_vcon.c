/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_vcon.c - the console of virtio, and its port of the guest agent.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hvcore/machine/hv_port.h"
#include "tests/unit/hv_virtiokit.h"

static void console_bytes(void **state)
{
	struct bench *b = *state;
	struct kit_buf tx = {BENCH_DATA_GPA, 5, false}, rx = {BENCH_DATA_GPA + 64, 4, true};
	uint8_t text[32];
	uint32_t head, len;
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	bench_start(b, &hv_dev_console, &b->con, BENCH_IDX, 2);
	kit_poke(&b->k, BENCH_DATA_GPA, "hello", 5);
	kit_offer(&b->q[1], &tx, 1, 0);
	kit_ring(&b->q[1]);
	hv_lock_take(&b->k.lock);
	assert_int_equal(hv_char_history(b->k.chr, text, sizeof text), 5);
	hv_lock_drop(&b->k.lock);
	assert_memory_equal(text, "hello", 5);
	/* Input waits for buffers, comes in pieces, and the guest is woken. */
	assert_int_equal(hv_char_attach(b->k.chr, fd[0], STDERR_FILENO, 0, NULL, NULL), 0);
	assert_int_equal(write(fd[1], "abcdef", 6), 6);
	kit_settle(&b->k);
	kit_offer(&b->q[0], &rx, 1, 0);
	kit_ring(&b->q[0]);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_int_equal(len, 4);
	kit_offer(&b->q[0], &rx, 1, 0);
	kit_ring(&b->q[0]);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_int_equal(len, 2);
	kit_peek(&b->k, BENCH_DATA_GPA + 64, text, 2);
	assert_memory_equal(text, "ef", 2);
	hv_lock_take(&b->k.lock);
	hv_char_detach(b->k.chr);
	hv_lock_drop(&b->k.lock);
	close(fd[0]);
	close(fd[1]);
}

struct agent_end {
	char said[16];
	size_t len;
	int opened;
};

static void agent_opened(void *arg, bool open)
{
	((struct agent_end *)arg)->opened = open;
}

static void agent_output(void *arg, const uint8_t *data, size_t len)
{
	struct agent_end *a = arg;

	assert_true(a->len + len <= sizeof a->said);
	memcpy(a->said + a->len, data, len);
	a->len += len;
}

static void control(struct bench *b, uint32_t port, uint16_t event, uint16_t value)
{
	struct kit_buf tx = {BENCH_DATA_GPA + 0x400, 8, false};
	uint32_t head, len;
	uint8_t msg[8];

	cm_put_le32(msg, port);
	cm_put_le16(msg + 4, event);
	cm_put_le16(msg + 6, value);
	kit_poke(&b->k, tx.gpa, msg, sizeof msg);
	kit_offer(&b->q[3], &tx, 1, 0);
	kit_ring(&b->q[3]);
	assert_true(kit_used(&b->q[3], &head, &len));
}

/* Gives one buffer; the message that comes is this one. */
static void told(struct bench *b, uint32_t port, uint16_t event, const char *name)
{
	struct kit_buf rx = {BENCH_DATA_GPA + 0x800, 64, true};
	uint32_t head, len;
	uint8_t msg[64];

	kit_offer(&b->q[2], &rx, 1, 0);
	kit_ring(&b->q[2]);
	assert_true(kit_used(&b->q[2], &head, &len));
	assert_int_equal(len, 8 + strlen(name));
	kit_peek(&b->k, rx.gpa, msg, sizeof msg);
	assert_int_equal(cm_le32(msg), port);
	assert_int_equal(cm_le16(msg + 4), event);
	assert_int_equal(cm_le16(msg + 6), 1);
	assert_memory_equal(msg + 8, name, strlen(name));
}

static void console_ports(void **state)
{
	struct bench *b = *state;
	struct agent_end a = {.opened = -1};
	struct hv_port port = {.opened = agent_opened, .output = agent_output, .arg = &a};
	struct kit_buf tx = {BENCH_DATA_GPA, 5, false}, rx = {BENCH_DATA_GPA + 64, 4, true};
	uint32_t head, len;

	b->con.agent = &port;
	bench_start(b, &hv_dev_console, &b->con, BENCH_IDX | 1 << 1, 6);
	assert_int_equal(kit_in(&b->k, 0x104, 4), 2);
	control(b, 0, 0, 1);
	kit_move(&b->k); /* what waits to be told moves, too */
	told(b, 0, 1, "");
	told(b, 1, 1, "");
	control(b, 1, 3, 1);
	control(b, 0, 3, 1);
	told(b, 0, 4, "");
	told(b, 0, 6, "");
	told(b, 1, 7, HV_PORT_AGENT);
	told(b, 1, 6, "");
	/* Nothing goes in before the guest has it open. */
	kit_offer(&b->q[4], &rx, 1, 0);
	kit_ring(&b->q[4]);
	hv_lock_take(&b->k.lock);
	assert_int_equal(port.input(port.dev, (const uint8_t *)"abcdef", 6), 0);
	hv_lock_drop(&b->k.lock);
	control(b, 1, 6, 1);
	assert_int_equal(a.opened, 1);
	a.opened = -1;
	kit_move(&b->k);
	assert_int_equal(a.opened, 1); /* said again where it moved to */
	hv_lock_take(&b->k.lock);
	assert_int_equal(port.input(port.dev, (const uint8_t *)"abcdef", 6), 4);
	hv_lock_drop(&b->k.lock);
	assert_true(kit_used(&b->q[4], &head, &len));
	assert_int_equal(len, 4);
	kit_poke(&b->k, BENCH_DATA_GPA, "hello", 5);
	kit_offer(&b->q[5], &tx, 1, 0);
	kit_ring(&b->q[5]);
	assert_int_equal(a.len, 5);
	assert_memory_equal(a.said, "hello", 5);
	/* Unknown ports and events are void. */
	control(b, 7, 3, 1);
	control(b, 1, 99, 1);
	assert_int_equal(kit_counter(&b->k, "bad_control"), 2);
	control(b, 1, 6, 0);
	assert_int_equal(a.opened, 0);
	kit_unplug(&b->k);
	b->plugged = false;
	assert_null(port.input);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(console_bytes),
		BENCH_TEST(console_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
