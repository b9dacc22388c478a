"""ClickHouse, the store beyond one machine: its tables, what fills them, how it is spoken to."""
