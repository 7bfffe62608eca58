"""Learners in all frameworks: their interface, how one is opened and which one is chosen."""
