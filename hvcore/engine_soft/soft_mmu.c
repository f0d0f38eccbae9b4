/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Four-level paging, TLB refill, and every access that the fast path of soft_mem.h cannot do:
 * faults, page crossing, MMIO, first write to a page (dirty log, decoded code).
 *
 * Page tables and addresses are the guest's: tables outside of RAM read as faults, addresses
 * outside of RAM go to the machine's MMIO upcall. No 5-level, 32-bit or PAE paging; SMEP, SMAP and
 * protection keys are not announced.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_block.h"
#include "hvcore/engine_soft/soft_break.h"
#include "hvcore/engine_soft/soft_clock.h"
#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_run.h"
#include "hvcore/engine_soft/soft_vm.h"
#include "hvcore/engine_soft/soft_watch.h"

#define PTE_P	 0x1ull
#define PTE_W	 0x2ull
#define PTE_U	 0x4ull
#define PTE_A	 0x20ull
#define PTE_D	 0x40ull
#define PTE_PS	 0x80ull
#define PTE_NX	 (1ull << 63)
#define PTE_ADDR (((1ull << SOFT_PHYS_BITS) - 1) & SOFT_PAGE_MASK)
#define PTE_RSVD (((1ull << 52) - 1) & ~((1ull << SOFT_PHYS_BITS) - 1))

#define PF_P	0x1u
#define PF_W	0x2u
#define PF_U	0x4u
#define PF_RSVD 0x8u
#define PF_I	0x10u

struct soft_tlb *soft_own_tlb(struct soft_cpu *cpu)
{
	if (cpu->cpl != 3)
		return &cpu->tlbs[SOFT_TLB_SUPERVISOR];
	return &cpu->tlbs[cpu->eflags & SOFT_AC && cpu->cr0 & SOFT_CR0_AM ? SOFT_TLB_CHECKED
									  : SOFT_TLB_USER];
}

static bool is_checked(struct soft_cpu *cpu)
{
	return soft_own_tlb(cpu) == &cpu->tlbs[SOFT_TLB_CHECKED];
}

void soft_pick_tlb(struct soft_cpu *cpu)
{
	if (is_checked(cpu))
		cpu->checked_empty = false;
	cpu->tlb = soft_unlikely(cpu->probed) ? &cpu->watch->none : soft_own_tlb(cpu);
}

void soft_set_cpl(struct soft_cpu *cpu, unsigned int cpl)
{
	cpu->cpl = (uint8_t)cpl;
	soft_pick_tlb(cpu);
}

/* --- emptying ------------------------------------------------------------ */

static void flush_one(struct soft_tlb *t)
{
	for (unsigned int i = 0; i < SOFT_TLB_SIZE; i++)
		t->rd[i].tag = t->wr[i].tag = SOFT_TLB_NONE;
	for (unsigned int i = 0; i < SOFT_XTLB_SIZE; i++)
		t->ex[i].tag = SOFT_TLB_NONE;
}

void soft_tlb_flush(struct soft_cpu *cpu)
{
	flush_one(&cpu->tlbs[SOFT_TLB_SUPERVISOR]);
	flush_one(&cpu->tlbs[SOFT_TLB_USER]);
	if (soft_unlikely(!cpu->checked_empty)) {
		flush_one(&cpu->tlbs[SOFT_TLB_CHECKED]);
		cpu->checked_empty = !is_checked(cpu);
	}
	memset(cpu->large, 0, sizeof cpu->large);
	cpu->huge = 0;
}

void soft_tlb_flush_writes(struct soft_cpu *cpu)
{
	struct soft_tlb *t = cpu->tlbs;

	for (unsigned int i = 0; i < SOFT_TLB_SIZE; i++)
		t[SOFT_TLB_SUPERVISOR].wr[i].tag = t[SOFT_TLB_USER].wr[i].tag = SOFT_TLB_NONE;
}

