/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_irq.c - the in-kernel interrupt controllers: LAPICs and IO-APIC; interrupt lines; doorbells.
 *
 * KVM's irqchip comes with two 8259s. hv-1 has none: they are masked and no line is routed to them.
 */
#include "config.h"

#include "hvcore/engine_kvm/kvm_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hvcore/engine_kvm/kvm_sys.h"

static int route_lines(struct hv_engine *e)
{
	struct kvm_irq_routing *r;
	int rc;

	r = calloc(1, sizeof *r + HV_IOAPIC_PINS * sizeof r->entries[0]);
	if (!r)
		return -ENOMEM;
	r->nr = HV_IOAPIC_PINS;
	for (unsigned i = 0; i < HV_IOAPIC_PINS; i++) {
		r->entries[i].gsi = i;
		r->entries[i].type = KVM_IRQ_ROUTING_IRQCHIP;
		r->entries[i].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		r->entries[i].u.irqchip.pin = i;
	}
	rc = kvm__ioctl(e->vm_fd, KVM_SET_GSI_ROUTING, r);
	free(r);
	return rc;
}

static int mask_pic(struct hv_engine *e, unsigned id)
{
	struct kvm_irqchip chip = {.chip_id = id};
	int rc = kvm__ioctl(e->vm_fd, KVM_GET_IRQCHIP, &chip);

	if (rc < 0)
		return rc;
	chip.chip.pic.imr = 0xff;
	return kvm__ioctl(e->vm_fd, KVM_SET_IRQCHIP, &chip);
}

int kvm__irqchip_create(struct hv_engine *e, struct cm_err *err)
{
	int rc = kvm__ioctl(e->vm_fd, KVM_CREATE_IRQCHIP, NULL);

	if (rc < 0)
		return kvm__fail(err, "KVM_CREATE_IRQCHIP", rc);
	rc = route_lines(e);
	if (rc < 0)
		return kvm__fail(err, "KVM_SET_GSI_ROUTING", rc);
	rc = mask_pic(e, KVM_IRQCHIP_PIC_MASTER);
	if (rc == 0)
		rc = mask_pic(e, KVM_IRQCHIP_PIC_SLAVE);
	return rc < 0 ? kvm__fail(err, "KVM_SET_IRQCHIP", rc) : 0;
}

int kvm__ioapic_get(struct hv_engine *e, struct hv_ioapic_state *out, struct cm_err *err)
{
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};
	int rc = kvm__ioctl(e->vm_fd, KVM_GET_IRQCHIP, &chip);

	if (rc < 0)
		return kvm__fail(err, "KVM_GET_IRQCHIP", rc);
	memset(out, 0, sizeof *out);
	out->base_gpa = chip.chip.ioapic.base_address;
	out->ioregsel = chip.chip.ioapic.ioregsel;
	out->id = chip.chip.ioapic.id;
	out->irr = chip.chip.ioapic.irr;
	for (unsigned i = 0; i < HV_IOAPIC_PINS; i++)
		out->redir[i] = chip.chip.ioapic.redirtbl[i].bits;
	return 0;
}

int kvm__ioapic_set(struct hv_engine *e, const struct hv_ioapic_state *in, struct cm_err *err)
{
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};
	int rc;

	chip.chip.ioapic.base_address = in->base_gpa;
	chip.chip.ioapic.ioregsel = in->ioregsel;
	chip.chip.ioapic.id = in->id;
	chip.chip.ioapic.irr = in->irr;
	for (unsigned i = 0; i < HV_IOAPIC_PINS; i++)
		chip.chip.ioapic.redirtbl[i].bits = in->redir[i];
	rc = kvm__ioctl(e->vm_fd, KVM_SET_IRQCHIP, &chip);
	return rc < 0 ? kvm__fail(err, "KVM_SET_IRQCHIP", rc) : 0;
}

int kvm__irq_line(struct hv_engine *e, unsigned gsi, bool level)
{
	struct kvm_irq_level l = {.irq = gsi, .level = level};

	return kvm__ioctl(e->vm_fd, KVM_IRQ_LINE, &l);
}

int kvm__ioeventfd(struct hv_engine *e, uint64_t gpa, int fd, bool assign)
{
	struct kvm_ioeventfd ev = {
		.addr = gpa,
		.len = 4,
		.fd = fd,
		.flags = assign ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN,
	};
	int rc = kvm__ioctl(e->vm_fd, KVM_IOEVENTFD, &ev);

	return rc == -ENOTTY || rc == -ENOSYS ? -ENOTSUP : rc;
}
