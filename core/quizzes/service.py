"""QuizzesService of the contract: authoring and reading quizzes, and attempts at them."""

from __future__ import annotations

from core.courses.catalog import CourseCatalog
from core.db import Database
from core.pages import Pages
from core.progress.service import ProgressService
from core.quizzes.attempts import QuizAttempts
from core.quizzes.authoring import QuizAuthoring
from core.times import Clock


class QuizzesService(QuizAuthoring, QuizAttempts):
    """Every RPC of quizzes."""

    def __init__(self, db: Database, catalog: CourseCatalog, progress: ProgressService, pages: Pages, clock: Clock) -> None:
        self._db = db
        self._catalog = catalog
        self._progress = progress
        self._pages = pages
        self._clock = clock
