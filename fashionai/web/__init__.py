"""Downloads from addresses that strangers wrote: checked hosts, limits and retries."""
