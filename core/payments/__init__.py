"""Payments: buying courses, and the provider's word that they are paid for."""
