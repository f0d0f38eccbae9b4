# SPDX-License-Identifier: GPL-2.0-or-later
# Tests with whole VMs: hvcore alone, on every engine of this machine. Need /dev/kvm and root for some of it; what cannot run
# is skipped visibly.
EXTRA_DIST += tests/kvm/conftest.py tests/kvm/corekit.py tests/kvm/test_bare.py tests/kvm/test_core.py tests/kvm/test_engine.py \
	tests/kvm/agentkit.py tests/kvm/test_agent.py tests/kvm/test_claim.py tests/kvm/test_debug.py tests/kvm/test_linux.py tests/kvm/test_linux_cpu.py \
	tests/kvm/test_move.py tests/kvm/sankit.py tests/kvm/test_san.py \
	tests/kvm/test_saved.py tests/kvm/test_volume.py

.PHONY: check-kvm
check-kvm: build-tests
	'$(abs_top_srcdir)/tests/guest/check-bare' tests/guest || test $$? -eq 77
	for t in test_hv_vm test_hv_vm_dump test_hv_vm_save; do tests/unit/$$t kvm || test $$? -eq 77 || exit 1; done
	HV_TEST_ENGINE=kvm tests/unit/test_mig_src
	HV_TEST_ENGINE=kvm tests/unit/test_mig_image
	HV_TEST_ENGINE=kvm HV_TEST_FULL=1 tests/unit/test_mig_core || test $$? -eq 77
	HV_BUILD='$(abs_top_builddir)' /usr/bin/python3 -B -m pytest -rsfE -p no:cacheprovider \
		$(KVMTESTFLAGS) '$(abs_top_srcdir)/tests/kvm'
