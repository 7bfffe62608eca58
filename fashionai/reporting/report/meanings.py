"""What the figures of a report mean, for readers who do not know them."""

SCORES = {
    "map": "The official score. Each distinct largest probability is a threshold, and precision is "
    "the share of correct predictions among the images that reach it. AP is the mean of precision "
    "over all thresholds: it is high when the run is sure only where it is right.",
    "accuracy": "Share of images whose most probable class is the true one.",
    "basic_precision": "Accuracy without the images whose predicted class the annotators marked as "
    "one that they would also accept.",
    "mrr": "Mean of 1/rank of the true class; 1 when it is always the most probable one.",
    "balanced_accuracy": "Mean of the recall of all classes: each class counts the same.",
    "roc_auc": "Probability that an image of a class gets a larger probability of it than an image "
    "of another class; the mean over classes.",
    "log_loss": "Mean of -ln(probability of the true class). Lower is better.",
}
INTERVAL = (
    "The 95 % interval is that of a bootstrap over images: 95 of 100 such intervals contain the "
    "score on all images of this kind. It does not tell how much another training would differ."
)
CALIBRATION = (
    "Images are put into 15 bins by their largest probability. Of predictions with probability "
    "0.8, 80 % should be correct: then the points lie on the dashed line. The expected calibration "
    "error is the mean distance from it, weighted by the number of images."
)
CLASSES = (
    "Support is the number of images of the class. AP here is that of the class against all others "
    "(the sum over thresholds of precision times the increase of recall), not the official AP. The "
    "threshold is the probability with the largest F1 for telling this class from the others."
)
FIGURES = (
    "Precision is the share of correct predictions among the images predicted as something else"
    " than the background, or than the first of two classes. Recall is their share among the "
    "images that are something else. Accuracy counts all images."
)
THRESHOLD = (
    "An image is predicted as the second class if its probability is above the threshold. The "
    "confusion matrix, the classes and the images below are those of this prediction."
)
THRESHOLD_OF_BACKGROUND = (
    "An image is predicted as the background if no class reaches the threshold. The confusion "
    "matrix, the classes and the images below are those of this prediction."
)
GRAD_CAM = (
    "Below an image is its centre crop in grey, with colours by Grad-CAM where pixels speak for "
    "the predicted class and for the true one. They are brightest where they raise its logit most; "
    "colours of two pictures cannot be compared."
)
DIFFERENCES = (
    "Differences are the second run minus the first, on the same images. Their 95 % intervals come "
    "from a paired bootstrap; an interval without 0 is a clear difference. p is the p value of "
    "McNemar's exact test: the probability of counts at least as unequal if both were equally good."
)
