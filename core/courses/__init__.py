"""Courses: the catalogue, their metadata, modules and lectures."""
