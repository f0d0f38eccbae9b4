/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host CPU as the judge of the interpreter. A stub loads all registers from a case and goes to the instruction in the
 * code page by IRET, so that RFLAGS.TF and AC count from that instruction on. A jump behind it comes back, by way of the
 * exit page, to a second stub that stores all registers. What traps comes back as a signal, whose frame has the registers,
 * the vector, the error code and CR2.
 *
 * The child runs under seccomp strict mode: read, write, sigreturn and exit are all that any instruction could ask for.
 */
#include "config.h"

#include "tests/engine/insn_native.h"

#include <errno.h>

#if defined(__x86_64__)

#include <cpuid.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/engine/insn_gen.h"
#include "tests/engine/insn_plant.h"

#define JUMP_OUT_BYTES 5u
#define EXIT_LA (INSN_CODE_LA + INSN_PAGE)
#define VECTOR_BREAKPOINT 3
#define VECTOR_PAGE_FAULT 14
#define PF_FETCH 0x10u

/* Before C code runs: RFLAGS.AC off, for it accesses memory as it likes; NT off, for IRET faults on it. */
#define FLAGS_FOR_C "	pushfq\n	andl $~0x44000, (%rsp)\n	popfq\n"

_Static_assert(offsetof(struct insn_regs, rip) == 128 && offsetof(struct insn_regs, rflags) == 136 &&
	       offsetof(struct insn_regs, fx) == 144, "the stubs below know these offsets");

/* Loads *in, runs from `target`, stores to *out when the jump out or a signal comes back. */
void insn_native_call(const struct insn_regs *in, struct insn_regs *out, uint64_t target);
extern const char insn_native_return[], insn_native_recover[];
extern uint64_t insn_native_rsp;

__asm__(".pushsection .bss\n"
	".balign 8\n"
	".globl insn_native_rsp\n"
	"insn_native_rsp: .zero 8\n"
	"native_out: .zero 8\n"
	".popsection\n"
	".pushsection .rodata\n"
	"native_mxcsr: .long 0x1f80\n"
	".popsection\n"
	".globl insn_native_call, insn_native_return, insn_native_recover\n"
	".type insn_native_call, @function\n"
	"insn_native_call:\n"
	"	endbr64\n"
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n"
	"	mov %rsp, insn_native_rsp(%rip)\n"
	"	mov %rsi, native_out(%rip)\n"
	"	fxrstor64 144(%rdi)\n"
	"	mov %rdi, %rax\n"
	"	mov %ss, %ecx\n	push %rcx\n"
	"	push 32(%rax)\n"
	"	push 136(%rax)\n"
	"	mov %cs, %ecx\n	push %rcx\n"
	"	push %rdx\n"
	"	mov 8(%rax), %rcx\n	mov 16(%rax), %rdx\n	mov 24(%rax), %rbx\n	mov 40(%rax), %rbp\n"
	"	mov 48(%rax), %rsi\n	mov 56(%rax), %rdi\n	mov 64(%rax), %r8\n	mov 72(%rax), %r9\n"
	"	mov 80(%rax), %r10\n	mov 88(%rax), %r11\n	mov 96(%rax), %r12\n	mov 104(%rax), %r13\n"
	"	mov 112(%rax), %r14\n	mov 120(%rax), %r15\n"
	"	mov 0(%rax), %rax\n"
	"	iretq\n"
	"insn_native_return:\n"
	"	endbr64\n"
	"	xchg %rax, native_out(%rip)\n"
	"	mov %rsp, 32(%rax)\n"
	"	mov insn_native_rsp(%rip), %rsp\n"
	"	pushfq\n"
	"	pop 136(%rax)\n"
	FLAGS_FOR_C
	"	cld\n"
	"	mov %rcx, 8(%rax)\n	mov %rdx, 16(%rax)\n	mov %rbx, 24(%rax)\n	mov %rbp, 40(%rax)\n"
	"	mov %rsi, 48(%rax)\n	mov %rdi, 56(%rax)\n	mov %r8, 64(%rax)\n	mov %r9, 72(%rax)\n"
	"	mov %r10, 80(%rax)\n	mov %r11, 88(%rax)\n	mov %r12, 96(%rax)\n	mov %r13, 104(%rax)\n"
	"	mov %r14, 112(%rax)\n	mov %r15, 120(%rax)\n"
	"	mov native_out(%rip), %rcx\n"
	"	mov %rcx, 0(%rax)\n"
	"	fxsave64 144(%rax)\n"
	"insn_native_recover:\n"
	"	fninit\n"
	"	ldmxcsr native_mxcsr(%rip)\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbp\n	pop %rbx\n"
	"	ret\n"
	".size insn_native_call, . - insn_native_call\n"
	".globl insn_native_signal\n"
	".type insn_native_signal, @function\n"
	"insn_native_signal:\n"
	"	endbr64\n"
	FLAGS_FOR_C
	"	jmp native_on_signal\n"
	".size insn_native_signal, . - insn_native_signal\n");

