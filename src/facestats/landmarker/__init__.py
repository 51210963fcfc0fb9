"""Getting MediaPipe's models."""
