"""`make fuzz`: what `tests/e2e/test_fuzz.py` does, for as long as one likes.

python -m tests.fuzz --examples 200 --seed 7
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time

from tests.conftest import fresh_database, new_servers, throw_away
from tests.support.fuzzing import Fuzzer, new_fuzzer, run_apart
from tests.support.world import running_world


async def fuzz(examples: int, seed: int) -> Fuzzer:
    """Run on servers of its own."""
    servers = new_servers()
    try:
        servers.start()
        async with running_world(fresh_database(servers, "fuzz"), servers.redis_url(0)) as world:
            return await run_apart(await new_fuzzer(world), examples, seed)
    finally:
        throw_away(servers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=50, help="requests of each operation and kind")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    started = time.monotonic()
    print(f"seed {options.seed}")
    fuzzer = asyncio.run(fuzz(options.examples, options.seed))
    told = ", ".join(f"{status}: {count}" for status, count in sorted(fuzzer.statuses.items()))
    print(f"{fuzzer.statuses.total()} requests in {time.monotonic() - started:.0f} s; {told}")
    for failure in fuzzer.failures:
        print(f"--- {failure}")
    sys.exit(1 if fuzzer.failures else 0)


if __name__ == "__main__":
    main()
