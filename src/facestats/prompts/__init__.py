"""Prompts in words: the text tower and zero-shot classification."""
