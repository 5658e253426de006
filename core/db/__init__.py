"""The database: a pool, autocommit reads, transaction scopes, group commit, migrations."""

from core.db.batches import Batcher
from core.db.database import Database, Reader, Transaction
from core.db.errors import DuplicateKey, MissingParent
from core.db.migrate import MigrationError, Migrator
from core.db.snapshot import open_snapshot

__all__ = [
    "Batcher", "Database", "DuplicateKey", "MigrationError", "Migrator", "MissingParent", "Reader", "Transaction",
    "open_snapshot",
]  # fmt: skip
