"""A fake Stripe: a local server that speaks Stripe's wire for hosted checkout, refunds and webhooks. No money moves.

Every answer and page says that it is a fake. `python -m fakes.stripe` runs it by hand.
"""
