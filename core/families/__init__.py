"""Families: parents linked to students by a code, who then may read what their children do."""
