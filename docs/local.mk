# SPDX-License-Identifier: GPL-2.0-or-later
dist_man_MANS += docs/man/hvctl.8 docs/man/hvclusterd.8 docs/man/hvcluster.conf.5 docs/man/hvwatchdogd.8 \
	docs/man/fence_hvsan.8 docs/man/ocf_hvcluster_VirtualMachine.7
completiondir = $(datadir)/bash-completion/completions
dist_completion_DATA = scripts/completion/hvctl
EXTRA_DIST += docs/ARCHITECTURE.md docs/DEVELOPING.md docs/DISK.md docs/FAULT-POINTS.md docs/SAN.md docs/RELIABILITY.md docs/SAVED-STATE.md docs/SOFT-ENGINE.md docs/SPEC.md docs/TESTING.md \
	docs/THREAT-MODEL.md docs/WIRE.md \
	docs/adr/0001-extent-table-is-the-map.md docs/adr/0002-host-slot-is-the-node-id.md docs/adr/0003-batches-and-names.md \
	docs/adr/0004-shut-out-is-not-switched-off.md docs/adr/0005-two-programs-one-hvcore.md \
	docs/adr/0006-the-block-says-what-ends-its-owner.md \
	scripts/bootstrap scripts/demo scripts/test
