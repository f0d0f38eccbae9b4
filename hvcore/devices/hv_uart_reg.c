/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_uart_reg.c - the registers of a 16550A as a pure state machine.
 *
 * No baud rate: a byte written is sent at once, so the transmitter is always empty. No modem: DSR, CTS and DCD are always on. Data of: the guest (any register, any value).
 */
#include "config.h"

#include "hvcore/devices/hv_uart.h"

#include <errno.h>
#include <string.h>

enum { R_DATA, R_IER, R_IIR_FCR, R_LCR, R_MCR, R_LSR, R_MSR, R_SCR };

#define IER_RX  0x01u
#define IER_THR 0x02u
#define IER_RLS 0x04u
#define IER_MSI 0x08u

#define IIR_NONE 0x01u
#define IIR_THR  0x02u
#define IIR_RX   0x04u
#define IIR_RLS  0x06u
#define IIR_TOUT 0x0cu
#define IIR_FIFO 0xc0u

#define FCR_ON     0x01u
#define FCR_CLR_RX 0x02u

#define LCR_DLAB 0x80u
#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u

#define LSR_DR   0x01u
#define LSR_OE   0x02u
#define LSR_THRE 0x20u
#define LSR_TEMT 0x40u

#define MSR_ON 0xb0u /* DCD, DSR, CTS */

void hv_uart_reg_init(struct hv_uart_state *s)
{
	memset(s, 0, sizeof *s);
	s->dll = 1; /* 115200 baud */
	s->mcr = MCR_OUT2;
}

int hv_uart_state_check(const struct hv_uart_state *s)
{
	if (s->rx_len > HV_UART_FIFO || s->ier & 0xf0 || s->mcr & 0xe0 || s->trigger > 3 ||
	    s->fifo_on > 1 || s->thr_pending > 1 || s->overrun > 1 || s->rx_timeout > 1)
		return -EBADMSG;
	if (!s->fifo_on && s->rx_len > 1)
		return -EBADMSG;
	return 0;
}

static unsigned uart_capacity(const struct hv_uart_state *s)
{
	return s->fifo_on ? HV_UART_FIFO : 1;
}

unsigned hv_uart_rx_room(const struct hv_uart_state *s)
{
	unsigned cap = uart_capacity(s);

	if (s->mcr & MCR_LOOP) /* the line is cut off */
		return 0;
	return s->rx_len >= cap ? 0 : cap - s->rx_len;
}

static unsigned uart_trigger(const struct hv_uart_state *s)
{
	static const uint8_t level[4] = {1, 4, 8, 14};

	return s->fifo_on ? level[s->trigger & 3] : 1;
}

void hv_uart_rx_put(struct hv_uart_state *s, uint8_t byte)
{
	if (s->rx_len >= uart_capacity(s)) {
		s->overrun = 1;
		if (!s->fifo_on)
			s->rx[0] = byte;
		return;
	}
	s->rx[s->rx_len++] = byte;
	/* Without a clock of the line the time-out of a lone byte comes at once. */
	s->rx_timeout = s->rx_len < uart_trigger(s);
}

static uint8_t uart_rx_take(struct hv_uart_state *s)
{
	uint8_t byte;

	if (!s->rx_len)
		return 0;
	byte = s->rx[0];
	s->rx_len--;
	memmove(s->rx, s->rx + 1, s->rx_len);
	s->rx_timeout = s->rx_len && s->rx_len < uart_trigger(s);
	return byte;
}

/* The source of the interrupt with the highest priority, as IIR shows it. */
static uint8_t uart_cause(const struct hv_uart_state *s)
{
	if (s->ier & IER_RLS && s->overrun)
		return IIR_RLS;
	if (s->ier & IER_RX && s->rx_len >= uart_trigger(s))
		return IIR_RX;
	if (s->ier & IER_RX && s->rx_len && s->rx_timeout)
		return s->fifo_on ? IIR_TOUT : IIR_RX;
	if (s->ier & IER_THR && s->thr_pending)
		return IIR_THR;
	return IIR_NONE;
}

bool hv_uart_irq(const struct hv_uart_state *s)
{
	return s->mcr & MCR_OUT2 && !(s->mcr & MCR_LOOP) && uart_cause(s) != IIR_NONE;
}

static uint8_t uart_iir(struct hv_uart_state *s)
{
	uint8_t cause = uart_cause(s);

	if (cause == IIR_THR)
		s->thr_pending = 0;
	return cause | (s->fifo_on ? IIR_FIFO : 0);
}

static uint8_t uart_lsr(struct hv_uart_state *s)
{
	uint8_t v = LSR_THRE | LSR_TEMT;

	v |= s->rx_len ? LSR_DR : 0;
	v |= s->overrun ? LSR_OE : 0;
	s->overrun = 0;
	return v;
}

static uint8_t uart_msr(const struct hv_uart_state *s)
{
	if (!(s->mcr & MCR_LOOP))
		return MSR_ON;
	/* Loopback: DTR->DSR, RTS->CTS, OUT1->RI, OUT2->DCD. */
	return (uint8_t)((s->mcr & 0x01) << 5 | (s->mcr & 0x02) << 3 | (s->mcr & 0x04) << 4 |
			 (s->mcr & 0x08) << 4);
}

uint8_t hv_uart_reg_read(struct hv_uart_state *s, unsigned reg)
{
	switch (reg & 7) {
	case R_DATA:
		return s->lcr & LCR_DLAB ? s->dll : uart_rx_take(s);
	case R_IER:
		return s->lcr & LCR_DLAB ? s->dlm : s->ier;
	case R_IIR_FCR:
		return uart_iir(s);
	case R_LCR:
		return s->lcr;
	case R_MCR:
		return s->mcr;
	case R_LSR:
		return uart_lsr(s);
	case R_MSR:
		return uart_msr(s);
	default:
		return s->scr;
	}
}

static void uart_fcr(struct hv_uart_state *s, uint8_t v)
{
	bool on = v & FCR_ON;

	if (on != !!s->fifo_on || (on && v & FCR_CLR_RX)) {
		s->rx_len = 0; /* changing the mode clears both FIFOs */
		s->rx_timeout = 0;
	}
	s->fifo_on = on;
	s->trigger = on ? v >> 6 : 0;
	s->rx_timeout = s->rx_len && s->rx_len < uart_trigger(s);
}

static void uart_ier(struct hv_uart_state *s, uint8_t v)
{
	v &= 0x0f;
	if (v & IER_THR && !(s->ier & IER_THR))
		s->thr_pending = 1; /* the empty THR interrupts as soon as it may */
	s->ier = v;
}

static bool uart_data(struct hv_uart_state *s, uint8_t v, uint8_t *out)
{
	if (s->lcr & LCR_DLAB) {
		s->dll = v;
		return false;
	}
	s->thr_pending = 1;
	if (s->mcr & MCR_LOOP) {
		hv_uart_rx_put(s, v);
		return false;
	}
	*out = v;
	return true;
}

bool hv_uart_reg_write(struct hv_uart_state *s, unsigned reg, uint8_t value, uint8_t *out)
{
	switch (reg & 7) {
	case R_DATA:
		return uart_data(s, value, out);
	case R_IER:
		if (s->lcr & LCR_DLAB)
			s->dlm = value;
		else
			uart_ier(s, value);
		break;
	case R_IIR_FCR:
		uart_fcr(s, value);
		break;
	case R_LCR:
		s->lcr = value;
		break;
	case R_MCR:
		s->mcr = value & 0x1f;
		break;
	case R_SCR:
		s->scr = value;
		break;
	default: /* LSR and MSR are read-only */
		break;
	}
	return false;
}
