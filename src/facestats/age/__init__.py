"""The age check: who may be too young for a score."""
