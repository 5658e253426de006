"""Progress: what students have done in their courses, and when they are through."""
