/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_devset.h - all devices of one VM: built in the order of the machine's list, paused, saved,
 * dumped.
 *
 * Threads: [loop], with the machine lock held, unless marked.
 */
#ifndef HV_DEVSET_H
#define HV_DEVSET_H

#include "common/cm_buf.h"
#include "hvcore/machine/hv_dev.h"
#include "hvcore/vm/hv_machine_list.h"

/* Configs of the devices, by row. ops NULL in cfg: the slot is empty. */
struct hv_devset_config {
	struct {
		bool present;
		const void *cfg;
	} row[HV_DEVSET_MAX];
};

struct hv_devset {
	unsigned count;
	bool built;
	struct hv_dev dev[HV_DEVSET_MAX];
	const void *cfg[HV_DEVSET_MAX];
	unsigned busy; /* devices that were asked to pause and still have something in flight */
	bool pausing;
	struct hv_dev_env env;
	struct hv_irq irq;
};

/* env: mem, bus, loop, lock, guest_event, idle, arg; irq: set and arg. states: from
 * hv_devset_decode, or NULL. */
int hv_devset_build(struct hv_devset *d, const struct hv_devset_config *cfg,
		    const struct hv_dev_env *env, const struct hv_irq *irq, void **states,
		    struct cm_err *err) cm_must_check;
void hv_devset_destroy(struct hv_devset *d);
/* True: all idle. Else env.idle comes for each busy device; count them with hv_devset_idle (true:
 * last one). */
bool hv_devset_pause(struct hv_devset *d);
bool hv_devset_idle(struct hv_devset *d);
void hv_devset_resume(struct hv_devset *d);
void hv_devset_save(const struct hv_devset *d, struct cm_buf *b);
struct hv_dev *hv_devset_find(struct hv_devset *d, const char *name, unsigned instance);
uint32_t hv_devset_slots(const struct hv_devset_config *cfg); /* virtio slots in use, as bits */

/*
 * Takes one section's worth of device state: states[] has one pointer a row. 0 taken, 1 not a
 * device's section, negative: an error. [any]
 */
int hv_devset_decode(const struct hv_devset_config *cfg, const struct hv_section *s, void **states,
		     struct cm_err *err) cm_must_check;
/* Is there a state for every device of cfg? */
int hv_devset_complete(const struct hv_devset_config *cfg, void **states,
		       struct cm_err *err) cm_must_check;
void hv_devset_free_states(void **states);

#endif
