"""Calls between two people: who rings, who answers, and when a call is over."""
