"""Checks and measures training with PyTorch on a machine with a GPU; see scripts/check_gpu.sh.

A kit is prepared on a machine with MXNet. On the machine with the GPU each part runs in a process
of its own, in which MXNet cannot be imported.
"""
