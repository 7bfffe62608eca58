"""How many crops of each image can be predicted and averaged."""

# The centre; and the corners; and the mirror images of all five.
CROP_COUNTS = (1, 5, 10)
DEFAULT_CROPS = 10
