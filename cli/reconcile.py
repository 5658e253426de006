"""`skillforge reconcile`: payments compared with access and providers, and mended."""

from __future__ import annotations

from datetime import datetime

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from core.app import Core
from core.db import Migrator
from core.ids import to_text
from core.payments.reconciliation.rules import OPEN, Finding
from core.settings import Settings

# More are counted, not listed.
MAX_LISTED = 1000


async def reconcile(
    settings: Settings, since: datetime, payment_id: bytes | None, dry_run: bool, console: Console
) -> tuple[list[Finding], int]:
    """What was found, up to `MAX_LISTED` of it, and how much of all that is left to do; `payment_id`: of one payment alone.

    Raises DomainError, and click.ClickException when the database is not up to date.
    """
    core = Core(settings)
    findings: list[Finding] = []
    left = 0

    def found(finding: Finding) -> None:
        nonlocal left
        left += not finding.mended
        if len(findings) < MAX_LISTED:
            findings.append(finding)

    try:
        await core.resources.db.start()
        if await Migrator(core.resources.db).pending():
            raise click.ClickException("the database is not up to date. Run `skillforge migrate` first.")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("comparing", total=None)
            run = core.reconciliation(dry_run=dry_run, found=found, progress=lambda count: progress.advance(task, count))
            if payment_id is not None:
                await run.payment(payment_id)
            else:
                total = await run.total()
                progress.update(task, total=total)
                await run.run(since)
                progress.update(task, completed=total)
    finally:
        await core.close()
    return findings, left


def table(findings: list[Finding], dry_run: bool) -> Table:
    """The findings for people."""
    listed = Table("Found", "Payment", "Student", "Course", "Done")
    for finding in findings:
        what = f"{finding.problem.value}: {finding.detail}" if finding.detail else finding.problem.value
        done = "mended" if finding.mended else "would be mended" if dry_run and finding.problem not in OPEN else "look at it"
        ids = (to_text(item) if item else "" for item in (finding.payment_id, finding.student_id, finding.course_id))
        listed.add_row(what, *ids, done)
    return listed