void insn_native_signal(int sig, siginfo_t *info, void *context);

/* The signal handler has no argument of its own; this process has one thread. */
static struct insn_result *current;

__attribute__((used)) static void on_signal(int sig, siginfo_t *info, void *context) __asm__("native_on_signal");

static void on_signal(int sig, siginfo_t *info, void *context)
{
	static const int order[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
				       REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
	ucontext_t *uc = context;
	greg_t *regs = uc->uc_mcontext.gregs;

	(void)sig;
	(void)info;
	if (!current)
		_exit(3);
	for (int i = 0; i < 16; i++)
		current->regs.gpr[i] = (uint64_t)regs[order[i]];
	current->regs.rip = (uint64_t)regs[REG_RIP];
	current->regs.rflags = (uint64_t)regs[REG_EFL];
	memcpy(current->regs.fx, uc->uc_mcontext.fpregs, sizeof current->regs.fx);
	current->vector = (int32_t)regs[REG_TRAPNO];
	current->error = (uint32_t)regs[REG_ERR];
	current->cr2 = (uint64_t)regs[REG_CR2];
	regs[REG_RIP] = (greg_t)(uintptr_t)insn_native_recover;
	regs[REG_RSP] = (greg_t)insn_native_rsp;
	regs[REG_EFL] = 2;
}

static uint8_t *map_data(void)
{
	static const char rights[] = INSN_DATA_RIGHTS;
	int fd = memfd_create("insn-data", MFD_CLOEXEC);
	uint8_t *alias;

	if (fd < 0 || ftruncate(fd, INSN_DATA_PAGES * INSN_PAGE))
		return NULL;
	alias = mmap(NULL, INSN_DATA_PAGES * INSN_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (alias == MAP_FAILED)
		return NULL;
	for (unsigned int i = 0; i < INSN_DATA_PAGES; i++) {
		void *la = (void *)(uintptr_t)(INSN_DATA_LA + i * INSN_PAGE);
		int prot = rights[i] == 'w' ? PROT_READ | PROT_WRITE : PROT_READ;

		if (rights[i] == '-')
			continue;
		if (mmap(la, INSN_PAGE, prot, MAP_SHARED | MAP_POPULATE | MAP_FIXED_NOREPLACE, fd,
			 (off_t)i * INSN_PAGE) != la)
			return NULL;
	}
	close(fd);
	return alias;
}

static uint8_t *map_code(void)
{
	void *la = (void *)(uintptr_t)INSN_CODE_LA;
	uint8_t *code = mmap(la, 2 * INSN_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_FIXED_NOREPLACE, -1, 0);
	static const uint8_t jump[8] = { 0xff, 0x25, 2 }; /* jmp *2(%rip), aligned */
	uint64_t target = (uint64_t)(uintptr_t)insn_native_return;

	if (code != la)
		return NULL;
	memset(code, 0xcc, INSN_PAGE);
	memcpy(code + INSN_PAGE, jump, sizeof jump);
	memcpy(code + INSN_PAGE + sizeof jump, &target, sizeof target);
	return code;
}

/* A branch was taken if the int3 at its target trapped, or if the target could not be fetched. */
static void settle_branch(const struct insn_case *c, struct insn_result *r)
{
	if (!c->branch || r->regs.rip == c->in.rip)
		return;
	if (r->vector == VECTOR_BREAKPOINT)
		r->regs.rip--;
	else if (r->vector != VECTOR_PAGE_FAULT || !(r->error & PF_FETCH))
		return;
	r->vector = INSN_NONE;
}

static void run_case(const struct insn_case *c, struct insn_result *r, uint8_t *code, uint8_t *data)
{
	uint8_t *insn = code + (c->in.rip - INSN_CODE_LA);

	insn_gen_lay(c, data);
	memcpy(insn, c->code, c->len);
	if (!c->branch) {
		uint32_t rel = (uint32_t)(EXIT_LA - (c->in.rip + c->len + JUMP_OUT_BYTES));

		insn[c->len] = 0xe9; /* jmp EXIT_LA */
		memcpy(insn + c->len + 1, &rel, sizeof rel);
	}
	r->vector = INSN_NONE;
	r->error = 0;
	r->cr2 = 0;
	current = r;
	insn_native_call(&c->in, &r->regs, c->in.rip);
	current = NULL;
	if (r->vector == INSN_NONE)
		r->regs.rip = c->in.rip + c->len;
	settle_branch(c, r);
	memset(insn, 0xcc, c->len + JUMP_OUT_BYTES);
	for (unsigned int i = 0; i < INSN_STRIPS; i++)
		memcpy(r->mem[i], data + insn_strip_offset(i), INSN_STRIP);
}

static _Noreturn void child(struct insn_native *n, int in, int out)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
	static char stack[65536];
	const stack_t alt = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction sa = { .sa_sigaction = insn_native_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	uint8_t *data = map_data();
	uint8_t *code = map_code();
	uint32_t count;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!data || !code || sigaltstack(&alt, NULL))
		_exit(4);
	for (unsigned int i = 0; i < sizeof signals / sizeof signals[0]; i++)
		if (sigaction(signals[i], &sa, NULL))
			_exit(4);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		_exit(5);
	while (read(in, &count, sizeof count) == sizeof count && count <= INSN_BATCH) {
		for (uint32_t i = 0; i < count; i++) {
			*n->running = i;
			if (n->struck[i])
				insn_plant_unknown(&n->cases[i], &n->results[i]);
			else
				run_case(&n->cases[i], &n->results[i], code, data);
		}
		if (write(out, &count, sizeof count) != sizeof count)
			break;
	}
	for (;;)
		_exit(0);
}

bool insn_native_has(const struct insn_form *f)
{
	unsigned int a, b = 0, c = 0, d;

	if (f->map == 1 && f->opcode == 0xae && f->prefix == 0xf3)
		return getauxval(AT_HWCAP2) & 2; /* FSGSBASE, and the kernel allows it */
	if (f->kind != K_RANDOM)
		return true;
	if (f->ext == 6)
		return __get_cpuid(1, &a, &b, &c, &d) && c & bit_RDRND;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_RDSEED;
}

int insn_native_start(struct insn_native *n)
{
	size_t cases = INSN_BATCH * sizeof(struct insn_case);
	size_t results = INSN_BATCH * sizeof(struct insn_result);
	size_t running = sizeof *n->running, struck = INSN_BATCH * sizeof *n->struck;
	int to[2], from[2];
	uint8_t *shared = mmap(NULL, cases + results + running + struck, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED || pipe(to) || pipe(from))
		return -errno;
	n->cases = (struct insn_case *)(void *)shared;
	n->results = (struct insn_result *)(void *)(shared + cases);
	n->running = (volatile uint32_t *)(void *)(shared + cases + results);
	n->struck = (bool *)(shared + cases + results + running);
	n->pid = fork();
	if (n->pid < 0)
		return -errno;
	if (n->pid == 0) {
		close(to[1]);
		close(from[0]);
		child(n, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	n->to_child = to[1];
	n->from_child = from[0];
	return 0;
}

int insn_native_run(struct insn_native *n, unsigned int count)
{
	uint32_t word = count;
	int status = 0;

	if (write(n->to_child, &word, sizeof word) == sizeof word &&
	    read(n->from_child, &word, sizeof word) == sizeof word)
		return 0;
	if (waitpid(n->pid, &status, 0) == n->pid)
		fprintf(stderr, "the native child ended: %s %d at ", WIFSIGNALED(status) ? "signal" : "exit",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	for (uint32_t i = 0; i < n->cases[*n->running].len; i++)
		fprintf(stderr, "%02x ", n->cases[*n->running].code[i]);
	fprintf(stderr, "\n");
	n->pid = -1;
	return -EIO;
}

void insn_native_stop(struct insn_native *n)
{
	close(n->to_child);
	close(n->from_child);
	if (n->pid > 0) {
		kill(n->pid, SIGKILL);
		waitpid(n->pid, NULL, 0);
	}
	munmap(n->cases, INSN_BATCH * (sizeof(struct insn_case) + sizeof(struct insn_result) + sizeof *n->struck) +
				 sizeof *n->running);
}

#else

bool insn_native_has(const struct insn_form *f)
{
	(void)f;
	return true;
}

int insn_native_start(struct insn_native *n)
{
	(void)n;
	return -ENOTSUP;
}

int insn_native_run(struct insn_native *n, unsigned int count)
{
	(void)n;
	(void)count;
	return -ENOTSUP;
}

void insn_native_stop(struct insn_native *n)
{
	(void)n;
}

#endif
