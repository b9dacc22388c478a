"""OpenTelemetry's protocol on its way in: over gRPC and HTTP, in protobuf and JSON."""
