"""The parts of the campaign of kills: one module per command, and what they share."""
