# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libfencing.a
libfencing_a_SOURCES = \
	fencing/fen_agent.c fencing/fen_agent.h \
	fencing/fen_evidence.c \
	fencing/fen_mark.c fencing/fen_mark.h \
	fencing/fen_power.c fencing/fen_power.h \
	fencing/fen_proof.c fencing/fen_proof.h fencing/fen_proof_int.h \
	fencing/fen_shut_out.c \
	fencing/fen_takeover.c fencing/fen_takeover.h \
	fencing/fen_wd.c fencing/fen_wd.h
