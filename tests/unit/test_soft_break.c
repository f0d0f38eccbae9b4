/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug registers and single steps of the soft engine; pages of 1 GiB; RDRAND. What a user program
 * can see of single steps and alignment checks, the host CPU judges in check_insn.
 */
#include "config.h"

#include "common/cm_err.h"
#include "tests/unit/softkit.h"

FRAGMENT(debug);
FRAGMENT(watch);
FRAGMENT(access);
FRAGMENT(execute);
FRAGMENT(again);
FRAGMENT(without_rf);
FRAGMENT(port);
FRAGMENT(detect);
FRAGMENT(steps);
FRAGMENT(count_step);
FRAGMENT(huge);
FRAGMENT(fault);
FRAGMENT(random);
extern const uint8_t guest_watch_1[], guest_watch_2[], guest_watch_3[], guest_watch_rep[],
	guest_watch_4[];
extern const uint8_t guest_execute_f[];

#define DR6(bits) (0xffff0ff0u | (bits))
#define RF	  0x10000u

/* Each #DB is three reports of the handler. */
struct hit {
	uint32_t dr6, rip, rflags;
};

static struct hit hit(const struct guest *g, unsigned i)
{
	return (struct hit){g->reports[3 * i], g->reports[3 * i + 1], g->reports[3 * i + 2]};
}

static unsigned hits(const struct guest *g)
{
	assert_int_equal((g->count - 1) % 3, 0);
	return (g->count - 1) / 3;
}

static struct guest *guest_debugged(const uint8_t *code, const uint8_t *end)
{
	struct guest *g = guest_new(1, code, end);

	guest_put(g, HANDLER, guest_debug, guest_debug_end);
	guest_gate(g, 1, HANDLER);
	return g;
}

#define DEBUGGED(name) guest_debugged(guest_##name, guest_##name##_end)

static void test_write_is_trapped(void **state)
{
	struct guest *g = DEBUGGED(watch);
	const uint8_t *behind[] = {guest_watch_1,   guest_watch_2,   guest_watch_3, guest_watch_rep,
				   guest_watch_rep, guest_watch_rep, guest_watch_4};

	(void)state;
	guest_run(g);
	assert_int_equal(hits(g), 7);
	for (unsigned i = 0; i < 7; i++) {
		assert_int_equal(hit(g, i).dr6, DR6(1));
		assert_int_equal(hit(g, i).rip, CODE + (behind[i] - guest_watch));
		/* between repetitions RF is set */
		assert_int_equal(hit(g, i).rflags & RF, behind[i] == guest_watch_rep ? RF : 0);
	}
	guest_free(g);
}

static void test_access_is_trapped(void **state)
{
	struct guest *g = DEBUGGED(access);

	(void)state;
	guest_run(g);
	assert_int_equal(hits(g), 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(hit(g, i).dr6, DR6(8));
	guest_free(g);
}

static void test_execution_is_a_fault(void **state)
{
	struct guest *g = DEBUGGED(execute);

	(void)state;
	assert_int_equal(guest_run(g), 7);
	assert_int_equal(hits(g), 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(hit(g, i).dr6, DR6(2));
		assert_int_equal(hit(g, i).rip, CODE + (guest_execute_f - guest_execute));
		assert_int_equal(hit(g, i).rflags & RF, 0);
	}
	guest_free(g);
}

static void test_resume_flag(void **state)
{
	struct guest *g = GUEST(1, without_rf);

	(void)state;
	guest_put(g, HANDLER, guest_again, guest_again_end);
	guest_gate(g, 1, HANDLER);
	assert_int_equal(guest_run(g), 5);
	guest_free(g);
}

static void test_port_is_trapped(void **state)
{
	struct guest *g = DEBUGGED(port);

	(void)state;
	guest_run(g);
	assert_int_equal(hits(g), 2);
	assert_int_equal(hit(g, 0).dr6, DR6(4));
	assert_int_equal(hit(g, 1).dr6, DR6(4));
	guest_free(g);
}

static void test_general_detect(void **state)
{
	struct guest *g = DEBUGGED(detect);

	(void)state;
	assert_int_equal(guest_run(g), 0x400);
	assert_int_equal(hits(g), 1);
	assert_int_equal(hit(g, 0).dr6, DR6(0x2000));
	guest_free(g);
}

/* REP STOSB three times, MOV EAX, NOP behind MOV SS, PUSHFQ, ANDL, POPFQ. */
static void test_steps(void **state)
{
	struct guest *g = GUEST(1, steps);

	(void)state;
	guest_put(g, HANDLER, guest_count_step, guest_count_step_end);
	guest_gate(g, 1, HANDLER);
	assert_int_equal(guest_run(g), 8);
	guest_free(g);
}

/* Breakpoints are part of a saved state. */
static void test_breakpoints_are_restored(void **state)
{
	struct guest *g = DEBUGGED(execute);
	struct cm_err err = CM_ERR_INIT;
	struct hv_vcpu_state s;

	(void)state;
	assert_int_equal(hv_engine_soft.vcpu_get(g->e, 0, &s, &err), 0);
	s.dr[2] = CODE; /* the first instruction */
	s.dr7 = 0x410;
	assert_int_equal(hv_engine_soft.vcpu_set(g->e, 0, &s, &err), 0);
	assert_int_equal(guest_run(g), 7);
	assert_int_equal(hits(g), 3);
	assert_int_equal(hit(g, 0).dr6, DR6(4));
	assert_int_equal(hit(g, 0).rip, CODE);
	guest_free(g);
}

static void test_huge_page(void **state)
{
	struct guest *g = GUEST(1, huge);

	(void)state;
	guest_put(g, HANDLER, guest_fault, guest_fault_end);
	guest_gate(g, 14, HANDLER);
	guest_put64(g, PDPT + 16, 0x83);
	guest_put64(g, 0x203000, 0xaaaa);
	assert_int_equal(guest_run(g), 9); /* #PF: present, reserved bit */
	assert_int_equal(g->reports[0], 0xaaaa);
	assert_int_equal(g->reports[1], 0xffffffff);
	guest_free(g);
}

static void test_random_numbers(void **state)
{
	struct guest *g = GUEST(1, random);
	unsigned same = 0;

	(void)state;
	assert_int_equal(guest_run(g), 1);
	assert_int_equal(g->count, 10);
	for (unsigned i = 1; i < 9; i++)
		same += g->reports[i] == g->reports[i - 1];
	assert_true(same < 2);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_is_trapped),
		cmocka_unit_test(test_access_is_trapped),
		cmocka_unit_test(test_execution_is_a_fault),
		cmocka_unit_test(test_resume_flag),
		cmocka_unit_test(test_port_is_trapped),
		cmocka_unit_test(test_general_detect),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_breakpoints_are_restored),
		cmocka_unit_test(test_huge_page),
		cmocka_unit_test(test_random_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
