"""Redis: the client, key names, scripts, and in-process caches that are invalidated through it."""

from core.redis.caches import LocalCache
from core.redis.client import Redis, RedisAway
from core.redis.invalidation import Invalidations

__all__ = ["Invalidations", "LocalCache", "Redis", "RedisAway"]
