"""Coupons: what takes something off the price of a course."""
