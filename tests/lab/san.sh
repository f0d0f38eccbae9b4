#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The SAN machine's target, run by its labinit: san.sh tgt|labsan DIR BUILD
set -eu
kind=$1 dir=$2 build=$3
portal=10.77.2.250:3260
iqn=iqn.2024-01.org.hvcluster.lab:san
lun=$dir/san/lun0.img
rm -f "$dir/san/ready"

case $kind in
labsan)
	rm -f "$dir/san/control.sock"
	mkdir -p "$dir/san/state"
	# A cache that a power cut of the SAN loses, and a log of every write: what the tests' oracle reads.
	"$build/tests/san/labsan" --portal "$portal" --iqn "$iqn" --lun "$lun,thin" \
		--lun "$dir/san/lun1.img,thin,size=256M" --cache volatile \
		--write-log "$dir/san/writes.jsonl" --control "$dir/san/control.sock" --state "$dir/san/state" &
	pid=$!
	until [ -S "$dir/san/control.sock" ]; do
		kill -0 "$pid" 2>/dev/null || wait "$pid" || exit
		sleep 0.02
	done
	;;
tgt)
	TGT_IPC_SOCKET=/run/tgtd.sock
	export TGT_IPC_SOCKET
	tgtd -f -C 0 -t 4 --iscsi "portal=$portal,nop_interval=2,nop_count=2" &
	pid=$!
	adm() { tgtadm -C 0 --lld iscsi "$@"; }
	i=0
	until adm --mode system --op show >/dev/null 2>&1; do
		i=$((i + 1))
		[ $i -lt 200 ] || exit 1
		sleep 0.02
	done
	adm --mode target --op new --tid 1 --targetname "$iqn"
	adm --mode logicalunit --op new --tid 1 --lun 1 --backing-store "$lun" --bstype rdwr
	adm --mode logicalunit --op update --tid 1 --lun 1 --params thin_provisioning=1
	for p in MaxRecvDataSegmentLength=262144 MaxXmitDataSegmentLength=262144 \
		FirstBurstLength=262144 MaxBurstLength=1048576 InitialR2T=No MaxOutstandingR2T=8; do
		adm --mode target --op update --tid 1 --name "${p%=*}" --value "${p#*=}"
	done
	adm --mode target --op bind --tid 1 --initiator-address ALL
	;;
*)
	echo "no such target: $kind" >&2
	exit 1
	;;
esac
touch "$dir/san/ready"
wait "$pid"
