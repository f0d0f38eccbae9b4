/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fence agent of the test bed: pacemaker's fencer runs it with key=value lines on stdin; it asks the
 * simulated BMC (bmcd) over a UNIX socket. "off" succeeds only after the BMC said that the machine is
 * off *and* a second question confirmed it. Parses the fencer's lines (unknown keys are ignored) and
 * the BMC's answer.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct options {
	char action[32];
	char plug[64];
	char bmc[108];
};

static const char metadata[] =
	"<?xml version=\"1.0\" ?>\n"
	"<resource-agent name=\"fence_hvlab\" shortdesc=\"Fence agent of the hvcluster test bed\">\n"
	"<longdesc>Powers nodes of scripts/lab on and off through its simulated BMC.</longdesc>\n"
	"<vendor-url>https://hvcluster.invalid/</vendor-url>\n"
	"<parameters>\n"
	"<parameter name=\"action\" unique=\"0\" required=\"0\"><content type=\"string\" "
	"default=\"reboot\"/><shortdesc lang=\"en\">Fencing action</shortdesc></parameter>\n"
	"<parameter name=\"plug\" unique=\"1\" required=\"0\"><content type=\"string\"/>"
	"<shortdesc lang=\"en\">Node to act on</shortdesc></parameter>\n"
	"<parameter name=\"bmc\" unique=\"0\" required=\"1\"><content type=\"string\"/>"
	"<shortdesc lang=\"en\">UNIX socket of the simulated BMC</shortdesc></parameter>\n"
	"</parameters>\n"
	"<actions>\n"
	"<action name=\"on\" automatic=\"0\"/>\n<action name=\"off\"/>\n<action name=\"reboot\"/>\n"
	"<action name=\"status\"/>\n<action name=\"list\"/>\n<action name=\"list-status\"/>\n"
	"<action name=\"monitor\"/>\n<action name=\"metadata\"/>\n<action name=\"validate-all\"/>\n"
	"</actions>\n</resource-agent>\n";

static void set(char *out, size_t cap, const char *value)
{
	if (strlen(value) < cap)
		strcpy(out, value);
}

static void read_options(struct options *o)
{
	char line[1024];

	while (fgets(line, sizeof line, stdin)) {
		char *value = strchr(line, '=');

		line[strcspn(line, "\r\n")] = '\0';
		if (!value)
			continue;
		*value++ = '\0';
		if (strcmp(line, "action") == 0)
			set(o->action, sizeof o->action, value);
		else if (strcmp(line, "plug") == 0 || strcmp(line, "port") == 0)
			set(o->plug, sizeof o->plug, value);
		else if (strcmp(line, "nodename") == 0 && !o->plug[0])
			set(o->plug, sizeof o->plug, value);
		else if (strcmp(line, "bmc") == 0)
			set(o->bmc, sizeof o->bmc, value);
	}
}

/* Sends one request, returns 0 and the words after "ok", or -1 with the reason printed. */
static int ask(const struct options *o, const char *verb, char *out, size_t cap)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t have = 0;
	ssize_t n;

	set(un.sun_path, sizeof un.sun_path, o->bmc);
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof un) != 0) {
		fprintf(stderr, "fence_hvlab: cannot reach the BMC at %s: %s\n", o->bmc, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	dprintf(fd, "%s %s by=fence_hvlab\n", verb, o->plug);
	while (have < cap - 1 && (n = read(fd, out + have, cap - 1 - have)) > 0)
		have += (size_t)n;
	close(fd);
	out[have] = '\0';
	out[strcspn(out, "\n")] = '\0';
	if (strncmp(out, "ok", 2) != 0) {
		fprintf(stderr, "fence_hvlab: %s %s: %s\n", verb, o->plug, have ? out : "no answer");
		return -1;
	}
	memmove(out, out + (out[2] == ' ' ? 3 : 2), strlen(out) - (out[2] == ' ' ? 2 : 1));
	return 0;
}

static int power_is(const struct options *o, const char *want)
{
	char out[256];

	if (ask(o, "power", out, sizeof out) != 0)
		return -1;
	return strcmp(out, want) == 0;
}

static int do_power(const struct options *o, const char *verb, const char *want)
{
	char out[256];

	if (ask(o, verb, out, sizeof out) != 0)
		return 1;
	return power_is(o, want) == 1 ? 0 : 1;
}

static int do_reboot(const struct options *o)
{
	if (do_power(o, "off", "off") != 0)
		return 1;
	if (do_power(o, "on", "on") != 0)
		fprintf(stderr, "fence_hvlab: %s is off but did not come back\n", o->plug);
	return 0;
}

static int do_list(const struct options *o, int with_status)
{
	char out[4096], *word, *save = NULL;
	struct options one = *o;

	one.plug[0] = '\0';
	if (ask(&one, "list", out, sizeof out) != 0)
		return 1;
	for (word = strtok_r(out, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		set(one.plug, sizeof one.plug, word);
		if (with_status)
			printf("%s,%s,%s\n", word, word, power_is(&one, "on") == 1 ? "ON" : "OFF");
		else
			printf("%s,%s\n", word, word);
	}
	return 0;
}

static int act(const struct options *o)
{
	char out[4096];
	int on;

	if (strcmp(o->action, "metadata") == 0)
		return fputs(metadata, stdout) < 0;
	if (!o->bmc[0]) {
		fprintf(stderr, "fence_hvlab: the option bmc (socket of the BMC) is missing\n");
		return 1;
	}
	if (strcmp(o->action, "validate-all") == 0)
		return 0;
	if (strcmp(o->action, "monitor") == 0)
		return ask(o, "list", out, sizeof out) == 0 ? 0 : 1;
	if (strncmp(o->action, "list", 4) == 0)
		return do_list(o, strcmp(o->action, "list-status") == 0);
	if (!o->plug[0]) {
		fprintf(stderr, "fence_hvlab: the option plug (node to act on) is missing\n");
		return 1;
	}
	if (strcmp(o->action, "status") == 0) {
		on = power_is(o, "on");
		return on < 0 ? 1 : on ? 0 : 2;
	}
	if (strcmp(o->action, "off") == 0)
		return do_power(o, "off", "off");
	if (strcmp(o->action, "on") == 0)
		return do_power(o, "on", "on");
	if (strcmp(o->action, "reboot") == 0)
		return do_reboot(o);
	fprintf(stderr, "fence_hvlab: unknown action '%s'\n", o->action);
	return 1;
}

int main(void)
{
	struct options o = {.action = "reboot"};

	read_options(&o);
	return act(&o);
}
