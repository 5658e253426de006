"""What the processes tell about themselves: figures for Prometheus, traces for OpenTelemetry, the ids of log lines.

Counting is a few additions to plain lists; numbers get their names and labels when somebody asks for them.
"""