/*
 * A 2 MiB or 1 GiB page sits in the TLB as the 4 KiB pages that were used. How many bytes around la
 * may belong to one page?
 */
static uint64_t page_bytes(const struct soft_cpu *cpu, uint64_t la)
{
	if (cpu->huge >> (la >> 30 & 63) & 1)
		return 1ull << 30;
	if (cpu->large[la >> 27 & 15] >> (la >> 21 & 63) & 1)
		return 1ull << 21;
	return SOFT_PAGE;
}

static void note_page_bytes(struct soft_cpu *cpu, uint64_t la, int level)
{
	if (level == 3)
		cpu->huge |= 1ull << (la >> 30 & 63);
	else if (level == 2)
		cpu->large[la >> 27 & 15] |= 1ull << (la >> 21 & 63);
}

static void flush_range(struct soft_tlb *t, uint64_t la, uint64_t mask)
{
	for (unsigned int i = 0; i < SOFT_TLB_SIZE; i++) {
		if ((t->rd[i].tag & mask) == la)
			t->rd[i].tag = SOFT_TLB_NONE;
		if ((t->wr[i].tag & mask) == la)
			t->wr[i].tag = SOFT_TLB_NONE;
	}
	for (unsigned int i = 0; i < SOFT_XTLB_SIZE; i++)
		if ((t->ex[i].tag & mask) == la)
			t->ex[i].tag = SOFT_TLB_NONE;
}

void soft_tlb_flush_page(struct soft_cpu *cpu, uint64_t la)
{
	uint64_t bytes = page_bytes(cpu, la);

	for (unsigned int i = 0; i < SOFT_NR_TLBS; i++) {
		struct soft_tlb *t = &cpu->tlbs[i];

		t->rd[(la >> 12) & (SOFT_TLB_SIZE - 1)].tag = SOFT_TLB_NONE;
		t->wr[(la >> 12) & (SOFT_TLB_SIZE - 1)].tag = SOFT_TLB_NONE;
		t->ex[(la >> 12) & (SOFT_XTLB_SIZE - 1)].tag = SOFT_TLB_NONE;
		if (bytes > SOFT_PAGE)
			flush_range(t, la & ~(bytes - 1), ~(bytes - 1));
	}
}

/* --- the walk ------------------------------------------------------------ */

struct walk {
	uint64_t gpa;	/* of the byte */
	uint32_t error; /* of #PF, if it failed */
};

static _Noreturn void page_fault(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
				 uint32_t error)
{
	cpu->cr2 = la;
	soft_raise_err(cpu, op, SOFT_PAGE_FAULT, error);
}

/* Reserved bits of an entry at this level, 4 down to 1. */
static bool reserved(const struct soft_cpu *cpu, uint64_t pte, int level)
{
	if (pte & PTE_RSVD || (pte & PTE_NX && !(cpu->efer & SOFT_EFER_NXE)))
		return true;
	if (!(pte & PTE_PS) || level == 1)
		return false;
	/* a large page starts at a multiple of its size; bit 12 is its PAT bit */
	return level > 3 || pte & ((1ull << (12 + 9 * (level - 1))) - 1) & ~0x1fffull;
}

/* Set A (and D) in the entry, for the guest and for the dirty log. */
static void set_bits(const struct soft_slot *slot, uint64_t *pte, uint64_t gpa, uint64_t bits)
{
	if (slot->readonly)
		return;
	__atomic_fetch_or(pte, bits, __ATOMIC_RELAXED);
	soft_mark_dirty(slot, gpa);
}

