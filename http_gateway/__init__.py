"""The REST door: HTTP requests to contract messages and back. It holds no rule of the domain."""
