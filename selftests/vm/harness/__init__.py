# SPDX-License-Identifier: GPL-2.0
"""The QEMU harness: images, machines, the gateway, the console checker."""