static bool walk(struct soft_cpu *cpu, uint64_t la, enum soft_access how, bool user, struct walk *w)
{
	uint64_t table = cpu->cr3 & PTE_ADDR, rights = PTE_W | PTE_U, nx = 0;
	bool wp = user || cpu->cr0 & SOFT_CR0_WP;

	w->error = (how == SOFT_WRITE ? PF_W : 0) | (user ? PF_U : 0) |
		   (how == SOFT_EXEC && cpu->efer & SOFT_EFER_NXE ? PF_I : 0);
	for (int level = 4;; level--) {
		unsigned int shift = 12 + 9 * (unsigned int)(level - 1);
		uint64_t at = table + (la >> shift & 511) * 8, pte, size;
		const struct soft_slot *slot;
		uint64_t *p = (uint64_t *)soft_ram(cpu->vm, at, 8, &slot);

		pte = p ? __atomic_load_n(p, __ATOMIC_RELAXED) : 0;
		if (!(pte & PTE_P))
			return false;
		w->error |= PF_P;
		if (reserved(cpu, pte, level)) {
			w->error |= PF_RSVD;
			return false;
		}
		rights &= pte;
		nx |= pte & PTE_NX;
		if (level > 1 && !(pte & PTE_PS)) {
			if (!(pte & PTE_A))
				set_bits(slot, p, at, PTE_A);
			table = pte & PTE_ADDR;
			w->error &= ~PF_P;
			continue;
		}
		if ((user && !(rights & PTE_U)) || (how == SOFT_EXEC && nx) ||
		    (how == SOFT_WRITE && wp && !(rights & PTE_W)))
			return false;
		pte |= PTE_A | (how == SOFT_WRITE ? PTE_D : 0);
		if (pte & ~__atomic_load_n(p, __ATOMIC_RELAXED))
			set_bits(slot, p, at, PTE_A | (how == SOFT_WRITE ? PTE_D : 0));
		size = 1ull << shift;
		w->gpa = (pte & PTE_ADDR & ~(size - 1)) | (la & (size - 1));
		note_page_bytes(cpu, la, level);
		return true;
	}
}

static bool canonical(uint64_t la)
{
	return (uint64_t)((int64_t)(la << 16) >> 16) == la;
}

static _Noreturn void not_canonical(struct soft_cpu *cpu, const struct soft_op *op,
				    enum soft_access how)
{
	soft_raise_err(cpu, op,
		       op && op->flags & SOFT_OP_STACK && how != SOFT_EXEC ? SOFT_SSF : SOFT_GP, 0);
}

static struct walk walk_or_raise(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
				 enum soft_access how, bool user)
{
	struct walk w = {.gpa = la};

	if (!(cpu->cr0 & SOFT_CR0_PG))
		return w;
	if (soft_unlikely(!canonical(la)))
		not_canonical(cpu, op, how);
	if (!walk(cpu, la, how, user, &w))
		page_fault(cpu, op, la, w.error);
	return w;
}

/* --- refill -------------------------------------------------------------- */

/* A write to this page of RAM is about to happen, or a write TLB entry for it to be made. */
static void before_write(struct soft_cpu *cpu, const struct soft_slot *slot, uint64_t gpa)
{
	soft_mark_dirty(slot, gpa);
	cpu->count.dirty_writes += atomic_load_explicit(&slot->logging, memory_order_relaxed);
	if (atomic_load_explicit(&cpu->vm->has_code[soft_page_index(slot, gpa)],
				 memory_order_relaxed))
		soft_code_written(cpu->vm, cpu, gpa, 1);
}

/* A slow access: one that the TLB lacks, or, where every access is slow, perhaps one that it has. */
static void count_access(struct soft_cpu *cpu, enum soft_access how, bool hit)
{
	if (soft_unlikely(cpu->probed))
		soft_watch_access(cpu, how, hit);
	if (!cpu->probed || !hit)
		cpu->count.tlb_miss[how]++;
}

static struct soft_phys translate(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
				  enum soft_access how, bool user)
{
	struct walk w = walk_or_raise(cpu, op, la, how, user);
	struct soft_tlb *t = &cpu->tlbs[user];
	struct soft_tlb_entry *rd = &t->rd[(la >> 12) & (SOFT_TLB_SIZE - 1)];
	struct soft_tlb_entry *wr = &t->wr[(la >> 12) & (SOFT_TLB_SIZE - 1)];
	uint64_t page = la & SOFT_PAGE_MASK;
	const struct soft_slot *slot;
	uint8_t *host = soft_ram(cpu->vm, w.gpa & SOFT_PAGE_MASK, SOFT_PAGE, &slot);

