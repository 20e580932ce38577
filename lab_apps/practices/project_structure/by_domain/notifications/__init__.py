"""What a user is told of."""
