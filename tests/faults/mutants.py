# SPDX-License-Identifier: GPL-2.0-or-later
"""The judge judged: builds of hvcluster with one planted error each, which the campaign has to catch.

A mutant is a place in the source and what stands there instead. Each is built in a copy of the tree, and batches of injections run on it
until one of them finds something, for at most LIMIT injections. `check` only looks whether the places are there (make check)."""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "scripts")]
import campaign  # noqa: E402
import pairplan  # noqa: E402
import treefiles  # noqa: E402

LIMIT = 200

# name: (what it leaves out, file, text, what stands there instead)
MUTANTS = {
    "commit": ("the source does not write the commit", "migration/mig_src_fsm.c",
               "\tstor_lease_commit(m->cfg.lease, commit_done, m);\n\treturn SRC_EV_NONE;\n",
               "\t(void)commit_done;\n\tm->committed_ns = cm_now_ns();\n\treturn SRC_EV_COMMIT_OK;\n"),
    "drain": ("a pause does not wait for requests under way", "hvcore/vm/hv_vm_act.c",
              "\treturn idle ? HV_VM_IN_IDLE : HV_VM_IN_NONE;\n", "\treturn idle ? HV_VM_IN_IDLE : HV_VM_IN_IDLE;\n"),
    "dirty": ("a page of the last pass is not sent", "migration/mig_ram_out.c",
              "\t\tif (!(todo[p / 64] >> (p % 64) & 1))\n", "\t\tif (!(todo[p / 64] >> (p % 64) & 1) || (!rearm && p % 61 == 0))\n"),
    "key": ("the block lacks the key of the second LUN", "sharedstorage/lease/stor_lease_base.c",
            "\t\tunsigned k = stor_dev_keys(l->devs[i].dev, keys);\n",
            "\t\tunsigned k = i == 1 ? 0 : stor_dev_keys(l->devs[i].dev, keys);\n"),
    "reset": ("no LUN RESET where nobody saw the end of a key", "sharedstorage/iscsi/stor_iscsi_fence.c",
              "\tif (!needed || cm_fault(\"iscsi_no_reset\"))\n", "\tif (true || !needed)\n"),
    "flush": ("a flush is not sent", "sharedstorage/iscsi/stor_iscsi_send.c",
              "\t\tio->cmd.cdb = stor__cdb_sync();\n", "\t\tio->cmd.cdb = stor__cdb_tur();\n"),
    "wait": ("proof (d) does not wait", "fencing/fen_shut_out.c",
             "w->asked_ns < w->since_ns + shut_wait_ms(&w->seen) * CM_NS_PER_MS", "w->asked_ns < w->since_ns + 0 * shut_wait_ms(&w->seen)"),
    "claim": ("a VM has no claim on a volume without its block", "hvcore/hv_disks_claim.c",
              "!stor_uuid_equal(&id, &d->home) && cm_fault(\"core.claim.elsewhere\") < 0;", "!stor_uuid_equal(&id, &d->home);"),
    "resume": ("the source goes on without asking the block", "migration/mig_src_fsm.c",
               "\tstor_lease_resume(m->cfg.lease, back_done, m);\n\treturn SRC_EV_NONE;\n",
               "\t(void)back_done;\n\treturn SRC_EV_BACK_OK;\n"),
}


def place(root, name):
    """The text of a mutant's file; an error if its place is not there exactly once."""
    _, path, old, _ = MUTANTS[name]
    with open(os.path.join(root, path), encoding="utf-8") as f:
        text = f.read()
    if text.count(old) != 1:
        raise ValueError("mutant %s: %s has its place %d times, not once" % (name, path, text.count(old)))
    return text


def check(root=ROOT):
    """Complaints."""
    bad = []
    for name in MUTANTS:
        try:
            place(root, name)
        except (OSError, ValueError) as e:
            bad.append(str(e))
    return bad


class Tree:
    """A copy of the source and its build."""

    def __init__(self, say):
        self.dir = tempfile.mkdtemp(prefix="hvmutants.")
        self.src, self.build = os.path.join(self.dir, "src"), os.path.join(self.dir, "build")
        for name in treefiles.files(ROOT):
            os.makedirs(os.path.dirname(os.path.join(self.src, name)), exist_ok=True)
            shutil.copy2(os.path.join(ROOT, name), os.path.join(self.src, name))
        os.mkdir(self.build)
        cc = "ccache gcc" if shutil.which("ccache") else "gcc"
        os.environ.setdefault("CCACHE_BASEDIR", self.dir)
        os.environ.setdefault("CCACHE_NOHASHDIR", "1")
        say("building in %s" % self.dir, flush=True)
        self.command(["autoreconf", "-fi"], self.src)
        self.command([os.path.join(self.src, "configure"), "CC=" + cc, "CFLAGS=-O1 -g1"], self.build)
        self.make("build-tests")

    def command(self, words, where):
        done = subprocess.run(words, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError("%s: %s" % (" ".join(words[:2]), done.stdout[-2000:]))

    def make(self, goal):
        self.command(["make", "-j%d" % (os.cpu_count() or 1), goal], self.build)

    def write(self, path, text):
        with open(os.path.join(self.src, path), "w", encoding="utf-8") as f:
            f.write(text)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def hunt(opts, build, say):
    """{"caught", "injections", "by"}: batches until one finds something. A batch that broke has found nothing."""
    done, by = 0, ""
    for r in campaign.Batches(opts, build).run(range(LIMIT // pairplan.BATCH), lambda r: bool(r.get("findings"))):
        if "skipped" in r:
            raise RuntimeError(r["skipped"])
        if "broken" in r:
            say("batch %d broke: %s" % (r["batch"], r["broken"]))
        done += r.get("injections", 0)
        by = by or ", ".join(sorted(r.get("findings", {})))
    return {"caught": bool(by), "injections": done, "by": by}


def run(opts, names=None, say=print):
    """The table, as scripts/faults --mutants --json writes it."""
    rows = []
    tree = Tree(say)
    try:
        for name in names or MUTANTS:
            what, path, old, new = MUTANTS[name]
            text = place(tree.src, name)
            tree.write(path, text.replace(old, new))
            tree.make("all")
            row = dict(name=name, what=what, **hunt(opts, tree.build, say))
            rows.append(row)
            tree.write(path, text)
            say("%-8s %-55s %s after %d injections%s" % (name, what, "caught" if row["caught"] else "MISSED", row["injections"],
                                                         " by " + row["by"] if row["by"] else ""), flush=True)
    finally:
        tree.close()
    return {"mutants": rows}


if __name__ == "__main__":
    complaints = check(sys.argv[1] if len(sys.argv) > 1 else ROOT)
    for complaint in complaints:
        print(complaint)
    sys.exit(1 if complaints else 0)
