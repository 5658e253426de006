"""`python -m fakes.stripe`: the fake on a port, for trying PAYMENT_PROVIDER=stripe without an account."""

from __future__ import annotations

import argparse
import asyncio
import contextlib

from fakes.stripe.server import SECRET_KEY, WEBHOOK_SECRET, StripeFake


async def serve(port: int, webhook_url: str) -> None:
    """Serve until interrupted."""
    fake = StripeFake(webhook_url=webhook_url)
    await fake.listen(port=port)
    settings = {
        "PAYMENT_PROVIDER": "stripe",
        "STRIPE_API_URL": fake.url,
        "STRIPE_SECRET_KEY": SECRET_KEY,
        "STRIPE_WEBHOOK_SECRETS": WEBHOOK_SECRET,
    }
    print(f"A fake Stripe at {fake.url}; no money moves. Set, for `skillforge serve`:")
    for name, value in settings.items():
        print(f"  export {name}={value}")
    try:
        await asyncio.Event().wait()
    finally:
        await fake.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m fakes.stripe", description=__doc__)
    parser.add_argument("--port", type=int, default=9010)
    parser.add_argument("--webhook-url", default="http://127.0.0.1:8080/payments/webhook")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, options.webhook_url))
