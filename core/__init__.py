"""The domain, behind the contract."""
