/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_timing.h - every delay of ownership and fencing, from one io_timeout; and why they are safe.
 *
 * io_timeout (T) is the one setting of ownership: the longest time in which the SAN must answer a renewal, a
 * path check or a login before the session counts as dead. The default is 2 s; use up to 10 s for slow arrays. The owner writes
 * its T into the ownership block, and everybody who waits for that owner uses that T, not his own.
 * All clocks are CLOCK_BOOTTIME of one host; clocks of two hosts are never compared, only how long
 * something lasts, and those may differ by STOR_DRIFT_PERCENT.
 *
 * The story, with T = 2 s. "Start" is when the owner submitted a renewal, not when it was answered.
 *
 *  t = 0   The owner S submits renewal n (COMPARE AND WRITE); the SAN applies it a little later and
 *          answers. S may now run its vCPUs until t = STOR_FAIL = 8 s: counted from the start, since
 *          S cannot know when the SAN applied it. An observer O that watches the block sees n at
 *          some time o >= 0, since it cannot be seen before it was submitted.
 *
 *  t = 2   STOR_RENEW after the last start, S submits renewal n+1. Assume that from now on S and the
 *          SAN are cut off.
 *
 *  t = 4   STOR_IO after that S gives the session up and logs in again, by the other portal if there
 *          is one. There is time for two such tries before S must stop:
 *          STOR_FAIL >= STOR_RENEW + 3 * STOR_IO.
 *
 *  t = 8   STOR_FAIL: no renewal succeeded; S stops its vCPUs. Each vCPU also checks "now < valid
 *          until" by itself before it enters the guest, so a thread that was late stops too.
 *
 *  t = 9   STOR_STOPPED: within T/2 the last vCPU is out of the guest. No guest instruction runs.
 *
 *  t = 10  STOR_KILL: hvwatchdogd, to which S has said "alive until t = 10", kills S with SIGKILL.
 *          It gets here only if S hangs or is frozen; SIGKILL ends a frozen process too, without one
 *          more instruction of it.
 *
 *  t = 12  STOR_DEAD_OWNER = STOR_KILL + STOR_IO: the kernel closed the socket of S at t = 10, and
 *          what S had sent before can only sit inside the target; the barrier (PREEMPT AND ABORT,
 *          or PREEMPT and LUN RESET) ends that, whatever it takes. The extra STOR_IO covers what
 *          was on the wire.
 *
 *  o + 13  stor_dead_ms(), here STOR_DEAD, on O's clock since O first saw n, with no change seen: O may conclude that S
 *          has stopped. It needs STOR_DEAD >= STOR_DEAD_OWNER + the drift of both clocks; since
 *          o >= 0 it holds however late O began to look. (Proof (d) of fencing asks in addition that
 *          the keys are gone.) O then does COMPARE AND WRITE of epoch + 1, expecting the bytes that
 *          it saw for 13 s. Had a late renewal of S been applied in between, the bytes would
 *          differ, nothing would be written, and O would wait anew.
 *
 * What ends an owner that cannot stop itself. All up to t = 9 is done by S itself; S frozen, hanging or
 * on a dead kernel does none of it. So the block says, in every write of its owner, what else there is
 * (enum stor_watchdog); stor_dead_ms() makes the wait of proof (d) of it, and of nothing else:
 *
 *   NONE  No hvwatchdogd answers S. Nobody ends S, so no wait is long enough: a vCPU that was between its
 *         look at the clock and the guest when S was frozen enters the guest when S is thawed, and if the
 *         thread of the timers hangs while a vCPU is in a guest that does not leave, that vCPU never
 *         stops. The keys of S can be shut out, so the data would be safe, but S could answer on the
 *         network beside the new owner. Proof (d) is refused; (a), (b) and (c) are as good as ever.
 *   SOFT  hvwatchdogd has answered S and keeps "kill me at STOR_KILL". Assumed: the kernel of the host
 *         runs, and hvwatchdogd runs at that time. O waits STOR_DEAD.
 *   HARD  hvwatchdogd also feeds a hardware watchdog. Assumed: that device. O waits STOR_DEAD_WATCHDOG:
 *         1. hvwatchdogd is frozen, or the kernel hangs, at x < STOR_KILL (after it, S is dead): the
 *            device was fed at x for the last time, and resets the host by x + its time-out.
 *         2. hvwatchdogd runs, but S does not die of SIGKILL: the device is fed until STOR_KILL + the
 *            grace time of hvwatchdogd at most, and resets the host by then + its time-out.
 *         hvwatchdogd tells S the sum of both ("reset"); S says HARD only if that is no more than
 *         STOR_RESET = STOR_IO + STOR_WATCHDOG, else SOFT. The host is gone by STOR_KILL + STOR_RESET.
 *
 * The level is true when it is written: S asks hvwatchdogd before its first write of the block, and before each
 * write looks whether hvwatchdogd has answered its last word. It never opens the gate of its vCPUs before it
 * has told hvwatchdogd (a first write that was taken, with no renewal behind it, has run no vCPU). What
 * hvwatchdogd has is the end of the renewal before, so it kills rather early than late. An owner that
 * is handed the VM by a move says its own level before the commit, and writes its own at its first renewal.
 * O uses the level in the very bytes that did not change: whatever S wrote later would have changed them.
 *
 * The window. hvwatchdogd dies at x; the block says SOFT until S finds out: its socket is closed, it
 * connects anew with pauses up to STOR_RECONNECT_MAX, and its next renewal, within STOR_RENEW, says NONE if
 * it has no answer by then (one that is frozen is noticed one renewal later at most). What if S is frozen just then, too? systemd starts hvwatchdogd again at once, and it
 * finds whom it watched in a table that outlives it (a file in /run, written before each answer): it
 * kills S at STOR_KILL, or when it is back if that is later. So SOFT fails only if both S freezes within
 * STOR_RENEW of the death of hvwatchdogd and hvwatchdogd is not back by STOR_KILL + STOR_IO: two
 * failures at once. HARD holds even then: the device stays armed and nobody feeds it, and an hvwatchdogd
 * that comes back in time looks at its table before it feeds. Without HARD, such a host and one
 * whose kernel hangs with vCPUs running need proof (a), a power fence.
 *
 * Slow is not dead. What the guest reads and writes may take longer than T (an array that rebuilds or destages, a
 * controller that fails over), and a new session would only send it all again. So data commands have a time of
 * their own, D (STOR_DATA), which no proof leans on: the lease ends by its renewals alone, and what a data command may
 * still do after that is ended by the barrier. For renewals to go out in time whatever the guest does:
 *  - they and the path check (NOP-Out) pass what waits in the device's queue;
 *  - the guest never has all of the target's command window: some commands of it are kept free;
 *  - no more than a few MiB of the guest's data are under way each way, so that what is in front of a renewal on the
 *    wire is sent in much less than T (8 MiB: 70 ms at 1 Gbit/s).
 * A session is dead when a renewal or a path check is not answered within T (or a data command within D, which the
 * SAN will not answer any more then). Barriers (PREEMPT AND ABORT, LUN RESET) are answered when the last write that
 * they abort has ended, so they have STOR_BARRIER, longer than D; the path is checked meanwhile.
 *
 * Suspended host: CLOCK_BOOTTIME counts the sleep, so S is late when it wakes up, and stops.
 *
 * Paused host: a node that is a virtual machine itself, paused by its hypervisor, does not count the pause. Its data is safe
 * (its keys are shut out), but its vCPUs would run on with an old permit until their next renewal fails. So
 * a permit ends by whichever clock of the host counted most (common/cm_jump.h): the time-stamp counter, which
 * hypervisors usually let run, and the wall clock once it is set right. Looked at before each entry into the guest,
 * and every 100 ms for guests that do not leave. Where no clock shows the pause nothing can be promised but the data:
 * such a node must not be paused, or be fenced by power before it is resumed.
 *
 * Why from the start of the last success and not from its end: the SAN may apply a command at once
 * and answer late; O counts from what it saw, which may be before S got the answer.
 * Why the wait of O uses T from the block: S might be set to a longer T than O.
 *
 * tests/unit/test_stor_timing.c asserts each inequality for all T from 100 ms to 60 s.
 * Pure formulas. Thread: [any].
 */
