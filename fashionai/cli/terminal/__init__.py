"""What commands write to the terminal: progress, hints, wrapped lines."""
