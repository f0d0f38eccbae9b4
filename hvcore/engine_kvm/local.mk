# SPDX-License-Identifier: GPL-2.0-or-later
# The KVM engine.
noinst_LIBRARIES += libenginekvm.a
libenginekvm_a_SOURCES = \
	hvcore/engine_kvm/kvm_clock.c \
	hvcore/engine_kvm/kvm_cpuid.c \
	hvcore/engine_kvm/kvm_engine.c hvcore/engine_kvm/kvm_engine.h \
	hvcore/engine_kvm/kvm_irq.c \
	hvcore/engine_kvm/kvm_mem.c \
	hvcore/engine_kvm/kvm_msr.c \
	hvcore/engine_kvm/kvm_probe.c \
	hvcore/engine_kvm/kvm_state.c \
	hvcore/engine_kvm/kvm_stats.c \
	hvcore/engine_kvm/kvm_sys.c hvcore/engine_kvm/kvm_sys.h \
	hvcore/engine_kvm/kvm_trial.c \
	hvcore/engine_kvm/kvm_vcpu.c
