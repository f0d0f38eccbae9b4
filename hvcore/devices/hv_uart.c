/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_uart.c - the serial port of hv-1: the 16550 of hv_uart_reg.c between the bus and an hv_char.
 *
 * Parses register accesses of the guest and bytes of the operator (passed on as they are).
 *
 * Threats and answers:
 *   flood of input                      -> the FIFO is 16 deep; what does not fit stays with the hv_char
 *   any register, width or order        -> one byte a register, others read as ones and are dropped
 *   a stream with impossible state      -> hv_uart_state_check
 */
#include "config.h"

#include "hvcore/devices/hv_uart.h"

#include <errno.h>
#include <stdlib.h>

#include "hvcore/devices/hv_devices.h"
#include "hvcore/machine/hv_char.h"

struct uart {
	struct hv_dev *dev;
	struct hv_char *chr;
	uint64_t tx_bytes, rx_bytes;
};

static const struct hv_field uart_fields[] = {
	HV_F_U8(struct hv_uart_state, ier),
	HV_F_U8(struct hv_uart_state, lcr),
	HV_F_U8(struct hv_uart_state, mcr),
	HV_F_U8(struct hv_uart_state, scr),
	HV_F_U8(struct hv_uart_state, dll),
	HV_F_U8(struct hv_uart_state, dlm),
	HV_F_U8(struct hv_uart_state, fifo_on),
	HV_F_U8(struct hv_uart_state, trigger),
	HV_F_U8(struct hv_uart_state, thr_pending),
	HV_F_U8(struct hv_uart_state, overrun),
	HV_F_U8(struct hv_uart_state, rx_timeout),
	HV_F_U8(struct hv_uart_state, rx_len),
	HV_F_BYTES(struct hv_uart_state, rx),
	HV_F_END,
};

static void uart_defaults(void *state, const void *cfg)
{
	(void)cfg;
	hv_uart_reg_init(state);
}

static int uart_check(const void *state, const void *cfg, struct cm_err *err)
{
	(void)cfg;
	if (hv_uart_state_check(state) < 0)
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "uart: impossible register values");
	return 0;
}

static void uart_line(struct uart *u)
{
	hv_irq_set(&u->dev->irq, hv_uart_irq(u->dev->state));
}

/* Machine lock held. */
static size_t uart_input(void *arg, const uint8_t *data, size_t len)
{
	struct uart *u = arg;
	size_t n = CM_MIN(len, (size_t)hv_uart_rx_room(u->dev->state));

	for (size_t i = 0; i < n; i++)
		hv_uart_rx_put(u->dev->state, data[i]);
	u->rx_bytes += n;
	uart_line(u);
	return n;
}

static int uart_create(struct hv_dev *dev, const void *cfg, struct cm_err *err)
{
	const struct hv_char_config *c = cfg;
	struct uart *u = calloc(1, sizeof *u);

	if (!u)
		return cm_err_set(err, -ENOMEM, "uart: no memory");
	u->dev = dev;
	u->chr = c->chr;
	dev->impl = u;
	uart_line(u);
	return 0;
}

static void uart_destroy(struct hv_dev *dev)
{
	struct uart *u = dev->impl;

	hv_char_set_input(u->chr, NULL, NULL);
	free(u);
	dev->impl = NULL;
}

static int uart_pause(struct hv_dev *dev)
{
	struct uart *u = dev->impl;

	hv_char_set_input(u->chr, NULL, NULL);
	return 0;
}

static void uart_resume(struct hv_dev *dev)
{
	struct uart *u = dev->impl;

	hv_char_set_input(u->chr, uart_input, u);
	hv_char_input_ready(u->chr);
}

static void uart_io(struct hv_dev *dev, uint64_t offset, void *data, unsigned len, bool write)
{
	struct uart *u = dev->impl;
	unsigned room = hv_uart_rx_room(dev->state);
	uint8_t *byte = data, out;

	if (len != 1)
		return;
	if (!write) {
		*byte = hv_uart_reg_read(dev->state, (unsigned)offset);
	} else if (hv_uart_reg_write(dev->state, (unsigned)offset, *byte, &out)) {
		u->tx_bytes++;
		hv_char_output(u->chr, &out, 1);
	}
	uart_line(u);
	if (hv_uart_rx_room(dev->state) > room)
		hv_char_input_ready(u->chr);
}

static void uart_counters(struct hv_dev *dev, hv_counter_fn fn, void *arg)
{
	const struct uart *u = dev->impl;

	fn(arg, "tx_bytes", u->tx_bytes);
	fn(arg, "rx_bytes", u->rx_bytes);
}

const struct hv_dev_ops hv_dev_uart = {
	.name = "uart",
	.version = 1,
	.min_version = 1,
	.state_bytes = sizeof(struct hv_uart_state),
	.fields = uart_fields,
	.defaults = uart_defaults,
	.check = uart_check,
	.create = uart_create,
	.destroy = uart_destroy,
	.io = uart_io,
	.pause = uart_pause,
	.resume = uart_resume,
	.counters = uart_counters,
};
