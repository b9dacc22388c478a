"""Texts that mean something to what they pass through: SQL, shells, terminals, headers."""

from __future__ import annotations

__all__ = ["HOSTILE", "SQL"]

SQL = (
    "'", "''", '"', "`", "\\", ";", "--", "/*", "%", "_", "%%", "$1", "?", ":x", "{}", "\\'",
    "' OR '1'='1", "x' OR 1=1 --", '" OR ""="', "') OR ('1'='1", "1; DROP TABLE events; --",
    "' UNION SELECT * FROM read_csv('/etc/passwd') --", "read_text('/etc/passwd')",
    "1); COPY events TO '/tmp/stolen' --", "'; ATTACH '/tmp/x.db' --", "x\" FROM events; --",
    "(SELECT 1)", "count(*)", "ts_ns", "rowid", "event_type, event_id", "n DESC", "n; PRAGMA x",
    "$.a.b", "$['a']", "a.b", "a->>'b'", "attr_int['n']", "a[0]", "*", "..", "x'||'y",
    "{{7*7}}", "NULL", "true", "1e999", "0x10", "\u2019 OR 1=1", "\uff07 OR 1=1",
)  # fmt: skip

HOSTILE = (
    *SQL,
    "=1+1", "+1", "-1", "@SUM(A1)", "=HYPERLINK(\"http://x.example\")", "\t=1", "=cmd|'/c calc'!A0",
    "\x1b[2J\x1b[31m", "\x1b]0;title\x07", "\x9b31m", "\x08\x08", "\u202eevil", "\u200b", "\ufeff",
    "a\r\nSet-Cookie: x=1", "a\nevent: ping\ndata: {}", "\n\ndata: x\n\n", "a\u2028b", "\x85",
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "</script><svg onload=x>",
    "javascript:alert(1)", "]]>", "&lt;", "<!--",
    "../../etc/passwd", "/etc/passwd", "..\\..\\x", "C:\\x", "\\\\host\\share", "%2e%2e%2f",
    "a/../b", "CON", ".", "~", "$(id)", "`id`", "| id", "-rf", "--help",
    "\U0001f600", "e\u0301", "\u0130", "\ud7ff", "x" * 300,
)  # fmt: skip
