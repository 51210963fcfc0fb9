"""Faces out of photos: landmarks, alignment, quality, duplicates.

`photo.py` cuts a face out of one photo, `preprocess.py` out of a folder of photos, and makes their
table.
"""
