# SPDX-License-Identifier: GPL-2.0-or-later
"""Medians, ratios and bootstrap confidence intervals of the benches. No third-party packages; seeded, so the same data give the same interval."""
import random
import statistics


def percentile(values, p):
    ordered = sorted(values)
    at = (len(ordered) - 1) * p / 100
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def ratio_interval(pairs, rounds=2000, seed=1):
    """Median of peer/ours over the pairs and its 95 % interval: how many times better we are when less is better."""
    ratios = [peer / ours for ours, peer in pairs]
    rng = random.Random(seed)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(rounds))
    return statistics.median(ratios), medians[int(rounds * 0.025)], medians[int(rounds * 0.975) - 1]


def make_row(name, unit, ours, peer=None, limit=None, more_is_better=False, timeout=None, note=""):
    """A row of the table and of --json from samples. ours and peer are lists; peer entries of None did not finish.

    A peer that never finished has null and a ratio against the time-out.
    """
    row = {"name": name, "unit": unit, "ours": statistics.median(ours) if ours else None, "peer": None, "limit": limit,
           "ratio": None, "pairs": min(len(ours), len(peer or [])) or len(ours)}
    if ours:
        row["ours_p99"] = percentile(ours, 99)
    finished = [p for p in peer or [] if p is not None]
    if peer and len(finished) < len(peer):
        row["peer_unfinished"] = len(peer) - len(finished)
    if finished:
        row["peer"] = statistics.median(finished)
        row["peer_p99"] = percentile(finished, 99)
    pairs = [(o, p if p is not None else timeout) for o, p in zip(ours, peer or []) if p is not None or timeout]
    if pairs:
        if more_is_better:
            pairs = [(p, o) for o, p in pairs]
        row["ratio"], low, high = ratio_interval([(o or 1e-9, p) for o, p in pairs])
        row["ratio_ci95"] = [low, high]
    if note:
        row["note"] = note
    return row
