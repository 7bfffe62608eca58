"""First configurations for prepared tasks: ``fashionai init``."""
