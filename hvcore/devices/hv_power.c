/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_power.c - the power block of hv-1: ACPI sleep control and status, reset, power button, panic.
 *
 * Data of: the guest. It can only ask for what is its own: its power off, its reset, its panic. The
 * button's interrupt line is level: up while an event waits to be read.
 */
#include "config.h"

#include "hvcore/devices/hv_devices.h"
#include "hvcore/machine/hv_machine.h"

#define SLP_EN   0x20u
#define WAK_STS  0x80u
#define EV_BUTTON 0x01u

struct power_state {
	uint8_t sleep_ctl;
	uint8_t event;
	uint8_t panics; /* saturates */
};

static const struct hv_field power_fields[] = {
	HV_F_U8(struct power_state, sleep_ctl),
	HV_F_U8(struct power_state, event),
	HV_F_U8(struct power_state, panics),
	HV_F_END,
};

static void power_defaults(void *state, const void *cfg)
{
	(void)cfg;
	*(struct power_state *)state = (struct power_state){0};
}

static int power_check(const void *state, const void *cfg, struct cm_err *err)
{
	const struct power_state *s = state;

	(void)cfg;
	if (s->event & ~EV_BUTTON)
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "power: unknown event bits");
	return 0;
}

static void power_line(struct hv_dev *dev)
{
	const struct power_state *s = dev->state;

	hv_irq_set(&dev->irq, s->event != 0);
}

static int power_create(struct hv_dev *dev, const void *cfg, struct cm_err *err)
{
	(void)cfg;
	(void)err;
	power_line(dev);
	return 0;
}

static void power_destroy(struct hv_dev *dev)
{
	(void)dev;
}

void hv_power_press(struct hv_dev *dev)
{
	struct power_state *s = dev->state;

	s->event |= EV_BUTTON;
	power_line(dev);
}

static void power_tell(struct hv_dev *dev, enum hv_guest_event event)
{
	dev->env.guest_event(dev->env.arg, event);
}

static void power_write(struct hv_dev *dev, uint64_t offset, uint8_t v)
{
	struct power_state *s = dev->state;

	switch (offset) {
	case HV_POWER_SLEEP_CTL:
		s->sleep_ctl = v & (uint8_t)~SLP_EN;
		if (v & SLP_EN && (v >> 2 & 7) == HV_POWER_S5_TYP)
			power_tell(dev, HV_GUEST_POWER_OFF);
		break;
	case HV_POWER_RESET:
		if (v & 1)
			power_tell(dev, HV_GUEST_RESET);
		break;
	case HV_POWER_PANIC:
		if (s->panics < 255)
			s->panics++;
		power_tell(dev, HV_GUEST_PANIC);
		break;
	default:
		break;
	}
}

static uint8_t power_read(struct hv_dev *dev, uint64_t offset)
{
	struct power_state *s = dev->state;
	uint8_t v;

	switch (offset) {
	case HV_POWER_SLEEP_CTL:
		return s->sleep_ctl;
	case HV_POWER_SLEEP_STS:
		return WAK_STS;
	case HV_POWER_EVENT:
		v = s->event;
		s->event = 0;
		power_line(dev);
		return v;
	default:
		return 0;
	}
}

static void power_io(struct hv_dev *dev, uint64_t offset, void *data, unsigned len, bool write)
{
	uint8_t *byte = data;

	if (write)
		power_write(dev, offset, *byte);
	else
		for (unsigned i = 0; i < len; i++)
			byte[i] = i ? 0 : power_read(dev, offset);
}

static void power_counters(struct hv_dev *dev, hv_counter_fn fn, void *arg)
{
	const struct power_state *s = dev->state;

	fn(arg, "panics", s->panics);
}

const struct hv_dev_ops hv_dev_power = {
	.name = "power",
	.version = 1,
	.min_version = 1,
	.state_bytes = sizeof(struct power_state),
	.fields = power_fields,
	.defaults = power_defaults,
	.check = power_check,
	.create = power_create,
	.destroy = power_destroy,
	.io = power_io,
	.counters = power_counters,
};