	if (!host)
		return (struct soft_phys){.gpa = w.gpa};
	count_access(cpu, how, (how == SOFT_WRITE ? wr : rd)->tag == page);
	if (how == SOFT_WRITE) {
		if (slot->readonly)
			return (struct soft_phys){.gpa = w.gpa};
		before_write(cpu, slot, w.gpa);
	}
	if (soft_break_in_page(cpu, page)) {
		; /* no entry: the next access must come here again */
	} else if (how == SOFT_WRITE) {
		wr->tag = page;
		wr->delta = (uintptr_t)host - page;
	} else if (how == SOFT_READ) {
		rd->tag = page;
		rd->delta = (uintptr_t)host - page;
	}
	return (struct soft_phys){.gpa = w.gpa, .host = host + (la & (SOFT_PAGE - 1))};
}

struct soft_phys soft_translate(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
				enum soft_access how)
{
	return translate(cpu, op, la, how, cpu->cpl == 3);
}

const struct soft_xtlb_entry *soft_fetch_page(struct soft_cpu *cpu, uint64_t la)
{
	struct soft_xtlb_entry *x =
		&soft_own_tlb(cpu)->ex[(la >> 12) & (SOFT_XTLB_SIZE - 1)];
	const struct soft_slot *slot;
	struct walk w;
	bool hit = x->tag == (la & SOFT_PAGE_MASK);

	if (soft_unlikely(cpu->probed))
		soft_watch_access(cpu, SOFT_EXEC, hit);
	if (hit)
		return x;
	cpu->count.tlb_miss[SOFT_EXEC]++;
	w = walk_or_raise(cpu, NULL, la, SOFT_EXEC, cpu->cpl == 3);
	x->host = soft_ram(cpu->vm, w.gpa & SOFT_PAGE_MASK, SOFT_PAGE, &slot);
	x->tag = SOFT_TLB_NONE;
	if (!x->host)
		return NULL;
	x->tag = la & SOFT_PAGE_MASK;
	x->gpa = w.gpa & SOFT_PAGE_MASK;
	return x;
}

/* --- MMIO ---------------------------------------------------------------- */

/* One access of 1, 2, 4 or 8 bytes that is not RAM. */
static void mmio(struct soft_cpu *cpu, uint64_t gpa, void *data, unsigned int len, bool write)
{
	struct soft_vm *vm = cpu->vm;

	cpu->count.exits_mmio++;
	if (gpa - HV_LAPIC_GPA < SOFT_PAGE) {
		soft_irqchip_apic_mmio(&vm->irqchip, cpu->index, (uint32_t)(gpa - HV_LAPIC_GPA),
				       data, len, write, soft_clock_now(cpu));
	} else if (gpa - HV_IOAPIC_GPA < SOFT_PAGE) {
		soft_irqchip_ioapic_mmio(&vm->irqchip, (uint32_t)(gpa - HV_IOAPIC_GPA), data, len,
					 write);
	} else {
		soft_run_pause(cpu);
		vm->cfg.up.mmio(vm->cfg.up.arg, gpa, data, len, write);
		soft_run_resume(cpu);
	}
}

/* Any length: in naturally sized pieces. */
static void mmio_bytes(struct soft_cpu *cpu, uint64_t gpa, uint8_t *buf, unsigned int len,
		       bool write)
{
	while (len) {
		unsigned int n = len >= 8 ? 8 : len >= 4 ? 4 : len >= 2 ? 2 : 1;

		mmio(cpu, gpa, buf, n, write);
		gpa += n;
		buf += n;
		len -= n;
	}
}

/* --- the slow accesses --------------------------------------------------- */

