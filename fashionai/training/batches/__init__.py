"""The batches of a training: which samples, as pixels or kept features, with which targets."""
