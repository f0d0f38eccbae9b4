/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_devset.c - builds, pauses, saves and destroys the devices of a VM, all by the machine's list.
 *
 * hv_devset_decode parses sections of a peer or an image: each is checked whole (size, version, the
 * device's own check) before any device is built from it.
 */
#include "config.h"

#include "hvcore/vm/hv_devset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hvcore/machine/hv_bus.h"

static const struct hv_dev_ops *row_ops(const struct hv_devset_config *cfg, unsigned row)
{
	return cfg->row[row].present ? hv_machine_rows[row].ops : &hv_dev_empty;
}

static void dev_io(void *arg, uint64_t offset, void *data, unsigned len, bool write)
{
	struct hv_dev *dev = arg;

	dev->ops->io(dev, offset, data, len, write);
}

static int add_to_bus(struct hv_dev *dev, const struct hv_machine_row *row, struct cm_err *err)
{
	int rc;

	if (row->mmio)
		rc = hv_bus_add_mmio(dev->env.bus, row->base, row->bytes, dev->ops->name, dev_io,
				     dev);
	else
		rc = hv_bus_add_pio(dev->env.bus, (uint16_t)row->base, (uint16_t)row->bytes,
				    dev->ops->name, dev_io, dev);
	return rc < 0 ? cm_err_set(err, CM_E_DEVICE, "%s: %s", dev->ops->name, strerror(-rc)) : 0;
}

static int build_one(struct hv_devset *d, unsigned i, const struct hv_devset_config *cfg,
		     void **states, struct cm_err *err)
{
	const struct hv_machine_row *row = &hv_machine_rows[i];
	struct hv_dev *dev = &d->dev[i];
	int rc;

	*dev = (struct hv_dev){.ops = row_ops(cfg, i), .env = d->env, .irq = d->irq};
	dev->env.base = row->base;
	dev->env.instance = cfg->row[i].present ? row->instance : row->slot;
	dev->irq.gsi = row->gsi;
	d->cfg[i] = cfg->row[i].cfg;
	if (states && states[i]) {
		dev->state = states[i];
		states[i] = NULL;
	} else {
		dev->state = calloc(1, CM_MAX(dev->ops->state_bytes, 1u));
		if (!dev->state)
			return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
		if (dev->ops->defaults)
			dev->ops->defaults(dev->state, d->cfg[i]);
	}
	rc = dev->ops->create(dev, d->cfg[i], err);
	if (rc < 0) {
		free(dev->state);
		dev->state = NULL;
		return cm_err_prefix(err, "%s%u", dev->ops->name, dev->env.instance);
	}
	d->count = i + 1;
	return add_to_bus(dev, row, err);
}

int hv_devset_build(struct hv_devset *d, const struct hv_devset_config *cfg,
		    const struct hv_dev_env *env, const struct hv_irq *irq, void **states,
		    struct cm_err *err)
{
	CM_ASSERT(!d->built);
	memset(d, 0, sizeof *d);
	d->built = true;
	d->env = *env;
	d->irq = *irq;
	for (unsigned i = 0; i < hv_machine_row_count; i++) {
		int rc = build_one(d, i, cfg, states, err);

		if (rc < 0) {
			hv_devset_destroy(d);
			return rc;
		}
	}
	return 0;
}

void hv_devset_destroy(struct hv_devset *d)
{
	if (!d->built)
		return;
	for (unsigned i = d->count; i-- > 0;) {
		struct hv_dev *dev = &d->dev[i];

		dev->ops->destroy(dev);
		if (dev->irq.gsi != HV_NO_GSI)
			hv_irq_set(&dev->irq, false);
		free(dev->state);
		dev->state = NULL;
	}
	d->count = 0;
	d->built = false;
	hv_bus_clear(d->env.bus);
}

bool hv_devset_pause(struct hv_devset *d)
{
	d->busy = 0;
	d->pausing = true;
	for (unsigned i = 0; i < d->count; i++) {
		struct hv_dev *dev = &d->dev[i];

		if (dev->ops->pause && dev->ops->pause(dev) == -EINPROGRESS)
			d->busy++;
	}
	return d->busy == 0;
}

bool hv_devset_idle(struct hv_devset *d)
{
	if (!d->pausing || !d->busy)
		return false;
	return --d->busy == 0;
}

void hv_devset_resume(struct hv_devset *d)
{
	d->pausing = false;
	d->busy = 0;
	for (unsigned i = 0; i < d->count; i++)
		if (d->dev[i].ops->resume)
			d->dev[i].ops->resume(&d->dev[i]);
}

/* An empty slot's state is nobody's: it is the same at every power on. */
static bool has_state(const struct hv_dev_ops *ops)
{
	return ops != &hv_dev_empty && ops->fields && ops->state_bytes;
}

void hv_devset_save(const struct hv_devset *d, struct cm_buf *b)
{
	for (unsigned i = 0; i < d->count; i++) {
		const struct hv_dev *dev = &d->dev[i];

		if (has_state(dev->ops))
			hv_object_put(b, dev->ops->name, dev->env.instance, dev->ops->version,
				      dev->ops->fields, dev->ops->subs, dev->state);
	}
}

struct hv_dev *hv_devset_find(struct hv_devset *d, const char *name, unsigned instance)
{
	for (unsigned i = 0; i < d->count; i++)
		if (strcmp(d->dev[i].ops->name, name) == 0 && d->dev[i].env.instance == instance)
			return &d->dev[i];
	return NULL;
}

uint32_t hv_devset_slots(const struct hv_devset_config *cfg)
{
	uint32_t slots = 0;

	for (unsigned i = 0; i < hv_machine_row_count; i++)
		if (cfg->row[i].present && hv_machine_rows[i].slot < HV_VIRTIO_SLOTS)
			slots |= 1u << hv_machine_rows[i].slot;
	return slots;
}

static int row_of(const struct hv_devset_config *cfg, const struct hv_section *s)
{
	for (unsigned i = 0; i < hv_machine_row_count; i++) {
		const struct hv_dev_ops *ops = row_ops(cfg, i);

		if (has_state(ops) && strcmp(ops->name, s->name) == 0 &&
		    hv_machine_rows[i].instance == s->instance)
			return (int)i;
	}
	return -1;
}

int hv_devset_decode(const struct hv_devset_config *cfg, const struct hv_section *s, void **states,
		     struct cm_err *err)
{
	int row = row_of(cfg, s), rc;
	const struct hv_dev_ops *ops;
	void *state;

	if (row < 0)
		return 1;
	ops = row_ops(cfg, (unsigned)row);
	if (states[row])
		return cm_err_set(err, CM_E_STREAM_SECTION, "section %s.%u came twice", s->name,
				  s->instance);
	if (s->version < ops->min_version || s->version > ops->version)
		return cm_err_set(err, CM_E_STREAM_VERSION,
				  "section %s.%u has version %u; this release knows %u to %u",
				  s->name, s->instance, s->version, ops->min_version, ops->version);
	state = calloc(1, ops->state_bytes);
	if (!state)
		return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
	ops->defaults(state, cfg->row[row].cfg);
	rc = hv_object_get(s, ops->fields, ops->subs, state, err);
	if (rc == 0 && ops->check)
		rc = ops->check(state, cfg->row[row].cfg, err);
	if (rc < 0) {
		free(state);
		return rc;
	}
	states[row] = state;
	return 0;
}

int hv_devset_complete(const struct hv_devset_config *cfg, void **states, struct cm_err *err)
{
	for (unsigned i = 0; i < hv_machine_row_count; i++)
		if (has_state(row_ops(cfg, i)) && !states[i])
			return cm_err_set(err, CM_E_STREAM_SECTION, "the state of %s.%u is missing",
					  row_ops(cfg, i)->name, hv_machine_rows[i].instance);
	return 0;
}

void hv_devset_free_states(void **states)
{
	for (unsigned i = 0; i < HV_DEVSET_MAX; i++) {
		free(states[i]);
		states[i] = NULL;
	}
}
