"""Events to connected users: delivery, resume, presence, and the connections themselves."""
