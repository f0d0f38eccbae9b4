/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * contend: threads on all processors of the guest that get in each other's way; what they count
 * together must come out.
 *
 *   contend [ROUNDS]
 *
 * Locked additions and exchanges, also across a cache line and a page; mutexes (futex: sleeping and
 * waking); stores and loads whose order the manual promises; mappings that come and go (TLB
 * shootdowns); processes on pipes; code that one thread writes and all run. Says "contend: ok ..."
 * and exits 0, or "contend: FAILED: what" and 1.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_THREADS 16

struct pair {
	uint64_t low, high;
} __attribute__((aligned(16)));

static struct {
	atomic_ulong added, swapped;
	atomic_ulong spin;
	unsigned long spun, locked;
	struct pair pair;
	pthread_mutex_t mutex;
	uint8_t *split; /* of two pages; a counter lies across their border */
	unsigned int threads;
	unsigned long rounds;
} all = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static _Noreturn void fail(const char *what)
{
	printf("contend: FAILED: %s\n", what);
	fflush(stdout);
	_exit(1);
}

static void add_to_pair(void)
{
	uint64_t low = all.pair.low, high = all.pair.high;
	_Bool done;

	do {
		uint64_t next_low = low + 1, next_high = high - 1;

		__asm__ volatile("lock cmpxchg16b %1"
				 : "=@ccz"(done), "+m"(all.pair), "+a"(low), "+d"(high)
				 : "b"(next_low), "c"(next_high)
				 : "memory");
	} while (!done);
}

static void add_split(uint32_t *p)
{
	__asm__ volatile("lock incl %0" : "+m"(*p) : : "memory");
}

static void add_swapped(void)
{
	unsigned long old = atomic_load(&all.swapped);

	while (!atomic_compare_exchange_weak(&all.swapped, &old, old + 1))
		;
}

/* In a loop that waits for another thread: it may have to run here first. */
static void relax(unsigned int *spins)
{
	__builtin_ia32_pause();
	if (++*spins % 256 == 0)
		sched_yield();
}

static void add_spinning(void)
{
	unsigned int spins = 0;

	while (atomic_exchange(&all.spin, 1))
		relax(&spins);
	all.spun++;
	atomic_store_explicit(&all.spin, 0, memory_order_release);
}

static void *adder(void *arg)
{
	(void)arg;
	for (unsigned long i = 0; i < all.rounds; i++) {
		atomic_fetch_add(&all.added, 1);
		add_swapped();
		add_to_pair();
		add_split((uint32_t *)(all.split + 4096 - 2));
		if (i % 8 == 0)
			add_spinning();
		if (i % 8 == 0) {
			pthread_mutex_lock(&all.mutex);
			all.locked++;
			pthread_mutex_unlock(&all.mutex);
		}
	}
	return NULL;
}

/* Maps, writes, checks and unmaps, while the others run on the same page tables. */
static void *mapper(void *arg)
{
	uint64_t mine = (uintptr_t)arg;

	for (unsigned long i = 0; i < all.rounds / 64; i++) {
		uint64_t *p = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);

		if (p == MAP_FAILED)
			fail("mmap");
		for (int k = 0; k < 4; k++)
			if (p[k * 512])
				fail("a new page is not zero");
		for (int k = 0; k < 4; k++)
			p[k * 512] = mine + i;
		mprotect(p, 16384, PROT_READ);
		for (int k = 0; k < 4; k++)
			if (p[k * 512] != mine + i)
				fail("a page of this thread holds something else");
		munmap(p, 16384);
	}
	return NULL;
}

static void run(void *(*work)(void *))
{
	pthread_t t[MAX_THREADS];

	for (unsigned int i = 0; i < all.threads; i++)
		if (pthread_create(&t[i], NULL, work, (void *)((uintptr_t)(i + 1) << 32)))
			fail("pthread_create");
	for (unsigned int i = 0; i < all.threads; i++)
		pthread_join(t[i], NULL);
}

static void check_counts(void)
{
	unsigned long total = all.threads * all.rounds,
		      eighth = all.threads * ((all.rounds + 7) / 8);
	uint32_t split;

	memcpy(&split, all.split + 4096 - 2, 4);
	if (all.added != total)
		fail("LOCK XADD lost one");
	if (all.swapped != total)
		fail("LOCK CMPXCHG lost one");
	if (all.pair.low != total || all.pair.high != (uint64_t)0 - total)
		fail("LOCK CMPXCHG16B lost one");
	if (split != (uint32_t)total)
		fail("LOCK INC across pages lost one");
	if (all.spun != eighth || all.locked != eighth)
		fail("a lock did not exclude");
}

