"""The frameworks that compute networks: how each is imported, and the devices that it finds."""
