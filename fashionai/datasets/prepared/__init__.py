"""The prepared folders: checking images, splitting, writing the folders and reading them back."""
