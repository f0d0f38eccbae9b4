/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvctl_text.c - the daemon's documents as text for people. Scripts use --json.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "cli/hvctl.h"

static bool progress_shown;

static const char *str(struct json_object *o, const char *key)
{
	struct json_object *v;
	const char *s =
		json_object_object_get_ex(o, key, &v) && v ? json_object_get_string(v) : NULL;

	return s ? s : "";
}

static uint64_t u64(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_uint64(v) : 0;
}

static double number(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_double(v) : 0;
}

static struct json_object *array(struct json_object *o, const char *key, size_t *n)
{
	struct json_object *v = NULL;

	json_object_object_get_ex(o, key, &v);
	*n = v && json_object_is_type(v, json_type_array) ? json_object_array_length(v) : 0;
	return v;
}

static const char *size_text(uint64_t bytes, char out[24])
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)bytes;
	unsigned i = 0;

	while (v >= 1024 && i < 4) {
		v /= 1024;
		i++;
	}
	snprintf(out, 24, v >= 100 || v == (double)(uint64_t)v ? "%.0f %s" : "%.1f %s", v, unit[i]);
	return out;
}

void hvctl_show_list(struct json_object *doc)
{
	char size[24];
	size_t n;
	struct json_object *vms = array(doc, "vms", &n);

	if (!n) {
		puts("no VMs (hvctl create defines one)");
		return;
	}
	printf("%-20s %-12s %-12s %10s %5s\n", "NAME", "STATE", "NODE", "MEMORY", "CPUS");
	for (size_t i = 0; i < n; i++) {
		struct json_object *v = json_object_array_get_idx(vms, i);

		printf("%-20s %-12s %-12s %10s %5" PRIu64 "%s%s\n", str(v, "name"), str(v, "state"),
		       *str(v, "node") ? str(v, "node") : "-",
		       size_text(u64(v, "memory_bytes"), size), u64(v, "cpus"),
		       *str(v, "failure") ? "  ! " : "", str(v, "failure"));
	}
}

static void tree(struct json_object *o, int depth)
{
	char size[24];

	json_object_object_foreach(o, key, v)
	{
		size_t n = strlen(key);

		printf("%*s%s:", depth * 2, "", key);
		if (!v) {
			puts(" -");
		} else if (json_object_is_type(v, json_type_object)) {
			putchar('\n');
			tree(v, depth + 1);
		} else if (json_object_is_type(v, json_type_array)) {
			size_t count = json_object_array_length(v);

			puts(count ? "" : " none");
			for (size_t i = 0; i < count; i++) {
				struct json_object *e = json_object_array_get_idx(v, i);

				printf("%*s-", depth * 2 + 2, "");
				if (json_object_is_type(e, json_type_object)) {
					putchar('\n');
					tree(e, depth + 2);
				} else {
					printf(" %s\n", json_object_get_string(e));
				}
			}
		} else if (n > 6 && strcmp(key + n - 6, "_bytes") == 0) {
			printf(" %s\n", size_text(json_object_get_uint64(v), size));
		} else {
			printf(" %s\n", json_object_get_string(v));
		}
	}
}

void hvctl_show_tree(struct json_object *doc)
{
	if (json_object_is_type(doc, json_type_object))
		tree(doc, 0);
	else
		puts(json_object_get_string(doc));
}

void hvctl_show_structures(struct json_object *doc)
{
	fputs(str(doc, "dump"), stdout);
}

void hvctl_show_why(struct json_object *doc)
{
	size_t n;
	struct json_object *list = array(doc, "reasons", &n);

	printf("%s is %s%s%s\n", str(doc, "name"), str(doc, "state"),
	       *str(doc, "node") ? " on " : "", str(doc, "node"));
	for (size_t i = 0; i < n; i++) {
		struct json_object *r = json_object_array_get_idx(list, i);

		printf("  %-12s %s\n", str(r, "reason"), str(r, "text"));
	}
}

