"""AutoFormer: vision transformers of any depth, width, number of heads and MLP ratio."""
