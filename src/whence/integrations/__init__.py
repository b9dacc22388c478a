"""Other people's instrumentation, recorded: logging, OpenTelemetry, ASGI, ONNX Runtime, torch."""
