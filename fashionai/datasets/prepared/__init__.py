"""The prepared folders: checking, splitting, writing and reading back."""
