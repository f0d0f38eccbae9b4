/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_power.c - see fen_power.h. The list: agents of Debian's fence-agents and cluster-glue that cut power, or stop the
 * virtual machine that a node is, and report success when that has happened. Parses the
 * administrator's list.
 */
#include "config.h"

#include "fencing/fen_power.h"

#include <stddef.h>
#include <string.h>

#include "common/cm_err.h"

/*
 * Not here, on purpose: fence_scsi, fence_mpath, fence_brocade, fence_sanbox2, fence_ifmib, fence_cisco_mds
 * (they cut storage or a port), fence_sbd and fence_heuristics_ping (the victim has to obey),
 * fence_kdump (says that it is crashing), fence_ack_manual, fence_dummy, fence_watchdog.
 */
// clang-format off
static const char *const power[] = {
	/* baseboard controllers */
	"fence_ipmilan", "fence_ipmilanplus", "fence_ironic", "fence_idrac", "fence_ilo", "fence_ilo2", "fence_ilo3", "fence_ilo3_ssh",
	"fence_ilo4", "fence_ilo4_ssh", "fence_ilo5", "fence_ilo5_ssh", "fence_ilo_moonshot", "fence_ilo_mp",
	"fence_ilo_ssh", "fence_imm", "fence_drac", "fence_drac5", "fence_redfish", "fence_rsa", "fence_rsb",
	"fence_amt", "fence_amt_ws", "fence_alom", "fence_intelmodular", "fence_xenapi",
	/* power distribution units */
	"fence_apc", "fence_apc_snmp", "fence_cdu", "fence_ipdu", "fence_lindypdu", "fence_rcd_serial", "fence_tripplite_snmp",
	"fence_eaton_snmp", "fence_eaton_ssh", "fence_emerson", "fence_eps",
	"fence_cyberpower_ssh", "fence_raritan", "fence_raritan_px3", "fence_wti", "fence_netio",
	"fence_powerman",
	/* blade chassis and partitions */
	"fence_bladecenter", "fence_bladecenter_snmp", "fence_hpblade", "fence_ibmblade", "fence_cisco_ucs",
	"fence_lpar", "fence_hds_cb", "fence_ldom", "fence_zvm", "fence_zvmip",
	/* nodes that are virtual machines */
	"fence_virsh", "fence_virt", "fence_xvm", "fence_vmware", "fence_vmware_rest", "fence_vmware_soap",
	"fence_vmware_vcloud", "fence_pve", "fence_ovh", "fence_vbox", "fence_rhevm", "fence_kubevirt",
	"fence_docker", "fence_aliyun", "fence_aws", "fence_azure_arm", "fence_gce",
	"fence_ibm_powervs", "fence_ibm_vpc", "fence_ibmz", "fence_nutanix_ahv",
	"fence_openstack",
	/* cluster-glue */
	"external/ipmi", "external/ibmrsa", "external/ibmrsa-telnet", "external/drac5", "external/riloe",
	"external/libvirt", "external/vcenter", "external/vmware", "external/xen0", "external/nut",
	"external/rackpdu", "external/hmchttp", "external/dracmc-telnet", "external/ippower9258", "external/ec2",
	"apcmaster", "apcmastersnmp", "apcsmart", "baytech", "bladehpi", "cyclades", "drac3", "ibmhmc", "ipmilan",
	"nw_rpc100s", "rcd_serial", "rps10", "wti_mpc", "wti_nps",
};
// clang-format on

static bool named(const char *list, const char *type)
{
	static const char blanks[] = ", \t";
	size_t n = strlen(type);

	for (list += strspn(list, blanks); *list; list += strspn(list, blanks)) {
		size_t len = strcspn(list, blanks);

		if (len == n && !strncmp(list, type, n))
			return true;
		list += len;
	}
	return false;
}

bool fen_power_agent(const char *type, const char *also)
{
	if (!*type)
		return false;
	for (size_t i = 0; i < CM_ARRAY_LEN(power); i++)
		if (!strcmp(power[i], type))
			return true;
	return named(also, type);
}

enum fen_by fen_by_also(enum fen_by by, const char *type, const char *also)
{
	enum fen_by this = fen_power_agent(type, also)	   ? FEN_BY_POWER
			   : !strcmp(type, "fence_hvsan") ? FEN_BY_HVSAN
							  : FEN_BY_OTHERS;

	return this > by ? this : by;
}
