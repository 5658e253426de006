"""The counts that analytics keeps of courses, made for whole populations at once."""
