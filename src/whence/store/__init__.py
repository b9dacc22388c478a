"""Stores: where events rest after their rings, in folders, in memory and in ClickHouse."""
