"""Label files of every data set, made into records, splits and per-class folders."""
