"""Importing this module makes ``import mxnet`` work in the same process.

MXNet 1.9.1 reads names that NumPy 1.24 has removed, such as ``numpy.bool``, and its GPU build needs
libraries of the ``nvidia-*-cu11`` wheels. Programs that read exported Gluon networks begin with::

    import fashionai.mxnet_compat
    import mxnet

Nothing else of fashionai is imported, and this module has no names. Raises
fashionai.errors.InstallationError if MXNet is not installed, or cannot work with what is.
"""

from fashionai.frameworks.mxnet import prepare_process as _prepare_process

_prepare_process()