/* Bytes of [la, la+len) that lie in la's page. */
static unsigned int head(uint64_t la, unsigned int len)
{
	unsigned int room = SOFT_PAGE - (unsigned int)(la & (SOFT_PAGE - 1));

	return len < room ? len : room;
}

/* What #AC asks of len bytes: 80-bit numbers count as 64-bit ones, state images as words. */
static uint64_t alignment(unsigned int len)
{
	switch (len) {
	case 10:
		return 8;
	case 14:
	case 94:
		return 2;
	case 28:
	case 108:
		return 4;
	default:
		return len <= 16 ? len : 1;
	}
}

/* User code may have asked for #AC. It goes before #PF. */
static void check_alignment(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
			    unsigned int len)
{
	if (soft_unlikely(is_checked(cpu)) && la & (alignment(len) - 1))
		soft_raise_err(cpu, op, SOFT_ALIGN, 0);
}

/* Behind the last canonical page comes no other page: that is found before the first page is looked
 * at. */
static void check_end(struct soft_cpu *cpu, const struct soft_op *op, uint64_t last,
		      enum soft_access how)
{
	if (soft_unlikely(!canonical(last)) && cpu->cr0 & SOFT_CR0_PG)
		not_canonical(cpu, op, how);
}

static void get(struct soft_cpu *cpu, struct soft_phys at, void *buf, unsigned int len)
{
	if (at.host)
		memcpy(buf, at.host, len);
	else
		mmio_bytes(cpu, at.gpa, buf, len, false);
}

static void put(struct soft_cpu *cpu, struct soft_phys at, const void *buf, unsigned int len)
{
	uint8_t copy[SOFT_PAGE];

	if (at.host) {
		memcpy(at.host, buf, len);
		return;
	}
	memcpy(copy, buf, len);
	mmio_bytes(cpu, at.gpa, copy, len, true);
}

static void load(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la, void *buf,
		 unsigned int len, bool user)
{
	unsigned int first = head(la, len);
	struct soft_phys a, b = {0};

	cpu->op = op;
	check_end(cpu, op, la + len - 1, SOFT_READ);
	if (user)
		check_alignment(cpu, op, la, len);
	a = translate(cpu, op, la, SOFT_READ, user);
	if (first < len)
		b = translate(cpu, op, la + first, SOFT_READ, user);
	soft_break_data(cpu, la, len, false);
	get(cpu, a, buf, first);
	if (first < len)
		get(cpu, b, (uint8_t *)buf + first, len - first);
	cpu->op = NULL;
}

static void store(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la, const void *buf,
		  unsigned int len, bool user)
{
	unsigned int first = head(la, len);
	struct soft_phys a, b = {0};

	cpu->op = op;
	check_end(cpu, op, la + len - 1, SOFT_WRITE);
	if (user)
		check_alignment(cpu, op, la, len);
	a = translate(cpu, op, la, SOFT_WRITE, user);
	if (first < len)
		b = translate(cpu, op, la + first, SOFT_WRITE, user);
	soft_break_data(cpu, la, len, true);
	put(cpu, a, buf, first);
	if (first < len)
		put(cpu, b, (const uint8_t *)buf + first, len - first);
	cpu->op = NULL;
}

void soft_ld_bytes_slow(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la, void *buf,
			unsigned int len)
{
	load(cpu, op, la, buf, len, cpu->cpl == 3);
}

void soft_st_bytes_slow(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
			const void *buf, unsigned int len)
{
	store(cpu, op, la, buf, len, cpu->cpl == 3);
}

uint64_t soft_ld_slow(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
		      unsigned int size)
{
	uint64_t v = 0;

	load(cpu, op, la, &v, size, cpu->cpl == 3);
	return v;
}

void soft_st_slow(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la, uint64_t v,
		  unsigned int size)
{
	store(cpu, op, la, &v, size, cpu->cpl == 3);
}

