/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * traced: debug registers and single steps as Linux hands them to a debugger (ptrace).
 *
 * The child stops itself; the parent sets breakpoints in its debug registers and looks where it
 * traps. Says "traced: ok" and exits 0, or "traced: FAILED: what" and 1.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile uint64_t data[8] __attribute__((aligned(64)));
static pid_t child;

static _Noreturn void fail(const char *what)
{
	printf("traced: FAILED: %s (%s)\n", what, strerror(errno));
	fflush(stdout);
	if (child > 0)
		kill(child, SIGKILL);
	_exit(1);
}

__attribute__((noinline)) static void called(uint64_t i)
{
	data[1] += i;
	__asm__ volatile("" : : : "memory");
}

/* Stops; then writes to data[0] once in four, and calls called() each time. */
static _Noreturn void run_child(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	for (uint64_t i = 1; i <= 20; i++) {
		if (i % 4 == 0)
			data[0] = i;
		called(i);
	}
	raise(SIGSTOP);
	_exit(0);
}

static void set_dr(unsigned int n, uint64_t v)
{
	if (ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg) + n * 8, v))
		fail("setting a debug register");
}

static uint64_t dr(unsigned int n)
{
	return (uint64_t)ptrace(PTRACE_PEEKUSER, child, offsetof(struct user, u_debugreg) + n * 8,
				0);
}

static uint64_t peek(const volatile void *p)
{
	return (uint64_t)ptrace(PTRACE_PEEKDATA, child, p, 0);
}

/* Goes on until the next stop; its signal. */
static int next(int how)
{
	int status;

	if (ptrace(how, child, NULL, NULL) || waitpid(child, &status, 0) != child ||
	    !WIFSTOPPED(status))
		fail("the child did not stop");
	return WSTOPSIG(status);
}

static void start(void)
{
	int status;

	child = fork();
	if (child == 0)
		run_child();
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		fail("starting the child");
}

static void end(void)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	child = 0;
}

/* Writes of data[0] trap behind the write, others do not. */
static void check_watch(void)
{
	start();
	set_dr(0, (uint64_t)(uintptr_t)&data[0]);
	set_dr(7, 0x00090001); /* L0, write, 8 bytes */
	for (uint64_t i = 4; i <= 20; i += 4) {
		if (next(PTRACE_CONT) != SIGTRAP || !(dr(6) & 1))
			fail("no trap at a watched write");
		if (peek(&data[0]) != i)
			fail("the trap is not behind the write");
		set_dr(6, 0);
	}
	if (next(PTRACE_CONT) != SIGSTOP)
		fail("one trap too many");
	end();
}

/* Each call traps before the first instruction. */
static void check_execution(void)
{
	struct user_regs_struct regs;

	start();
	set_dr(1, (uint64_t)(uintptr_t)called);
	set_dr(7, 0x4); /* L1, execution */
	for (uint64_t i = 1; i <= 20; i++) {
		if (next(PTRACE_CONT) != SIGTRAP || !(dr(6) & 2))
			fail("no trap at a function");
		ptrace(PTRACE_GETREGS, child, NULL, &regs);
		if (regs.rip != (uint64_t)(uintptr_t)called || regs.rdi != i)
			fail("the trap is not at the function");
	}
	set_dr(7, 0);
	if (next(PTRACE_CONT) != SIGSTOP)
		fail("a trap after the breakpoint was taken away");
	end();
}

/* In steps the child comes to the same end, and rip moves each time. */
static void check_steps(void)
{
	struct user_regs_struct regs;
	uint64_t before = 0, steps = 0;
	int sig;

	start();
	while ((sig = next(PTRACE_SINGLESTEP)) == SIGTRAP) {
		ptrace(PTRACE_GETREGS, child, NULL, &regs);
		if (regs.rip == before)
			fail("a step that did not move");
		before = regs.rip;
		steps++;
	}
	if (sig != SIGSTOP || steps < 100 || peek(&data[1]) != 210)
		fail("the steps did not lead to the end");
	end();
}

int main(void)
{
	check_watch();
	check_execution();
	check_steps();
	printf("traced: ok\n");
	return 0;
}
