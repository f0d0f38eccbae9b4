/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_state.c - the state of one vCPU, between struct hv_vcpu_state and KVM's ioctls.
 *
 * The order of setting matters: segments and APIC base before the LAPIC page, XCR0 before XSAVE,
 * TSC before the MSRs, and the TSC deadline last (in kvm_msr.c), because it arms a timer.
 *
 * What is set may come from a peer or an image (counts were checked by hv_tables.c); KVM checks
 * values.
 */
#include "config.h"

#include "hvcore/engine_kvm/kvm_engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cm_buf.h"
#include "hvcore/engine_kvm/kvm_sys.h"

#define XSAVE_XSTATE_BV 512u

#define LAPIC_IRR	 0x200u
#define LAPIC_LVT_TIMER	 0x320u
#define LAPIC_LVT_MASKED (1u << 16)
#define LAPIC_LVT_MODE	 (3u << 17) /* 0: one-shot */
#define LAPIC_TMICT	 0x380u
#define LAPIC_TMCCT	 0x390u

static void seg_out(struct hv_seg *out, const struct kvm_segment *in)
{
	out->base = in->base;
	out->limit = in->limit;
	out->selector = in->selector;
	out->attr =
		(uint16_t)((in->type & 15u) | (in->s & 1u) << 4 | (in->dpl & 3u) << 5 |
			   (in->present & 1u) << 7 | (in->avl & 1u) << 8 | (in->l & 1u) << 9 |
			   (in->db & 1u) << 10 | (in->g & 1u) << 11 | (in->unusable & 1u) << 12);
}

static void seg_in(struct kvm_segment *out, const struct hv_seg *in)
{
	*out = (struct kvm_segment){
		.base = in->base,
		.limit = in->limit,
		.selector = in->selector,
		.type = in->attr & 15u,
		.s = in->attr >> 4 & 1u,
		.dpl = in->attr >> 5 & 3u,
		.present = in->attr >> 7 & 1u,
		.avl = in->attr >> 8 & 1u,
		.l = in->attr >> 9 & 1u,
		.db = in->attr >> 10 & 1u,
		.g = in->attr >> 11 & 1u,
		.unusable = in->attr >> 12 & 1u,
	};
}

/* hv_seg_index order in struct kvm_sregs. */
static struct kvm_segment *sreg(struct kvm_sregs *s, unsigned i)
{
	struct kvm_segment *const map[HV_SEG_COUNT] = {
		[HV_ES] = &s->es, [HV_CS] = &s->cs, [HV_SS] = &s->ss,
		[HV_DS] = &s->ds, [HV_FS] = &s->fs, [HV_GS] = &s->gs,
	};

	return map[i];
}

static int regs_get(int fd, struct hv_vcpu_state *out)
{
	struct kvm_regs r;
	int rc = kvm__ioctl(fd, KVM_GET_REGS, &r);
	const uint64_t gpr[HV_GPR_COUNT] = {r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi,
					    r.r8,  r.r9,  r.r10, r.r11, r.r12, r.r13, r.r14, r.r15};

	if (rc < 0)
		return rc;
	memcpy(out->gpr, gpr, sizeof gpr);
	out->rip = r.rip;
	out->rflags = r.rflags;
	return 0;
}

static int regs_set(int fd, const struct hv_vcpu_state *in)
{
	const uint64_t *g = in->gpr;
	struct kvm_regs r = {
		.rax = g[HV_RAX],
		.rcx = g[HV_RCX],
		.rdx = g[HV_RDX],
		.rbx = g[HV_RBX],
		.rsp = g[HV_RSP],
		.rbp = g[HV_RBP],
		.rsi = g[HV_RSI],
		.rdi = g[HV_RDI],
		.r8 = g[HV_R8],
		.r9 = g[HV_R9],
		.r10 = g[HV_R10],
		.r11 = g[HV_R11],
		.r12 = g[HV_R12],
		.r13 = g[HV_R13],
		.r14 = g[HV_R14],
		.r15 = g[HV_R15],
		.rip = in->rip,
		.rflags = in->rflags,
	};

	return kvm__ioctl(fd, KVM_SET_REGS, &r);
}