void hvctl_show_nodes(struct json_object *doc)
{
	size_t n;
	struct json_object *list = array(doc, "nodes", &n);

	printf("%-16s %-12s %5s  %s\n", "NAME", "STATE", "VMS", "ADDRESS");
	for (size_t i = 0; i < n; i++) {
		struct json_object *v = json_object_array_get_idx(list, i);
		struct json_object *dc;

		printf("%-16s %-12s %5" PRIu64 "  %s%s\n", str(v, "name"), str(v, "state"),
		       u64(v, "vms"), str(v, "address"),
		       json_object_object_get_ex(v, "dc", &dc) && json_object_get_boolean(dc)
			       ? "  (DC)"
			       : "");
	}
}

void hvctl_show_status(struct json_object *doc)
{
	struct json_object *v;

	printf("mode: %s, asked node: %s, release %s\n", str(doc, "mode"), str(doc, "node"),
	       str(doc, "release"));
	if (strcmp(str(doc, "mode"), "cluster") != 0)
		return;
	printf("quorum: %s\n",
	       json_object_object_get_ex(doc, "quorate", &v) && json_object_get_boolean(v) ? "yes"
											   : "NO");
	printf("pacemaker: %s\n", *str(doc, "dc") ? str(doc, "dc") : "does not answer");
	if (json_object_object_get_ex(doc, "fencing", &v))
		printf("fencing: %s\n",
		       json_object_get_boolean(v)
			       ? "on"
			       : "OFF: a lost node's VMs cannot be started elsewhere");
	printf("VMs: %" PRIu64 " defined, %" PRIu64 " wanted, %" PRIu64 " running\n",
	       u64(doc, "vms"), u64(doc, "vms_wanted"), u64(doc, "vms_running"));
	hvctl_show_nodes(doc);
}

void hvctl_show_volumes(struct json_object *doc)
{
	size_t n;
	struct json_object *list = array(doc, "volumes", &n);

	if (!n)
		puts("no volumes (hvctl volume create NAME URL)");
	for (size_t i = 0; i < n; i++) {
		struct json_object *v = json_object_array_get_idx(list, i);

		printf("%-20s %s\n", str(v, "name"), str(v, "url"));
	}
}

void hvctl_show_volume(struct json_object *doc)
{
	char a[24], b[24];
	size_t n;
	struct json_object *list = array(doc, "disks", &n);

	printf("volume %s on %s\n", str(doc, "name"), str(doc, "url"));
	if (*str(doc, "destroyed"))
		printf("destroyed: %s\n", str(doc, "destroyed"));
	if (*str(doc, "protection"))
		printf("protection: %s\n", str(doc, "protection"));
	printf("%s, %s free, extents of %s\n", size_text(u64(doc, "size_bytes"), a),
	       size_text(u64(doc, "free_bytes"), b),
	       size_text(u64(doc, "extent_bytes"), (char[24]){0}));
	for (size_t i = 0; i < n; i++) {
		struct json_object *v = json_object_array_get_idx(list, i);

		printf("  %-20s %10s, %s allocated%s\n", str(v, "name"),
		       size_text(u64(v, "size_bytes"), a), size_text(u64(v, "allocated_bytes"), b),
		       *str(v, "vm_uuid") ? ", claimed" : "");
	}
}

void hvctl_show_volume_vms(struct json_object *doc)
{
	char size[24];
	size_t n;
	struct json_object *vms = array(doc, "vms", &n);

	if (!n) {
		printf("volume %s tells of no VM\n", str(doc, "volume"));
		return;
	}
	printf("%-20s %-36s %-8s %-12s %s\n", "NAME", "UUID", "STATE", "OWNER", "SAVED");
	for (size_t i = 0; i < n; i++) {
		struct json_object *v = json_object_array_get_idx(vms, i);

		printf("%-20s %-36s %-8s %-12s %s\n", *str(v, "name") ? str(v, "name") : "-", str(v, "uuid"),
		       str(v, "state"), *str(v, "owner") ? str(v, "owner") : "-",
		       u64(v, "saved_bytes") ? size_text(u64(v, "saved_bytes"), size) : "-");
	}
}

