"""The sections of a page, one file each: from a run to blocks."""
