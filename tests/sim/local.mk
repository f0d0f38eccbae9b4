# SPDX-License-Identifier: GPL-2.0-or-later
# Exhaustive and random simulations: they run the product's own pure decisions.
check_PROGRAMS += tests/sim/sim_owner
TESTS += tests/sim/sim_owner
tests_sim_sim_owner_SOURCES = tests/sim/sim_owner.c tests/sim/sim_owner.h tests/sim/sim_owner_steps.c
tests_sim_sim_owner_LDADD = libsharedstorage.a libcommon.a $(HV_SYS_LIBS)

# Whole clusters, with the product's parts as they are compiled. Calls between two of its files are wrapped where an error can
# be planted, and what a process asks its kernel for.
check_PROGRAMS += tests/sim/cluster/sim_cluster
TESTS += tests/sim/cluster/sim_cluster
tests_sim_cluster_sim_cluster_SOURCES = \
	tests/sim/cluster/sim_agent.c tests/sim/cluster/sim_agent.h \
	tests/sim/cluster/sim_cluster.c \
	tests/sim/cluster/sim_core.c tests/sim/cluster/sim_core.h \
	tests/sim/cluster/sim_crm.c tests/sim/cluster/sim_crm.h \
	tests/sim/cluster/sim_faults.c tests/sim/cluster/sim_faults.h \
	tests/sim/cluster/sim_fencer.c tests/sim/cluster/sim_fencer.h \
	tests/sim/cluster/sim_guest.c tests/sim/cluster/sim_guest.h \
	tests/sim/cluster/sim_loop.c tests/sim/cluster/sim_loop.h \
	tests/sim/cluster/sim_mem.c tests/sim/cluster/sim_mem.h \
	tests/sim/cluster/sim_move.c tests/sim/cluster/sim_move.h \
	tests/sim/cluster/sim_oracle.c tests/sim/cluster/sim_oracle.h \
	tests/sim/cluster/sim_plant.c tests/sim/cluster/sim_plant.h \
	tests/sim/cluster/sim_pr.c tests/sim/cluster/sim_pr.h \
	tests/sim/cluster/sim_proc.c tests/sim/cluster/sim_proc.h \
	tests/sim/cluster/sim_search.c tests/sim/cluster/sim_search.h \
	tests/sim/cluster/sim_sess.c tests/sim/cluster/sim_sess.h \
	tests/sim/cluster/sim_target.c tests/sim/cluster/sim_target.h \
	tests/sim/cluster/sim_world.c tests/sim/cluster/sim_world.h
tests_sim_cluster_sim_cluster_LDADD = libmigration.a libhvcore.a libcluster.a libfencing.a libsharedstorage.a \
	libcommon.a $(HV_SYS_LIBS)
tests_sim_cluster_sim_cluster_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free,--wrap=posix_memalign,--wrap=strdup \
	-Wl,--wrap=getrandom,--wrap=getpid,--wrap=stor_boot_id,--wrap=cm_log \
	-Wl,--wrap=stor_block_read,--wrap=fen_evidence_fits,--wrap=clu_quorum_fencing_counts,--wrap=stor_dev_fence \
	-Wl,--wrap=stor__cdb_pr_out,--wrap=stor__iscsi_keys,--wrap=stor__older_find,--wrap=stor__older_may_write \
	-Wl,--wrap=stor_lease_commit,--wrap=stor_lease_resume,--wrap=stor_lease_accept,--wrap=stor_lease_valid_until \
	-Wl,--wrap=stor_lease_take_over,--wrap=stor__act_wrote
