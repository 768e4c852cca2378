FORMATS = {}
Format = convert = format_of = None
