"""Certificates: proof of a completed course, and its PDF."""
