"""The numbers of an enrollment `e` as SQL, computed from what they are made of: what is stored must equal them."""

from __future__ import annotations

from typing import Final

_RESULTS = """
FROM quiz_results r JOIN quizzes q ON q.id = r.quiz_id WHERE r.student_id = e.student_id AND r.course_id = e.course_id
"""
# Complete lectures that are still in the outline.
LECTURES_COMPLETED: Final = """
(SELECT COUNT(*) FROM lecture_progress p JOIN lectures l ON l.id = p.lecture_id
 WHERE p.student_id = e.student_id AND p.course_id = e.course_id AND p.complete_time IS NOT NULL)
"""
# Of the quizzes and exams that are still there: the average in lecture quizzes, the exam's best, the average of all.
QUIZ_PERCENT: Final = f"(SELECT ROUND(AVG(r.best_percent), 2) {_RESULTS} AND q.exam_slot IS NULL)"
EXAM_PERCENT: Final = f"(SELECT r.best_percent {_RESULTS} AND q.exam_slot = 1)"
EXAM_PASSED: Final = f"COALESCE((SELECT r.passed {_RESULTS} AND q.exam_slot = 1), FALSE)"
SCORE: Final = f"COALESCE((SELECT ROUND(AVG(r.best_percent), 2) {_RESULTS}), -1)"
