"""The outside world for development and tests: Clerk and a payment provider, each speaking its real wire.

They share no code with the core, and each says that it is a fake.
"""
