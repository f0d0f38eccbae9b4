# SPDX-License-Identifier: GPL-2.0-or-later
# Random instructions natively on the host CPU against the interpreter: make check-engine.
EXTRA_PROGRAMS += check_insn
check_insn_SOURCES = \
	tests/engine/check_insn.c \
	tests/engine/insn_case.h \
	tests/engine/insn_compare.c tests/engine/insn_compare.h \
	tests/engine/insn_form.c tests/engine/insn_form.h \
	tests/engine/insn_form_sse.inc tests/engine/insn_form_x87.inc \
	tests/engine/insn_gen.c tests/engine/insn_gen.h \
	tests/engine/insn_native.c tests/engine/insn_native.h \
	tests/engine/insn_soft.c tests/engine/insn_soft.h
check_insn_LDADD = libhvcore.a libcommon.a $(HV_SYS_LIBS)
CLEANFILES += check_insn

# A seed of its own every time, printed; and the proof that a wrong bit would be seen.
CHECK_ENGINE_COUNT = 10000000
check-engine: check_insn
	./check_insn --count $(CHECK_ENGINE_COUNT)
	@./check_insn --count 200000 --corrupt >/dev/null; test $$? = 1 || \
		{ echo "check_insn does not see corrupted results"; exit 1; }
.PHONY: check-engine
