"""Fitted scikit-learn estimators as arrays and facts: taken apart, checked, and put together."""
