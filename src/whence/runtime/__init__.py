"""What inference runtimes agree on: budgets, tensors, requests, and backends that execute them."""