void hvctl_show_checks(struct json_object *doc)
{
	size_t n;
	struct json_object *list = array(doc, "checks", &n), *ok;

	for (size_t i = 0; i < n; i++) {
		struct json_object *v = json_object_array_get_idx(list, i);

		printf("%-4s %-12s %s\n",
		       json_object_object_get_ex(v, "ok", &ok) && json_object_get_boolean(ok)
			       ? "ok"
			       : "!!",
		       str(v, "check"), str(v, "text"));
	}
}

void hvctl_show_event(struct json_object *e)
{
	uint64_t ns = u64(e, "wall_ns");
	time_t s = (time_t)(ns / 1000000000u);
	struct tm tm;
	char when[32];

	localtime_r(&s, &tm);
	strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s.%03u %-8s %-8s %-18s %s%s%s\n", when, (unsigned)(ns / 1000000u % 1000u),
	       str(e, "node"), str(e, "severity"), str(e, "kind"), str(e, "vm"),
	       *str(e, "vm") ? ": " : "", str(e, "text"));
}

void hvctl_show_events(struct json_object *doc)
{
	size_t n;
	struct json_object *list = array(doc, "events", &n);

	for (size_t i = 0; i < n; i++)
		hvctl_show_event(json_object_array_get_idx(list, i));
}

void hvctl_show_started(struct json_object *doc)
{
	if (*str(doc, "name"))
		printf("%s is %s%s%s\n", str(doc, "name"), str(doc, "state"),
		       *str(doc, "node") ? " on " : "", str(doc, "node"));
	else
		printf("%s\n", str(doc, "state"));
}

void hvctl_show_created(struct json_object *doc)
{
	printf("%s is defined (uuid %s)\n", str(doc, "name"), str(doc, "uuid"));
}

void hvctl_show_migrated(struct json_object *doc)
{
	char size[24];
	struct json_object *phases;

	if (!*str(doc, "blackout_ms") && !*str(doc, "total_ms")) {
		if (json_object_object_length(doc))
			hvctl_show_tree(doc);
		return;
	}
	printf("moved in %.0f ms, blackout %.1f ms, %s sent", number(doc, "total_ms"),
	       number(doc, "blackout_ms"), size_text(u64(doc, "bytes"), size));
	if (u64(doc, "rounds"))
		printf(", %" PRIu64 " rounds", u64(doc, "rounds"));
	putchar('\n');
	if (json_object_object_get_ex(doc, "phases", &phases) &&
	    json_object_is_type(phases, json_type_object)) {
		json_object_object_foreach(phases, key, v)
		{
			printf("  %-24s %8.2f ms\n", key, json_object_get_double(v));
		}
	}
}

void hvctl_show_progress(struct json_object *doc)
{
	struct json_object *image;
	char a[24], b[24];

	fprintf(stderr, "\r\033[K");
	progress_shown = true;
	if (*str(doc, "waiting"))
		fprintf(stderr, "waiting: %s", str(doc, "waiting"));
	else if (json_object_object_get_ex(doc, "image", &image))
		fprintf(stderr, "%s: %s done, %s left at most, %s/s", str(image, "phase"),
			size_text(u64(image, "done_bytes"), a), size_text(u64(image, "remaining_bytes"), b),
			size_text(u64(image, "bandwidth_bytes_s"), (char[24]){0}));
	else if (*str(doc, "phase"))
		fprintf(stderr,
			"%s: round %" PRIu64 ", %s sent, %s left, forecast blackout %.0f ms",
			str(doc, "phase"), u64(doc, "round"), size_text(u64(doc, "sent_bytes"), a),
			size_text(u64(doc, "remaining_bytes"), b),
			number(doc, "forecast_blackout_ms"));
	else
		fprintf(stderr, "%s", json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN));
	fflush(stderr);
}

void hvctl_clear_progress(void)
{
	if (progress_shown)
		fprintf(stderr, "\r\033[K");
	progress_shown = false;
}
