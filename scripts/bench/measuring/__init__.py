"""What the benchmark scripts share: options, processes that measure, inputs and result tables.

The environments of the peers import ``measuring.worker``, so this file and that module use the
standard library alone.
"""