static int sregs_get(int fd, struct hv_vcpu_state *out)
{
	struct kvm_sregs s;
	int rc = kvm__ioctl(fd, KVM_GET_SREGS, &s);

	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < HV_SEG_COUNT; i++)
		seg_out(&out->seg[i], sreg(&s, i));
	seg_out(&out->tr, &s.tr);
	seg_out(&out->ldt, &s.ldt);
	out->gdt = (struct hv_dtable){s.gdt.base, s.gdt.limit};
	out->idt = (struct hv_dtable){s.idt.base, s.idt.limit};
	out->cr0 = s.cr0;
	out->cr2 = s.cr2;
	out->cr3 = s.cr3;
	out->cr4 = s.cr4;
	out->cr8 = s.cr8;
	out->efer = s.efer;
	out->apic_base = s.apic_base;
	return 0;
}

static int sregs_set(int fd, const struct hv_vcpu_state *in)
{
	struct kvm_sregs s = {
		.gdt = {.base = in->gdt.base, .limit = in->gdt.limit},
		.idt = {.base = in->idt.base, .limit = in->idt.limit},
		.cr0 = in->cr0,
		.cr2 = in->cr2,
		.cr3 = in->cr3,
		.cr4 = in->cr4,
		.cr8 = in->cr8,
		.efer = in->efer,
		.apic_base = in->apic_base,
	};

	for (unsigned i = 0; i < HV_SEG_COUNT; i++)
		seg_in(sreg(&s, i), &in->seg[i]);
	seg_in(&s.tr, &in->tr);
	seg_in(&s.ldt, &in->ldt);
	return kvm__ioctl(fd, KVM_SET_SREGS, &s);
}

static int fpu_get(int fd, struct hv_vcpu_state *out)
{
	struct kvm_xcrs x = {.nr_xcrs = 0};
	struct kvm_xsave xsave;
	int rc = kvm__ioctl(fd, KVM_GET_XSAVE, &xsave);

	if (rc < 0)
		return rc;
	_Static_assert(sizeof xsave.region == HV_XSAVE_BYTES, "one XSAVE page");
	memcpy(out->xsave, xsave.region, HV_XSAVE_BYTES);
	out->xsave_bytes = HV_XSAVE_BYTES;
	rc = kvm__ioctl(fd, KVM_GET_XCRS, &x);
	out->xcr0 = rc == 0 && x.nr_xcrs && x.xcrs[0].xcr == 0 ? x.xcrs[0].value : 1;
	return 0;
}

static int fpu_set(int fd, const struct hv_vcpu_state *in)
{
	struct kvm_xcrs x = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = in->xcr0 | 1}}};
	struct kvm_xsave xsave = {0};
	uint64_t bv;
	int rc = kvm__ioctl(fd, KVM_SET_XCRS, &x);

	/* No XSAVE on this host: nothing but x87 can have been enabled. */
	if (rc < 0 && in->xcr0 > 1)
		return rc;
	memcpy(xsave.region, in->xsave, in->xsave_bytes);
	/* An engine without XSAVE gives the FXSAVE image only: x87 and SSE are in use then. */
	memcpy(&bv, (uint8_t *)xsave.region + XSAVE_XSTATE_BV, sizeof bv);
	if (in->xsave_bytes <= XSAVE_XSTATE_BV + 64)
		bv |= 3;
	memcpy((uint8_t *)xsave.region + XSAVE_XSTATE_BV, &bv, sizeof bv);
	return kvm__ioctl(fd, KVM_SET_XSAVE, &xsave);
}

static int debug_get(int fd, struct hv_vcpu_state *out)
{
	struct kvm_debugregs d;
	int rc = kvm__ioctl(fd, KVM_GET_DEBUGREGS, &d);

	if (rc < 0)
		return rc;
	memcpy(out->dr, d.db, sizeof out->dr);
	out->dr6 = d.dr6;
	out->dr7 = d.dr7;
	return 0;
}

