"""What a training writes and says: its state, history, logs and messages."""
