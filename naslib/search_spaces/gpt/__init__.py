"""GPT: language models of any depth, width, number of heads and MLP ratio, with or without biases."""
