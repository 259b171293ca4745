"""From a stored record to the padded arrays of a compiled step."""
