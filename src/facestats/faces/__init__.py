"""Faces out of photos: decoding, landmarks, alignment, quality, duplicates.

`landmarks.py` finds faces, `preprocess.py` turns a folder of photos into aligned crops and a table.
Nothing here reads `params.yaml` or knows the pipeline's paths.
"""
