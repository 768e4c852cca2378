"""Networks as operations that read from and write to banks of memory."""
