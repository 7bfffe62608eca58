"""Exports a network of torchvision to ONNX: torchvision_export.py NETWORK CLASSES BATCH_SIZE FILE.

Uses the default settings of torch.onnx.export. The batch size is fixed, which is the fastest case.
"""

from __future__ import annotations

import sys

import torch
import torchvision

if __name__ == "__main__":
    name, classes, batch_size, file = sys.argv[1:]
    network = getattr(torchvision.models, name)(num_classes=int(classes)).eval()
    torch.onnx.export(network, (torch.randn(int(batch_size), 3, 224, 224),), file, dynamo=True)
