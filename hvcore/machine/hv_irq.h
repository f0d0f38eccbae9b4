/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_irq.h - the interrupt line of a device: a level on one IO-APIC pin.
 *
 * Lines are level: raise, and lower when the guest has acknowledged. Setting the level that is
 * there already costs nothing. A line belongs to one device; tests put in their own set function.
 */
#ifndef HV_IRQ_H
#define HV_IRQ_H

#include <stdbool.h>

struct hv_irq {
	void (*set)(void *arg, unsigned gsi, bool level); /* [any] */
	void *arg;
	unsigned gsi;
	bool level; /* last level set; the device's state decides it again after a restore */
};

/* Machine lock held. */
static inline void hv_irq_set(struct hv_irq *irq, bool level)
{
	if (irq->level == level)
		return;
	irq->level = level;
	irq->set(irq->arg, irq->gsi, level);
}

#endif
