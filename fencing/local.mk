# SPDX-License-Identifier: GPL-2.0-or-later
EXTRA_DIST += fencing/fen_proof.h
