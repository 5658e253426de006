"""Friends: requests, friendships and blocks, and who may write to and call whom."""
