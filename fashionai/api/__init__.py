"""The four steps for scripts and notebooks: paths and tables in, pandas tables out.

They do what the commands of the same names do, and print nothing: log lines go to the
logger ``fashionai``. MXNet is imported by the functions that compute.
"""
