"""The number of folds that a cross-validation may have; here, so that --help imports no more."""

MOST_FOLDS = 1000
