"""The numbers of crops per image over which predictions can be averaged."""

# 1 is the centre crop, 5 adds the four corners, 10 adds the mirror images of these five.
CROP_COUNTS = (1, 5, 10)
DEFAULT_CROPS = 10
