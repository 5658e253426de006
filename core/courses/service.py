"""CoursesService of the contract: reading, authoring of courses, authoring of their outlines."""

from __future__ import annotations

from core.courses.authoring import CourseAuthoring
from core.courses.catalog import CourseCatalog
from core.courses.leaving import CourseLeaving
from core.courses.outlines import OutlineAuthoring
from core.courses.reading import CourseReading
from core.db import Database
from core.pages import Pages


class CoursesService(CourseReading, CourseAuthoring, OutlineAuthoring, CourseLeaving):
    """Every RPC of courses."""

    def __init__(self, db: Database, catalog: CourseCatalog, pages: Pages) -> None:
        self._db = db
        self._catalog = catalog
        self._pages = pages
