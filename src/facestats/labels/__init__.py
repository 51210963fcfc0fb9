"""What people said of the faces: label files, ratings, splits."""