uint64_t soft_sys_ld(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la, unsigned int size)
{
	const struct soft_tlb_entry *e =
		&cpu->tlbs[0].rd[((la + size - 1) >> 12) & (SOFT_TLB_SIZE - 1)];
	uint64_t v = 0;

	if (e->tag == (la & SOFT_PAGE_MASK))
		memcpy(&v, (void *)(uintptr_t)(la + e->delta), size);
	else
		load(cpu, op, la, &v, size, false);
	return v;
}

void soft_sys_st(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la, uint64_t v,
		 unsigned int size)
{
	const struct soft_tlb_entry *e =
		&cpu->tlbs[0].wr[((la + size - 1) >> 12) & (SOFT_TLB_SIZE - 1)];

	if (e->tag == (la & SOFT_PAGE_MASK))
		memcpy((void *)(uintptr_t)(la + e->delta), &v, size);
	else
		store(cpu, op, la, &v, size, false);
}

/*
 * Read-modify-write: RAM in one page is handed out itself. Anything else goes through cpu->bounce,
 * under a lock of the VM so that locked operations on such operands exclude each other.
 */
void *soft_rmw_slow(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la, unsigned int size)
{
	struct soft_phys a;

	check_end(cpu, op, la + size - 1, SOFT_WRITE);
	check_alignment(cpu, op, la, size);
	a = soft_translate(cpu, op, la, SOFT_WRITE);
	soft_break_data(cpu, la, size, true);
	if (head(la, size) == size) {
		if (a.host)
			return a.host;
	} else {
		soft_translate(cpu, op, la + head(la, size), SOFT_WRITE);
	}
	pthread_mutex_lock(&cpu->vm->bounce_lock);
	cpu->bounce_locked = true; /* should the load fault after all, the run loop unlocks */
	soft_ld_bytes(cpu, op, la, &cpu->bounce, size);
	cpu->bounce_la = la;
	cpu->bounce_len = (uint8_t)size;
	return &cpu->bounce;
}

void soft_rmw_flush(struct soft_cpu *cpu, const struct soft_op *op)
{
	unsigned int len = cpu->bounce_len;

	cpu->bounce_len = 0;
	soft_st_bytes(cpu, op, cpu->bounce_la, &cpu->bounce, len);
	cpu->bounce_locked = false;
	pthread_mutex_unlock(&cpu->vm->bounce_lock);
}

/* Effective addresses that wrap at 16 or 32 bits. */
uint64_t soft_ea_odd(const struct soft_cpu *cpu, const struct soft_op *op)
{
	uint64_t ea = cpu->gpr[op->base] + (cpu->gpr[op->index] << op->scale) +
		      (uint64_t)(int64_t)op->disp;

	if (op->flags & SOFT_OP_ADDR16)
		ea &= 0xffff;
	else if (op->flags & SOFT_OP_ADDR32)
		ea &= 0xffffffff;
	ea += cpu->seg_base[op->seg];
	return op->flags & SOFT_OP_LIN32 ? (uint32_t)ea : ea;
}

/* --- decoded code -------------------------------------------------------- */

void soft_code_written(struct soft_vm *vm, struct soft_cpu *self, uint64_t gpa, uint64_t len)
{
	uint64_t last = (gpa + len - 1) & SOFT_PAGE_MASK;

	for (gpa &= SOFT_PAGE_MASK; gpa <= last; gpa += SOFT_PAGE) {
		const struct soft_slot *slot;
		uint64_t page;

		if (!soft_ram(vm, gpa, SOFT_PAGE, &slot))
			continue;
		page = soft_page_index(slot, gpa);
		if (!atomic_load_explicit(&vm->has_code[page], memory_order_relaxed) ||
		    !atomic_exchange(&vm->has_code[page], 0))
			continue;
		for (unsigned int i = 0; i < vm->cfg.vcpus; i++) {
			struct soft_cpu *cpu = vm->cpu[i];

			if (cpu && cpu == self)
				soft_block_drop_page(cpu, page);
			else if (cpu)
				soft_block_post_drop(cpu, page);
		}
	}
}
