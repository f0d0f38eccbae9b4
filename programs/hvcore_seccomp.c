/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_seccomp.c - the allow-lists of hvcore, each call with its reason. A call that is not
 * listed fails with EPERM: the guest that tricked us into it gets nothing, and a call that we
 * forgot does not end the VM.
 *
 * Classes: the process (loop, log writer, workers of sharedstorage, migration streams) and,
 * narrower, the vCPU threads, which run next to the guest's code.
 */
#include "config.h"

#include "programs/hvcore_seccomp.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <seccomp.h>

#define CALL(n) SCMP_SYS(n)

/* Needed by every thread. */
static const int common_calls[] = {
	CALL(futex),
	CALL(sched_yield), /* locks, condition variables */
	CALL(clock_gettime),
	CALL(clock_nanosleep), /* time, where the vDSO does not do it (CPU time of vCPUs) */
	CALL(nanosleep),
	CALL(gettimeofday),
	CALL(time),
	CALL(mmap),
	CALL(munmap),
	CALL(mremap),
	CALL(brk), /* malloc */
	CALL(madvise),
	CALL(mprotect),
	CALL(rt_sigreturn),
	CALL(rt_sigprocmask), /* the kick signal */
	CALL(restart_syscall),
	CALL(read),
	CALL(write),
	CALL(writev), /* eventfds, log, console */
	CALL(exit),
	CALL(exit_group),
	CALL(getpid),
	CALL(gettid),
	CALL(tgkill), /* kick; abort() */
	CALL(set_robust_list),
	CALL(rseq), /* a thread begins */
	CALL(prctl),
	CALL(getrandom),       /* thread names; malloc's seed */
	CALL(timerfd_settime), /* gate, soft engine's timers */
	CALL(ioctl),	       /* KVM; tap */
	CALL(poll),
	CALL(ppoll),
};

/* Needed by the loop, workers and streams. */
static const int process_calls[] = {
	CALL(epoll_wait),
	CALL(epoll_pwait),
	CALL(epoll_pwait2), /* event loop */
	CALL(epoll_ctl),
	CALL(epoll_create1),
	CALL(eventfd2),
	CALL(timerfd_create),
	CALL(signalfd4),
	CALL(rt_sigaction),
	CALL(sigaltstack),
	CALL(pipe2),
	CALL(close),
	CALL(close_range),
	CALL(dup),
	CALL(dup3),
	CALL(fcntl),
	CALL(clone),
	CALL(clone3),
	CALL(set_tid_address),
	CALL(sched_getaffinity), /* vCPUs, workers */
	CALL(sched_setaffinity),
	CALL(gettimeofday),
	CALL(getrusage),
	CALL(sysinfo),
	CALL(uname),
	CALL(openat),
	CALL(open),
	CALL(newfstatat),
	CALL(fstat),
	CALL(statx),
	CALL(lseek), /* files */
	CALL(unlink),
	CALL(unlinkat),
	CALL(rename),
	CALL(renameat),
	CALL(renameat2),
	CALL(access),
	CALL(faccessat),
	CALL(faccessat2),
	CALL(readlink),
	CALL(readlinkat),
	CALL(getdents64),
	CALL(readv),
	CALL(pread64), /* disks; KVM's statistics of a vCPU */
	CALL(pwrite64),
	CALL(preadv),
	CALL(pwritev),
	CALL(preadv2),
	CALL(pwritev2),
	CALL(fsync),
	CALL(fdatasync),
	CALL(sync_file_range),
	CALL(fallocate),
	CALL(ftruncate),
	CALL(flock),
	CALL(io_uring_setup),
	CALL(io_uring_enter),
	CALL(copy_file_range),
	CALL(fadvise64),
	CALL(fstatfs),
	CALL(statfs),
	CALL(memfd_create),
	CALL(mlock),
	CALL(munlock),
	CALL(mincore), /* guest memory */
	CALL(socket),
	CALL(socketpair),
	CALL(connect),
	CALL(bind),
	CALL(listen), /* SAN, control, migration */
	CALL(accept4),
	CALL(accept),
	CALL(getsockname),
	CALL(getpeername),
	CALL(setsockopt),
	CALL(getsockopt),
	CALL(sendto),
	CALL(recvfrom),
	CALL(sendmsg),
	CALL(recvmsg),
	CALL(sendmmsg),
	CALL(recvmmsg),
	CALL(shutdown),
	CALL(sendfile),
	CALL(splice),
	CALL(select),
	CALL(pselect6),
	CALL(getuid),
	CALL(geteuid),
	CALL(getgid),
	CALL(getegid),
	CALL(getppid),
	CALL(umask),
	CALL(kill), /* fault points, to ourselves */
	CALL(membarrier),
	CALL(getcpu),
	CALL(setpriority),
	CALL(sched_setscheduler),
	CALL(seccomp), /* the vCPU threads' own filter */
	CALL(prlimit64),
	CALL(userfaultfd), /* lazy restore */
};

static int add(scmp_filter_ctx f, const int *calls, size_t n)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	return rc == -EEXIST ? 0 : rc;
}

static int load(bool process, struct cm_err *err)
{
#ifdef HV_SANITIZED
	/* A sanitizer's runtime needs calls of its own (ptrace, sigaltstack); such builds are for tests. */
	(void)process;
	(void)err;
	(void)common_calls;
	(void)process_calls;
	(void)add;
	return 0;
#else
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc;

	if (!f)
		return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
	/* A binary tree instead of a list: fewer steps per call. */
	(void)seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	rc = add(f, common_calls, CM_ARRAY_LEN(common_calls));
	if (rc == 0 && process)
		rc = add(f, process_calls, CM_ARRAY_LEN(process_calls));
	if (rc == 0)
		rc = seccomp_load(f);
	seccomp_release(f);
	return rc < 0 ? cm_err_set(err, rc, "seccomp: %s", strerror(-rc)) : 0;
#endif
}

int hvcore_seccomp_process(struct cm_err *err)
{
	return load(true, err);
}

int hvcore_seccomp_vcpu(struct cm_err *err)
{
	return load(false, err);
}
