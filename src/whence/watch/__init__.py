"""What looks on: listeners, metrics, dashboards and alerts."""
