"""The readers of label files: one module per data set or layout, and what they share."""
