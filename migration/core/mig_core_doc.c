/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_doc.c - the words of a move: progress while it is under way, the result after it. Parses
 * nothing.
 */
#include "config.h"

#include "migration/core/mig_core_doc.h"

#include <stdio.h>

void mig__core_put_ms(struct hv_json *j, const char *key, uint64_t ns)
{
	char text[32];

	snprintf(text, sizeof text, "%.3f", (double)ns / 1e6);
	hv_json_raw(j, key, text);
}

void mig__core_put_result(struct hv_json *j, const struct mig_result *r)
{
	hv_json_u64(j, "code", (uint64_t)-r->code);
	hv_json_str(j, "error", r->code ? r->err.text : "");
	mig__core_put_ms(j, "total_ms", r->total_ns);
	mig__core_put_ms(j, "blackout_ms", r->blackout_ns);
	hv_json_u64(j, "rounds", r->rounds);
	hv_json_u64(j, "sent_bytes", r->sent_bytes);
	hv_json_u64(j, "ram_pages", r->ram_pages);
	hv_json_u64(j, "zero_pages", r->zero_pages);
	hv_json_u64(j, "state_bytes", r->state_bytes);
	hv_json_open(j, "phases", '{');
	for (unsigned i = 0; i < MIG_PHASE_COUNT; i++)
		mig__core_put_ms(j, mig_phase_name((enum mig_phase)i), r->phase_ns[i]);
	hv_json_close(j, '}');
}

void mig__core_put_progress(struct hv_json *j, const struct mig_progress *p)
{
	bool ready = p->stage == HV__MIGRATION_STAGE__STAGE_READY;

	hv_json_str(j, "phase", ready ? "ready" : p->state);
	hv_json_u64(j, "round", p->round);
	hv_json_u64(j, "sent_bytes", p->sent_bytes);
	hv_json_u64(j, "remaining_bytes", p->remaining_bytes);
	hv_json_u64(j, "bandwidth_bytes_s", p->bandwidth_bytes_s);
	hv_json_u64(j, "dirty_bytes_s", p->dirty_bytes_s);
	mig__core_put_ms(j, "forecast_blackout_ms", p->forecast_blackout_ns);
	mig__core_put_ms(j, "elapsed_ms", p->elapsed_ns);
}
