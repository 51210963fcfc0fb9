"""Stimuli: single faces moved in shape, colour and texture, within their own photos."""