#ifndef STOR_TIMING_H
#define STOR_TIMING_H

#include <stdbool.h>
#include <stdint.h>

#define STOR_IO_TIMEOUT_MS     2000u /* default T */
#define STOR_IO_TIMEOUT_MIN_MS 100u
#define STOR_IO_TIMEOUT_MAX_MS 60000u
#define STOR_DRIFT_PERCENT     2u
/* D where the URL does not say (data-timeout=SECONDS). Disks of the SCSI layers of Linux and Windows get 30 to 60 s. */
#define STOR_DATA_TIMEOUT_MS 30000u
#define STOR_DATA_MAX_S	     600u

/* All in ms, t as above. */
#define STOR_IO(t)         ((uint64_t)(t))
#define STOR_RENEW(t)      ((uint64_t)(t))
#define STOR_FAIL(t)       (4 * (uint64_t)(t))
#define STOR_STOP(t)       ((uint64_t)(t) / 2)
#define STOR_STOPPED(t)    (STOR_FAIL(t) + STOR_STOP(t))
#define STOR_KILL(t)       (5 * (uint64_t)(t))
#define STOR_DEAD_OWNER(t) (STOR_KILL(t) + STOR_IO(t))
#define STOR_SLACK(t)      ((uint64_t)(t) / 2)
#define STOR_DEAD(t)       (STOR_DEAD_OWNER(t) + STOR_SLACK(t))
/* An observer reads the block this often; a gap in reading never shortens a wait. */
#define STOR_OBSERVE(t) ((uint64_t)(t) / 8)
/* Hardware watchdog: its own time-out at most, from STOR_KILL to the reset at most, and the wait where it
 * is relied upon. */
