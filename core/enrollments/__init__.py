"""Enrollments: who learns what, and why they may."""