static int debug_set(int fd, const struct hv_vcpu_state *in)
{
	struct kvm_debugregs d = {.dr6 = in->dr6, .dr7 = in->dr7};

	memcpy(d.db, in->dr, sizeof d.db);
	return kvm__ioctl(fd, KVM_SET_DEBUGREGS, &d);
}

static int events_get(int fd, struct hv_vcpu_state *out)
{
	struct kvm_vcpu_events v;
	int rc = kvm__ioctl(fd, KVM_GET_VCPU_EVENTS, &v);

	if (rc < 0)
		return rc;
	out->events = (struct hv_vcpu_events){
		.exception_injected = v.exception.injected,
		.exception_nr = v.exception.nr,
		.exception_has_error = v.exception.has_error_code,
		.exception_pending = v.exception.pending,
		.exception_error = v.exception.error_code,
		.exception_payload = v.exception_payload,
		.exception_has_payload = v.exception_has_payload,
		.interrupt_injected = v.interrupt.injected,
		.interrupt_nr = v.interrupt.nr,
		.interrupt_soft = v.interrupt.soft,
		.interrupt_shadow = v.interrupt.shadow,
		.nmi_injected = v.nmi.injected,
		.nmi_pending = v.nmi.pending,
		.nmi_masked = v.nmi.masked,
		.sipi_vector = v.sipi_vector,
	};
	return 0;
}

static int events_set(const struct hv_engine *e, int fd, const struct hv_vcpu_state *in)
{
	const struct hv_vcpu_events *h = &in->events;
	struct kvm_vcpu_events v = {
		.exception = {.injected = h->exception_injected,
			      .nr = h->exception_nr,
			      .has_error_code = h->exception_has_error,
			      .pending = e->has_payload ? h->exception_pending : 0,
			      .error_code = h->exception_error},
		.interrupt = {.injected = h->interrupt_injected,
			      .nr = h->interrupt_nr,
			      .soft = h->interrupt_soft,
			      .shadow = h->interrupt_shadow},
		.nmi = {.injected = h->nmi_injected,
			.pending = h->nmi_pending,
			.masked = h->nmi_masked},
		.sipi_vector = h->sipi_vector,
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW |
			 (in->mp_state == HV_MP_WAIT_SIPI ? KVM_VCPUEVENT_VALID_SIPI_VECTOR : 0u) |
			 (e->has_payload ? KVM_VCPUEVENT_VALID_PAYLOAD : 0u),
		.exception_has_payload = h->exception_has_payload,
		.exception_payload = h->exception_payload,
	};

	return kvm__ioctl(fd, KVM_SET_VCPU_EVENTS, &v);
}

static int mp_get(int fd, struct hv_vcpu_state *out)
{
	struct kvm_mp_state mp;
	int rc = kvm__ioctl(fd, KVM_GET_MP_STATE, &mp);

	if (rc < 0)
		return rc;
	switch (mp.mp_state) {
	case KVM_MP_STATE_UNINITIALIZED:
		out->mp_state = HV_MP_WAIT_INIT;
		return 0;
	case KVM_MP_STATE_INIT_RECEIVED:
		out->mp_state = HV_MP_WAIT_SIPI;
		return 0;
	case KVM_MP_STATE_HALTED:
		out->mp_state = HV_MP_HALTED;
		return 0;
	default:
		out->mp_state = HV_MP_RUNNABLE;
		return 0;
	}
}

static int mp_set(int fd, const struct hv_vcpu_state *in)
{
	static const uint32_t map[] = {
		[HV_MP_RUNNABLE] = KVM_MP_STATE_RUNNABLE,
		[HV_MP_WAIT_INIT] = KVM_MP_STATE_UNINITIALIZED,
		[HV_MP_WAIT_SIPI] = KVM_MP_STATE_INIT_RECEIVED,
		[HV_MP_HALTED] = KVM_MP_STATE_HALTED,
	};
	struct kvm_mp_state mp = {0};

	if (in->mp_state < HV_MP_RUNNABLE || in->mp_state > HV_MP_HALTED)
		return -EINVAL;
	mp.mp_state = map[in->mp_state];
	return kvm__ioctl(fd, KVM_SET_MP_STATE, &mp);
}

