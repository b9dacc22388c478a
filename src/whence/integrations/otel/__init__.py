"""OpenTelemetry: an exporter, a span processor and a tracer provider that record into the rings."""
