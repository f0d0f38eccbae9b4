/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_uart.h - a 16550A: the registers as a pure state machine, and the device around it.
 *
 * Threads: hv_uart_reg_* and hv_uart_irq are pure (the caller locks).
 */
#ifndef HV_UART_H
#define HV_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HV_UART_FIFO 16u
#define HV_UART_PORTS 8u

/* 1:1 with the chip; part of the state format. */
struct hv_uart_state {
	uint8_t ier, lcr, mcr, scr, dll, dlm;
	uint8_t fifo_on;     /* FCR bit 0 */
	uint8_t trigger;     /* FCR bits 7:6 */
	uint8_t thr_pending; /* the THR-empty interrupt waits to be seen */
	uint8_t overrun;     /* LSR bit 1 */
	uint8_t rx_timeout;  /* character time-out: data below the trigger level */
	uint8_t rx_len;
	uint8_t rx[HV_UART_FIFO]; /* oldest first */
};

void hv_uart_reg_init(struct hv_uart_state *s);
uint8_t hv_uart_reg_read(struct hv_uart_state *s, unsigned reg);
/* True: the guest sent *out. */
bool hv_uart_reg_write(struct hv_uart_state *s, unsigned reg, uint8_t value, uint8_t *out);
/* How many bytes can be received without an overrun. */
unsigned hv_uart_rx_room(const struct hv_uart_state *s);
void hv_uart_rx_put(struct hv_uart_state *s, uint8_t byte);
/* The level of the interrupt line. */
bool hv_uart_irq(const struct hv_uart_state *s);
/* Can the chip be in this state? 0 or -EBADMSG. */
int hv_uart_state_check(const struct hv_uart_state *s);

#endif
