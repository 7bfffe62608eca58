"""Search spaces: their parameters, their YAML files, the checks of both, and the default one."""
