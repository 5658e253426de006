"""What repeated calls have created already: one row an `Idempotency-Key`, in the transaction that creates."""
