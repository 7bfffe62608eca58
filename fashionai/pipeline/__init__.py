"""Image files to batches: decoding, augmentation, crops, the threaded loader."""
