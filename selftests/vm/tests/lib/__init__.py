# SPDX-License-Identifier: GPL-2.0
"""What the VM tests share: TAP, packets made by hand, brokers, other people's clients."""
