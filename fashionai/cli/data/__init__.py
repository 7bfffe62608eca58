"""The commands about label files, images and labels."""
