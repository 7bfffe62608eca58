"""The frozen layers before a Gluon network's output layer, computed once for each image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.models.backbone import Backbone, NotConstantError, cut_backbone
from fashionai.models.forward import Forward
from fashionai.models.views import Pending
from fashionai.models.zoo import output_names
from fashionai.training.batches.features import IMAGES_PER_DEVICE, FeatureStore, weights_hash
from fashionai.training.batches.inputs import FeatureInputs, Sizes, why_no_features


def feature_inputs(
    config: Config, train: Samples, network: Any, contexts: Sequence[Any], sizes: Sizes
) -> Union[tuple[FeatureInputs, Any], str]:
    """Inputs that keep features, and the output layer; or why there are none.

    The layers of ``network`` are frozen already.
    """
    reason = why_no_features(config)
    if reason:
        return reason
    try:
        backbone = cut_backbone(network, config.data.crop)
    except NotConstantError as reason:
        return str(reason)
    store = FeatureStore(config, GluonBackbone(config, network, backbone, contexts))
    return FeatureInputs(config, train, sizes, store), backbone.output


class GluonBackbone:
    """Computes features on MXNet contexts; see fashionai.training.batches.features.Backbone."""

    def __init__(
        self, config: Config, network: Any, backbone: Backbone, contexts: Sequence[Any]
    ) -> None:
        self._config, self._network, self._backbone = config, network, backbone
        self._contexts = list(contexts)
        self._forward: Optional[Forward] = None
        self.shape = backbone.shape
        self.batch_size = IMAGES_PER_DEVICE * len(self._contexts)

    def key(self) -> str:
        """The hash of all parameters outside the output layer."""
        output = output_names(self._network)
        parameters = self._network._collect_params_with_prefix()
        return weights_hash(
            (name, parameter.list_data()[0].asnumpy())
            for name, parameter in parameters.items()
            if name not in output
        )

    def begin(self, pixels: np.ndarray) -> Pending:
        """Start to compute the features of images."""
        if self._forward is None:
            normalization = self._config.data.normalization
            block = self._backbone.block
            self._forward = Forward(block, *normalization, self._contexts, columns=[])
        pending = self._forward.outputs(pixels)
        return lambda: pending().reshape(len(pixels), -1)

    def close(self) -> None:
        """Free the memory of the static graph."""
        self._backbone.block.hybridize(False)
        self._forward = None