/* Both threads store, fence and load what the other stores: one at least must see the other's. */
static struct {
	atomic_ulong x, y, phase[2];
	unsigned long r[2];
} dekker;

/* Until the other side is there too. */
static void meet(int me, unsigned long phase)
{
	unsigned int spins = 0;

	atomic_store(&dekker.phase[me], phase);
	while (atomic_load(&dekker.phase[!me]) < phase)
		relax(&spins);
}

static void *dekker_side(void *arg)
{
	int me = arg != NULL;

	for (unsigned long i = 1; i <= all.rounds / 16; i++) {
		meet(me, 3 * i);
		atomic_store_explicit(me ? &dekker.x : &dekker.y, i, memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst);
		dekker.r[me] =
			atomic_load_explicit(me ? &dekker.y : &dekker.x, memory_order_relaxed);
		meet(me, 3 * i + 1);
		if (dekker.r[0] < i && dekker.r[1] < i)
			fail("two fenced stores were both not seen");
		meet(me, 3 * i + 2);
	}
	return NULL;
}

static void check_order(void)
{
	pthread_t t[2];

	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, dekker_side, (void *)i);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

/* A function that returns a number; one thread writes a new one, the others call it. */
static struct {
	uint8_t *code;
	atomic_uint current;
	atomic_uint stop;
} jit;

static void write_code(uint32_t n)
{
	uint8_t *slot = jit.code + (n % 2) * 64;
	const uint8_t body[6] = {
		0xb8, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24), 0xc3};

	memcpy(slot, body, sizeof body);
}

static void *caller(void *arg)
{
	(void)arg;
	while (!atomic_load(&jit.stop)) {
		unsigned int before = atomic_load(&jit.current), eax = 0, b, c, d, got, after;

		__asm__ volatile("cpuid"
				 : "+a"(eax), "=b"(b), "=c"(c), "=d"(d)
				 :
				 : "memory"); /* serializes */
		got = ((unsigned int (*)(void))(void *)(jit.code + (before % 2) * 64))();
		after = atomic_load(&jit.current);
		if (after == before && got != before)
			fail("old code ran after a serializing instruction");
	}
	return NULL;
}

static void check_code(void)
{
	pthread_t t[MAX_THREADS];

	jit.code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	if (jit.code == MAP_FAILED)
		fail("mmap of code");
	write_code(0);
	for (unsigned int i = 0; i < all.threads; i++)
		pthread_create(&t[i], NULL, caller, NULL);
	for (uint32_t n = 1; n <= all.rounds / 128; n++) {
		write_code(n);
		atomic_store(&jit.current, n);
		if (n % 16 == 0)
			usleep(100);
	}
	atomic_store(&jit.stop, 1);
	for (unsigned int i = 0; i < all.threads; i++)
		pthread_join(t[i], NULL);
}

/* Processes in a ring pass a number on; each adds one. */
static void check_pipes(void)
{
	unsigned int n = all.threads, laps = (unsigned int)(all.rounds / 256);
	int fd[MAX_THREADS + 1][2], status;
	uint32_t v = 0;

	for (unsigned int i = 0; i <= n; i++)
		if (pipe(fd[i]))
			fail("pipe");
	for (unsigned int i = 0; i < n; i++) {
		if (fork())
			continue;
		for (unsigned int lap = 0; lap < laps; lap++) {
			if (read(fd[i][0], &v, 4) != 4)
				_exit(1);
			v++;
			if (write(fd[i + 1][1], &v, 4) != 4)
				_exit(1);
		}
		_exit(0);
	}
	v = 0;
	for (unsigned int lap = 0; lap < laps; lap++)
		if (write(fd[0][1], &v, 4) != 4 || read(fd[n][0], &v, 4) != 4)
			fail("ring of pipes");
	if (v != laps * n)
		fail("the ring of pipes lost a step");
	while (wait(&status) > 0)
		if (status)
			fail("a process of the ring");
}

int main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	all.rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 20000;
	all.threads = cpus * 2 > MAX_THREADS ? MAX_THREADS : (unsigned int)cpus * 2;
	all.split = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all.split == MAP_FAILED)
		fail("mmap");
	run(adder);
	check_counts();
	run(mapper);
	if (cpus > 1)
		check_order();
	check_code();
	check_pipes();
	printf("contend: ok cpus=%ld threads=%u rounds=%lu\n", cpus, all.threads, all.rounds);
	return 0;
}
