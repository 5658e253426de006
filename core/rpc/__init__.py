"""The pipeline every call passes, whichever door it came through, and the gRPC server."""
