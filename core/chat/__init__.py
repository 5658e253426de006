"""Chat: conversations of two people, their messages, and how far each has read."""
