"""Which pixels speak for the classes that a run predicts, and for the true one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fashionai.engines.grad_cam import GradCam
from fashionai.pipeline.augment import EvaluationTransform
from fashionai.pipeline.decode import ImageFile
from fashionai.pipeline.loader import Loader
from fashionai.progress import Advance, no_progress
from fashionai.runs import Run
from fashionai.tasks import Task


class ExplainedClass(NamedTuple):
    """A class of a task with its probability, and how much each pixel speaks for it.

    ``heat`` is ``(crop, crop) float32`` in [0, 1], see GradCam.heat_maps.
    """

    task: Task
    class_index: int
    probability: float
    is_true: bool
    heat: np.ndarray

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.task.classes[self.class_index]


class Explanation(NamedTuple):
    """The centre crop ``(crop, crop, 3) uint8`` RGB of an image, and its explained classes.

    They are in the order of the tasks, the most probable first.
    """

    image: np.ndarray
    classes: list[ExplainedClass]


def explain(
    run: Run,
    images: Sequence[ImageFile],
    *,
    top: int = 3,
    true_classes: Sequence[Mapping[Task, int]] = (),
    progress: Advance = no_progress,
) -> Iterator[Explanation]:
    """Explain, by Grad-CAM of the centre crops, the ``top`` classes of each task of a run.

    ``true_classes`` has, for each image, the true class of the tasks for which it is known: it is
    explained as well. Images are read while the results are taken, in their order. Raises
    ConfigError at once for a network without a feature map, and DataError for an image that cannot
    be decoded.
    """
    return _explain(GradCam(run), run, images, top, true_classes, progress)


def explain_outputs(
    run: Run, images: Sequence[ImageFile], outputs: Sequence[Sequence[int]]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Explain, for each image, K outputs of the network, which are numbered over all tasks.

    Yields the centre crop ``(crop, crop, 3) uint8`` RGB and heat maps ``(K, crop, crop) float32``;
    errors as for explain.
    """
    grad_cam = GradCam(run)
    for row, view in _centre_crops(run, images):
        yield view, grad_cam.heat_maps(grad_cam.activations(view).features, outputs[row])


def _explain(
    grad_cam: GradCam,
    run: Run,
    images: Sequence[ImageFile],
    top: int,
    true_classes: Sequence[Mapping[Task, int]],
    progress: Advance,
) -> Iterator[Explanation]:
    for row, view in _centre_crops(run, images):
        truth = true_classes[row] if true_classes else {}
        yield Explanation(view, _explain_view(grad_cam, run, view, top, truth))
        progress(1)


def _centre_crops(run: Run, images: Sequence[ImageFile]) -> Iterator[tuple[int, np.ndarray]]:
    """The position of each image and its centre crop ``(crop, crop, 3) uint8`` RGB."""
    data = run.config.data
    loader = Loader(images, EvaluationTransform(data), 1, workers=data.workers)
    for batch in loader.batches(np.arange(len(images))):
        yield int(batch.rows[0]), batch.images[0, 0]


def _explain_view(
    grad_cam: GradCam, run: Run, view: np.ndarray, top: int, truth: Mapping[Task, int]
) -> list[ExplainedClass]:
    features, probabilities = grad_cam.activations(view)
    chosen: list[tuple[Task, int, int]] = []
    for task, columns in zip(run.tasks, run.columns):
        ranked = np.argsort(-probabilities[columns], kind="stable").tolist()
        true_class = [truth[task]] if task in truth else []
        shown = dict.fromkeys([*ranked[:top], *true_class])
        chosen += [(task, index, columns.start + index) for index in shown]
    heat = grad_cam.heat_maps(features, [output for *_, output in chosen])
    return [
        ExplainedClass(task, index, float(probabilities[output]), truth.get(task) == index, each)
        for (task, index, output), each in zip(chosen, heat)
    ]
