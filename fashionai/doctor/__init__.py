"""What stands in the way of a training, found before it begins, with the command that mends it."""
