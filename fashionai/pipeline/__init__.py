"""From image files to batches: decoding, augmentation, crops and the threaded loader."""