#define STOR_WATCHDOG(t) (STOR_KILL(t))
#define STOR_RESET(t)	 (STOR_IO(t) + STOR_WATCHDOG(t))
#define STOR_DEAD_WATCHDOG(t) \
	(STOR_KILL(t) + STOR_RESET(t) + 2 * STOR_SLACK(t))
/* Reconnect pauses: first and longest. */
#define STOR_RECONNECT_MIN(t) ((uint64_t)(t) / 40)
#define STOR_RECONNECT_MAX(t) ((uint64_t)(t) / 2)
/* A pause is this share of itself shorter or longer: not all VMs of a LUN come back in one moment. */
#define STOR_RECONNECT_JITTER_PERCENT 25u
/* D of a device with T = t: never less than T. */
#define STOR_DATA(t, d) ((uint64_t)(d) > (uint64_t)(t) ? (uint64_t)(d) : (uint64_t)(t))
/* A flush or a large WRITE SAME works on more than one command's data. */
#define STOR_DATA_LONG(t, d) (2 * STOR_DATA(t, d))
#define STOR_BARRIER(t, d)   (2 * STOR_DATA(t, d) + 10 * (uint64_t)(t))
/* Path check (NOP-Out) when nothing else was heard. */
#define STOR_PING(t) ((uint64_t)(t) / 2)

/* What ends an owner that cannot stop itself; part of format (docs/DISK.md). */
enum stor_watchdog { STOR_WATCHDOG_NONE = 0, STOR_WATCHDOG_SOFT = 1, STOR_WATCHDOG_HARD = 2 };

/*
 * The level that an owner may claim. answers: hvwatchdogd has answered its last word; reset_ms: from
 * a client's end to the reset of the host at most, as hvwatchdogd says it, 0: it feeds no device.
 */
static inline enum stor_watchdog stor_watchdog_level(bool answers, uint64_t reset_ms, uint32_t t)
{
	if (!answers)
		return STOR_WATCHDOG_NONE;
	return reset_ms && reset_ms <= STOR_RESET(t) ? STOR_WATCHDOG_HARD : STOR_WATCHDOG_SOFT;
}

/* How long a block must not change until its owner has stopped for sure, ms; UINT64_MAX: never. */
static inline uint64_t stor_dead_ms(uint32_t t, enum stor_watchdog level)
{
	switch (level) {
	case STOR_WATCHDOG_SOFT:
		return STOR_DEAD(t);
	case STOR_WATCHDOG_HARD:
		return STOR_DEAD_WATCHDOG(t);
	case STOR_WATCHDOG_NONE:
		break;
	}
	return UINT64_MAX;
}

/* "none", "soft", "hard" */
static inline const char *stor_watchdog_name(enum stor_watchdog level)
{
	static const char *const names[] = {"none", "soft", "hard"};

	return (unsigned)level < sizeof names / sizeof *names ? names[level] : "?";
}

#endif
