"""The options and types of arguments that commands share."""
