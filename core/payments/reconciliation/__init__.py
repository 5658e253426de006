"""Reconciliation: payments, access and what the providers say compared with each other, and mended."""
