"""The steps of augmentation: geometry, colour, policies and mixing."""
