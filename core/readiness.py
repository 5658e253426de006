"""Whether a core can serve, part by part: what is missing, and what to do about it. Anybody may read it, so it names
settings and never what they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pymysql.err import MySQLError

from core.db import Database, Migrator
from core.redis import Redis

CHECK_SECONDS = 2.0
OK = "ok"
# MariaDB's and MySQL's error numbers of a log-in that is refused, and of a database that is not there.
_REFUSED = frozenset({1044, 1045, 1130, 1227, 1251, 1698, 2059, 2061})
_UNKNOWN_DATABASE = 1049
_TOO_MANY = frozenset({1040, 1203, 1226})
_NOT_PRIMARY = 1047
_REDIS_LOG_IN = ("NOAUTH", "WRONGPASS", "NOPERM", "invalid username-password", "Authentication required", "authenticated")


async def readiness(db: Database, redis: Redis) -> Mapping[str, str]:
    """Each part → "ok", or a sentence that says what is wrong and what to do."""
    mysql, redis_state = await asyncio.gather(_check_mysql(db), _check_redis(redis))
    return {**mysql, "redis": redis_state}


async def _check_mysql(db: Database) -> dict[str, str]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            pending = await Migrator(db).pending()
    except Exception as error:
        return {"mysql": _mysql_advice(error), "migrations": "unknown while mysql is missing"}
    migrations = f"pending: {', '.join(pending)}. Run `skillforge migrate`; a start does it too." if pending else OK
    return {"mysql": OK, "migrations": migrations}


async def _check_redis(redis: Redis) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await redis.ping()
    except Exception as error:
        if any(word in str(error) for word in _REDIS_LOG_IN):
            return "refuses the log-in. Correct user and password in REDIS_URL."
        return "does not answer. Start it, or correct REDIS_URL; calls go on, events and caches wait for it."
    return OK


def _mysql_advice(error: BaseException) -> str:
    number = _number(error)
    if number in _REFUSED:
        return "refuses the log-in. Correct user and password in DATABASE_URL, and the user's grants."
    if number == _UNKNOWN_DATABASE:
        return "knows no such database. Create it, or correct the name in DATABASE_URL."
    if number in _TOO_MANY:
        return "has no connection left. Raise max_connections, or lower DATABASE_POOL_SIZE or the number of workers."
    if number == _NOT_PRIMARY:
        return "is a Galera node outside of the primary component. Let the balancer skip it, and mend the cluster."
    return "does not answer. Start it, or correct DATABASE_URL."


def _number(error: BaseException | None) -> int:
    """The server's error number that an error goes back to; 0 for none."""
    while error is not None:
        if isinstance(error, MySQLError) and error.args and isinstance(error.args[0], int):
            return error.args[0]
        error = error.__cause__
    return 0
