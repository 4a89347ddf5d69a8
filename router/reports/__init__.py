"""What the delivery documents say, for services and admins."""
