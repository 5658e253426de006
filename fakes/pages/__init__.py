"""What a payer and a developer see of the fake payment provider. Every value is escaped; nothing is loaded from elsewhere."""
