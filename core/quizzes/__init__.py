"""Quizzes of lectures, final exams, and students' attempts at them."""
