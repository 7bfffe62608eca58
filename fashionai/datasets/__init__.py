"""From the label files of a data set to records, splits and class folders."""
