"""`python -m fakes.ai`: the fake on a port, for trying AI_API_KEY without an account. It copies and understands nothing."""

from __future__ import annotations

import argparse
import asyncio
import contextlib

from fakes.ai.server import API_KEY, MODEL, AiFake


async def serve(port: int) -> None:
    """Serve until interrupted."""
    fake = AiFake()
    await fake.listen(port=port)
    print(f"A fake language model at {fake.url}. Set, for `skillforge serve` or `skillforge up`:")
    for name, value in {"AI_BASE_URL": fake.url, "AI_API_KEY": API_KEY, "AI_MODEL": MODEL}.items():
        print(f"  export {name}={value}")
    try:
        await asyncio.Event().wait()
    finally:
        await fake.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m fakes.ai", description=__doc__)
    parser.add_argument("--port", type=int, default=9020)
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port))