/*
 * A one-shot timer that ran out may wait inside KVM for the next entry, and nothing in the register
 * page tells it from one whose interrupt was made long ago. A timer interrupt too many does no
 * harm, one that is lost lets a guest sleep for ever: so it is saved with one tick to go, unless
 * its interrupt is there to see.
 */
static void keep_timer(uint8_t *lapic)
{
	uint32_t lvt = cm_le32(lapic + LAPIC_LVT_TIMER), vector = lvt & 0xff;
	uint32_t irr = cm_le32(lapic + LAPIC_IRR + (vector / 32) * 16);

	if ((lvt & LAPIC_LVT_MODE) || (lvt & LAPIC_LVT_MASKED))
		return;
	if (cm_le32(lapic + LAPIC_TMICT) && !cm_le32(lapic + LAPIC_TMCCT) &&
	    !(irr >> vector % 32 & 1))
		cm_put_le32(lapic + LAPIC_TMCCT, 1);
}

static int lapic_get(int fd, struct hv_vcpu_state *out)
{
	struct kvm_lapic_state l;
	int rc = kvm__ioctl(fd, KVM_GET_LAPIC, &l);

	_Static_assert(sizeof l.regs == HV_LAPIC_BYTES, "one LAPIC register page");
	if (rc < 0)
		return rc;
	memcpy(out->lapic, l.regs, sizeof out->lapic);
	keep_timer(out->lapic);
	return 0;
}

static int lapic_set(int fd, const struct hv_vcpu_state *in)
{
	struct kvm_lapic_state l;

	memcpy(l.regs, in->lapic, sizeof l.regs);
	return kvm__ioctl(fd, KVM_SET_LAPIC, &l);
}

static int step(struct cm_err *err, unsigned index, const char *what, int rc)
{
	if (rc >= 0)
		return 0;
	return cm_err_set(err, CM_E_KVM, "vCPU %u, %s: %s", index, what, strerror(-rc));
}

int kvm__vcpu_get(struct hv_engine *e, unsigned index, struct hv_vcpu_state *out,
		  struct cm_err *err)
{
	int fd = e->cpu[index].fd, rc;

	memset(out, 0, sizeof *out);
	/* First, since it lets KVM take in INIT and SIPI that are on their way. */
	rc = step(err, index, "run state", mp_get(fd, out));
	if (rc == 0)
		rc = step(err, index, "registers", regs_get(fd, out));
	if (rc == 0)
		rc = step(err, index, "segments", sregs_get(fd, out));
	if (rc == 0)
		rc = step(err, index, "FPU", fpu_get(fd, out));
	if (rc == 0)
		rc = step(err, index, "debug registers", debug_get(fd, out));
	if (rc == 0)
		rc = step(err, index, "events", events_get(fd, out));
	if (rc == 0)
		rc = step(err, index, "LAPIC", lapic_get(fd, out));
	if (rc == 0)
		rc = kvm__tsc_get(e, index, out, err);
	if (rc == 0)
		rc = kvm__msrs_get(e, index, out, err);
	return rc;
}

int kvm__vcpu_set(struct hv_engine *e, unsigned index, const struct hv_vcpu_state *in,
		  struct cm_err *err)
{
	int fd = e->cpu[index].fd, rc;

	rc = step(err, index, "segments", sregs_set(fd, in));
	if (rc == 0)
		rc = step(err, index, "registers", regs_set(fd, in));
	if (rc == 0)
		rc = step(err, index, "LAPIC", lapic_set(fd, in));
	if (rc == 0)
		rc = step(err, index, "FPU", fpu_set(fd, in));
	if (rc == 0)
		rc = kvm__tsc_set(e, index, in, err);
	if (rc == 0)
		rc = step(err, index, "debug registers", debug_set(fd, in));
	if (rc == 0)
		rc = step(err, index, "run state", mp_set(fd, in));
	if (rc == 0)
		rc = step(err, index, "events", events_set(e, fd, in));
	if (rc == 0)
		rc = kvm__msrs_set(e, index, in, err);
	return rc;
}
