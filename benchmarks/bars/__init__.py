"""One module per bar: each has `measure(options) -> list[Row]`."""
