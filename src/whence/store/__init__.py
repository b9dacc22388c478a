"""One folder of Parquet files: what a collector keeps, and any number of processes question."""
