"""Charts: small functions that turn numbers into SVG which needs no script, no library and no network."""
