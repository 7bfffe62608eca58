"""Downloads from URLs that are not trusted: checked hosts, limits and retries."""
