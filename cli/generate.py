"""`skillforge generate`: large data by bulk SQL, with a progress bar a step."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from cli.up import migrate, read_settings_file
from core.db import Database
from core.generate.plan import Plan
from core.generate.service import Generator
from core.settings import Settings


class RateColumn(ProgressColumn):
    """Rows a second."""

    def render(self, task: Task) -> Text:
        seconds = task.finished_time or task.elapsed
        return Text(f"{task.completed / seconds:,.0f} rows/s" if seconds else "", style="progress.data.speed")


def owns_database(settings: Settings, data_dir: Path) -> bool:
    """Whether the database is the private one of the data folder, not one that the environment names."""
    return read_settings_file(data_dir).get("DATABASE_URL") == settings.database_url


async def run_generate(settings: Settings, plan: Plan, console: Console) -> None:
    """Write the plan's data, once the schema is up to date. Raises DomainError and MigrationError."""
    await migrate(settings)
    db = Database(settings.database_url, size=2)
    generator = Generator(db, plan)
    columns = (
        TextColumn("{task.description:12}"), BarColumn(), MofNCompleteColumn(), RateColumn(),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    try:
        await db.start()
        with Progress(*columns, console=console) as progress:
            for step in generator.steps():
                task = progress.add_task(step.name, total=step.rows)
                async for rows in step.chunks():
                    progress.advance(task, rows)
                progress.update(task, total=progress.tasks[task].completed)
            await generator.finish()
    finally:
        await db.close()
