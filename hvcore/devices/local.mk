# SPDX-License-Identifier: GPL-2.0-or-later
# The devices of machine hv-1, one file each.
