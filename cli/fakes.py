"""`skillforge fakes`: the outside world on a port of its own."""

from __future__ import annotations

from pathlib import Path

import click

from cli.addresses import listen
from cli.signing_keys import kept_signing_key
from cli.worker import stopped
from fakes.server import CLERK_SECRET_KEY, PAYMENTS_API_KEY, WEBHOOK_SECRET, FakeWorld


async def run_fakes(host: str, port: int, webhook_url: str, data_dir: Path) -> None:
    """Serve until a signal to stop, telling the settings that make `skillforge serve` use the fakes."""
    world = FakeWorld(data_dir, webhook_url=webhook_url)
    await world.listen(sock=listen(host, port, reuse_port=False))
    click.echo(f"Fakes of Clerk and of a payment provider at {world.url}. Set, for `skillforge serve`:")
    settings = {
        "CLERK_SECRET_KEY": CLERK_SECRET_KEY,
        "CLERK_API_URL": world.url,
        "CLERK_ISSUER": world.url,
        "PAYMENT_PROVIDER": "fake",
        "FAKE_PAYMENTS_URL": world.url,
        "FAKE_PAYMENTS_KEY": PAYMENTS_API_KEY,
        "PAYMENT_WEBHOOK_SECRETS": WEBHOOK_SECRET,
        "CERTIFICATE_SIGNING_KEY": str(kept_signing_key(data_dir)),
    }
    for name, value in settings.items():
        click.echo(f"  export {name}={value}")
    try:
        await stopped()
    finally:
        await world.close()
