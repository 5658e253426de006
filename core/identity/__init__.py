"""Accounts, roles, sessions and the tokens that prove them."""
