"""The byte layout of session files, equal to native/whence/layout.hpp (a test holds them so)."""

from __future__ import annotations

import struct

__all__: list[str] = []

FORMAT_MAJOR = 1
ENDIAN_MARK = 0x01020304
ENDIAN_MARK_SWAPPED = 0x04030201

SESSION_MAGIC = b"WHNCSESS"
SESSION_BYTES = 8192
SESSION_TEXT_OFFSET = 256
SESSION_TEXT_BYTES = 3840
ANCHORS_OFFSET = 4096
ANCHOR_COUNT = 255
# magic endian major minor uuid key pid uid start_ticks boot_id run created x2 clock text_length
# request_seed crc ready
SESSION_HEADER = struct.Struct("<8sIHH16sQIIQ16sQQQIIQ120xII")
SESSION_CRC_OFFSET = SESSION_HEADER.size - 8
ANCHOR = struct.Struct("<QQ")

CONTROL_MAGIC = b"WHNCCTRL"
SMALL_HEADER = struct.Struct("<8sIHHQ16s")  # magic endian major minor file_bytes uuid
GATES_OFFSET = 64
MAX_KINDS = 4096
RULES_OFFSET = GATES_OFFSET + MAX_KINDS * 8
RULE_COUNT = 128
RULE_BYTES = 128
RULE_NAME_BYTES = RULE_BYTES - 16
CONTROL_BYTES = RULES_OFFSET + RULE_COUNT * RULE_BYTES
CONTROL_BYTES_OF_MINOR_0 = RULES_OFFSET
REMOVED_RINGS_OFFSET = 40
REMOVED_RINGS = struct.Struct("<QQ")  # rings, and events recorded to them
MISSING_OFFSET = 56
MISSING = struct.Struct("<II")  # kinds without a name, rings without a file
GATE_RECORD = struct.Struct("<QIIQQ")  # monotonic_ns kind crc before after
GATE_ON = 1
GATE_EXEMPT = 2
GATE_THRESHOLD_SHIFT = 2
GATE_MINIMUM_SHIFT = 32
SAMPLE_STEPS = 1 << 30

RING_HEADER_BYTES = 16 * 1024
SLOT_BYTES = 64
OTHER_KINDS = 0xFFFF
