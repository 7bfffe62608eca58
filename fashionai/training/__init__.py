"""Training: the loop, batch plan, schedules, checkpoints, history and learning rate finder."""
